"""How a simulated Controller serves its units over a real socket, and what may be wrong or unusual about them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from monitor.simulator import CheckSpec, Fault, GroupSpec, Simulator, UnitOptions, UpgradeSpec
from tests.support.unit_client import READER, SPEC, START, UnitClient

INFO, SUMMARY = "/api/upgradestatusinfo", "/api/upgradestatussummary"
DURING_TASKS_S = 100.0
REPORTED = {"error_details", "system_report_refs"}  # fields that came with reports


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator([SPEC], start=START, speed=0.0) as simulator:
        yield simulator


@pytest.fixture
def client(simulator: Simulator) -> UnitClient:
    return UnitClient(simulator.controllers["dc1"])


def during_tasks(simulator: Simulator, client: UnitClient, options: UnitOptions) -> None:
    client.controller.upgrades.options = options
    client.controller.upgrades.start(UpgradeSpec(version="31.2.2"), at=START)
    simulator.clock.advance(DURING_TASKS_S)


# -- lists, pages, one unit


async def test_units_are_listed_in_pages_and_filtered(client: UnitClient) -> None:
    assert len(await client.units()) == 6
    status, page = await client.ask("GET", f"{INFO}?page_size=4")
    assert (status, page["count"], len(page["results"])) == (200, 6, 4)
    assert "page=2" in page["next"]
    assert len(await client.units("?node_type=NODE_SE_GROUP")) == 2
    assert [unit["name"] for unit in await client.units("?name=cluster-0-1")] == ["cluster-0-1"]
    assert (await client.units("?fields=version"))[0].keys() == {"uuid", "name", "url", "version"}


async def test_references_have_names_on_request(simulator: Simulator, client: UnitClient) -> None:
    during_tasks(simulator, client, UnitOptions())
    cluster, group = (await client.units("?include_name=true"))[:2]
    assert (await client.units())[0]["image_ref"] == cluster["image_ref"].partition("#")[0]
    names = [cluster["image_ref"], cluster["params"]["image_ref"], cluster["tenant_ref"], group["obj_cloud_ref"]]
    assert [ref.partition("#")[2].partition("-")[0] for ref in names] == ["30.2.1", "31.2.2", "admin", "Default"]
    simulator.clock.advance(2_000.0)
    await simulator.wait_timelines()
    group = (await client.units("?include_name=true&node_type=NODE_SE_GROUP"))[0]
    engines = [unit["uuid"] for unit in await client.units("?node_type=NODE_SE_TYPE")][:2]
    refs = [ref.rpartition("/")[2] for ref in group["seg_status"]["se_upgrade_completed"]]
    assert refs == [f"{uuid}#Default-Group-se-{number}" for number, uuid in enumerate(engines)]


@pytest.mark.parametrize("path", [INFO, SUMMARY])
async def test_one_unit_is_read_by_its_uuid(client: UnitClient, path: str) -> None:
    for unit in (await client.ask("GET", path))[1]["results"]:
        assert await client.ask("GET", f"{path}/{unit['uuid']}") == (200, unit)
    assert (await client.ask("GET", f"{path}/cluster-0"))[0] == 404


async def test_the_summary_has_the_same_units_with_fewer_fields(simulator: Simulator, client: UnitClient) -> None:
    during_tasks(simulator, client, UnitOptions())
    summaries = (await client.ask("GET", SUMMARY))[1]["results"]
    units = await client.units()
    assert [{field: unit[field] for field in summary} for unit, summary in zip(units, summaries, strict=True)] == (
        summaries
    )
    absent = {"progress", "reason", "upgrade_events", "upgrade_readiness", "previous_version", "patch_version"}
    assert not any(absent & summary.keys() for summary in summaries)


async def test_an_account_without_the_permission_gets_403(client: UnitClient) -> None:
    for path in (INFO, SUMMARY, "/api/systemreport", f"{INFO}/cluster-0"):
        assert (await client.ask("GET", path, account=READER))[0] == 403
    assert (await client.ask("GET", "/api/image", account=READER))[0] == 200


async def test_units_of_other_tenants_are_hidden() -> None:
    groups = (GroupSpec(ses=1), GroupSpec(ses=2, tenant="blue"))
    async with Simulator([replace(SPEC, tenants=("blue",), groups=groups)], start=START, speed=0.0) as simulator:
        client = UnitClient(simulator.controllers["dc1"])
        seen = {tenant: await client.units("?include_name=true", tenant=tenant) for tenant in ("admin", "blue", "*")}
    assert {tenant: len(units) for tenant, units in seen.items()} == {"admin": 3, "blue": 3, "*": 6}
    assert {unit["tenant_ref"].rpartition("#")[2] for unit in seen["blue"]} == {"blue"}


async def test_six_hundred_service_engines_are_on_three_pages() -> None:
    spec = replace(SPEC, groups=(GroupSpec(ses=600, at_once=20),), upgrade=UpgradeSpec())
    async with Simulator([spec], start=START, speed=0.0) as simulator:
        client = UnitClient(simulator.controllers["dc1"])
        simulator.clock.advance(600.0)
        await simulator.wait_timelines()
        seen: list[str] = []
        query = "?node_type=NODE_SE_TYPE&page_size=200"
        for number in (1, 2, 3):
            page = (await client.ask("GET", f"{INFO}{query}&page={number}"))[1]
            seen += [unit["uuid"] for unit in page["results"]]
            assert (page["count"], "next" in page) == (600, number < 3)
        assert len(set(seen)) == 600
        group = (await client.units("?node_type=NODE_SE_GROUP"))[0]["seg_status"]
        assert (len(group["se_upgrade_in_progress"]), group["num_se"]) == (20, 600)


async def test_reads_change_nothing(simulator: Simulator, client: UnitClient) -> None:
    during_tasks(simulator, client, UnitOptions())
    before = await client.units()
    simulator.clock.advance(0.5)  # nothing happens in between
    assert await client.units() == before


# -- releases


@pytest.mark.parametrize(
    ("version", "absent"),
    [
        ("18.2.6", {"progress", "history", "reason", "upgrade_readiness", "task_name", "rebooted", *REPORTED}),
        ("18.2.8", {"history", "reason", "upgrade_readiness", "task_name", "rebooted", *REPORTED}),
        ("18.2.10", {"history", "reason", "upgrade_readiness", "rebooted", *REPORTED}),
        ("20.1.2", {"history", "reason", "upgrade_readiness", *REPORTED}),
        ("20.1.9", {"reason", "upgrade_readiness", *REPORTED}),
        ("22.1.3", REPORTED),
        ("22.1.6", set()),
        ("30.1.2", REPORTED),
        ("30.2.1", set()),
    ],
)
async def test_a_client_gets_the_fields_of_its_version(
    simulator: Simulator, client: UnitClient, version: str, absent: set[str]
) -> None:
    client.controller.upgrades.options = UnitOptions(history=10)
    client.controller.upgrades.start(UpgradeSpec(checks=CheckSpec(warnings=1)), at=START)
    simulator.clock.advance(2_000.0)
    await simulator.wait_timelines()
    unit = (await client.units("?node_type=NODE_CONTROLLER_CLUSTER", version=version))[0]
    parts = (unit["upgrade_events"][0], *unit.get("upgrade_readiness", {}).get("checks", []))
    found = {*unit, *(unit["state"].keys() - {"reason"}), *(field for part in parts for field in part)}
    every = {"progress", "history", "reason", "upgrade_readiness", "task_name", "rebooted", *REPORTED}
    assert every - found == absent


async def test_lists_have_no_next_page_before_20_1_1(client: UnitClient) -> None:
    pages = [(await client.ask("GET", f"{INFO}?page_size=4", version=version))[1] for version in ("18.2.6", "20.1.1")]
    assert ["next" in page for page in pages] == [False, True]


async def test_the_state_of_a_dry_run_is_newer_than_30_2() -> None:
    spec = replace(SPEC, version="31.2.2", upgrade=UpgradeSpec(dry_run=True))
    async with Simulator([spec], start=START, speed=0.0) as simulator:
        client = UnitClient(simulator.controllers["dc1"])
        simulator.clock.advance(DURING_TASKS_S)
        newer, older = [(await client.units(version=version))[0] for version in ("31.2.2", "30.2.1")]
    assert (newer["dryrun_info"]["state"]["state"], newer["state"]["state"]) == (
        "UPGRADE_FSM_IN_PROGRESS",
        "UPGRADE_FSM_INIT",
    )
    assert "dryrun_info" not in older


# -- what is not known of Controllers, or differs


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (UnitOptions(summary="absent"), (404, None)),
        (UnitOptions(summary="stateless"), (200, None)),
        (UnitOptions(summary="lying"), (200, "UPGRADE_FSM_INIT")),
    ],
    ids=["absent", "stateless", "lying"],
)
async def test_the_summary_can_be_of_no_use(
    simulator: Simulator, client: UnitClient, options: UnitOptions, expected: tuple[int, str | None]
) -> None:
    during_tasks(simulator, client, options)
    status, page = await client.ask("GET", SUMMARY)
    state = page["results"][0].get("state", {}).get("state") if status == 200 else None
    assert (status, state) == expected


async def test_a_history_of_ten_megabytes_is_that_of_one_unit(client: UnitClient) -> None:
    client.controller.upgrades.options = UnitOptions(history_bytes=10_000_000)
    units = await client.units()
    assert len(str(units[0]["history"])) > 10_000_000
    assert len(units[0]["history"]) == 10
    assert not any("history" in unit for unit in units[1:])


async def test_a_second_cluster_is_not_the_one_that_the_controller_names(
    simulator: Simulator, client: UnitClient
) -> None:
    during_tasks(simulator, client, UnitOptions(stale_cluster=True))
    stale, cluster = await client.units("?node_type=NODE_CONTROLLER_CLUSTER")
    assert (stale["progress"], cluster) == (40, await client.cluster())
    assert stale["state"]["last_changed_time"]["secs"] < cluster["state"]["last_changed_time"]["secs"] - 3e7
    assert (await client.ask("GET", "/api/systemreport"))[1]["results"][0]["readiness_reports"][0]["node_ref"] == (
        cluster["url"]
    )


async def test_the_cluster_can_be_the_last_of_the_list(client: UnitClient) -> None:
    client.controller.upgrades.options = UnitOptions(cluster_last=True)
    client.controller.upgrading = True  # without a plan, by the timeline of a spec
    units = await client.units()
    assert [unit["uuid"] for unit in units if unit["state"]["state"] == "UPGRADE_FSM_IN_PROGRESS"] == [
        units[-1]["uuid"]
    ]
    assert units[-1] == await client.cluster()


async def test_an_error_of_two_years_ago_stands_until_the_next_upgrade(
    simulator: Simulator, client: UnitClient
) -> None:
    client.controller.upgrades.options = UnitOptions(old_error_s=2 * 365 * 86400.0)
    old = await client.cluster()
    assert (old["state"]["state"], old["end_time"]) == ("UPGRADE_FSM_ERROR", "2023-02-20 21:20:00")
    client.controller.upgrades.start(UpgradeSpec(), at=START)
    simulator.clock.advance(DURING_TASKS_S)
    new = await client.cluster()
    assert (new["state"]["state"], "end_time" in new) == ("UPGRADE_FSM_IN_PROGRESS", False)


@pytest.mark.parametrize(
    ("options", "running", "ended"),
    [
        (UnitOptions(), None, True),
        (UnitOptions(running_status=False), False, True),
        (UnitOptions(ends_without_status=True), None, None),
    ],
    ids=["absent-while-running", "false-while-running", "absent"],
)
async def test_the_status_of_an_event_can_be_absent(
    simulator: Simulator, client: UnitClient, options: UnitOptions, running: bool | None, ended: bool | None
) -> None:
    during_tasks(simulator, client, options)
    first, *_, last = (await client.cluster())["upgrade_events"]
    assert {event.get("status") for event in first["sub_events"] if "end_time" in event} == {ended}
    assert {event.get("status") for event in last["sub_events"] if "end_time" not in event} == {running}


async def test_state_and_tasks_can_be_unknown(simulator: Simulator, client: UnitClient) -> None:
    during_tasks(simulator, client, UnitOptions(fsm="UPGRADE_FSM_NEW", task="NewTask"))
    cluster = await client.cluster()
    assert (cluster["state"]["state"], cluster["upgrade_events"][0]["task_name"]) == ("UPGRADE_FSM_NEW", "NewTask")


async def test_units_can_vanish(simulator: Simulator, client: UnitClient) -> None:
    engine = (await client.units("?node_type=NODE_SE_TYPE"))[0]["uuid"]
    during_tasks(simulator, client, UnitOptions(vanishing=True))
    assert [unit["node_type"] for unit in await client.units()] == [
        "NODE_CONTROLLER_CLUSTER", "NODE_SE_GROUP", "NODE_SE_GROUP",
    ]  # fmt: skip
    assert (await client.ask("GET", f"{INFO}/{engine}"))[0] == 404


@pytest.mark.parametrize(
    ("stamps", "kinds"), [("recorded", [int, str, str]), ("numbers", [int, int, int])], ids=["recorded", "numbers"]
)
async def test_times_are_numbers_or_text(client: UnitClient, stamps: Any, kinds: list[type]) -> None:  # noqa: ANN401
    client.controller.upgrades.options = UnitOptions(stamps=stamps)
    changed = [unit["state"]["last_changed_time"] for unit in (await client.units())[:3]]
    assert [type(time["usecs"]) for time in changed] == kinds
    assert int(changed[1]["usecs"]) == (104_598_000 if stamps == "recorded" else 104_598)


@pytest.mark.parametrize(
    ("form", "told"), [("seconds", "120"), ("clock", "0:02:00"), ("text", "120 sec")], ids=["seconds", "clock", "text"]
)
async def test_the_duration_of_a_group_is_text(
    simulator: Simulator,
    client: UnitClient,
    form: Any,  # noqa: ANN401
    told: str,
) -> None:
    during_tasks(simulator, client, UnitOptions(duration=form))
    simulator.clock.advance(2_000.0)
    await simulator.wait_timelines()
    assert (await client.units("?node_type=NODE_SE_GROUP"))[0]["seg_status"]["duration"] == told


# -- faults on the paths of the units


async def test_a_fault_on_one_list_leaves_the_other_alone(client: UnitClient) -> None:
    client.controller.faults.add(Fault("html_502", path=SUMMARY))
    assert await client.ask("GET", SUMMARY) == (502, None)
    assert (await client.ask("GET", INFO))[0] == 200


async def test_the_summary_can_be_slow(client: UnitClient) -> None:
    client.controller.faults.add(Fault("hang", path=SUMMARY))
    async with asyncio.TaskGroup() as tasks:
        summary = tasks.create_task(client.ask("GET", SUMMARY))
        await client.controller.wait_for_requests(1, path=SUMMARY)
        assert (await client.ask("GET", INFO))[0] == 200
        assert not summary.done()
        client.controller.faults.clear()
    assert summary.result()[0] == 200


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("iso", "2025-02-19T21:20:00Z"),
        ("fraction", "2025-02-19 21:20:00.000000"),
        ("microseconds", "1740000000000000"),
        ("empty", ""),
        ("absent", None),
    ],
)
async def test_times_can_have_another_form(
    simulator: Simulator, client: UnitClient, form: str, told: str | None
) -> None:
    during_tasks(simulator, client, UnitOptions())
    client.controller.faults.add(Fault("time_format", path=INFO, value=form, all=True))
    for unit in ((await client.units())[0], await client.cluster()):
        assert [unit.get("enqueue_time"), unit["upgrade_readiness"].get("start_time")] == [told, told]


async def test_pages_can_contradict_each_other(client: UnitClient) -> None:
    async def second_page(kind: str) -> tuple[int, list[str]]:
        client.controller.faults.clear()
        client.controller.faults.add(Fault(kind, path=INFO, all=True))
        page = (await client.ask("GET", f"{INFO}?page_size=3&page=2"))[1]
        return page["count"], [unit["uuid"] for unit in page["results"]]

    uuids = [unit["uuid"] for unit in (await client.units())[3:]]
    assert await second_page("varying_count") == (7, uuids)
    assert await second_page("shrinking_pages") == (5, uuids[1:])
    assert await second_page("duplicate_uuids") == (6, [*uuids, uuids[0]])


async def test_a_unit_can_have_wrong_types(client: UnitClient) -> None:
    client.controller.faults.add(Fault("wrong_types", path=INFO, value="state,progress"))
    listed, other = (await client.units())[:2]
    assert (listed["state"], listed["progress"], other["progress"]) == ({"wrong": "type"}, "forty", 0)
    assert (await client.cluster())["progress"] == "forty"
