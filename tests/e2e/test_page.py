"""The fleet in a real browser: it moves by itself, puts what needs somebody first, and finds what is sought."""

import re
import time
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.support.browser import address, fleet, keep, newest, of_module, opened, row, rows
from tests.support.daemons import polled, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
browser = pytest_asyncio.fixture(of_module, scope="module", loop_scope="module")

ENDED_S = 900.0  # simulated: by then every upload of the demo has ended, but the one that is stuck


async def test_bars_move_one_completes_and_the_one_that_fails_rises_to_the_top(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a page that has to be loaded anew, that leaves a row where it was, or that asks another host."""
    async with fleet(tmp_path) as (daemon, simulator), opened(browser, daemon.url) as page:
        (failing, good) = (newest(simulator.controllers[name]) for name in ("fra", "ams"))
        bar = row(page, good).get_by_role("progressbar")
        await expect(bar).to_have_attribute("aria-valuenow", "12")
        await keep(page, "fleet-begun")
        for percent in ("22", "32"):
            simulator.clock.advance(30.0)
            await expect(bar).to_have_attribute("aria-valuenow", percent)
            await expect(row(page, good)).to_have_attribute("data-state", "in_progress")
        await expect(rows(page).first).not_to_have_attribute("data-uuid", failing)
        simulator.clock.advance(ENDED_S)
        await expect(row(page, good)).to_have_attribute("data-state", "completed")
        await expect(row(page, good).get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
        await expect(rows(page).first).to_have_attribute("data-uuid", failing)
        await expect(row(page, failing)).to_have_attribute("data-standing", "failed")
        await expect(row(page, failing)).to_contain_text("Insufficient disk space")
        await expect(page.locator("#announcements")).to_contain_text("failed on fra")
        await expect(page).to_have_title(re.compile(r"^1 upload, 1 failed – "))
        await keep(page, "fleet-ended")


async def test_an_upload_that_appears_is_shown_and_one_that_is_removed_is_not(browser: Browser, tmp_path: Path) -> None:
    """Would find a page that knows only the images of its first minute."""
    async with fleet(tmp_path) as (daemon, simulator), opened(browser, daemon.url) as page:
        lab = simulator.controllers["lab"]
        await expect(rows(page)).to_have_count(16)
        uuid = lab.upload("brought-by-hand.pkg")
        await expect(row(page, uuid)).to_contain_text("brought-by-hand.pkg")
        await expect(row(page, uuid)).to_have_attribute("data-standing", "active")
        lab.remove(uuid)
        await expect(rows(page)).to_have_count(16)


class Wall:
    """The daemon's clock; ``ahead``: so many seconds before the true one."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


async def test_an_upload_that_stands_still_is_said_to_be_stalled_by_the_clock_of_the_daemon(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a page that takes silence for progress, or that goes by the clock of the person's machine."""
    wall = Wall()
    async with fleet(tmp_path, at_s=120.0, wall=wall) as (daemon, simulator), opened(browser, daemon.url) as page:
        stuck = newest(simulator.controllers["sin"])
        await expect(row(page, stuck)).to_have_attribute("data-standing", "active")
        wall.ahead = 200.0
        for name in simulator.controllers:
            await polled(daemon, name, times=2)  # what the last poll of before found is not of the time after it
        simulator.clock.advance(30.0)
        await expect(row(page, stuck)).to_have_attribute("data-standing", "stalled")
        await expect(row(page, stuck).locator(".moved")).to_have_text("no move for 3 min")
        await expect(rows(page).first).to_have_attribute("data-uuid", stuck)
        await expect(page.locator("tr[data-standing=active]").first).to_be_visible()
        await expect(page).to_have_title(re.compile("1 stalled"))
        await keep(page, "fleet-stalled")
        await row(page, stuck).get_by_role("link").click()
        await expect(page.get_by_role("region", name="State", exact=True)).to_contain_text("stalled")


async def test_search_and_filters_find_and_the_address_keeps_them(browser: Browser, tmp_path: Path) -> None:
    """Would find a filter that shows what it should hide, and a link that shows its reader something else."""
    async with fleet(tmp_path, at_s=ENDED_S) as (daemon, simulator), opened(browser, daemon.url) as page:
        failed = newest(simulator.controllers["fra"])
        await page.get_by_role("searchbox", name="Search").fill("  FRA 30.1 ")
        await expect(rows(page)).to_have_count(1)
        await expect(rows(page)).to_have_attribute("data-uuid", failed)
        await expect(page.locator("output")).to_have_text("1 of 19 images")
        assert "q=" in page.url
        await page.get_by_role("button", name="Clear").click()
        await expect(rows(page)).to_have_count(19)
        await page.get_by_role("combobox", name="State").select_option("failed")
        await expect(rows(page)).to_have_count(1)
        await page.get_by_role("combobox", name="State").select_option("active")
        await expect(rows(page)).to_have_attribute("data-controller", "sin")
        await page.get_by_role("button", name="Clear").click()
        await page.get_by_role("button", name="nyc: show its images alone").click()
        await expect(rows(page)).to_have_count(4)
        await page.get_by_role("combobox", name="Version").select_option("31.1.1")
        await expect(rows(page)).to_have_count(1)
        await page.reload()
        await expect(rows(page)).to_have_count(1)
        await expect(page.get_by_role("combobox", name="Controller")).to_have_value("nyc")
        await keep(page, "fleet-filtered")
        await page.get_by_role("searchbox", name="Search").fill("no such image")
        await expect(page.locator("[data-part=empty]")).to_contain_text("None of 19 images fits")
        await keep(page, "fleet-nothing-fits")


async def test_everything_is_reached_with_the_keyboard(browser: Browser, tmp_path: Path) -> None:
    """Would find a link that skips to nowhere, an order of tabs without the list, and a focus that gets lost."""
    async with fleet(tmp_path, at_s=ENDED_S) as (daemon, _), opened(browser, daemon.url) as page:
        await expect(rows(page)).to_have_count(19)
        search = page.get_by_role("searchbox", name="Search")
        await page.keyboard.press("/")
        await expect(search).to_be_focused()
        await page.keyboard.type("fra/")
        await expect(search).to_have_value("fra/")
        await page.keyboard.press("Escape")
        await expect(search).to_have_value("")
        await expect(rows(page)).to_have_count(19)
        await page.reload()
        await expect(rows(page)).to_have_count(19)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await keep(page, "fleet-skip-link", whole=False)
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()
        link = rows(page).first.get_by_role("link")
        assert await tabs_until(page, "tbody tr[data-uuid] a", most=15)
        await expect(link).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_be_focused()
        await page.go_back()
        await expect(link).to_be_focused()


async def tabs_until(page: Page, selector: str, *, most: int) -> bool:
    """Press Tab until it stands on what is wanted."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        if await page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return True
    return False


async def test_a_controller_that_goes_away_is_said_to_be_old_and_its_images_stay(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a page that shows what it knew an hour ago as if it were so now, or that hides it."""
    poll = {"active_interval": "50ms", "idle_interval": "100ms", "timeout": "500ms", "stale_after": "700ms"}
    async with fleet(tmp_path, poll=poll) as (daemon, simulator), opened(browser, daemon.url) as page:
        nyc = simulator.controllers["nyc"]
        uuid = newest(nyc)
        await expect(row(page, uuid)).to_be_visible()
        await nyc.stop_listening()
        trouble = page.locator(".trouble[data-controller=nyc]")
        await expect(trouble).to_have_attribute("data-state", "stale")
        await expect(trouble).to_contain_text("its images are as of")
        await expect(row(page, uuid)).to_have_attribute("data-old", "")
        await expect(row(page, uuid).locator(".old")).to_contain_text(re.compile(r"as of .* ago"))
        await expect(row(page, newest(simulator.controllers["ams"]))).not_to_have_attribute("data-old", "")
        await expect(page.locator("#announcements")).to_contain_text("nyc cannot be read")
        await keep(page, "fleet-controller-away")
        await nyc.start_listening()
        await expect(trouble).to_have_count(0)
        await expect(row(page, uuid)).not_to_have_attribute("data-old", "")
        await until(daemon, "nyc", lambda entry: entry.session.up)


async def test_the_policy_of_the_page_and_its_files_has_no_exception(tmp_path: Path) -> None:
    """Would find a policy that lets in a script that somebody put into a name."""
    async with fleet(tmp_path) as (daemon, _), aiohttp.ClientSession(daemon.url) as http:
        for path in ("/", "/page/main.js", "/page/style.css"):
            async with http.get(path) as response:
                policy = response.headers["Content-Security-Policy"]
                text = await response.text()
            assert "unsafe" not in policy
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", text) or path != "/"


async def test_a_link_to_an_image_that_is_gone_says_so(browser: Browser, tmp_path: Path) -> None:
    """Would find an empty page."""
    async with fleet(tmp_path) as (daemon, _), opened(browser, daemon.url, address("fra", "image-none")) as page:
        await expect(page.get_by_role("status")).to_contain_text("fra has no image image-none at present")
        await page.get_by_role("link", name="All images").click()
        await expect(rows(page).first).to_be_visible()
