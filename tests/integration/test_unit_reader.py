"""How the client reads the units of a simulated Controller: which requests, how often, and what it keeps."""

import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from monitor.avi.client import Client
from monitor.avi.connection import open_session
from monitor.avi.upgrade import decode_upgrade
from monitor.config.settings import Upgrades
from monitor.config.types import Controller, SecretVariable, Tls
from monitor.model.errors import PollError
from monitor.model.secret import Secret
from monitor.model.snapshot import ObjectList
from monitor.simulator import (
    Account,
    ControllerSpec,
    Fault,
    GroupSpec,
    SimulatedController,
    Simulator,
    UnitOptions,
    UpgradeSpec,
)

START = 1_740_000_000.0
READER = Account(username="reader", password="reads images", reads_upgrades=False)
SPEC = ControllerSpec(
    name="dc1",
    version="30.2.1",
    images=1,
    groups=(GroupSpec(ses=3), GroupSpec(cloud="aws", ses=1)),
    accounts=(READER,),
)
SUMMARY, INFO = "/api/upgradestatussummary", "/api/upgradestatusinfo"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator([SPEC], start=START, speed=0.0) as simulator:
        yield simulator


@pytest.fixture
def dc1(simulator: Simulator) -> SimulatedController:
    return simulator.controllers["dc1"]


class Reading:
    """A client, and what it has read of the units."""

    def __init__(self, client: Client, controller: SimulatedController) -> None:
        self.client = client
        self.controller = controller
        self.units = ObjectList()

    async def read(self) -> list[str]:
        """Read the units, and return the paths that this asked for, shortened."""
        seen = len(self.controller.requests)
        self.units = await self.client.list_units(self.units)
        paths = [request.path for request in self.controller.requests[seen:]]
        return [path.replace("/api/upgradestatus", "") for path in paths if path.startswith("/api/upgradestatus")]

    def states(self) -> dict[str, str]:
        """The state of each unit that is no Service Engine."""
        units = [decode_upgrade(raw)[0] for raw in self.units.raws.values()]
        return {f"{unit.name}@{unit.cloud}": unit.state for unit in units if unit.kind != "se"}

    def uuid_of(self, kind: str) -> str:
        return next(uuid for uuid in self.units.raws if uuid.startswith(kind))


def settings(controller: SimulatedController, account: Account | None = None) -> Controller:
    username = account.username if account else controller.username
    password = account.password if account else controller.password
    return Controller(name="dc1", url=controller.url, username=username, password=SecretVariable("", Secret(password)))


@pytest.fixture
async def reading(dc1: SimulatedController) -> AsyncIterator[Reading]:
    async with open_session(Tls(), keepalive_s=60.0) as http:
        client = Client(settings(dc1), http, timeout_s=120.0, max_response=2**25, now=time.time)
        yield Reading(client, dc1)


async def test_an_idle_read_asks_for_the_summary_alone_and_changes_nothing(reading: Reading) -> None:
    assert await reading.read() == ["summary", "info"]
    first = reading.units
    assert len(first.raws) == 7
    assert await reading.read() == ["summary"]
    assert reading.units is first
    assert set(reading.states().values()) == {"idle"}


async def test_units_that_move_are_read_one_by_one_and_service_engines_never(
    simulator: Simulator, dc1: SimulatedController, reading: Reading
) -> None:
    await reading.read()
    cluster, group = reading.uuid_of("cluster"), reading.uuid_of("serviceenginegroup")
    dc1.upgrades.start(UpgradeSpec(), at=START)
    simulator.clock.advance(40.0)
    assert await reading.read() == ["summary", f"info/{cluster}"]
    assert reading.states()["cluster-0-1@"] == "running"
    assert await reading.read() == ["summary", f"info/{cluster}"]  # it is active
    simulator.clock.advance(490.0)
    await simulator.wait_timelines()
    assert await reading.read() == ["summary", "summary", "info"]  # the first got a 401, as the Controllers restarted
    assert await reading.read() == ["summary", "info"]  # the log-in told another version
    asked = await reading.read()
    assert asked[0] == "summary"
    assert {cluster, group} <= {path.rpartition("/")[2] for path in asked}
    assert not [path for path in asked if "se-i-" in path]
    engines = [decode_upgrade(raw)[0] for uuid, raw in reading.units.raws.items() if uuid.startswith("se-i-")]
    assert {engine.state for engine in engines} == {"idle", "running"}


async def test_all_units_are_read_again_after_an_upgrade_of_the_controller(
    simulator: Simulator, dc1: SimulatedController, reading: Reading
) -> None:
    await reading.read()
    dc1.upgrades.start(UpgradeSpec(), at=START)
    simulator.clock.advance(2_000.0)
    await simulator.wait_timelines()
    dc1.expire_sessions()
    await reading.client.log_out()
    assert await reading.read() == ["summary", "info"]
    assert set(reading.states().values()) == {"completed"}


