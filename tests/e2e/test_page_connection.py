"""The page when it is not let in, and when the daemon is not there: it says so, and comes back by itself."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.support.browser import AWAY, REFUSED, demo, fleet, keep, newest, of_module, opened, row, rows
from tests.support.daemons import watching
from tests.support.operators import EVE, TOKENS

pytestmark = pytest.mark.asyncio(loop_scope="module")
browser = pytest_asyncio.fixture(of_module, scope="module", loop_scope="module")

KEPT = "Object.values(sessionStorage)"
LASTING = "JSON.stringify([Object.entries(localStorage), document.cookie, location.href])"


async def test_without_anonymous_reading_a_token_is_asked_for_and_kept_for_the_tab_alone(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a page that stays empty, and a token that another tab, another day or a log could have."""
    async with (
        fleet(tmp_path, tokens=TOKENS, anonymous=[]) as (daemon, _),
        opened(browser, daemon.url, allow=[REFUSED]) as page,
    ):
        locked = page.get_by_role("region", name="A token is needed")
        await expect(locked.get_by_role("textbox", name="Token")).to_be_focused()
        await expect(page.locator("#connection")).to_have_text("Token needed")
        await keep(page, "token-needed")
        await enter(page, "aum_nobody")
        await expect(locked.get_by_role("alert")).to_contain_text("(401)")
        assert await rows(page).count() == 0
        await enter(page, EVE)
        await expect(rows(page)).to_have_count(16)
        await expect(locked).to_be_hidden()
        await expect(page.get_by_role("button", name="Token in use")).to_be_visible()
        assert await page.evaluate(KEPT) == [EVE]
        assert EVE not in await page.evaluate(LASTING)
        await page.reload()
        await expect(rows(page)).to_have_count(16)
        async with opened(browser, daemon.url, allow=[REFUSED]) as another:
            await expect(another.get_by_role("region", name="A token is needed")).to_be_visible()
            assert await another.evaluate(KEPT) == []


async def enter(page: Page, token: str) -> None:
    """Where the page asks for it by itself."""
    locked = page.get_by_role("region", name="A token is needed")
    await locked.get_by_role("textbox", name="Token").fill(token)
    await locked.get_by_role("button", name="Use this token").click()


async def test_a_token_is_forgotten_when_the_person_says_so(browser: Browser, tmp_path: Path) -> None:
    """Would find a machine that is left with somebody's token in it."""
    async with (
        fleet(tmp_path, tokens=TOKENS, anonymous=[]) as (daemon, _),
        opened(browser, daemon.url, allow=[REFUSED]) as page,
    ):
        await enter(page, EVE)
        await expect(rows(page)).to_have_count(16)
        await page.get_by_role("button", name="Token in use").click()
        await keep(page, "dialog-token", whole=False)
        await page.get_by_role("button", name="Forget the token").click()
        await expect(page.get_by_role("region", name="A token is needed")).to_be_visible()
        assert await page.evaluate(KEPT) == []


async def test_a_daemon_that_restarts_is_missed_and_found_again_and_the_state_is_right(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a page that goes on as if nothing were, that never comes back, or that comes back with what was."""
    async with demo() as simulator, AsyncExitStack() as run:
        first = await run.enter_async_context(watching(simulator, tmp_path))
        port = first.address[1]
        good = newest(simulator.controllers["ams"])
        async with opened(browser, first.url, allow=[AWAY]) as page:
            await expect(row(page, good)).to_have_attribute("data-state", "in_progress")
            await expect(page.locator("#connection")).to_have_text("Live")
            banner = page.get_by_role("region", name="Connection")
            await expect(banner).to_be_hidden()
            await run.aclose()
            await expect(banner.get_by_role("alert")).to_have_text("Connection lost")
            await expect(banner).to_contain_text("what you see is as of")
            await expect(page.locator("#connection")).to_have_text("Not connected")
            await expect(row(page, good)).to_be_visible()
            await keep(page, "connection-lost")
            simulator.clock.advance(900.0)
            async with watching(simulator, tmp_path, listen=f"127.0.0.1:{port}"):
                await expect(banner).to_be_hidden()
                await expect(row(page, good)).to_have_attribute("data-state", "completed")
                await expect(rows(page).first).to_have_attribute("data-standing", "failed")
                await expect(page.locator("#announcements")).to_contain_text("Connected again")
