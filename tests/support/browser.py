"""
Debian's Chromium, with helpers for the tests of the page. Each tab records the errors that the page must never cause.

It is Debian's build without a desktop's windows: the same engine, and a tab takes half the processor time. One browser
serves all tests of a module; each test has a browser context of its own. The browser's profile is new, and its
background network requests are disabled.
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
    Route,
    async_playwright,
    expect,
)

from monitor.daemon.app import Daemon
from monitor.simulator import SimulatedController, Simulator
from tests.support.daemons import UNHURRIED, polled, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.nginx import KEY_PIN
from tests.support.programs import program

ARTEFACTS: Final = Path(__file__).parents[2] / "test-artefacts"
CLIENT_ERROR: Final = r"the server responded with a status of 4\d\d"
"""The console's message about a request that the daemon refused."""
CONNECTION_FAILED: Final = r"net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)"
"""The console's message about a daemon that is not running."""

_AUDIT_FORBIDDEN = r"status of 40[13] .*/api/audit\?"  # always allowed: the view of an image shows this refusal
_START_OFFSET_S = 900.0  # the simulated clocks start in the past, so that no time is in the future
_CHROMIUM_ARGS = (
    "--no-sandbox",  # tests run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--ignore-certificate-errors-spki-list={KEY_PIN}",  # else it would ask about each connection, and give up at times
)
_REPORT_CSP_VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));"""
_STORE_TOKEN = """if (location.protocol !== "about:") sessionStorage.setItem("avi-upgrade-monitor.token", "%s")"""
_CLOCK = "new Clock(stopwatch)"
_FAST_CLOCK = """(() => {
  let lost = 0, heldAt = null;
  window.fastClock = {
    seconds: () => (%f * ((heldAt ?? performance.now()) - lost)) / 1000,
    hold: () => void (heldAt = performance.now()),
    release: () => void ((lost += performance.now() - heldAt), (heldAt = null)),
  };
})();"""
_TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""In the first, observers of sizes redraw."""
_TOO_WIDE = """[...document.querySelectorAll("body *")].filter(
  (each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).slice(0, 5).map(
  (each) => each.outerHTML.slice(0, 120))"""

expect.set_options(timeout=WAIT_TIMEOUT_S * 1e3)


