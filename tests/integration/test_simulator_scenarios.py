"""Ready scenarios, the night of an upgrade, and the control routes."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from monitor.simulator import SCENARIOS, ControllerSpec, Fault, SimulatedController, Simulator, UploadSpec

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
async def test_a_scenario_ends_as_it_says(scenario: str, ends: dict[str, int]) -> None:
    async with Simulator.of(scenario, start=START, speed=0.0) as simulator:
        simulator.clock.advance(100_000.0)
        told = [state for controller in simulator.controllers.values() for state in states(controller)]
    assert {state: told.count(state) for state in told} == ends


def test_every_scenario_says_in_one_line_what_it_is() -> None:
    assert all(scenario.summary and "\n" not in scenario.summary for scenario in SCENARIOS.values())


async def test_a_scenario_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        Simulator.of("apocalypse")


async def test_ports_follow_the_first_where_one_is_given(dc1: SimulatedController) -> None:
    with pytest.raises(OSError, match="in use"):
        async with Simulator.of("happy", first_port=dc1.port):
            pass


async def test_a_fleet_that_cannot_open_gives_its_ports_back(dc1: SimulatedController) -> None:
    specs = [ControllerSpec(name="one"), ControllerSpec(name="two", port=dc1.port)]
    simulator = Simulator(specs)
    with pytest.raises(OSError, match="in use"):
        async with simulator:
            pass
    async with Simulator([ControllerSpec(name="again", port=simulator.controllers["one"].port)]) as other:
        assert other.controllers["again"].port == simulator.controllers["one"].port


async def answer(http: aiohttp.ClientSession, controller: SimulatedController, path: str) -> int | str:
    """The status of a GET, or the name of the error."""
    try:
        async with http.get(f"{controller.url}{path}", headers={"X-Avi-Version": "30.2.1"}) as got:
            return got.status
    except aiohttp.ClientConnectorError as error:
        return type(error).__name__


async def test_the_night_of_an_upgrade(http: aiohttp.ClientSession) -> None:
    async with Simulator.of("upgrade-night", start=START, speed=0.0) as simulator:
        dc1 = simulator.controllers["dc1"]
        form = {"username": dc1.username, "password": dc1.password}
        async with http.post(f"{dc1.url}/login", data=form) as got:
            assert got.status == 200
        told: list[Any] = [await answer(http, dc1, "/api/image")]
        for seconds in (180.0, 120.0, 60.0):
            simulator.clock.advance(seconds)
            await simulator.wait_timelines()
            told.append((await answer(http, dc1, "/api/image"), dc1.upgrading))
    assert told == [200, ("ClientConnectorError", True), (503, True), (401, False)]
    assert (dc1.version, simulator.controllers["dc2"].version) == ("31.2.2", "30.2.1")


# -- over HTTP


async def control(http: aiohttp.ClientSession, dc1: SimulatedController, call: str, **how: Any) -> tuple[int, Any]:  # noqa: ANN401
    method, path = call.split()
    async with http.request(method, f"{dc1.url}/simulator{path}", **how) as got:
        return got.status, await got.json() if got.status != 204 else None


async def test_the_state_can_be_read_by_anybody(http: aiohttp.ClientSession, dc1: SimulatedController) -> None:
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
async def test_a_fault_that_is_none_is_refused(
    http: aiohttp.ClientSession, dc1: SimulatedController, fault: object
) -> None:
    assert (await control(http, dc1, "POST /faults", json=fault))[0] == 400


async def test_time_can_be_advanced(http: aiohttp.ClientSession, dc1: SimulatedController) -> None:
    assert await control(http, dc1, "POST /advance", json={"seconds": 60}) == (200, {"now": "2025-02-19 21:21:00"})
    assert states(dc1) == ["COMPLETED", "COMPLETED"]


async def test_uploads_can_be_planned(http: aiohttp.ClientSession, dc1: SimulatedController) -> None:
    status, created = await control(http, dc1, "POST /uploads", json={"outcome": "failed", "name": "mine"})
    assert (status, dc1.image(created["uuid"])["name"]) == (201, "mine")


async def test_a_handle_that_does_not_exist_is_404(http: aiohttp.ClientSession, dc1: SimulatedController) -> None:
    assert (await control(http, dc1, "POST /earthquake"))[0] == 404


async def test_handles_answer_whatever_else_is_broken(http: aiohttp.ClientSession, dc1: SimulatedController) -> None:
    dc1.unready = True
    dc1.faults.order(Fault("hang", path="/"))
    assert (await control(http, dc1, "GET /"))[0] == 200
    assert dc1.requests == []
