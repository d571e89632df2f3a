"""The night of an upgrade in a real browser: the strip among the fleet, and the view of one upgrade."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from monitor.daemon.app import Daemon
from monitor.model.tracked import Tracked, TrackedObject
from monitor.simulator import CheckSpec, GroupSpec
from tests.support.accessibility import WIDTHS, Scheme, assert_accessible
from tests.support.browser import assert_no_horizontal_scroll, module_browser, open_page, save_screenshot
from tests.support.daemons import QUICK, until
from tests.support.nights import Moment, Night, planned, upgrade_night
from tests.support.operators import ALICE, TOKENS, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")
browser = pytest_asyncio.fixture(module_browser, scope="module", loop_scope="module")

VIEW = "/#/upgrade/dc1"
LOOKS: Final[dict[str, Scheme]] = {"wide": "light", "narrow": "dark"}
OPEN: Final[dict[str, Any]] = {"tokens": TOKENS, "anonymous": ["metrics", "read"]}
CHECKS = CheckSpec(warnings=2, seconds=60.0)
SUSPENDED = GroupSpec(name="internet", ses=3, outcome="suspended", disrupted=2, virtual_services=25)
HOSTILE = [
    "<script>alert(1)</script>",
    '<img src="x" onerror="alert(1)">',
    "\"' autofocus onfocus='alert(1)' &lt;b&gt;",
    "\u202egpj.exe\u202c \u2067right\u2066",
    "W" * 10_000,
]
MAX_NAME = 120
"""The most characters of a group's name that are shown."""


@asynccontextmanager
async def night_at(
    folder: Path,
    moment: Moment,
    groups: list[GroupSpec],
    **upgrade: Any,  # noqa: ANN401  as planned
) -> AsyncIterator[tuple[Daemon, Night]]:
    """A night of one Controller, dc1, soon after this moment."""
    specs = planned(groups=groups, **{"checks": CHECKS, **upgrade})
    async with upgrade_night(folder, specs, step_s=120.0, **OPEN) as (daemon, night):
        await night.go_to(moment, after_s=20.0)
        yield daemon, night


def strip(page: Page) -> Locator:
    """The line of dc1 among the fleet."""
    return page.locator("[data-upgrade=dc1]")


def units_of(daemon: Daemon) -> Mapping[str, TrackedObject[Tracked]]:
    """The units of dc1, by uuid."""
    return daemon.fleet.entries["dc1"].objects("upgrade")


def group(page: Page, name: str) -> Locator:
    """The row of one group of Service Engines."""
    return page.locator("li.unit").filter(has=page.get_by_role("heading", name=name))


async def steps(page: Page) -> list[str | None]:
    """How far each step is, as the view says."""
    return [await each.get_attribute("data-step") for each in await page.locator(".steps li").all()]


