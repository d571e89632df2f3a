"""What a person waits for: how soon a browser shows thousands of images, and how soon after a key those that fit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from statistics import median
from typing import Final

from playwright.async_api import Browser, Page

from monitor.metrics.self_metrics import SelfMetrics
from monitor.web.app import make_app
from tests.benchmarks.children import child
from tests.benchmarks.measure import Row, Scale, spoken
from tests.benchmarks.mix import IMAGES, busy_fleet
from tests.benchmarks.serving import context_of, listen
from tests.support.browser import chromium

ROW: Final = "tbody tr[data-uuid]"
TIMEOUT_S: Final = 10.0
_KEYS: Final = ("1", "2", "3", "4", *["Backspace"] * 4)  # each finds fewer, then more again

_NOTE_FIRST = """window.firstRow = new Promise((done) => {
  const watch = new MutationObserver(() => {
    if (!document.querySelector("%s")) return;
    watch.disconnect();
    requestAnimationFrame(() => done(performance.now()));
  });
  watch.observe(document, {childList: true, subtree: true});
});"""
"""Milliseconds from the navigation to the frame after the first row stood there."""
_FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_NOTE_KEYS = """() => {
  let pressed = null;
  const end = (shown) => {
    if (pressed !== null) tell(shown ? performance.now() - pressed : null);
    pressed = null;
  };
  const wait = (frames) => pressed !== null && (frames ? requestAnimationFrame(() => wait(frames - 1)) : end(false));
  document.addEventListener("keydown", (event) => ((pressed = event.timeStamp), wait(20)), {capture: true});
  new MutationObserver(() => requestAnimationFrame(() => end(true))).observe(
    document.querySelector("form output"), {childList: true, characterData: true, subtree: true});
}"""
"""Tells milliseconds from each key to the frame after the list showed what it found; null when that is what it was."""


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """Rows of the first sight of the fleet, and of a key in the search box."""
    what = f"page, {scale.browsed * IMAGES:,} images"
    async with child(_serve, scale.browsed) as server, chromium() as browser:
        url = f"http://127.0.0.1:{await server.receive()}"
        quick, slow = [
            [await first_sight(browser, url, slack) for _ in range(scale.slow_rounds)] for slack in (1, scale.slack)
        ]
        keys = sorted(await _keys(browser, url, scale))
    paint, row = (median(seconds) for seconds in zip(*quick, strict=True))
    slow_row = median(row for _, row in slow)
    yield Row(what=f"{what}: first paint", ours=spoken(paint), figure=paint, unit=" s", limit=1.0)
    yield Row(what=f"{what}: first rows", ours=spoken(row), figure=row, unit=" s", limit=1.0)
    slower = f"CPU {scale.slack} times slower"
    yield Row(what=f"{what}: first rows, {slower}", ours=spoken(slow_row), figure=slow_row, unit=" s")
    key = f"{what}: a key until what it finds is shown, {slower}"
    for name, seconds, limit in (("median", median(keys), 100.0), ("slowest", keys[-1], None)):
        yield Row(what=f"{key}, {name}", ours=spoken(seconds), figure=seconds * 1e3, unit=" ms", limit=limit)


async def first_sight(browser: Browser, url: str, slack: int, row: str = ROW) -> tuple[float, float]:
    """Seconds to the first paint and to the first of these rows, for one who was never here."""
    async with tab(browser, url, slack, row) as page:
        row_ms = await page.evaluate("window.firstRow")
        return await page.evaluate(_FIRST_PAINT) / 1e3, row_ms / 1e3


async def _keys(browser: Browser, url: str, scale: Scale) -> list[float]:
    """Seconds from each key to what it finds; nothing is asked of the page between the two."""
    told: asyncio.Queue[float | None] = asyncio.Queue(maxsize=1)
    async with tab(browser, url, scale.slack) as page:
        await page.expose_function("tell", told.put_nowait)
        await page.evaluate("window.firstRow")
        await page.get_by_role("searchbox").focus()
        await page.evaluate(_NOTE_KEYS)
        taken = [await _key(page, key, told) for _ in range(scale.slow_rounds) for key in _KEYS]
    return [each / 1e3 for each in taken if each is not None]


async def _key(page: Page, key: str, told: asyncio.Queue[float | None]) -> float | None:
    async with asyncio.timeout(TIMEOUT_S):
        await page.keyboard.press(key)
        return await told.get()


@asynccontextmanager
async def tab(browser: Browser, url: str, slack: int, row: str = ROW) -> AsyncIterator[Page]:
    """A tab with an empty cache, so many times slower than this machine."""
    async with await browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        await context.add_init_script(_NOTE_FIRST % row)
        page = await context.new_page()
        devtools = await context.new_cdp_session(page)
        await devtools.send("Emulation.setCPUThrottlingRate", {"rate": slack})
        await page.goto(url)
        yield page


def _serve(pipe: Connection, controllers: int) -> None:
    asyncio.run(_serve_fleet(pipe, controllers))


async def _serve_fleet(pipe: Connection, controllers: int) -> None:
    """Our site with a fleet that stands still."""
    pipe.send(await listen(make_app(context_of(await busy_fleet(controllers), SelfMetrics()))))
    await asyncio.Event().wait()
