"""Which of the alerts that we ship fire while two daemons watch an upgrade, and while a Controller is simply down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from monitor.daemon.app import Daemon
from monitor.simulator import SCENARIOS, ControllerSpec, Simulator, UpgradeSpec
from tests.support.daemons import QUICK, until, watching
from tests.support.nights import START, Night, polled_anew
from tests.support.recorded_series import RecordedSeries

STEP_S = 30.0
FLEET = SCENARIOS["upgrade-night"].controllers
AFTERWARDS_S = 900.0
BAD_NIGHTS = {
    "upgrade-checks": {"AviUpgradeCheckErrors"},
    "upgrade-failed-engines": {"AviUpgradeServiceEnginesFailed", "AviUpgradeVirtualServicesDisrupted"},
    "upgrade-left-behind": set[str](),  # an hour later
    "upgrade-never-back": {"AviUpgradeControllersAway"},
    "upgrade-rollback": {"AviUpgradeFailed", "AviUpgradeRollingBack"},
    "upgrade-suspended": {"AviUpgradeSuspended"},
}
"""By scenario, which alerts fire in the first forty minutes."""
POLL = {**QUICK, "active_interval": "20ms", "idle_interval": "20ms", "max_backoff": "20ms"}


class Recorded:
    """Two daemons on the fleet; each step of the night is seen by both, and recorded."""

    def __init__(self, simulator: Simulator, daemons: tuple[Daemon, Daemon], step_s: float) -> None:
        self.daemons = daemons
        self.series = RecordedSeries(start=START, step_s=step_s)
        self.night = Night(simulator, "dc1", seen=self._seen, step_s=step_s)

    async def advance(self, seconds: float) -> None:
        await self.night.advance(seconds)

    async def _seen(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for daemon in self.daemons:
                for name in self.night.simulator.controllers:
                    tasks.create_task(polled_anew(daemon, name))
        await self.series.record(*self.daemons)


@asynccontextmanager
async def recorded(
    folder: Path, fleet: tuple[ControllerSpec, ...], *, watch: bool = True, step_s: float = STEP_S
) -> AsyncIterator[Recorded]:
    async with Simulator(fleet, start=START, speed=0.0) as simulator:
        now = simulator.clock.now
        async with (
            watching(simulator, folder / "one", wall=now, poll=POLL, upgrades={"watch": watch}) as one,
            watching(simulator, folder / "two", wall=now, poll=POLL, upgrades={"watch": watch}) as two,
        ):
            for daemon in (one, two):
                for name in simulator.controllers:
                    await until(daemon, name, lambda entry: entry.session.up)
            yield Recorded(simulator, (one, two), step_s)


def with_upgrade(upgrade: UpgradeSpec) -> tuple[ControllerSpec, ...]:
    return (replace(FLEET[0], upgrade=upgrade), *FLEET[1:])


@pytest.mark.parametrize(
    ("outage_s", "step_s"),
    [pytest.param(210.0, STEP_S, id="four-minutes-away"), pytest.param(570.0, 2 * STEP_S, id="ten-minutes-away")],
)
async def test_no_alert_fires_in_a_night_in_which_nothing_goes_wrong(
    tmp_path: Path, outage_s: float, step_s: float
) -> None:
    upgrade = FLEET[0].upgrade
    assert upgrade
    async with recorded(tmp_path, with_upgrade(replace(upgrade, outage_s=outage_s)), step_s=step_s) as run:
        steps = int((run.night.time_of("done") - START) // step_s) + 1
        await run.advance(steps * step_s + AFTERWARDS_S)
        assert run.night.controller.version == "31.2.2"
        assert await run.series.firing(tmp_path) == {}


async def test_a_controller_that_is_down_without_an_upgrade_raises_its_alert_meanwhile(tmp_path: Path) -> None:
    upgrade = FLEET[0].upgrade
    assert upgrade
    async with recorded(tmp_path, with_upgrade(replace(upgrade, outage_s=570.0)), step_s=2 * STEP_S) as run:
        before_s = (run.night.time_of("away") - START) // (2 * STEP_S) * 2 * STEP_S
        await run.advance(before_s)
        await run.night.simulator.controllers["dc2"].stop_listening()
        await run.advance(600.0)
        firing = await run.series.firing(tmp_path)
    assert firing.keys() == {("AviControllerDown", "dc2")}
    assert min(firing["AviControllerDown", "dc2"]) >= before_s + 300.0


async def test_an_upgrade_that_is_not_watched_looks_like_a_controller_that_is_down(tmp_path: Path) -> None:
    upgrade = FLEET[0].upgrade
    assert upgrade
    fleet = with_upgrade(replace(upgrade, outage_s=570.0))
    async with recorded(tmp_path, fleet, watch=False, step_s=2 * STEP_S) as run:
        await run.advance((run.night.time_of("away") - START) // (2 * STEP_S) * 2 * STEP_S + 480.0)
        firing = await run.series.firing(tmp_path)
    assert firing.keys() == {("AviControllerDown", "dc1")}


async def test_each_night_in_which_something_goes_wrong_raises_the_alert_on_that_and_no_other(tmp_path: Path) -> None:
    fleet = [replace(SCENARIOS[name].controllers[0], name=name) for name in BAD_NIGHTS]
    async with Simulator(fleet, start=START, speed=0.0) as simulator:
        async with watching(simulator, tmp_path, wall=simulator.clock.now, poll=POLL) as daemon:
            series = RecordedSeries(start=START, step_s=4 * STEP_S)

            async def seen() -> None:
                async with asyncio.TaskGroup() as tasks:
                    for name in BAD_NIGHTS:
                        tasks.create_task(polled_anew(daemon, name))
                await series.record(daemon)

            await Night(simulator, "upgrade-checks", seen=seen, step_s=4 * STEP_S).advance(2_400.0)
        firing = await series.firing(tmp_path)
    found = {name: {alert for alert, controller in firing if controller == name} for name in BAD_NIGHTS}
    assert found == BAD_NIGHTS
