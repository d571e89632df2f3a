"""The view of the fleet in a real browser: it updates by itself, sorts by urgency, searches and filters."""

import re
import time
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from monitor.simulator import Fault
from tests.support.browser import (
    address,
    demo_fleet,
    module_browser,
    newest_upload,
    open_page,
    row,
    rows,
    save_screenshot,
)
from tests.support.daemons import polled, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
browser = pytest_asyncio.fixture(module_browser, scope="module", loop_scope="module")

ENDED_S = 900.0  # simulated: by then every upload of the demo has ended, except the one that is stuck


async def test_progress_bars_move_and_a_failed_upload_is_listed_first(browser: Browser, tmp_path: Path) -> None:
    """Would find a page that must be reloaded, that leaves a row in its old place, or that contacts another host."""
    async with demo_fleet(tmp_path) as (daemon, simulator), open_page(browser, daemon.url) as page:
        (failing, good) = (newest_upload(simulator.controllers[name]) for name in ("fra", "ams"))
        bar = row(page, good).get_by_role("progressbar")
        await expect(bar).to_have_attribute("aria-valuenow", "12")
        await save_screenshot(page, "fleet-begun")
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
        await save_screenshot(page, "fleet-ended")


async def test_a_new_upload_appears_and_a_removed_image_disappears(browser: Browser, tmp_path: Path) -> None:
    """Would find a page that shows only the images that were there when it was loaded."""
    async with demo_fleet(tmp_path) as (daemon, simulator), open_page(browser, daemon.url) as page:
        lab = simulator.controllers["lab"]
        await expect(rows(page)).to_have_count(16)
        uuid = lab.upload("uploaded-by-hand.pkg")
        await expect(row(page, uuid)).to_contain_text("uploaded-by-hand.pkg")
        await expect(row(page, uuid)).to_have_attribute("data-standing", "active")
        lab.remove(uuid)
        await expect(rows(page)).to_have_count(16)


class AdjustableClock:
    """The daemon's clock, ``ahead`` of the true time by so many seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


async def test_an_upload_without_progress_is_shown_as_stalled_by_the_daemons_clock(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a page that takes silence for progress, or that uses the clock of the browser's machine."""
    wall = AdjustableClock()
    async with (
        demo_fleet(tmp_path, at_s=120.0, wall=wall, stalled_after="1m") as (daemon, simulator),
        open_page(browser, daemon.url) as page,
    ):
        stuck = newest_upload(simulator.controllers["sin"])
        await expect(row(page, stuck)).to_have_attribute("data-standing", "active")
        wall.ahead = 200.0
        for name in simulator.controllers:
            await polled(daemon, name, times=2)  # the poll that was running used the time before
        simulator.clock.advance(30.0)
        await expect(row(page, stuck)).to_have_attribute("data-standing", "stalled")
        await expect(row(page, stuck).locator(".moved")).to_have_text(re.compile("no move for ([3-9]|[0-9]{2,}) min"))
        await expect(rows(page).first).to_have_attribute("data-uuid", stuck)
        await expect(page.locator("tr[data-standing=active]").first).to_be_visible()
        await expect(page).to_have_title(re.compile("1 stalled"))
        await save_screenshot(page, "fleet-stalled")
        await row(page, stuck).get_by_role("link").click()
        await expect(page.get_by_role("region", name="State", exact=True)).to_contain_text("stalled")


async def test_search_and_filters_select_images_and_are_kept_in_the_address(browser: Browser, tmp_path: Path) -> None:
    """Would find a filter that shows what it should hide, and an address that restores something else."""
    async with demo_fleet(tmp_path, at_s=ENDED_S) as (daemon, simulator), open_page(browser, daemon.url) as page:
        failed = newest_upload(simulator.controllers["fra"])
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
        await page.get_by_role("button", name="nyc: show only its images").click()
        await expect(rows(page)).to_have_count(4)
        await page.get_by_role("combobox", name="Version").select_option("31.1.1")
        await expect(rows(page)).to_have_count(1)
        await page.reload()
        await expect(rows(page)).to_have_count(1)
        await expect(page.get_by_role("combobox", name="Controller")).to_have_value("nyc")
        await save_screenshot(page, "fleet-filtered")
        await page.get_by_role("searchbox", name="Search").fill("no such image")
        await expect(page.locator("[data-part=empty]")).to_contain_text("None of 19 images matches")
        await save_screenshot(page, "fleet-no-match")


