"""The page without access, and without a daemon: it shows what is wrong, and reconnects by itself."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.support.browser import (
    CLIENT_ERROR,
    CONNECTION_FAILED,
    address,
    demo_fleet,
    demo_simulator,
    module_browser,
    newest_upload,
    open_page,
    row,
    rows,
    save_screenshot,
)
from tests.support.daemons import watching
from tests.support.operators import EVE, TOKENS

pytestmark = pytest.mark.asyncio(loop_scope="module")
browser = pytest_asyncio.fixture(module_browser, scope="module", loop_scope="module")

STORED = "Object.values(sessionStorage)"
PERSISTENT = "JSON.stringify([Object.entries(localStorage), document.cookie, location.href])"


async def test_without_anonymous_access_the_page_asks_for_a_token_and_keeps_it_in_the_tab(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a page that stays empty, and a token that leaks into another tab, a later session or a log."""
    async with (
        demo_fleet(tmp_path, tokens=TOKENS, anonymous=[]) as (daemon, _),
        open_page(browser, daemon.url, allow=[CLIENT_ERROR]) as page,
    ):
        locked = page.get_by_role("region", name="A token is needed")
        await expect(locked.get_by_role("textbox", name="Token")).to_be_focused()
        await expect(page.locator("#connection")).to_have_text("Token needed")
        await save_screenshot(page, "token-needed")
        await enter(page, "aum_unknown")
        await expect(locked.get_by_role("alert")).to_contain_text("(401)")
        assert await rows(page).count() == 0
        await enter(page, EVE)
        await expect(rows(page)).to_have_count(16)
        await expect(locked).to_be_hidden()
        await expect(page.get_by_role("button", name="Token in use")).to_be_visible()
        assert await page.evaluate(STORED) == [EVE]
        assert EVE not in await page.evaluate(PERSISTENT)
        await page.reload()
        await expect(rows(page)).to_have_count(16)
        async with open_page(browser, daemon.url, allow=[CLIENT_ERROR]) as another:
            await expect(another.get_by_role("region", name="A token is needed")).to_be_visible()
            assert await another.evaluate(STORED) == []


async def enter(page: Page, token: str) -> None:
    """Enter a token in the form that the page shows without access."""
    locked = page.get_by_role("region", name="A token is needed")
    await locked.get_by_role("textbox", name="Token").fill(token)
    await locked.get_by_role("button", name="Use this token").click()


async def test_a_token_can_be_forgotten(browser: Browser, tmp_path: Path) -> None:
    """Would find a token that stays on the machine."""
    async with (
        demo_fleet(tmp_path, tokens=TOKENS, anonymous=[]) as (daemon, _),
        open_page(browser, daemon.url, allow=[CLIENT_ERROR]) as page,
    ):
        await enter(page, EVE)
        await expect(rows(page)).to_have_count(16)
        await page.get_by_role("button", name="Token in use").click()
        await save_screenshot(page, "dialog-token", whole=False)
        await page.get_by_role("button", name="Forget the token").click()
        await expect(page.get_by_role("region", name="A token is needed")).to_be_visible()
        assert await page.evaluate(STORED) == []


async def test_the_page_reconnects_to_a_restarted_daemon_and_shows_the_new_state(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a page that hides the loss, that never reconnects, or that keeps the old state."""
    async with demo_simulator() as simulator, AsyncExitStack() as run:
        first = await run.enter_async_context(watching(simulator, tmp_path))
        port = first.address[1]
        good = newest_upload(simulator.controllers["ams"])
        async with open_page(browser, first.url, allow=[CONNECTION_FAILED]) as page:
            await expect(row(page, good)).to_have_attribute("data-state", "in_progress")
            await expect(page.locator("#connection")).to_have_text("Live")
            banner = page.get_by_role("region", name="Connection")
            await expect(banner).to_be_hidden()
            await run.aclose()
            await expect(banner.get_by_role("alert")).to_have_text("Connection lost")
            await expect(banner).to_contain_text("the data shown is as of")
            await expect(page.locator("#connection")).to_have_text("Not connected")
            await expect(row(page, good)).to_be_visible()
            await save_screenshot(page, "connection-lost")
            simulator.clock.advance(900.0)
            async with watching(simulator, tmp_path, listen=f"127.0.0.1:{port}"):
                await expect(banner).to_be_hidden()
                await expect(row(page, good)).to_have_attribute("data-state", "completed")
                await expect(rows(page).first).to_have_attribute("data-standing", "failed")
                await expect(page.locator("#announcements")).to_contain_text("Connected again")


# -- clocks

COLLECT_NEW_ELEMENTS = """globalThis.newElements = []; new MutationObserver((changes) => {
  for (const { addedNodes } of changes)
    for (const node of addedNodes) if (node.nodeType === 1) newElements.push(node.outerHTML);
}).observe(document.body, { subtree: true, childList: true })"""


async def load_with_stepped_clock(page: Page) -> None:
    """Load the page again, with a clock that `page.clock.run_for` advances, and wait for its rows."""
    await page.clock.install()
    await page.reload()
    await expect(page.locator("#connection")).to_have_text("Live")


@pytest.mark.parametrize("one_image", [False, True], ids=["fleet", "image"])
async def test_while_nothing_happens_only_the_texts_of_clocks_are_drawn(
    browser: Browser, tmp_path: Path, one_image: bool
) -> None:
    """Would find a page that builds its rows anew each second."""
    async with demo_fleet(tmp_path) as (daemon, simulator):
        path = address("ams", newest_upload(simulator.controllers["ams"])) if one_image else "/"
        async with open_page(browser, daemon.url, path) as page:
            await load_with_stepped_clock(page)
            if one_image:
                await expect(page.locator(".image-view")).to_be_visible()
            else:
                await expect(rows(page)).to_have_count(16)  # the rows below the first screenful are drawn a frame later
            await expect(page.get_by_text("Loading")).to_have_count(0)
            await page.evaluate(COLLECT_NEW_ELEMENTS)
            await page.clock.run_for(20_000)  # after 30 s without a byte the page would connect again
            assert await page.evaluate("newElements") == []


async def test_while_the_connection_is_lost_the_clocks_of_the_page_stand(browser: Browser, tmp_path: Path) -> None:
    """Would find ages that go on growing although it is not known whether the upload moves."""
    async with AsyncExitStack() as run:
        daemon, _ = await run.enter_async_context(demo_fleet(tmp_path))
        async with open_page(browser, daemon.url, allow=[CONNECTION_FAILED]) as page:
            await load_with_stepped_clock(page)
            await expect(rows(page)).to_have_count(16)
            await run.aclose()
            banner = page.get_by_role("region", name="Connection")
            await expect(banner).to_contain_text("the data shown is as of")
            texts = await rows(page).all_inner_texts()
            as_of = await banner.locator("time").get_attribute("datetime")
            await page.clock.run_for(600_000)
            await expect(banner).to_contain_text("min")
            assert await rows(page).all_inner_texts() == texts
            assert await banner.locator("time").get_attribute("datetime") == as_of
