"""Page, commands and the vendor's client through a real nginx that compresses, has a path before ours, or ends TLS."""

import asyncio
import json
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from structlog.testing import capture_logs

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, SimulatedController, Simulator
from tests.support.browser import address, demo_fleet, module_browser, newest_upload, open_page
from tests.support.command_line import command_line, run
from tests.support.daemons import until, watching
from tests.support.nginx import FORMS, Form, Proxy, nginx_before
from tests.support.operators import BOB, TOKENS, ask, audit

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK uses deprecated idioms
    from avi.sdk.avi_api import ApiSession

pytestmark = pytest.mark.asyncio(loop_scope="module")
browser = pytest_asyncio.fixture(module_browser, scope="module", loop_scope="module")
each_form = pytest.mark.parametrize("form", FORMS)

FAILED_S = 900.0  # simulated: by then the upload on fra has failed


# --- the page


@each_form
async def test_the_page_annotates_and_adjusts_after_a_dry_run(browser: Browser, tmp_path: Path, form: Form) -> None:
    """Would find an ETag that the proxy made weak and the daemon does not know again, and an absolute address."""
    async with demo_fleet(tmp_path, at_s=FAILED_S, tokens=TOKENS) as (daemon, simulator):
        fra = simulator.controllers["fra"]
        uuid = newest_upload(fra)
        async with (
            nginx_before(daemon, tmp_path, form) as proxy,
            open_page(browser, proxy.url, address("fra", uuid), token=BOB) as page,
        ):
            await annotate(page, "change", "CHG0042")
            assert (await ask(daemon, "GET", f"/api/image/{uuid}")).json["annotations"] == {"change": "CHG0042"}
            await rename(page, "renamed by hand")
            assert fra.image(uuid)["name"] == "renamed by hand"


async def annotate(page: Page, key: str, value: str) -> None:
    """Annotate the image of the page: dry run, then confirm."""
    await page.get_by_role("button", name="Annotate").click()
    dialog = page.locator("#dialog")
    await dialog.get_by_role("textbox", name="Key").fill(key)
    await dialog.get_by_role("textbox", name="Value").fill(value)
    await dialog.get_by_role("button", name="Dry run").click()
    await expect(dialog.locator(f'tr[data-field="annotations.{key}"] td[data-label=after]')).to_have_text(value)
    await dialog.get_by_role("button", name="Confirm").click()
    await expect(dialog.get_by_role("status")).to_contain_text("Done.")
    await dialog.get_by_role("button", name="Close").click()
    await expect(page.locator(f"tr[data-annotation={key}]")).to_contain_text(value)


async def rename(page: Page, name: str) -> None:
    """Rename the image of the page: dry run, then confirm."""
    await page.get_by_role("button", name="Adjust").click()
    dialog = page.get_by_role("dialog", name="Adjust on the Controller")
    await dialog.get_by_label("name", exact=True).fill(name)
    await dialog.get_by_role("button", name="Dry run").click()
    await expect(dialog.locator("tr[data-field=name] td[data-label=after]")).to_have_text(name)
    await dialog.get_by_role("button", name="Confirm").click()
    await expect(dialog.get_by_role("status")).to_contain_text("Done.")
    await dialog.get_by_role("button", name="Close").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)


@pytest.mark.parametrize("missing", ["main.js", "format.js"], ids=["the entry point", "one that it imports"])
async def test_a_page_whose_script_does_not_load_says_so(browser: Browser, tmp_path: Path, missing: str) -> None:
    """Would find «Connecting …» for ever, where a proxy does not pass on the files of the page."""
    async with demo_fleet(tmp_path) as (daemon, _):
        context = await browser.new_context()
        page = await context.new_page()
        await page.route(f"**/{missing}", lambda route: route.fulfill(status=404))
        await page.goto(daemon.url)
        await expect(page.get_by_text("The script of this page did not load")).to_be_visible()
        await page.unroute(f"**/{missing}")
        await page.reload()
        await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        await expect(page.locator("#unloaded")).to_have_count(0)
        await context.close()


# --- the commands


@each_form
async def test_all_commands_work_with_the_url_of_the_proxy(tmp_path: Path, form: Form) -> None:
    async with command_line(tmp_path) as cli, nginx_before(cli.daemon, tmp_path, form) as proxy:
        ca = ("--ca-file", str(proxy.ca_file)) if proxy.ca_file else ()

        async def good(*arguments: str) -> str:
            result = await run("", *arguments, "--url", proxy.url, *ca)
            assert result.exit_code == 0, result.output
            return result.stdout

        assert len(json.loads(await good("images", "--output", "json"))["results"]) == 3
        assert (await good("image", "broken")).startswith("broken")
        await good("annotate", "broken", "change=CHG1", "--dry-run")
        assert await cli.annotations("broken") == {}
        await good("annotate", "broken", "change=CHG1")
        assert await cli.annotations("broken") == {"change": "CHG1"}
        await good("patch", "broken", "--set", "name=renamed", "--if-unchanged", "--dry-run")
        assert cli.dc1.image(cli.uuids["broken"])["name"] == "broken"
        await good("patch", "broken", "--set", "name=renamed", "--if-unchanged")
        assert cli.dc1.image(cli.uuids["broken"])["name"] == "renamed"
        assert "renamed" in await good("watch", "--image", cli.uuids["broken"], "--until", "failed")