async def test_the_page_works_with_the_keyboard_alone(browser: Browser, tmp_path: Path) -> None:
    """Would find a skip link that goes nowhere, a tab order without the list, and a focus that is lost."""
    async with demo_fleet(tmp_path, at_s=ENDED_S) as (daemon, _), open_page(browser, daemon.url) as page:
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
        await save_screenshot(page, "fleet-skip-link", whole=False)
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
    """Press Tab until the selected element has the focus; whether it got there."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        if await page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return True
    return False


async def test_the_images_of_a_controller_that_is_down_stay_and_are_marked_as_outdated(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a page that shows old data as if it were current, or that hides it."""
    poll = {"active_interval": "50ms", "idle_interval": "100ms", "timeout": "2s", "stale_after": "3s"}
    async with demo_fleet(tmp_path, poll=poll) as (daemon, simulator), open_page(browser, daemon.url) as page:
        nyc = simulator.controllers["nyc"]
        uuid = newest_upload(nyc)
        await expect(row(page, uuid)).to_be_visible()
        await nyc.stop_listening()
        unhealthy = page.locator(".unhealthy[data-controller=nyc]")
        await expect(unhealthy).to_have_attribute("data-state", "stale")
        await expect(unhealthy).to_contain_text("its images are as of")
        await expect(row(page, uuid)).to_have_attribute("data-outdated", "")
        await expect(row(page, uuid).locator(".age")).to_contain_text(re.compile(r"as of .* ago"))
        await expect(row(page, newest_upload(simulator.controllers["ams"]))).not_to_have_attribute("data-outdated", "")
        await expect(page.locator("#announcements")).to_contain_text("nyc is down")
        await save_screenshot(page, "fleet-controller-down")
        await nyc.start_listening()
        await expect(unhealthy).to_have_count(0)
        await expect(row(page, uuid)).not_to_have_attribute("data-outdated", "")
        await until(daemon, "nyc", lambda entry: entry.session.up)


async def test_a_controller_that_is_being_upgraded_is_not_shown_as_down(browser: Browser, tmp_path: Path) -> None:
    """Would find a page that shows the expected state of an upgrade as a failure."""
    async with demo_fleet(tmp_path) as (daemon, simulator), open_page(browser, daemon.url) as page:
        simulator.controllers["nyc"].faults.add(Fault("html_503"))
        nyc = page.locator("[data-controller=nyc]").first
        await expect(nyc).to_have_attribute("data-state", "upgrading")
        await expect(page.locator(".unhealthy")).to_have_count(0)


async def test_the_first_state_is_drawn_however_soon_it_comes(browser: Browser, tmp_path: Path) -> None:
    """Would find a page that stays empty when it loads faster than the list may be sorted again."""
    async with demo_fleet(tmp_path) as (daemon, _), open_page(browser, daemon.url) as page:
        await page.add_init_script("performance.now = () => 100")
        await page.reload()
        await expect(rows(page)).to_have_count(16)


async def test_the_content_security_policy_has_no_exceptions(tmp_path: Path) -> None:
    """Would find a policy that runs a script that was injected through a name."""
    async with demo_fleet(tmp_path) as (daemon, _), aiohttp.ClientSession(daemon.url) as http:
        for path in ("/", "/page/main.js", "/page/style.css"):
            async with http.get(path) as response:
                policy = response.headers["Content-Security-Policy"]
                text = await response.text()
            assert "unsafe" not in policy
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", text) or path != "/"


async def test_the_address_of_an_image_that_does_not_exist_shows_a_message(browser: Browser, tmp_path: Path) -> None:
    """Would find an empty page."""
    async with (
        demo_fleet(tmp_path) as (daemon, _),
        open_page(browser, daemon.url, address("fra", "image-none")) as page,
    ):
        await expect(page.get_by_role("status")).to_contain_text("fra has no image image-none at present")
        await page.get_by_role("link", name="All images").click()
        await expect(rows(page).first).to_be_visible()
