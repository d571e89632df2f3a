"""Which images are in use and may be deleted: over the API and in the terminal, for Controllers of every version."""

import json
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from monitor.daemon.app import Daemon
from monitor.polling.fleet import Entry
from monitor.simulator import Account, ControllerSpec, Fault, GroupSpec, Simulator, UpgradeSpec, UploadSpec
from tests.support.command_line import NO_FURTHER_POLLS, command_line, rows, run
from tests.support.daemons import QUICK, failed, polled, samples, scrape, until, watching
from tests.support.nights import upgrade_night
from tests.support.operators import EVE, ROOT, ask, token
from tests.support.unit_client import UnitClient
from tests.support.upgrade_reads import account_of_config, asked_for, logged, logging

READER = Account(username="reader", password="reads images", can_write=False, reads_upgrades=False)
SPEC = ControllerSpec(
    name="dc1",
    version="31.2.2",
    images=3,
    groups=(GroupSpec(ses=1), GroupSpec(name="internet", cloud="aws", ses=1, outcome="left_behind")),
    uploads=(UploadSpec(started_ago=10.0, duration=600.0),),
    accounts=(READER,),
)
INVENTORY = "/api/image-inventory"
ROOTS = [token("root", ROOT, "admin")]
TOKENS = [*ROOTS, token("eve", EVE, "read", controllers=["dc2"])]


async def inventory(daemon: Daemon, who: str = ROOT, **query: str) -> dict[str, Any]:
    got = await ask(daemon, "GET", "/api/image-inventory", token=who, query=query)
    assert got.status == 200, got.body
    page: dict[str, Any] = got.json
    return page


def uses(page: dict[str, Any], *members: str) -> dict[str, list[Any]]:
    """These members of each image, by its uuid."""
    infos = [info for each in page["results"] for info in each["image_info"]]
    return {info["image"]["uuid"]: [info[member] for member in members] for info in infos}


async def test_the_inventory_is_that_of_a_controller_that_has_one(tmp_path: Path) -> None:
    """After an upgrade to 32.2.1, in which a group stayed behind; before it, only the daemon has an inventory."""
    spec = replace(SPEC, upgrade=UpgradeSpec(at=600.0, controllers_s=60.0, outage_s=60.0))
    async with upgrade_night(tmp_path, [spec], step_s=120.0, tokens=ROOTS) as (daemon, night):
        client = UnitClient(night.controller)
        assert await client.ask("GET", "/api/image-inventory") == (404, None)
        assert [True] in uses(await inventory(daemon), "in_use").values()
        await night.go_to("done")
        await polled(daemon, "dc1", 2)
        status, theirs = await client.ask("GET", "/api/image-inventory", version="32.2.1")
        ours = await inventory(daemon)
    assert status == 200
    found = uses(ours, "in_use", "in_use_info")
    for _, users in found.values():
        for user in users:
            assert user.pop("roles")
    assert found == uses(theirs, "in_use", "in_use_info")
    assert sorted({use[0] for use in found.values()}) == [False, True]
    versions = [(each["version"], len(each["image_info"])) for each in ours["results"]]
    assert sorted(versions) == sorted((each["version"], len(each["image_info"])) for each in theirs["results"])
    assert (ours["count"], versions[0][0]) == (len(versions), "32.2.1")


async def test_of_a_caller_that_is_limited_to_some_controllers_the_inventory_names_no_other(tmp_path: Path) -> None:
    fleet = [replace(SPEC, name=name) for name in ("dc1", "dc2")]
    async with Simulator(fleet, speed=0.0) as simulator, watching(simulator, tmp_path, tokens=TOKENS) as daemon:
        for name in simulator.controllers:
            await until(daemon, name, lambda entry: bool(entry.objects("upgrade")))
        every = await inventory(daemon)
        assert {each["controller"] for (each,) in uses(every, "image").values()} == {"dc1", "dc2"}
        limited = uses(await inventory(daemon, EVE), "image")
        assert [each["controller"] for (each,) in limited.values()] == ["dc2"] * 4
        assert await inventory(daemon, EVE, controller="dc1") == {"count": 0, "results": []}
        assert uses(await inventory(daemon, EVE, controller="dc2"), "in_use").keys() == limited.keys()


async def test_pages_count_images_and_go_on_within_a_version(tmp_path: Path) -> None:
    fleet = [replace(SPEC, name=name) for name in ("dc1", "dc2")]
    async with Simulator(fleet, speed=0.0) as simulator, watching(simulator, tmp_path, tokens=TOKENS) as daemon:
        for name in simulator.controllers:
            await polled(daemon, name)
        whole, pages = await inventory(daemon), [await inventory(daemon, page_size="3", page=str(n)) for n in (1, 2, 3)]
    assert [len(uses(page)) for page in (whole, *pages)] == [8, 3, 3, 2]
    assert [image for page in pages for image in uses(page)] == list(uses(whole))
    versions = [each["version"] for each in whole["results"]]
    assert versions == ["32.2.1", "31.2.2", "31.1.1", "30.2.1"]
    assert [[each["version"] for each in page["results"]] for page in pages] == [
        versions[:2],
        versions[1:3],
        versions[3:],
    ]
    assert [page.get("next") for page in pages] == ["?page_size=3&page=2", "?page_size=3&page=3", None]
    assert {page["count"] for page in pages} == {4}


async def test_the_command_says_which_images_may_be_deleted_and_why_others_may_not(tmp_path: Path) -> None:
    with logging():  # else the log is in the output of the command
        await check_command(tmp_path)


