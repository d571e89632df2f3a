"""The course of upgrades of a simulated Controller over a real socket: what its clients notice, and when."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from monitor.simulator import SCENARIOS, CheckSpec, GroupSpec, SimulatedController, Simulator, UpgradeSpec
from tests.support.nights import Moment, Night
from tests.support.unit_client import SPEC, START, UnitClient


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator([SPEC], start=START, speed=0.0) as simulator:
        yield simulator


@pytest.fixture
def dc1(simulator: Simulator) -> SimulatedController:
    return simulator.controllers["dc1"]


@pytest.fixture
def client(dc1: SimulatedController) -> UnitClient:
    return UnitClient(dc1)


# -- what a plan drives


async def test_clients_notice_each_moment_of_an_upgrade(dc1: SimulatedController, simulator: Simulator) -> None:
    """The status of a read (0: the connection is refused), and the version."""
    client = UnitClient(dc1)
    dc1.upgrades.start(
        UpgradeSpec(version="31.2.2", bad_gateway_s=20.0, refuses_logins_s=60.0, portal_restart_s=60.0), at=START
    )
    night = Night(simulator, "dc1")

    async def seen() -> tuple[int, str]:
        return (await client.ask("GET", "/api/cluster"))[0], dc1.version

    moments: list[tuple[Moment, float]] = [
        ("checks", 1.0), ("controllers", 1.0), ("away", 1.0), ("unready", 1.0), ("back", -19.0), ("back", 1.0),
        ("back", 59.0), ("back", 61.0), ("done", 0.5), ("done", 2.0), ("done", 62.0),
    ]  # fmt: skip
    statuses = []
    for moment, after_s in moments:
        await night.go_to(moment, after_s=after_s)
        statuses.append(await seen())
    assert statuses == [
        (200, "30.2.1"), (200, "30.2.1"), (0, "30.2.1"), (503, "30.2.1"), (502, "30.2.1"), (401, "31.2.2"),
        (401, "31.2.2"), (200, "31.2.2"), (200, "31.2.2"), (502, "31.2.2"), (200, "31.2.2"),
    ]  # fmt: skip


async def test_the_reboot_ends_all_sessions(simulator: Simulator, dc1: SimulatedController) -> None:
    dc1.upgrades.start(UpgradeSpec(), at=START)
    night = Night(simulator, "dc1")
    await night.go_to("controllers")
    form = {"username": dc1.username, "password": dc1.password}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:

        async def status() -> int:
            async with http.get(f"{dc1.url}/api/image", headers={"X-Avi-Version": "30.2.1"}) as response:
                return response.status

        async with http.post(f"{dc1.url}/login", data=form) as response:
            assert response.status == 200
        before = await status()
        await night.go_to("back")
        assert (before, await status(), dc1.sessions) == (200, 401, {})


async def test_log_ins_are_refused_no_longer_than_planned_however_far_the_clock_jumps(
    simulator: Simulator, dc1: SimulatedController, client: UnitClient
) -> None:
    dc1.upgrades.start(UpgradeSpec(refuses_logins_s=60.0), at=START)
    simulator.clock.advance(5_000.0)
    await simulator.wait_timelines()
    assert (await client.ask("GET", "/api/image"))[0] == 200


async def test_writes_are_rejected_until_the_last_group_is_done(
    simulator: Simulator, dc1: SimulatedController, client: UnitClient
) -> None:
    image = (await client.ask("GET", "/api/image"))[1]["results"][0]["uuid"]
    dc1.upgrades.start(UpgradeSpec(), at=START)
    night = Night(simulator, "dc1")

    async def rename() -> int:
        return (await client.ask("PATCH", f"/api/image/{image}", json={"replace": {"name": "other"}}))[0]

    moments: tuple[Moment, ...] = ("checks", "controllers", "back", "first_group", "done")
    statuses: list[int] = []
    for moment in moments:
        await night.go_to(moment)
        statuses.append(await rename())
    assert statuses == [200, 403, 403, 403, 200]


async def test_groups_are_upgraded_one_after_another(simulator: Simulator, dc1: SimulatedController) -> None:
    dc1.upgrades.start(UpgradeSpec(version="31.2.2", groups_at_once=1), at=START)
    night, client = Night(simulator, "dc1"), UnitClient(dc1)

    async def groups() -> list[tuple[str, str]]:
        units = await client.units("?node_type=NODE_SE_GROUP")
        return [(unit["state"]["state"].removeprefix("UPGRADE_FSM_"), unit["version"][:6]) for unit in units]

    moments: tuple[Moment, ...] = ("back", "groups", "first_group", "done")
    seen = []
    for moment in moments:
        await night.go_to(moment, after_s=2.0)
        seen.append(await groups())
    assert seen == [
        [("INIT", "30.2.1"), ("INIT", "30.2.1")],
        [("IN_PROGRESS", "30.2.1"), ("ENQUEUED", "30.2.1")],
        [("COMPLETED", "31.2.2"), ("IN_PROGRESS", "30.2.1")],
        [("COMPLETED", "31.2.2"), ("COMPLETED", "31.2.2")],
    ]


async def test_groups_can_follow_on_another_night_without_the_controllers(
    simulator: Simulator, dc1: SimulatedController, client: UnitClient
) -> None:
    dc1.upgrades.start(UpgradeSpec(version="31.2.2", system=False, groups_after_s=86_400.0), at=START)
    night = Night(simulator, "dc1")

    async def units() -> list[tuple[str, str]]:
        found = await client.units()
        return [(unit["state"]["state"].removeprefix("UPGRADE_FSM_"), unit["version"][:6]) for unit in found][:2]

    seen = []
    moments: tuple[Moment, ...] = ("back", "groups", "done")
    for moment in moments:
        await night.go_to(moment, after_s=2.0)
        seen.append((dc1.listening, dc1.upgrading, await units()))
    assert seen == [
        (True, False, [("COMPLETED", "31.2.2"), ("INIT", "30.2.1")]),
        (True, False, [("COMPLETED", "31.2.2"), ("IN_PROGRESS", "30.2.1")]),
        (True, False, [("COMPLETED", "31.2.2"), ("COMPLETED", "31.2.2")]),
    ]


async def test_controllers_that_never_return_refuse_every_connection(
    simulator: Simulator, dc1: SimulatedController, client: UnitClient
) -> None:
    dc1.upgrades.start(UpgradeSpec(outcome="never_back"), at=START)
    night = Night(simulator, "dc1")
    await night.go_to("controllers", after_s=30.0)
    state = (await client.cluster())["state"]["state"]
    await night.go_to("away")
    statuses = [(await client.ask("GET", "/api/image"))[0]]
    await night.advance(100_000.0)
    statuses.append((await client.ask("GET", "/api/image"))[0])
    assert (state, statuses, dc1.version) == ("UPGRADE_FSM_IN_PROGRESS", [0, 0], "30.2.1")


# -- what starts a plan


async def test_an_upgrade_is_started_over_the_api_and_brings_the_new_version(
    simulator: Simulator, dc1: SimulatedController, client: UnitClient
) -> None:
    images = {image["name"]: image["uuid"] for image in (await client.ask("GET", "/api/image"))[1]["results"]}
    name, uuid = next((name, uuid) for name, uuid in images.items() if name.startswith("31.2.2"))
    body = {"image_ref": f"/api/image/{uuid}"}
    assert (await client.ask("POST", "/api/upgrade", json={"image_ref": "/api/image/image-0"}))[0] == 404
    assert (await client.ask("POST", "/api/upgrade", json=body))[0] == 202
    rejected = await client.ask("POST", "/api/upgrade", json=body)
    assert (rejected[0], "disallowed during upgrade" in rejected[1]["error"]) == (403, True)
    assert (await client.ask("POST", "/api/rollback"))[0] == 403
    seen: list[Any] = []
    for seconds in (40.0, 240.0, 190.0, 50.0, 300.0):
        simulator.clock.advance(seconds)
        await simulator.wait_timelines()
        seen.append((dc1.listening, dc1.unready, dc1.upgrading, dc1.version))
    assert seen == [
        (True, False, True, "30.2.1"),
        (False, False, True, "30.2.1"),
        (False, False, True, "30.2.1"),
        (True, False, True, "31.2.2"),
        (True, False, False, "31.2.2"),
    ]
    assert {unit["version"] for unit in await client.units(version="31.2.2")} == {name}
    assert (await client.ask("DELETE", f"/api/image/{uuid}"))[0] == 400
    assert (await client.ask("POST", "/api/rollback"))[0] == 202
    simulator.clock.advance(1_000.0)
    await simulator.wait_timelines()
    assert dc1.version == "30.2.1"


async def test_pre_checks_alone_change_nothing_and_may_be_followed_by_the_upgrade(
    simulator: Simulator, dc1: SimulatedController, client: UnitClient
) -> None:
    image = dc1.upload("31.2.2-9000-20250826.101010", version="31.2.2", started_ago=600.0)
    body = {"image_ref": f"https://dc1.example.net/api/image/{image}#31.2.2", "prechecks_only": True}
    assert (await client.ask("POST", "/api/upgrade", json=body))[0] == 202
    simulator.clock.advance(31.0)
    await simulator.wait_timelines()
    cluster = await client.cluster()
    assert (cluster["state"]["state"], cluster["upgrade_ops"]) == ("UPGRADE_PRE_CHECK_SUCCESS", "EVAL_UPGRADE")
    assert (await client.ask("POST", "/api/upgrade", json={**body, "prechecks_only": False}))[0] == 202


async def test_nothing_can_be_rolled_back_before_the_first_upgrade(client: UnitClient) -> None:
    assert (await client.ask("POST", "/api/rollback"))[0] == 400


async def test_an_upgrade_cannot_be_started_with_a_body_that_is_no_json(client: UnitClient) -> None:
    assert (await client.ask("POST", "/api/upgrade", json=[]))[0] == 400


async def test_the_pre_checks_have_a_system_report(simulator: Simulator, client: UnitClient) -> None:
    assert (await client.ask("GET", "/api/systemreport"))[1]["count"] == 0
    client.controller.upgrades.start(UpgradeSpec(outcome="check_warning_waits", checks=CheckSpec(warnings=1)), at=START)
    reports = []
    for seconds in (1.0, 10.0, 30.0):
        simulator.clock.advance(seconds)
        reports += (await client.ask("GET", "/api/systemreport"))[1]["results"]
    states = [report["state"]["state"].removeprefix("SYSTEM_REPORT_") for report in reports]
    assert states == ["STARTED", "IN_PROGRESS", "WARNING"]
    report = reports[-1]
    assert await client.ask("GET", f"/api/systemreport/{report['uuid']}") == (200, report)
    cluster = await client.cluster()
    assert cluster["system_report_refs"] == [report["url"]]
    (node,) = report["readiness_reports"]
    assert (node["node_ref"], node["system_readiness"]) == (cluster["url"], cluster["upgrade_readiness"])
    assert report["summary"]["previews"] == ["Item 0 needs attention"]


@pytest.mark.parametrize(("version", "status"), [("22.1.3", 404), ("22.1.6", 200), ("30.1.2", 404), ("30.2.1", 200)])
async def test_system_reports_exist_from_22_1_6_and_30_2_1_on(version: str, status: int) -> None:
    async with Simulator([replace(SPEC, version=version)], start=START, speed=0.0) as simulator:
        client = UnitClient(simulator.controllers["dc1"])
        assert (await client.ask("GET", "/api/systemreport", version=version))[0] == status


async def test_a_suspended_group_is_resumed_over_http() -> None:
    spec = replace(SPEC, groups=(GroupSpec(ses=2, outcome="suspended"),), upgrade=UpgradeSpec())
    async with Simulator([spec], start=START, speed=0.0) as simulator, aiohttp.ClientSession() as http:
        dc1 = simulator.controllers["dc1"]

        async def resumed() -> int:
            async with http.post(f"{dc1.url}/simulator/resume") as response:
                return int((await response.json())["resumed"])

        async def group_after(seconds: float) -> dict[str, Any]:
            simulator.clock.advance(seconds)
            await simulator.wait_timelines()
            return (await UnitClient(dc1).units("?node_type=NODE_SE_GROUP"))[0]

        assert await resumed() == 0
        assert (await group_after(2_000.0))["state"]["state"] == "UPGRADE_FSM_SUSPENDED"
        assert await resumed() == 1
        group = await group_after(2_000.0)
        assert (group["state"]["state"], group["upgrade_ops"]) == ("UPGRADE_FSM_COMPLETED", "SEGROUP_RESUME")
        assert len(group["seg_status"]["se_upgrade_skip_suspended"]) == 1
        assert not dc1.upgrading


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name.startswith("upgrade-")])
async def test_a_scenario_ends_as_its_name_says(name: str) -> None:
    ends = {
        "upgrade-night": ({"UPGRADE_FSM_COMPLETED"}, True),
        "upgrade-suspended": ({"UPGRADE_FSM_COMPLETED"}, True),
        "upgrade-rollback": ({"UPGRADE_FSM_ABORTED", "UPGRADE_FSM_INIT"}, True),
        "upgrade-left-behind": ({"UPGRADE_FSM_COMPLETED", "UPGRADE_FSM_INIT"}, True),
        "upgrade-failed-engines": ({"UPGRADE_FSM_COMPLETED"}, True),
        "upgrade-never-back": ({"UPGRADE_FSM_IN_PROGRESS", "UPGRADE_FSM_INIT"}, False),
        "upgrade-checks": ({"UPGRADE_PRE_CHECK_ERROR", "UPGRADE_FSM_INIT"}, True),
    }
    async with Simulator.of(name, start=START, speed=0.0) as simulator:
        dc1 = simulator.controllers["dc1"]
        simulator.clock.advance(5_000.0)
        await simulator.wait_timelines()
        units = [
            unit for unit in dc1.upgrades.units.objects(simulator.clock.now()) if "SE_TYPE" not in unit["node_type"]
        ]
        assert ({unit["state"]["state"] for unit in units}, dc1.listening) == ends[name]


async def test_one_controller_of_the_demo_is_upgraded_to_the_image_that_was_uploaded() -> None:
    async with Simulator.of("fleet", start=START, speed=0.0) as simulator:
        night = Night(simulator, "ams")
        before = {name: controller.version for name, controller in simulator.controllers.items()}
        await night.go_to("checks")
        images = night.controller.images.documents(simulator.clock.now())
        uploaded = next(image for image in images.values() if image["controller_info"]["build"]["version"] == "31.1.1")
        assert (uploaded["img_state"]["state"], before["ams"]) == ("IMAGE_FSM_COMPLETED", "30.2.1")
        await night.go_to("done")
        units = await UnitClient(night.controller).units("?page_size=200")
        assert {unit["version"] for unit in units} == {uploaded["name"]}
        after = {name: controller.version for name, controller in simulator.controllers.items()}
        assert after == before | {"ams": "31.1.1"}


async def test_nothing_is_answered_while_the_controllers_are_away_though_the_port_is_still_open(
    simulator: Simulator, dc1: SimulatedController, client: UnitClient
) -> None:
    """As in the moment between a jump of the clock and the end of the listener."""
    dc1.upgrades.start(UpgradeSpec(version="31.2.2"), at=START)
    simulator.clock.advance(300.0)
    await simulator.wait_timelines()
    await dc1.start_listening()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.ask("GET", "/api/upgradestatusinfo")
