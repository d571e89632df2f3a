"""The scenarios, the upgrade night, and the control routes."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from monitor.simulator import SCENARIOS, ControllerSpec, Fault, SimulatedController, Simulator, UploadSpec
from monitor.simulator.control import respond as control_route
from monitor.simulator.http_types import HttpRequest

START = 1_740_000_000.0


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


@pytest.fixture
async def dc1() -> AsyncIterator[SimulatedController]:
    spec = ControllerSpec(name="dc1", images=1, uploads=(UploadSpec(duration=60.0),))
    async with Simulator([spec], start=START, speed=0.0) as simulator:
        yield simulator.controllers["dc1"]


def states(controller: SimulatedController) -> list[str]:
    served = controller.images.served(controller.clock.now(), (32, 2, 1))
    return [image.image["img_state"]["state"].removeprefix("IMAGE_FSM_") for image in served]


@pytest.mark.parametrize(
    ("scenario", "ends"),
    [
        ("fleet", {"COMPLETED": 17, "FAILED": 1, "IN_PROGRESS": 1}),
        ("happy", {"COMPLETED": 2}),
        ("failing-node", {"COMPLETED": 1, "FAILED": 1}),
        ("stall", {"COMPLETED": 1, "IN_PROGRESS": 1}),
    ],
)
async def test_a_scenario_ends_in_these_states(scenario: str, ends: dict[str, int]) -> None:
    async with Simulator.of(scenario, start=START, speed=0.0) as simulator:
        simulator.clock.advance(100_000.0)
        seen = [state for controller in simulator.controllers.values() for state in states(controller)]
    assert {state: seen.count(state) for state in seen} == ends


def test_every_scenario_has_a_summary_of_one_line() -> None:
    assert all(scenario.summary and "\n" not in scenario.summary for scenario in SCENARIOS.values())


async def test_an_unknown_scenario_is_an_error() -> None:
    with pytest.raises(KeyError):
        Simulator.of("apocalypse")


async def test_the_first_port_is_used_if_given(dc1: SimulatedController) -> None:
    with pytest.raises(OSError, match="in use"):
        async with Simulator.of("happy", first_port=dc1.port):
            pass


async def test_a_fleet_that_fails_to_start_frees_its_ports(dc1: SimulatedController) -> None:
    specs = [ControllerSpec(name="one"), ControllerSpec(name="two", port=dc1.port)]
    simulator = Simulator(specs)
    with pytest.raises(OSError, match="in use"):
        async with simulator:
            pass
    async with Simulator([ControllerSpec(name="again", port=simulator.controllers["one"].port)]) as other:
        assert other.controllers["again"].port == simulator.controllers["one"].port


async def status_or_error(http: aiohttp.ClientSession, controller: SimulatedController, path: str) -> int | str:
    """Return the status of a GET, or the name of the error."""
    try:
        async with http.get(f"{controller.url}{path}", headers={"X-Avi-Version": "30.2.1"}) as response:
            return response.status
    except aiohttp.ClientConnectorError as error:
        return type(error).__name__


async def test_the_upgrade_night_passes_through_its_phases(http: aiohttp.ClientSession) -> None:
    async with Simulator.of("upgrade-night", start=START, speed=0.0) as simulator:
        dc1 = simulator.controllers["dc1"]
        form = {"username": dc1.username, "password": dc1.password}
        async with http.post(f"{dc1.url}/login", data=form) as response:
            assert response.status == 200
        seen: list[Any] = [await status_or_error(http, dc1, "/api/image")]
        for seconds in (160.0, 240.0, 220.0, 30.0):
            simulator.clock.advance(seconds)
            await simulator.wait_timelines()
            seen.append((await status_or_error(http, dc1, "/api/image"), dc1.upgrading))
        simulator.clock.advance(700.0)
        await simulator.wait_timelines()
        assert not dc1.upgrading
    assert seen == [200, (200, True), ("ClientConnectorError", True), (503, True), (401, True)]
    assert (dc1.version, simulator.controllers["dc2"].version) == ("31.2.2", "30.2.1")


# -- over HTTP


async def control(http: aiohttp.ClientSession, dc1: SimulatedController, route: str, **options: Any) -> tuple[int, Any]:  # noqa: ANN401
    method, path = route.split()
    async with http.request(method, f"{dc1.url}/simulator{path}", **options) as response:
        return response.status, await response.json() if response.status != 204 else None


async def test_the_state_can_be_read_without_log_in(http: aiohttp.ClientSession, dc1: SimulatedController) -> None:
    status, state = await control(http, dc1, "GET /")
    assert (status, state["name"], state["now"]) == (200, "dc1", "2025-02-19 21:20:00")
    assert [image["progress"] for image in state["images"]] == [100, 0]


async def test_faults_can_be_ordered_and_cleared(http: aiohttp.ClientSession, dc1: SimulatedController) -> None:
    fault = {"kind": "html_503", "times": 2, "path": "/api"}
    assert await control(http, dc1, "POST /faults", json=fault) == (201, [fault])
    assert dc1.faults.active == (Fault("html_503", times=2, path="/api"),)
    assert await control(http, dc1, "DELETE /faults") == (204, None)
    assert not dc1.faults.active


@pytest.mark.parametrize("fault", [{"kind": "earthquake"}, {"kind": "hang", "colour": 1}, []], ids=str)
async def test_an_invalid_fault_is_rejected(
    http: aiohttp.ClientSession, dc1: SimulatedController, fault: object
) -> None:
    assert (await control(http, dc1, "POST /faults", json=fault))[0] == 400


async def test_time_can_be_advanced(http: aiohttp.ClientSession, dc1: SimulatedController) -> None:
    assert await control(http, dc1, "POST /advance", json={"seconds": 60}) == (200, {"now": "2025-02-19 21:21:00"})
    assert states(dc1) == ["COMPLETED", "COMPLETED"]


async def test_uploads_can_be_added(http: aiohttp.ClientSession, dc1: SimulatedController) -> None:
    status, created = await control(http, dc1, "POST /uploads", json={"outcome": "failed", "name": "mine"})
    assert (status, dc1.image(created["uuid"])["name"]) == (201, "mine")


async def test_an_unknown_control_route_is_404(http: aiohttp.ClientSession, dc1: SimulatedController) -> None:
    assert (await control(http, dc1, "POST /earthquake"))[0] == 404


async def test_control_routes_respond_during_faults(http: aiohttp.ClientSession, dc1: SimulatedController) -> None:
    dc1.unready = True
    dc1.faults.add(Fault("hang", path="/"))
    assert (await control(http, dc1, "GET /"))[0] == 200
    assert dc1.requests == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
    ],
    ids=str,
)
async def test_the_page_of_another_site_controls_nothing(
    http: aiohttp.ClientSession, dc1: SimulatedController, headers: dict[str, str]
) -> None:
    simple = {"Content-Type": "text/plain", **headers}  # as of a form, which a browser sends without asking first
    body = b'{"kind": "html_502", "times": 3}'
    assert (await control(http, dc1, "POST /faults", data=body, headers=simple))[0] == 403
    assert not dc1.faults.active
    assert (await control(http, dc1, "GET /", headers=headers))[0] == 403


async def test_a_browser_on_this_machine_may_look(http: aiohttp.ClientSession, dc1: SimulatedController) -> None:
    own = {"Origin": dc1.url, "Sec-Fetch-Site": "same-origin"}
    assert (await control(http, dc1, "GET /", headers=own))[0] == 200
    localhost = {"Host": f"localhost:{dc1.port}", "Sec-Fetch-Site": "none"}
    assert (await control(http, dc1, "GET /", headers=localhost))[0] == 200


def test_a_client_on_another_machine_controls_nothing() -> None:
    spec = ControllerSpec(name="dc1")
    dc1 = Simulator([spec], start=START, speed=0.0, host="0.0.0.0").controllers["dc1"]  # noqa: S104  on purpose
    host = {"Host": "localhost"}
    advance = HttpRequest("POST", "/simulator/advance", headers=host, body=b'{"seconds": 60}', remote="192.0.2.7")
    refused = control_route(dc1, advance)
    assert (refused.status, dc1.clock.now()) == (403, START)
    assert b"is for this machine alone" in refused.body
    assert control_route(dc1, replace(advance, remote="::1")).status == 200
