"""What a person waits for on the night of a large upgrade: how soon a browser shows it, and how soon after a key."""

import asyncio
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from playwright.async_api import Browser

from monitor.simulator import GroupSpec
from tests.benchmarks.browsing import TIMEOUT_S, first_sight, tab
from tests.benchmarks.children import child
from tests.benchmarks.measure import Row, Scale, spoken
from tests.support.browser import chromium
from tests.support.nights import planned, upgrade_night

_GROUP: Final = "li.unit"
_ENGINES: Final = 6  # of each group
_NOTE_KEY: Final = """() => {
  window.keyMs = new Promise((done) => document.addEventListener("keydown", (event) =>
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - event.timeStamp))), {once: true}));
}"""
"""Milliseconds from the next key to the frame after the one in which all that it shows was drawn."""


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """Rows of the first sight of an upgrade, and of the key that shows its other groups."""
    what = f"page, upgrade of {scale.groups} groups with {scale.groups * _ENGINES} Service Engines"
    with TemporaryDirectory(prefix="bench-") as folder:  # of this process: the server is killed
        async with child(_serve, scale.groups, Path(folder)) as server, chromium() as browser:
            url = f"{await server.receive()}/#/upgrade/dc1"
            first = median([(await first_sight(browser, url, 1, _GROUP))[1] for _ in range(scale.slow_rounds)])
            slow = [await _slow_sight_and_key(browser, url, scale.slack) for _ in range(scale.slow_rounds)]
    slow_first, key = (median(seconds) for seconds in zip(*slow, strict=True))
    slower = f"CPU {scale.slack} times slower"
    yield Row(what=f"{what}: first groups", ours=spoken(first), figure=first, unit=" s", limit=1.0)
    yield Row(what=f"{what}: first groups, {slower}", ours=spoken(slow_first), figure=slow_first, unit=" s")
    yield Row(
        what=f"{what}: a key until the next groups are shown, {slower}",
        ours=spoken(key),
        figure=key * 1e3,
        unit=" ms",
        limit=100.0,
    )


async def _slow_sight_and_key(browser: Browser, url: str, slack: int) -> tuple[float, float]:
    """Seconds to the first groups, and from the key to those that were not shown."""
    async with tab(browser, url, slack, _GROUP) as page, asyncio.timeout(TIMEOUT_S):
        first_ms = await page.evaluate("window.firstRow")
        await page.get_by_role("button", name="more group").focus()
        await page.evaluate(_NOTE_KEY)
        await page.keyboard.press("Enter")
        return first_ms / 1e3, await page.evaluate("window.keyMs") / 1e3


def _serve(pipe: Connection, groups: int, folder: Path) -> None:
    asyncio.run(_serve_night(pipe, groups, folder))


async def _serve_night(pipe: Connection, groups: int, folder: Path) -> None:
    """The daemon on a Controller whose SE groups are all being upgraded; the clock stands still."""
    specs = planned(groups=[GroupSpec(name=f"group-{number:03}", ses=_ENGINES) for number in range(groups)])
    async with upgrade_night(folder, specs, step_s=240.0) as (daemon, night):
        await night.go_to("groups", after_s=90.0)
        pipe.send(daemon.url)
        await asyncio.Event().wait()