# --- who the client is


async def test_a_client_behind_nginx_is_known_by_its_own_address(tmp_path: Path) -> None:
    """Would find that wrong credentials of one client lock out another, and that a client can choose its address."""
    async with (
        Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS, trusted_proxies=["127.0.0.1/32"]) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.session.up)
        path = f"/api/image/{next(iter(daemon.fleet.entries['dc1'].objects('image')))}"
        async with nginx_before(daemon, tmp_path, "compressing") as proxy:

            async def ask_as(client: str, credential: str, spoofed: str) -> int:
                headers = {"Authorization": f"Bearer {credential}", "X-Avi-Version": "30.2.1"}
                async with (
                    aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(client, 0))) as session,
                    session.patch(
                        proxy.url + path,
                        json={"annotations": {"change": spoofed}},
                        headers=headers | {"X-Forwarded-For": spoofed},
                    ) as response,
                ):
                    return response.status

            with capture_logs() as logs:
                wrong = [await ask_as("127.0.0.2", "wrong", f"198.51.100.{number}") for number in range(11)]
            assert wrong == [401] * 10 + [429]
            assert {log["source"] for log in logs if log["event"] == "auth_failed"} == {"127.0.0.2"}
            assert await ask_as("127.0.0.3", "wrong", "127.0.0.2") == 401
            assert await ask_as("127.0.0.3", BOB, "127.0.0.2") == 200
        (entry,) = await audit(daemon)
        assert entry["source"] == "127.0.0.3"


# --- other clients


@each_form
async def test_pages_are_followed_through_the_proxy_alone(tmp_path: Path, form: Form) -> None:
    """Would find a `next` that was built of what the daemon sees: its own scheme, host and path."""
    async with (
        Simulator([ControllerSpec(name="dc1", images=3)], speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.session.up)
        async with nginx_before(daemon, tmp_path, form) as proxy, http_client(proxy) as session:
            url, seen = f"{proxy.url}/api/image?page_size=1", list[str]()
            while url:
                assert url.startswith(f"{proxy.url}/")
                async with session.get(url) as response:
                    page = await response.json()
                seen += [image["uuid"] for image in page["results"]]
                url = urljoin(url, page["next"]) if page.get("next") else ""
            assert sorted(seen) == sorted(daemon.fleet.entries["dc1"].objects("image"))


@each_form
async def test_the_tag_that_a_client_got_through_the_proxy_is_its_condition(tmp_path: Path, form: Form) -> None:
    async with command_line(tmp_path) as cli, nginx_before(cli.daemon, tmp_path, form) as proxy:
        path = f"{proxy.url}/api/image/{cli.uuids['broken']}"
        async with http_client(proxy) as session:
            async with session.get(path, headers={"Accept-Encoding": "gzip"}) as response:
                assert response.status == 200
                tag = response.headers["ETag"]
            assert tag.startswith("W/") == (form == "compressing" or "Content-Encoding" in response.headers)
            headers = {"If-Match": tag, "X-Avi-Version": "30.2.1"}
            body = {"annotations": {"change": "CHG1"}}
            statuses = []
            for _ in range(2):  # the second time the image is another one
                async with session.patch(path, json=body, headers=headers) as response:
                    statuses.append(response.status)
        assert statuses == [200, 412]


def http_client(proxy: Proxy) -> aiohttp.ClientSession:
    """A client that trusts the proxy's certificate, with a token."""
    tls = ssl.create_default_context(cafile=proxy.ca_file) if proxy.ca_file else True
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), headers={"Authorization": f"Bearer {BOB}"})


@pytest.fixture(autouse=True)
def no_sessions_from_other_tests() -> Iterator[None]:
    yield
    ApiSession.clear_cached_sessions()


@each_form
async def test_the_vendors_client_reads_and_patches_through_the_proxy(
    tmp_path: Path, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        Simulator([ControllerSpec(name="dc1", version="30.2.1", images=2)], speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.session.up)
        async with nginx_before(daemon, tmp_path, form) as proxy:
            if proxy.ca_file:
                monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(proxy.ca_file))
            await asyncio.to_thread(sdk_works, proxy.url, daemon, simulator.controllers["dc1"])


def sdk_works(url: str, daemon: Daemon, controller: SimulatedController) -> None:
    """Read, find and patch with the vendor's client, which blocks."""
    uuid = next(iter(daemon.fleet.entries["dc1"].objects("image")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        headers = {"Authorization": f"Bearer {BOB}"}
        api = ApiSession(url, "any-user", "", api_version="30.2.1", user_hdrs=headers)
        assert api.get("image").json()["count"] == 2
        assert api.get_object_by_name("image", controller.image(uuid)["name"])["uuid"] == uuid
        answer = api.patch(f"image/{uuid}", {"replace": {"name": "renamed"}, "annotations": {"change": "CHG1"}})
    assert (answer.status_code, answer.json()["annotations"]) == (200, {"change": "CHG1"})
    assert controller.image(uuid)["name"] == "renamed"
