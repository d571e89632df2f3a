"""The view of one image in a real browser: the events of its nodes, and its changes, up to the Controller."""

from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from monitor.daemon.app import Daemon
from monitor.simulator.fault_images import UNKNOWN_TYPE
from tests.support.browser import (
    CLIENT_ERROR,
    address,
    demo_fleet,
    module_browser,
    newest_upload,
    open_page,
    row,
    save_screenshot,
    sign_in,
)
from tests.support.operators import ALICE, BOB, EVE, ROOT, TOKENS, Got, ask, audit, patch

pytestmark = pytest.mark.asyncio(loop_scope="module")
browser = pytest_asyncio.fixture(module_browser, scope="module", loop_scope="module")

OPEN = {"tokens": TOKENS, "anonymous": ["metrics", "read"]}
FAILED_S = 900.0  # simulated: by then the upload on fra has failed


async def test_the_view_of_a_failed_image_shows_the_events_and_messages_of_each_node(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a matrix that mixes up nodes, and a message that cannot be opened."""
    async with demo_fleet(tmp_path, at_s=FAILED_S, **OPEN) as (daemon, simulator):
        uuid = newest_upload(simulator.controllers["fra"])
        async with open_page(browser, daemon.url, address("fra", uuid)) as page:
            matrix = page.get_by_role("table", name="State of each task on each node")
            await expect(matrix.locator("tbody tr")).to_have_count(3)
            await expect(matrix.locator("td[data-state=failed]")).to_have_count(1)
            await expect(matrix.locator("td[data-state=succeeded]")).to_have_count(9)
            await expect(matrix.locator("td[data-state=none]")).to_have_count(2)
            failed = matrix.locator('tr[data-node="10.16.1.13"] td[data-state=failed]')
            await failed.get_by_text("message").click()
            await expect(failed).to_contain_text("Insufficient disk space: 10 GB needed, 3 GB free")
            await expect(failed).to_contain_text("SYSERR_MC_DISK_INSUFFICIENT_ERR")
            await expect_timeline(page, "10.16.1.13", "Copy to repository")
            await expect(region(page, "State")).to_contain_text("Copy to repository failed on 10.16.1.13")
            await expect(region(page, "Package")).to_contain_text("30.1.2, build 9642")
            await expect(region(page, "Audit")).to_contain_text("a token that has the scope admin")
            await region(page, "Raw object").get_by_text("Show it here").click()
            await expect(page.locator("pre.raw")).to_contain_text(f'"uuid": "{uuid}"')
            await save_screenshot(page, "image-failed")


async def expect_timeline(page: Page, node: str, failed_task: str) -> None:
    """Check the timeline, as a drawing and as text."""
    drawing = page.get_by_role("img", name="The tasks of 3 nodes over")
    await expect(drawing.locator(f'g[data-node="{node}"] rect')).to_have_count(3)
    await expect(drawing.locator(f'g[data-task="{failed_task}"] rect[data-state=failed]')).to_have_count(1)
    await page.get_by_text("The timeline as text").click()
    await expect(region(page, "Timeline").locator("li").filter(has_text=f"{failed_task}:").last).to_contain_text(
        "failed"
    )


async def test_the_view_of_an_active_image_is_updated(browser: Browser, tmp_path: Path) -> None:
    """Would find a matrix that is loaded once and never again."""
    async with demo_fleet(tmp_path, at_s=60.0, **OPEN) as (daemon, simulator):
        uuid = newest_upload(simulator.controllers["ams"])
        async with open_page(browser, daemon.url, address("ams", uuid)) as page:
            running = page.locator("table.matrix td[data-state=running]")
            succeeded = page.locator("table.matrix td[data-state=succeeded]")
            await expect(running.first).to_be_visible()
            before = await succeeded.count()
            await save_screenshot(page, "image-in-progress")
            simulator.clock.advance(120.0)
            await expect(succeeded).not_to_have_count(before)
            simulator.clock.advance(600.0)
            await expect(running).to_have_count(0)
            await expect(region(page, "State")).to_contain_text("completed")
            await save_screenshot(page, "image-completed")


def region(page: Page, name: str) -> Locator:
    """A section of the view, by its heading."""
    return page.get_by_role("region", name=name, exact=True)


async def test_an_annotation_gets_a_dry_run_and_is_shown_when_the_daemon_reports_it(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a dry run that changes something, and a page that shows a change before the daemon reports it."""
    async with demo_fleet(tmp_path, at_s=FAILED_S, **OPEN) as (daemon, simulator):
        uuid = newest_upload(simulator.controllers["fra"])
        async with open_page(browser, daemon.url, address("fra", uuid)) as page:
            await sign_in(page, ALICE)
            dialog = await annotate(page, "change", "CHG0042")
            change = dialog.locator('tr[data-field="annotations.change"]')
            await expect(change.locator("td[data-label=before]")).to_have_text("not set")
            await expect(change.locator("td[data-label=after]")).to_have_text("CHG0042")
            await save_screenshot(page, "dialog-dry-run", whole=False)
            assert await annotations(daemon, uuid) == {}
            await dialog.get_by_role("button", name="Confirm").click()
            await expect(dialog.get_by_role("status")).to_contain_text("Done.")
            await save_screenshot(page, "dialog-done", whole=False)
            await dialog.get_by_role("button", name="Close").click()
            await expect(page.locator("tr[data-annotation=change]")).to_contain_text("CHG0042")
            assert await annotations(daemon, uuid) == {"change": "CHG0042"}
            await page.get_by_role("button", name="Remove change").click()
            await expect(change.locator("td[data-label=after]")).to_have_text("not set")
            await dialog.get_by_role("button", name="Confirm").click()
            await expect(page.locator("tr[data-annotation=change]")).to_have_count(0)
            assert await annotations(daemon, uuid) == {}


async def annotate(page: Page, key: str, value: str) -> Locator:
    """Fill in the dialog and request the dry run; returns the dialog."""
    await page.get_by_role("button", name="Annotate").click()
    dialog = page.locator("#dialog")
    await dialog.get_by_role("textbox", name="Key").fill(key)
    await dialog.get_by_role("textbox", name="Value").fill(value)
    await dialog.get_by_role("button", name="Dry run").click()
    return dialog


async def annotations(daemon: Daemon, uuid: str) -> dict[str, str]:
    """The image's annotations in the API."""
    got = await ask(daemon, "GET", f"/api/image/{uuid}")
    return dict(got.json["annotations"])


async def test_a_failed_upload_is_acknowledged_from_the_list(browser: Browser, tmp_path: Path) -> None:
    """Would find an acknowledgement that only this tab shows, and one that cannot be removed."""
    async with (
        demo_fleet(tmp_path, at_s=FAILED_S, **OPEN) as (daemon, simulator),
        open_page(browser, daemon.url) as page,
        open_page(browser, daemon.url) as other,
    ):
        uuid = newest_upload(simulator.controllers["fra"])
        await sign_in(page, ALICE)
        await row(page, uuid).get_by_role("button", name="Acknowledge").click()
        await page.locator("#dialog").get_by_role("button", name="Confirm").click()
        for each in (page, other):
            await expect(row(each, uuid)).to_have_attribute("data-standing", "acknowledged")
        assert await annotations(daemon, uuid) == {"acknowledged": "true"}
        await page.get_by_role("button", name="Close").click()
        await save_screenshot(page, "fleet-acknowledged")
        await row(page, uuid).get_by_role("link").click()
        await page.get_by_role("button", name="Remove acknowledgement").click()
        await page.locator("#dialog").get_by_role("button", name="Confirm").click()
        await expect(row(other, uuid)).to_have_attribute("data-standing", "failed")


async def test_an_image_is_renamed_on_the_controller_and_the_audit_log_names_the_actor(
    browser: Browser, tmp_path: Path
) -> None:
    """Would find a form that sends unchanged fields, or a PATCH without the headers that the daemon requires."""
    async with demo_fleet(tmp_path, at_s=FAILED_S, **OPEN) as (daemon, simulator):
        fra = simulator.controllers["fra"]
        uuid = newest_upload(fra)
        async with open_page(browser, daemon.url, address("fra", uuid)) as page:
            await sign_in(page, ROOT)
            await page.get_by_role("button", name="Adjust").click()
            dialog = page.get_by_role("dialog", name="Adjust on the Controller")
            await dialog.get_by_label("name", exact=True).fill("renamed by hand")
            await save_screenshot(page, "dialog-adjust", whole=False)
            await dialog.get_by_role("button", name="Dry run").click()
            await expect(dialog.locator("tr[data-field=name] td[data-label=after]")).to_have_text("renamed by hand")
            await dialog.get_by_role("button", name="Confirm").click()
            await expect(dialog.get_by_role("status")).to_contain_text("Done.")
            await dialog.get_by_role("button", name="Close").click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("renamed by hand")
            await expect(region(page, "Audit").get_by_role("table", name="Audit records")).to_contain_text("root")
            assert fra.image(uuid)["name"] == "renamed by hand"
            (record,) = await audit(daemon, image=uuid)
            assert list(record["changes"]) == ["name"]
            await save_screenshot(page, "image-renamed")


async def test_an_image_of_a_type_that_the_page_does_not_know_can_be_renamed(browser: Browser, tmp_path: Path) -> None:
    """Would find a form that takes a value which it cannot show for a change."""
    async with demo_fleet(tmp_path, at_s=FAILED_S, **OPEN) as (daemon, simulator):
        fra = simulator.controllers["fra"]
        uuid = newest_upload(fra)
        fra.touch(uuid, type=UNKNOWN_TYPE)
        async with open_page(browser, daemon.url, address("fra", uuid)) as page:
            await expect(page.locator("main")).to_contain_text(UNKNOWN_TYPE)
            await sign_in(page, ROOT)
            await page.get_by_role("button", name="Adjust").click()
            dialog = page.get_by_role("dialog", name="Adjust on the Controller")
            await dialog.get_by_label("name", exact=True).fill("renamed by hand")
            await dialog.get_by_role("button", name="Dry run").click()
            await expect(dialog.locator("tr[data-field]")).to_have_count(1)
            await expect(dialog.locator("tr[data-field=name]")).to_be_visible()


@pytest.mark.parametrize(
    ("token", "key", "status"),
    [
        pytest.param(EVE, "change", 403, id="read-only-token"),
        pytest.param("", "change", 401, id="no-token"),
        pytest.param(ALICE, "not a key", 422, id="invalid-key"),
    ],
)
async def test_a_refused_change_shows_the_daemons_problem_details(
    browser: Browser, tmp_path: Path, token: str, key: str, status: int
) -> None:
    """Would find “something went wrong”, and a form that is lost when another token is entered."""
    async with demo_fleet(tmp_path, at_s=FAILED_S, **OPEN) as (daemon, simulator):
        uuid = newest_upload(simulator.controllers["fra"])
        refusal = await patch(daemon, uuid, {"annotations": {key: "x"}}, token=token, query={"dry_run": "true"})
        assert refusal.status == status
        async with open_page(browser, daemon.url, address("fra", uuid), allow=[CLIENT_ERROR], token=token) as page:
            dialog = await annotate(page, key, "x")
            await expect_problem(dialog, refusal)
            await save_screenshot(page, f"dialog-refused-{status}", whole=False)
            assert await annotations(daemon, uuid) == {}
            if status == 422:
                return
            await use_token(dialog, "aum_unknown")
            await expect(dialog.locator(".problem-title")).to_contain_text("(401)")
            await use_token(dialog, BOB)
            await expect(dialog.locator("td[data-label=after]")).to_have_text("x")


async def use_token(dialog: Locator, token: str) -> None:
    """Enter another token in the dialog that shows the refusal."""
    await dialog.get_by_role("textbox", name="Token").fill(token)
    await dialog.get_by_role("button", name="Use it and try again").click()


async def expect_problem(dialog: Locator, refusal: Got) -> None:
    """Check that the dialog shows the problem details as the daemon sent them."""
    problem = dialog.get_by_role("alert").filter(has=dialog.page.locator(".problem-title"))
    await expect(problem.locator(".problem-title")).to_have_text(f"{refusal.json['title']} ({refusal.status})")
    await expect(problem).to_contain_text(refusal.json["detail"])
    if path := refusal.json.get("path"):
        await expect(problem).to_contain_text(path)


async def test_a_change_that_the_controller_refuses_shows_its_error(browser: Browser, tmp_path: Path) -> None:
    """Would find a change that is reported as done because the daemon itself accepted it."""
    async with demo_fleet(tmp_path, at_s=FAILED_S, **OPEN) as (daemon, simulator):
        fra = simulator.controllers["fra"]
        uuid = newest_upload(fra)
        async with open_page(browser, daemon.url, address("fra", uuid), allow=[r"status of [45]\d\d"]) as page:
            await sign_in(page, BOB)
            await page.get_by_role("button", name="Adjust").click()
            dialog = page.get_by_role("dialog", name="Adjust on the Controller")
            await dialog.get_by_label("name", exact=True).fill("renamed by hand")
            await dialog.get_by_role("button", name="Dry run").click()
            await expect(dialog.get_by_role("button", name="Confirm")).to_be_visible()
            fra.upgrading = True
            await dialog.get_by_role("button", name="Confirm").click()
            await expect(dialog.locator(".problem-title")).to_be_visible()
            await expect(dialog.get_by_role("button", name="Dry run again")).to_be_visible()
            await save_screenshot(page, "dialog-controller-refused", whole=False)
            assert fra.image(uuid)["name"] != "renamed by hand"