async def test_the_phases_of_a_night_appear_in_order(browser: Browser, tmp_path: Path) -> None:
    """Would find a view that is drawn once, a step out of order, and a night that ends as done too early."""
    specs = planned(groups=[GroupSpec(ses=2), GroupSpec(name="internet", ses=1)], checks=CHECKS)
    async with (
        upgrade_night(tmp_path, specs, step_s=120.0) as (daemon, night),
        open_page(browser, daemon.url) as fleet,
        open_page(browser, daemon.url, VIEW, permissions=["clipboard-read", "clipboard-write"]) as page,
    ):
        await expect(strip(fleet)).to_have_count(0)
        await expect(page.locator(".headline")).to_contain_text("No upgrade has run")
        await expect(page.locator(".versions")).to_contain_text("At 30.2.1")
        assert await steps(page) == []
        await night.go_to("checks", after_s=20.0)
        await expect(page.locator(".headline")).to_contain_text("Checks are running")
        await expect(page).to_have_title("dc1: Checks are running – Avi upgrade monitor")
        assert await steps(page) == ["current", "waiting", "waiting", "waiting"]
        await expect(page.locator("p", has_text="Time left:")).to_contain_text("not known yet")
        await expect(page.get_by_text("Under way for 20 s, since")).to_be_visible()
        await expect(strip(fleet)).to_contain_text("Checks are running")
        await expect(strip(fleet)).to_contain_text("6 of 20 checks done")
        await expect(strip(fleet)).to_contain_text("end not known yet")
        await night.go_to("controllers", after_s=20.0)
        await expect(page.locator(".headline")).to_contain_text("The Controllers are being upgraded")
        await expect(page.locator(".versions")).to_contain_text("30.2.1 → 31.2.2")
        assert await steps(page) == ["warned", "current", "waiting", "waiting"]
        await expect(page.get_by_text("Task now").locator("+ dd")).to_have_text("PrepareUpgrade on 3 of 3 nodes")
        await expect(strip(fleet)).to_contain_text("0 of 8 tasks done")
        await expect(page.locator(".checks > li")).to_have_count(2)
        await night.go_to("away")
        await expect(page.locator(".absence")).to_have_attribute("data-level", "expected")
        await expect(page.locator(".absence")).to_contain_text("(expected up to 10 min). What you see is of ")
        await expect(page.get_by_text("Under way for 5 min, since")).to_be_visible()
        await expect(strip(fleet)).to_have_attribute("data-phase", "away")
        await expect(page.locator("#announcements")).to_contain_text("the Controllers are away")
        await night.go_to("groups", after_s=20.0)
        await expect(page.locator(".absence")).to_be_hidden()
        await expect(page.locator(".steps li").nth(2)).to_have_attribute("aria-current", "step")
        await expect(group(page, "internet")).to_contain_text("1 in progress")
        await expect(strip(fleet)).to_contain_text("0 of 3 Service Engines done")
        await night.go_to("done")
        await expect(page.locator(".headline")).to_contain_text("Done")
        await expect(page.get_by_text("Everything that took part is at 31.2.2.")).to_be_visible()
        await expect(page.get_by_text("Took 11 min, until")).to_be_visible()
        await expect(page.get_by_text("Time left:")).to_be_hidden()
        assert await steps(page) == ["warned", "done", "done", "done"]
        await expect(strip(fleet)).to_have_count(0)
        log = page.get_by_role("region", name="What happened")
        await expect(log.locator("li").first).to_contain_text("done: all that took part is at 31.2.2")
        await expect(log).to_contain_text("the Controllers are back, after")
        await save_screenshot(page, "upgrade-done")
        await log.get_by_role("button", name="Copy").click()
        await expect(log.get_by_role("status")).to_have_text("Copied.")
        copied = (await page.evaluate("navigator.clipboard.readText()")).splitlines()
        assert copied[0].endswith("UTC  dc1: done: all that took part is at 31.2.2")
        assert copied[-1].endswith("Controllers (cluster-0-1): begins: upgrade")


@pytest.mark.parametrize(
    ("minutes", "level", "text"),
    [
        pytest.param(12, "late", "for longer than expected. Away for 12 min", id="late"),
        pytest.param(24, "too-late", "have not come back: look at their consoles. Away for 24 min", id="too-late"),
    ],
)
async def test_an_absence_that_takes_too_long_says_so(
    browser: Browser, tmp_path: Path, minutes: int, level: str, text: str
) -> None:
    """Would find a page that takes Controllers that never return for an upgrade that goes on."""
    async with night_at(tmp_path, "away", [GroupSpec(ses=1)], outcome="never_back") as (daemon, night):
        await night.advance(minutes * 60.0)
        async with open_page(browser, daemon.url, VIEW) as page:
            await expect(page.locator(".absence")).to_have_attribute("data-level", level)
            await expect(page.locator(".absence")).to_contain_text(text)
            await expect(page.locator(".headline")).not_to_have_attribute("data-state", "active")
            await save_screenshot(page, f"upgrade-{level}")