async def test_a_unit_that_comes_or_goes_is_a_reason_to_read_all(dc1: SimulatedController, reading: Reading) -> None:
    await reading.read()
    dc1.upgrades.options = UnitOptions(vanishing=True)
    dc1.upgrades.start(UpgradeSpec(dry_run=True), at=START)
    assert await reading.read() == ["summary", "info"]
    assert len(reading.units.raws) == 3


async def test_all_is_read_again_when_it_is_asked_for(reading: Reading) -> None:
    await reading.read()
    before = reading.units
    reading.client.units.read_all_next()
    assert await reading.read() == ["summary", "info"]
    assert reading.units is before


async def test_at_most_so_many_units_are_read_in_one_poll_those_not_read_for_the_longest_first(
    simulator: Simulator, dc1: SimulatedController, reading: Reading
) -> None:
    await reading.read()
    dc1.upgrades.start(UpgradeSpec(), at=START)
    simulator.clock.advance(40.0)
    reading.client.units.settings = Upgrades(max_reads_per_poll=0)
    assert await reading.read() == ["summary"]
    assert reading.states()["cluster-0-1@"] == "running"  # from the summary


@pytest.mark.parametrize("kind", ["lying", "stateless"])
async def test_a_summary_that_contradicts_the_units_is_not_read_again_until_the_version_changes(
    simulator: Simulator,
    dc1: SimulatedController,
    reading: Reading,
    kind: Any,  # noqa: ANN401
) -> None:
    dc1.upgrades.options = UnitOptions(summary=kind)
    dc1.upgrades.start(UpgradeSpec(), at=START)
    simulator.clock.advance(40.0)
    assert await reading.read() == ["summary", "info"]
    assert await reading.read() == ["info"]
    assert reading.states()["cluster-0-1@"] == "running"
    reading.client._requester.link = msgspec.structs.replace(reading.client.link, version="31.2.2")
    assert (await reading.read())[0] == "summary"


async def test_a_summary_that_fails_twice_is_replaced_by_the_whole_list(
    dc1: SimulatedController, reading: Reading
) -> None:
    dc1.upgrades.options = UnitOptions(summary="absent")
    for _ in range(2):
        assert await reading.read() == ["summary", "info"]
    assert await reading.read() == ["info"]
    first = reading.units
    assert await reading.read() == ["info"]
    assert reading.units is first


async def test_a_summary_that_fails_later_is_given_up_the_second_time(
    dc1: SimulatedController, reading: Reading
) -> None:
    await reading.read()
    dc1.upgrades.options = UnitOptions(summary="absent")
    with pytest.raises(PollError, match="404"):
        await reading.read()
    assert await reading.read() == ["summary", "info"]
    assert await reading.read() == ["info"]


async def test_a_busy_controller_is_no_reason_to_give_the_summary_up(
    dc1: SimulatedController, reading: Reading
) -> None:
    dc1.faults.add(Fault("too_many_requests", path=SUMMARY))
    for _ in range(3):
        with pytest.raises(PollError, match="429"):
            await reading.read()
    dc1.faults.clear()
    assert await reading.read() == ["summary", "info"]


async def test_an_account_without_the_permission_is_an_error_that_says_so(dc1: SimulatedController) -> None:
    async with open_session(Tls(), keepalive_s=60.0) as http:
        client = Client(settings(dc1, READER), http, timeout_s=120.0, max_response=2**25, now=time.time)
        with pytest.raises(PollError, match="PERMISSION_CONTROLLER") as caught:
            await client.list_units(ObjectList())
        assert (caught.value.status, caught.value.phase) == (403, "upgrade")
        assert len((await client.list_images(ObjectList())).raws) == 1


async def test_a_read_that_fails_halfway_is_made_up_for_by_the_next(
    simulator: Simulator, dc1: SimulatedController, reading: Reading
) -> None:
    await reading.read()
    dc1.upgrades.start(UpgradeSpec(), at=START)
    simulator.clock.advance(40.0)
    cluster = reading.uuid_of("cluster")
    dc1.faults.add(Fault("redirect", path=f"{INFO}/{cluster}"))
    with pytest.raises(PollError, match="302"):
        await reading.read()
    dc1.faults.clear()
    assert await reading.read() == ["summary", f"info/{cluster}"]


async def test_large_lists_with_long_histories_are_kept_without_them(
    dc1: SimulatedController, reading: Reading
) -> None:
    dc1.upgrades.options = UnitOptions(history=4_000)
    await reading.read()
    assert sum(len(bytes(raw)) for raw in reading.units.raws.values()) < 50_000
    assert set(reading.states().values()) == {"idle"}
