"""
Debian's Chromium, driven as a person would: each tab has a witness, who tells what a page of ours must never do.

One browser serves the tests of a module, each in a tab that knows nothing of the others. Its profile is a new one, and
it is kept from calling anybody by itself.
"""

import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Locator,
    Page,
    Request,
    async_playwright,
    expect,
)

from monitor.daemon.app import Daemon
from monitor.simulator import SimulatedController, Simulator
from tests.support.daemons import PATIENCE_S, QUICK, polled, watching
from tests.support.programs import program

ARTEFACTS: Final = Path(__file__).parents[2] / "test-artefacts"
REFUSED: Final = r"the server responded with a status of 4\d\d"
"""What the console says of a request that the daemon refused."""
AWAY: Final = r"net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)"
"""What the console says of a daemon that is not there."""

_HIDDEN = r"status of 40[13] .*/api/audit\?"  # who may not read the audit is told so beside the image
_PAST_S = 900.0  # as in the demo: their clocks start in the past, so that what is shown is not of times to come
_QUIET = (
    "--no-sandbox",  # tests run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_TELL_VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`against the policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));"""
_ENTER = """if (location.protocol !== "about:") sessionStorage.setItem("avi-upgrade-monitor.token", "%s")"""
_TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""In the first, what watches sizes draws anew."""
_WIDER = """[...document.querySelectorAll("body *")].filter(
  (each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).slice(0, 5).map(
  (each) => each.outerHTML.slice(0, 120))"""

expect.set_options(timeout=PATIENCE_S * 1e3)


class Witness:
    """``complaints``: requests to other hosts, errors, warnings in the console, dialogs, breaches of the policy."""

    def __init__(self, context: BrowserContext, origin: str, allowed: Sequence[str]) -> None:
        self.complaints: list[str] = []
        self._origin = origin
        self._allowed = [re.compile(each) for each in (_HIDDEN, *allowed)]
        context.on("request", self._requested)
        context.on("console", self._said)
        context.on("weberror", lambda error: self._complain(f"error: {error.error}"))
        context.on("dialog", self._asked)

    def _requested(self, request: Request) -> None:
        if not request.url.startswith(f"{self._origin}/"):
            self._complain(f"request to {request.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self._complain(f"{message.type}: {message.text} ({message.location['url']})")

    async def _asked(self, dialog: Dialog) -> None:
        self._complain(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _complain(self, words: str) -> None:
        if not any(each.search(words) for each in self._allowed):
            self.complaints.append(words)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser with a profile of its own."""
    path = program("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_QUIET)
        try:
            yield browser
        finally:
            await browser.close()


async def of_module() -> AsyncIterator[Browser]:
    """A browser for all tests of a module, which run in one loop: it is made a fixture there."""
    async with chromium() as browser:
        yield browser


@asynccontextmanager
async def opened(
    browser: Browser,
    origin: str,
    path: str = "/",
    *,
    allow: Sequence[str] = (),
    token: str = "",
    **how: Any,  # noqa: ANN401  as new_context has it
) -> AsyncIterator[Page]:
    """
    A tab that knows nothing of others, at this path of the daemon; at its end, its witness must have no complaint.

    ``allow``: patterns of complaints that are as they should be. ``token``: entered before; "": none.
    """
    context = await browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB"} | how)
    witness = Witness(context, origin, allow)
    await context.add_init_script(_TELL_VIOLATIONS)
    if token:
        await context.add_init_script(_ENTER % token)
    page = await context.new_page()
    await page.goto(f"{origin}{path}")
    try:
        yield page
    except BaseException:
        await keep(page, f"failed-{time.time():.0f}")
        raise
    finally:
        await context.close()
    assert not witness.complaints, "\n".join(witness.complaints)


def demo() -> Simulator:
    """The Controllers of the demo; their clock stands until it is advanced."""
    return Simulator.of("fleet", seed=7, speed=0.0, start=time.time() - _PAST_S)


@asynccontextmanager
async def fleet(
    folder: Path,
    *,
    at_s: float = 0.0,
    **settings: Any,  # noqa: ANN401  as watching
) -> AsyncIterator[tuple[Daemon, Simulator]]:
    """The fleet of the demo, so many seconds after its start, where its clock stands; the daemon has polled it once."""
    async with demo() as simulator:
        simulator.clock.advance(at_s)
        async with watching(simulator, folder, **{"poll": QUICK, **settings}) as daemon:
            for name in simulator.controllers:
                await polled(daemon, name)
            yield daemon, simulator


def newest(controller: SimulatedController) -> str:
    """The uuid of its upload that began last."""
    return list(controller.images.names(controller.clock.now()))[-1]


def rows(page: Page) -> Locator:
    """Of the images in the list."""
    return page.locator("tbody tr[data-uuid]")


def row(page: Page, uuid: str) -> Locator:
    """Of one of them."""
    return page.locator(f'tbody tr[data-uuid="{uuid}"]')


def address(controller: str, uuid: str) -> str:
    """Of the view of one image."""
    return f"/#/image/{controller}/{uuid}"


async def sign_in(page: Page, token: str) -> None:
    """Enter a token as a person does."""
    await page.get_by_role("button", name="Enter token").click()
    dialog = page.get_by_role("dialog", name="Token")
    await dialog.get_by_role("textbox", name="Token").fill(token)
    await dialog.get_by_role("button", name="Use this token").click()
    await expect(dialog).to_be_hidden()


async def keep(page: Page, name: str, *, whole: bool = True) -> None:
    """A picture for people, in ``test-artefacts``. ``whole``: also what one would have to scroll to."""
    try:
        if whole:
            await page.evaluate("window.scrollTo(0, 0)")  # or what sticks to the top would stand in the middle
        await page.screenshot(path=ARTEFACTS / f"page-{name}.png", full_page=whole, animations="disabled")
    except Error:
        if not name.startswith("failed"):
            raise


async def require_no_sideways_scroll(page: Page) -> None:
    """Nothing is wider than the window. Raises: AssertionError, which names what is."""
    await page.evaluate(_TWO_FRAMES)
    wide, window = await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= window, f"{wide} px in {window} px: {await page.evaluate(_WIDER)}"
