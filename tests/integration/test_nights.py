"""A night is run from moment to moment, and a daemon has seen each of them."""

from pathlib import Path

import pytest

from monitor.simulator import Simulator
from tests.support.nights import Moment, Night, upgrade_night

MOMENTS: tuple[Moment, ...] = ("checks", "controllers", "away", "unready", "back", "groups", "first_group", "done")


async def test_a_daemon_sees_each_moment_of_a_night(tmp_path: Path) -> None:
    seen: dict[Moment, tuple[bool, str]] = {}
    async with upgrade_night(tmp_path, step_s=120.0) as (daemon, night):
        for moment in MOMENTS:
            await night.go_to(moment)
            session = daemon.fleet.entries["dc1"].session
            seen[moment] = (session.up, session.version)
    assert seen == {
        "checks": (True, "30.2.1"),
        "controllers": (True, "30.2.1"),
        "away": (False, "30.2.1"),
        "unready": (False, "30.2.1"),
        "back": (True, "31.2.2"),
        "groups": (True, "31.2.2"),
        "first_group": (True, "31.2.2"),
        "done": (True, "31.2.2"),
    }


async def test_a_night_ends_where_its_scenario_does() -> None:
    async with Simulator.of("upgrade-suspended", speed=0.0) as simulator:
        night = Night(simulator, "dc1")
        await night.go_to("suspended")
        await night.go_to("all_groups")
        await night.go_to("done")
        with pytest.raises(ValueError, match="'back' was"):
            await night.go_to("back")


@pytest.mark.parametrize(
    ("scenario", "moment"),
    [("upgrade-never-back", "back"), ("upgrade-rollback", "away"), ("upgrade-checks", "controllers")],
)
async def test_a_moment_that_never_comes_is_an_error(scenario: str, moment: Moment) -> None:
    night = Night(Simulator.of(scenario, speed=0.0), "dc1")
    with pytest.raises(ValueError, match="has no moment"):
        night.time_of(moment)