async def check_command(tmp_path: Path) -> None:
    async with (
        Simulator([SPEC], speed=0.0) as simulator,
        watching(simulator, tmp_path, poll=NO_FURTHER_POLLS, tokens=ROOTS) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
        head, *lines = rows(await run(daemon.url, "images", "--deletable", token=ROOT))
        assert head == ["Controller", "Image", "Version", "Delete", "Why"]
        assert [line[2:4] for line in lines] == [
            ["31.1.1", "yes"],
            ["30.2.1", "yes"],
            ["32.2.1", "no"],
            ["31.2.2", "no"],
        ]
        assert " ".join(lines[0][4:]) == "no unit refers to it"
        assert " ".join(lines[2][4:]).startswith("it is being processed (")
        assert " ".join(lines[3][4:]).startswith("in use by cluster-0-1 (current), ")
        printed = await run(daemon.url, "images", "--deletable", "--controller", "dc1", "--output", "json", token=ROOT)
        assert uses(json.loads(printed.stdout), "in_use", "reasons") == uses(
            await inventory(daemon), "in_use", "reasons"
        )
        nothing = await run(daemon.url, "images", "--deletable", "--controller", "dc9", token=ROOT)
        assert (nothing.exit_code, "no controller" in nothing.stderr) == (4, True)
        both = await run(daemon.url, "images", "--deletable", "--state", "failed", token=ROOT)
        assert both.exit_code == 2


async def test_a_controller_of_which_images_may_be_missing_is_named_below_the_table(tmp_path: Path) -> None:
    async with command_line(tmp_path, poll=QUICK) as cli:
        await cli.dc2.stop_listening()
        await failed(cli.daemon, "dc2", "connect")
        result = await cli("images", "--deletable")
        assert result.stdout.splitlines()[-1].startswith("dc2: cannot be polled (connect); its images are as of ")


async def test_without_permission_to_read_units_it_is_not_known_what_is_in_use(tmp_path: Path) -> None:
    async with (
        Simulator([SPEC], speed=0.0) as simulator,
        watching(simulator, tmp_path, of_each=account_of_config(tmp_path, READER), tokens=ROOTS) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.collections["upgrade"].health.readable is False)
        found = uses(await inventory(daemon), "in_use", "in_use_info", "deletable")
        assert list(found.values()) == [[None, [], False], *[[None, [], None]] * 3]


NEWEST = replace(SPEC, version="32.2.1")


def pinned(entry: Entry) -> bool:
    """Whether it is known which images are pinned."""
    return entry.overview is not None and bool(entry.overview.images_pinned)


async def test_the_inventory_of_the_controller_says_what_is_in_use_to_an_account_that_reads_images_alone(
    tmp_path: Path,
) -> None:
    """Once in `upgrades.full_interval`; and not any more when the units can be read."""
    account = account_of_config(tmp_path, READER)
    async with (
        Simulator([NEWEST], speed=0.0) as simulator,
        watching(simulator, tmp_path, of_each=account, upgrades={"full_interval": "1h"}, tokens=ROOTS) as daemon,
    ):
        dc1 = simulator.controllers["dc1"]
        entry = await until(daemon, "dc1", pinned)
        assert entry.collections["upgrade"].health.readable is False
        text = await scrape(daemon)
        assert sorted(samples(text, "avi_image_pinned", controller="dc1")) == [0.0, 0.0, 0.0, 1.0]
        assert not samples(text, "avi_image_users", controller="dc1")
        found = uses(await inventory(daemon), "in_use", "in_use_info")
        assert sorted(found.values()) == [[False, []]] * 3 + [[True, []]]
        (in_use,) = [uuid for uuid, use in found.items() if use[0]]
        reasons = uses(await inventory(daemon), "reasons")[in_use]
        assert reasons == [[{"kind": "in-use", "text": "the Controller says that it is in use"}]]
        await polled(daemon, "dc1", 3)
        assert asked_for(dc1, INVENTORY) == 1

        dc1.login_state.accounts[1] = replace(READER, reads_upgrades=True)
        dc1.version = "32.2.2"
        dc1.expire_sessions()
        await until(daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
        assert {bool(use[1]) for use in uses(await inventory(daemon), "in_use", "in_use_info").values() if use[0]} == {
            True
        }
        await polled(daemon, "dc1", 2)
        assert asked_for(dc1, INVENTORY) == 1


async def test_an_inventory_that_cannot_be_read_leaves_open_what_is_in_use_and_fails_no_poll(tmp_path: Path) -> None:
    account = account_of_config(tmp_path, READER)
    with logging() as logs:
        async with (
            Simulator([NEWEST], speed=0.0) as simulator,
            watching(simulator, tmp_path, of_each=account, upgrades={"full_interval": "1ms"}, tokens=ROOTS) as daemon,
        ):
            dc1 = simulator.controllers["dc1"]
            await until(daemon, "dc1", pinned)
            dc1.faults.add(Fault("http_500", path=INVENTORY))
            await until(daemon, "dc1", lambda entry: not pinned(entry))
            await polled(daemon, "dc1", 2)
            assert [use[0] for use in uses(await inventory(daemon), "in_use").values()] == [None] * 4
            dc1.faults.clear()
            await until(daemon, "dc1", pinned)
    assert logged(logs, "read_failed", "image_inventory") == [("warning", "dc1", "http_5xx")]
    assert not [log for log in logs if log["event"] == "controller_down"]


async def test_a_controller_before_32_2_1_is_asked_for_no_inventory(tmp_path: Path) -> None:
    account = account_of_config(tmp_path, READER)
    async with (
        Simulator([SPEC], speed=0.0) as simulator,
        watching(simulator, tmp_path, of_each=account, upgrades={"full_interval": "1ms"}, tokens=ROOTS) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.collections["upgrade"].health.readable is False)
        await polled(daemon, "dc1", 2)
        assert asked_for(simulator.controllers["dc1"], INVENTORY) == 0
        assert not samples(await scrape(daemon), "avi_image_pinned")