class TabErrors:
    """``errors``: requests to other hosts, script errors, console warnings, dialogs, violations of the policy."""

    def __init__(self, context: BrowserContext, origin: str, allowed: Sequence[str]) -> None:
        self.errors: list[str] = []
        self._origin = origin
        self._allowed = [re.compile(each) for each in (_AUDIT_FORBIDDEN, *allowed)]
        context.on("request", self._on_request)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._add(f"error: {error.error}"))
        context.on("dialog", self._on_dialog)

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(f"{self._origin}/"):
            self._add(f"request to {request.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self._add(f"{message.type}: {message.text} ({message.location['url']})")

    async def _on_dialog(self, dialog: Dialog) -> None:
        self._add(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _add(self, error: str) -> None:
        if not any(each.search(error) for each in self._allowed):
            self.errors.append(error)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser with a new profile."""
    path = program("chromium-headless-shell")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_CHROMIUM_ARGS)
        try:
            yield browser
        finally:
            await browser.close()


async def module_browser() -> AsyncIterator[Browser]:
    """A browser for all tests of a module, which run in one event loop; made a fixture there."""
    async with chromium() as browser:
        yield browser


@asynccontextmanager
async def open_page(
    browser: Browser,
    origin: str,
    path: str = "/",
    *,
    allow: Sequence[str] = (),
    token: str = "",
    clock_speed: float = 1.0,
    **how: Any,  # noqa: ANN401  as new_context has it
) -> AsyncIterator[Page]:
    """
    A new tab without shared state, at this path of the daemon.

    ``allow``: patterns of errors that are expected. ``token``: already entered; "": none. ``clock_speed``: of the
    page's clock, as of the simulated one that the daemon has; unless it is 1, `held_clock` stops it.
    Raises: AssertionError at its end, when the tab recorded another error.
    """
    context = await browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB"} | how)
    tab = TabErrors(context, origin, allow)
    await context.add_init_script(_REPORT_CSP_VIOLATIONS)
    if token:
        await context.add_init_script(_STORE_TOKEN % token)
    if clock_speed != 1.0:
        await context.add_init_script(_FAST_CLOCK % clock_speed)
        await context.route("**/page/main.js", _use_fast_clock)
    page = await context.new_page()
    await page.goto(f"{origin}{path}")
    try:
        yield page
    except BaseException:
        await save_screenshot(page, f"failed-{time.time():.0f}")
        raise
    finally:
        await context.close()
    assert not tab.errors, "\n".join(tab.errors)


async def _use_fast_clock(route: Route) -> None:
    """Replace the page's clock alone: its connection and its drawing go on at their own pace."""
    script = await (await route.fetch()).text()
    assert _CLOCK in script
    faster = script.replace(_CLOCK, "new Clock(window.fastClock.seconds)")
    await route.fulfill(body=faster, content_type="text/javascript")


@asynccontextmanager
async def held_clock(*pages: Page) -> AsyncIterator[None]:
    """The clocks of these pages, which were opened with a ``clock_speed``, stand still."""
    for page in pages:
        await page.evaluate("window.fastClock.hold()")
    try:
        yield
    finally:
        for page in pages:
            await page.evaluate("window.fastClock.release()")


def demo_simulator() -> Simulator:
    """The Controllers of the demo. Their clock stands still until it is advanced."""
    return Simulator.of("fleet", seed=7, speed=0.0, start=time.time() - _START_OFFSET_S)


@asynccontextmanager
async def demo_fleet(
    folder: Path,
    *,
    at_s: float = 0.0,
    **settings: Any,  # noqa: ANN401  as watching
) -> AsyncIterator[tuple[Daemon, Simulator]]:
    """The demo, so many simulated seconds after its start; its clock stands still. The daemon has polled it once."""
    async with demo_simulator() as simulator:
        simulator.clock.advance(at_s)
        async with watching(simulator, folder, **{"poll": UNHURRIED, **settings}) as daemon:
            for name in simulator.controllers:
                await polled(daemon, name)
            yield daemon, simulator


def newest_upload(controller: SimulatedController) -> str:
    """The uuid of the upload that started last."""
    return list(controller.images.names(controller.clock.now()))[-1]


def rows(page: Page) -> Locator:
    """The rows of all images in the list."""
    return page.locator("tbody tr[data-uuid]")


def row(page: Page, uuid: str) -> Locator:
    """The row of one image."""
    return page.locator(f'tbody tr[data-uuid="{uuid}"]')


def address(controller: str, uuid: str) -> str:
    """The path of the view of one image."""
    return f"/#/image/{controller}/{uuid}"


async def sign_in(page: Page, token: str) -> None:
    """Enter a token in the token dialog."""
    await page.get_by_role("button", name="Enter token").click()
    dialog = page.get_by_role("dialog", name="Token")
    await dialog.get_by_role("textbox", name="Token").fill(token)
    await dialog.get_by_role("button", name="Use this token").click()
    await expect(dialog).to_be_hidden()


def write_artefact(name: str, text: str) -> None:
    """Write a file in ``test-artefacts``."""
    ARTEFACTS.mkdir(exist_ok=True)
    (ARTEFACTS / name).write_text(text)


async def save_screenshot(page: Page, name: str, *, whole: bool = True) -> None:
    """Save a screenshot in ``test-artefacts``. ``whole``: with the parts that are out of sight."""
    try:
        if whole:
            await page.evaluate("window.scrollTo(0, 0)")  # or sticky elements are in the middle of the screenshot
        await page.screenshot(path=ARTEFACTS / f"page-{name}.png", full_page=whole, animations="disabled")
    except Error:
        if not name.startswith("failed"):
            raise


async def assert_no_horizontal_scroll(page: Page) -> None:
    """Check that no element is wider than the window. Raises: AssertionError, which names some that are."""
    await page.evaluate(_TWO_FRAMES)
    content, window = await page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert content <= window, f"{content} px in {window} px: {await page.evaluate(_TOO_WIDE)}"
