"""Upgrades of a simulated Controller over a real socket, and with the vendor's SDK."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from monitor.simulator import (
    SCENARIOS,
    Account,
    ControllerSpec,
    GroupSpec,
    SimulatedController,
    Simulator,
    UnitOptions,
    UpgradeSpec,
    UploadSpec,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK uses deprecated idioms
    from avi.sdk.avi_api import ApiSession

START = 1_740_000_000.0
READER = Account(username="reader", password="reads images", can_write=False, reads_upgrades=False)
SPEC = ControllerSpec(
    name="dc1",
    version="30.2.1",
    images=2,
    uploads=(UploadSpec(started_ago=600.0, version="31.2.2"),),
    groups=(GroupSpec(ses=2), GroupSpec(cloud="aws", ses=1)),
    accounts=(READER,),
)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator([SPEC], start=START, speed=0.0) as simulator:
        yield simulator


@pytest.fixture
def dc1(simulator: Simulator) -> SimulatedController:
    return simulator.controllers["dc1"]


class Client:
    """A client that logs in again where it has to."""

    def __init__(self, controller: SimulatedController) -> None:
        self.controller = controller

    async def ask(
        self, method: str, path: str, *, version: str = "30.2.1", account: Account | None = None, json: object = None
    ) -> tuple[int, Any]:
        username, password = self.controller.username, self.controller.password
        form = {
            "username": account.username if account else username,
            "password": account.password if account else password,
        }
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            async with http.post(f"{self.controller.url}/login", data=form) as response:
                if response.status != 200:
                    return response.status, None
                csrf = response.cookies["csrftoken"].value
            headers = {"X-Avi-Version": version, "X-CSRFToken": csrf, "Referer": self.controller.url}
            async with http.request(method, f"{self.controller.url}{path}", headers=headers, json=json) as response:
                is_json = response.content_type == "application/json" and response.status < 500
                return response.status, await response.json() if is_json else None

    async def units(self, query: str = "", *, version: str = "30.2.1") -> list[dict[str, Any]]:
        status, page = await self.ask("GET", f"/api/upgradestatusinfo{query}", version=version)
        assert status == 200, page
        found: list[dict[str, Any]] = page["results"]
        return found


@pytest.fixture
def client(dc1: SimulatedController) -> Client:
    return Client(dc1)


async def test_units_are_listed_in_pages_and_filtered(client: Client) -> None:
    assert len(await client.units()) == 6
    status, page = await client.ask("GET", "/api/upgradestatusinfo?page_size=4")
    assert (status, page["count"], len(page["results"])) == (200, 6, 4)
    assert "page=2" in page["next"]
    groups = await client.units("?node_type=NODE_SE_GROUP&include_name=true")
    assert [unit["obj_cloud_ref"].rpartition("#")[2] for unit in groups] == ["Default-Cloud", "aws"]
    assert "#" not in (await client.units("?node_type=NODE_SE_GROUP"))[0]["obj_cloud_ref"]
    assert (await client.units("?fields=version"))[0].keys() == {"uuid", "name", "url", "version"}


async def test_one_unit_is_read_by_its_uuid(client: Client) -> None:
    uuid = (await client.units())[0]["uuid"]
    assert (await client.ask("GET", f"/api/upgradestatusinfo/{uuid}"))[1]["uuid"] == uuid
    assert (await client.ask("GET", "/api/upgradestatusinfo/cluster-0"))[0] == 404


async def test_the_summary_has_the_same_units_without_progress(client: Client) -> None:
    status, page = await client.ask("GET", "/api/upgradestatussummary")
    assert (status, page["count"]) == (200, 6)
    assert [unit["uuid"] for unit in page["results"]] == [unit["uuid"] for unit in await client.units()]
    assert not any("progress" in unit for unit in page["results"])


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
    simulator: Simulator, client: Client, options: UnitOptions, expected: tuple[int, str | None]
) -> None:
    client.controller.upgrades.options = options
    client.controller.upgrades.start(UpgradeSpec(), at=START)
    simulator.clock.advance(100.0)
    status, page = await client.ask("GET", "/api/upgradestatussummary")
    state = page["results"][0].get("state", {}).get("state") if status == 200 else None
    assert (status, state) == expected


async def test_an_older_client_gets_no_newer_fields(simulator: Simulator, client: Client) -> None:
    client.controller.upgrades.start(UpgradeSpec(), at=START)
    simulator.clock.advance(10.0)
    assert "upgrade_readiness" in (await client.units())[0]
    assert not {"upgrade_readiness", "reason"} & (await client.units(version="21.1.6"))[0].keys()


async def test_an_account_without_the_permission_gets_403(client: Client) -> None:
    assert (await client.ask("GET", "/api/upgradestatusinfo", account=READER))[0] == 403
    assert (await client.ask("GET", "/api/upgradestatussummary", account=READER))[0] == 403
    assert (await client.ask("GET", "/api/image", account=READER))[0] == 200


async def test_an_upgrade_is_started_over_the_api_and_brings_the_new_version(
    simulator: Simulator, dc1: SimulatedController, client: Client
) -> None:
    images = {image["name"]: image["uuid"] for image in (await client.ask("GET", "/api/image"))[1]["results"]}
    name, uuid = next((name, uuid) for name, uuid in images.items() if name.startswith("31.2.2"))
    body = {"image_ref": f"/api/image/{uuid}"}
    assert (await client.ask("POST", "/api/upgrade", json={"image_ref": "/api/image/image-0"}))[0] == 404
    assert (await client.ask("POST", "/api/upgrade", json=body))[0] == 202
    assert (await client.ask("POST", "/api/upgrade", json=body))[0] == 403
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


async def test_log_ins_are_refused_for_a_while_after_the_return(
    simulator: Simulator, dc1: SimulatedController, client: Client
) -> None:
    dc1.upgrades.start(UpgradeSpec(refuses_logins_s=60.0), at=START)
    simulator.clock.advance(515.0)
    await simulator.wait_timelines()
    assert (await client.ask("GET", "/api/image"))[0] == 401
    simulator.clock.advance(61.0)
    assert (await client.ask("GET", "/api/image"))[0] == 200


async def test_a_suspended_group_is_resumed_over_http() -> None:
    spec = msgspec.structs.replace(SPEC, groups=(GroupSpec(ses=2, outcome="suspended"),), upgrade=UpgradeSpec())
    async with Simulator([spec], start=START, speed=0.0) as simulator, aiohttp.ClientSession() as http:
        dc1 = simulator.controllers["dc1"]

        async def resumed() -> int:
            async with http.post(f"{dc1.url}/simulator/resume") as response:
                return int((await response.json())["resumed"])

        async def group_after(seconds: float) -> dict[str, Any]:
            simulator.clock.advance(seconds)
            await simulator.wait_timelines()
            return (await Client(dc1).units("?node_type=NODE_SE_GROUP"))[0]

        assert await resumed() == 0
        assert (await group_after(2_000.0))["state"]["state"] == "UPGRADE_FSM_SUSPENDED"
        assert await resumed() == 1
        group = await group_after(2_000.0)
        assert (group["state"]["state"], group["upgrade_ops"]) == ("UPGRADE_FSM_COMPLETED", "SEGROUP_RESUME")
        assert len(group["seg_status"]["se_upgrade_skip_suspended"]) == 1
        assert not dc1.upgrading


async def test_the_pre_checks_have_a_system_report(simulator: Simulator, client: Client) -> None:
    assert (await client.ask("GET", "/api/systemreport"))[1]["count"] == 0
    client.controller.upgrades.start(UpgradeSpec(outcome="check_warning_waits"), at=START)
    simulator.clock.advance(10.0)
    assert (await client.ask("GET", "/api/systemreport"))[1]["results"][0]["state"]["state"] == (
        "SYSTEM_REPORT_IN_PROGRESS"
    )


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


async def test_the_sdk_reads_units(dc1: SimulatedController) -> None:
    def read() -> tuple[int, Any, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            api = ApiSession(controller_ip=dc1.url, username=dc1.username, password=dc1.password, api_version="30.2.1")
            page = api.get("upgradestatusinfo", params={"node_type": "NODE_CONTROLLER_CLUSTER"}).json()
            by_name = api.get_object_by_name("upgradestatusinfo", "cluster-0-1")
            by_uuid = api.get(f"upgradestatusinfo/{by_name['uuid']}").json()
            ApiSession.clear_cached_sessions()
            return page["count"], by_name, by_uuid

    count, by_name, by_uuid = await asyncio.to_thread(read)
    assert (count, by_name) == (1, by_uuid)