async def test_an_absence_that_is_too_long_to_show_anything_is_still_shown(browser: Browser, tmp_path: Path) -> None:
    """Would find a page on which the worst night vanishes when its data is withdrawn."""
    specs = planned(groups=[GroupSpec(ses=1)], checks=CHECKS, outcome="never_back")
    settings: dict[str, Any] = {"poll": {**QUICK, "timeout": "2s", "stale_after": "3s"}, "upgrades": {"hold_for": "3s"}}
    async with upgrade_night(tmp_path, specs, step_s=120.0, **settings) as (daemon, night):
        await night.go_to("away", after_s=1500.0)
        await until(daemon, "dc1", lambda entry: entry.collections["upgrade"].health.stale)
        async with open_page(browser, daemon.url, VIEW) as page:
            await expect(page.get_by_role("status")).to_contain_text(
                "have not come back: look at their consoles. Away for"
            )
            await expect(page.get_by_role("status")).to_contain_text("is not shown any more")
            await page.get_by_role("link", name="All controllers and images").click()
            await expect(strip(page)).to_contain_text("have not come back")


async def test_a_suspended_group_is_first_with_its_reason_and_opens_to_its_service_engines(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find an order by name, a group that hides its failure, and a row that cannot be opened by the keyboard."""
    groups = [GroupSpec(ses=2), SUSPENDED]
    async with (
        night_at(tmp_path, "suspended", groups) as (daemon, _),
        open_page(browser, daemon.url) as page,
    ):
        await strip(page).get_by_role("link", name="Upgrade of dc1").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_be_focused()
        first = page.locator("li.unit").first
        reason = "Service Engine internet-se-1 failed to reconnect"
        await expect(page.locator(".upgrade-view").get_by_text(f"internet in Default-Cloud: {reason}")).to_be_visible()
        await expect(first).to_contain_text("internet")
        await expect(first).to_contain_text(reason)
        await expect(first).to_contain_text("2 of 25 virtual services disrupted")
        await expect(first.get_by_role("list", name="Service Engines").get_by_role("listitem")).to_have_text(
            ["✓ 1 done", "‖ 1 suspended", "○ 1 not started", "of 3 Service Engines"]
        )
        toggle = first.get_by_role("button", name="Service Engines and notes of internet")
        await toggle.focus()
        await page.keyboard.press("Enter")
        await expect(toggle).to_be_focused()
        await expect(toggle).to_have_attribute("aria-expanded", "true")
        states = first.get_by_role("table", name="Service Engines").locator("tbody tr")
        await expect(states.first).to_contain_text("suspended")
        await expect(states).to_have_count(3)
        await page.go_back()
        await expect(strip(page).get_by_role("link")).to_be_focused()


async def test_a_key_shows_the_other_groups_of_a_large_upgrade_in_their_order(browser: Browser, tmp_path: Path) -> None:
    """Would find groups that are missing, twice or out of order, and a focus that is lost with the button."""
    groups = [GroupSpec(name=f"group-{number:02}", ses=1) for number in range(25)]
    async with (
        night_at(tmp_path, "groups", groups) as (daemon, night),
        open_page(browser, daemon.url, VIEW) as page,
    ):
        names = page.locator("li.unit h3 bdi:first-child")
        await expect(names).to_have_count(12)
        more = page.get_by_role("button", name="Show 13 more groups of 25")
        await more.focus()
        await page.keyboard.press("Enter")
        await expect(names).to_have_text([each.name for each in groups])
        await expect(more).to_be_hidden()
        await expect(page.locator("li.unit").nth(12).get_by_role("button").first).to_be_focused()
        await night.go_to("done")
        await expect(page.locator("li.unit[data-state=completed]")).to_have_count(25)


async def test_an_upgrade_that_left_a_group_behind_is_not_shown_as_done(browser: Browser, tmp_path: Path) -> None:
    """Would find a page that repeats the Controller's «completed», and an image that leads to no upgrade."""
    groups = [GroupSpec(ses=1), GroupSpec(name="zone", ses=2, outcome="left_behind")]
    async with night_at(tmp_path, "done", groups) as (daemon, _), open_page(browser, daemon.url, VIEW) as page:
        await expect(page.locator(".headline")).to_contain_text("Not done")
        await expect(page.get_by_text("not everything is: 1 Service Engine group")).to_be_visible()
        assert await steps(page) == ["warned", "done", "failed", "failed"]
        await expect(page.locator(".steps")).to_contain_text("1 Service Engine group and 2 Service Engines left behind")
        await expect(page.locator("li.unit").first).to_contain_text("left behind")
        await expect(page.locator("li.unit").first).to_contain_text("still at 30.2.1")
        await page.get_by_role("link", name="31.2.2-").click()
        await page.get_by_role("link", name="In use: dc1 runs it").click()
        await page.get_by_role("link", name="All controllers and images").click()
        await expect(strip(page)).to_contain_text("Not done")
        uuid = next(uuid for uuid, unit in units_of(daemon).items() if unit.object.name == "zone")
        path, body = f"/api/upgradestatusinfo/{uuid}", {"annotations": {"acknowledged": "true"}}
        assert (await ask(daemon, "PATCH", path, body, token=ALICE)).status == 200
        await expect(strip(page)).to_have_count(0)


async def test_a_group_whose_service_engine_was_skipped_is_shown_as_what_is_missing(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a page that says «not done», and calls each group completed."""
    groups = [GroupSpec(ses=1), GroupSpec(name="zone", ses=3, outcome="suspended", resumed_after_s=60.0)]
    async with night_at(tmp_path, "done", groups) as (daemon, _), open_page(browser, daemon.url, VIEW) as page:
        await expect(page.locator(".headline")).to_contain_text("Not done")
        await expect(page.locator(".steps")).to_contain_text("1 Service Engine left behind")
        first = page.locator("li.unit").first
        await expect(first).to_contain_text("1 Service Engine skipped")
        await expect(first).to_contain_text("zone")
        await expect(first).to_have_attribute("data-standing", "failed")
        await expect(group(page, "Default-Group")).to_contain_text("completed")


async def test_after_checks_that_failed_the_other_steps_are_not_begun(browser: Browser, tmp_path: Path) -> None:
    """Would find a page that lets a person wait for what will not come."""
    checks = CheckSpec(warnings=1, errors=1, seconds=60.0)
    how: dict[str, Any] = {"outcome": "check_error", "checks": checks}
    async with (
        night_at(tmp_path, "checks", [GroupSpec(ses=1)], **how) as (daemon, night),
        open_page(browser, daemon.url, VIEW) as page,
    ):
        await night.advance(60.0)
        await expect(page.locator(".headline")).to_contain_text("Checks failed; nothing was changed")
        await expect(page.get_by_text("20 of 20 checks done, 1 failed, 1 warning.")).to_be_visible()
        await expect(page.locator(".steps li").nth(1)).to_have_text("○ControllersNot begun")
        await expect(page.get_by_text("Time left:")).to_be_hidden()


async def test_a_suspended_group_is_acknowledged_and_no_longer_counted(browser: Browser, tmp_path: Path) -> None:
    """Would find an acknowledgement of another unit, and a page that shows it before the daemon reports it."""
    async with (
        night_at(tmp_path, "suspended", [GroupSpec(ses=1), SUSPENDED]) as (daemon, _),
        open_page(browser, daemon.url, VIEW, token=ALICE) as page,
    ):
        await expect(page.locator(".steps")).to_contain_text("1 group suspended")
        await group(page, "internet").get_by_role("button", name="Acknowledge: internet").click()
        dialog = page.get_by_role("dialog", name="Acknowledge")
        await expect(dialog).to_contain_text("internet in Default-Cloud on dc1")
        await expect(dialog.locator('tr[data-field="annotations.acknowledged"] td').last).to_have_text("true")
        await dialog.get_by_role("button", name="Confirm").click()
        await expect(dialog.get_by_role("status")).to_contain_text("Done.")
        await page.keyboard.press("Escape")
        await expect(group(page, "internet")).to_have_attribute("data-standing", "acknowledged")
        await expect(page.locator(".steps")).not_to_contain_text("1 group suspended")
        await expect(page.locator(".log")).to_contain_text("internet in Default-Cloud: acknowledged")


async def test_an_upgrade_of_a_controller_that_is_down_is_marked_as_outdated(browser: Browser, tmp_path: Path) -> None:
    """Would find a page that shows old data of Service Engines as if it were current."""
    async with (
        night_at(tmp_path, "groups", [GroupSpec(ses=2)]) as (daemon, night),
        open_page(browser, daemon.url, VIEW) as page,
    ):
        await expect(group(page, "Default-Group")).to_contain_text("1 in progress")
        await night.controller.stop_listening()
        await expect(page.locator(".upgrade-view .warning")).to_contain_text("what you see is as of")
        await expect(page.locator(".absence")).to_be_hidden()
        await expect(group(page, "Default-Group")).to_contain_text("1 in progress")


async def test_the_view_and_the_strip_are_accessible_and_fit_a_narrow_window(browser: Browser, tmp_path: Path) -> None:
    """Would find low contrast, a control without a name, a heading out of order, and a table wider than a phone."""
    async with (
        night_at(tmp_path, "suspended", [GroupSpec(ses=2), SUSPENDED]) as (daemon, _),
        open_page(browser, daemon.url, VIEW, bypass_csp=True) as page,
    ):
        await expect(page.locator("svg.timeline")).to_be_visible()
        await group(page, "internet").get_by_role("button", name="Service Engines and notes").click()
        await expect(page.get_by_role("table", name="Service Engines")).to_be_visible()
        await assert_accessible_wide_and_narrow(page, "upgrade")
        await page.get_by_role("link", name="All controllers and images").click()
        await expect(strip(page)).to_be_visible()
        await assert_accessible_wide_and_narrow(page, "upgrade-strip")


async def assert_accessible_wide_and_narrow(page: Page, name: str) -> None:
    """Check a wide window in light, and a narrow one in dark."""
    for width, scheme in LOOKS.items():
        await page.emulate_media(color_scheme=scheme)
        await assert_accessible(page, f"{name}-{scheme}", widths=[width], whole=True)


async def test_hostile_names_are_shown_as_text_and_never_run(browser: Browser, tmp_path: Path) -> None:
    """Would find names parsed as markup, an attribute that ends early, and a row wider than the window."""
    groups = [GroupSpec(name=text, cloud=text, ses=2, outcome="suspended") for text in HOSTILE]
    async with night_at(tmp_path, "suspended", groups) as (daemon, _), open_page(browser, daemon.url, VIEW) as page:
        names = page.locator("li.unit h3 bdi:first-child")
        await expect(names).to_have_count(len(HOSTILE))
        shown = set(await names.all_text_contents())
        assert shown == {text[:MAX_NAME] + "…" * (len(text) > MAX_NAME) for text in HOSTILE}
        for toggle in await page.get_by_role("button", name="Service Engines and notes").all():
            await toggle.click()
        await expect(page.get_by_role("table", name="Service Engines")).to_have_count(len(HOSTILE))
        assert await page.locator("script").count() == 1
        assert await page.locator("img, iframe, object, embed, b, [onerror], [onfocus], [autofocus]").count() == 0
        for size in WIDTHS.values():
            await page.set_viewport_size(size)
            await assert_no_horizontal_scroll(page)
        await save_screenshot(page, "upgrade-hostile", whole=False)


async def test_the_address_of_an_unknown_controller_shows_a_message(browser: Browser, tmp_path: Path) -> None:
    """Would find an empty page, and one that waits for ever for what is not watched."""
    async with upgrade_night(tmp_path, planned(), upgrades={"watch": False}) as (daemon, _):
        async with open_page(browser, daemon.url, "/#/upgrade/none") as page:
            await expect(page.get_by_role("status")).to_contain_text("There is no controller none.")
        async with open_page(browser, daemon.url, VIEW) as page:
            await expect(page.get_by_role("status")).to_contain_text("its upgrades are not watched")
