"""
Three ways in which public scripts wait for the end of an upgrade, each where it says success and the upgrade has none.

They ask the simulated Controller, as they ask a real one, and the daemon that watches it: its list is the Controller's,
with the cluster first. Whether the upgrade is done is no question that one unit answers: the event stream does.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, GroupSpec, UnitOptions, UpgradeSpec
from tests.support.daemons import exposition, polled, samples, scrape
from tests.support.events import reading
from tests.support.nights import Moment, upgrade_night
from tests.support.operators import ask
from tests.support.unit_client import UnitClient
from tests.support.upgrade_reads import labels_of

Units = list[dict[str, Any]]
TARGET = "31.2.2"
UPGRADE = UpgradeSpec(at=1.0, version=TARGET)
SPEC = ControllerSpec(name="dc1", version="30.2.1", images=1, groups=(GroupSpec(ses=2),), upgrade=UPGRADE)

FORGOTTEN = GroupSpec(ses=2, outcome="left_behind")
WITH_A_FAILED_ONE = GroupSpec(ses=2, outcome="failed_ses_continue")


def playbook(units: Units) -> bool:
    """A loop until the first unit is at 100 % or has an alarming state; nothing looks at which of both ended it."""
    first = units[0]
    stopped = first["state"]["state"].removeprefix("UPGRADE_FSM_") in {"ERROR", "SUSPENDED", "PAUSED"}
    return first.get("progress") == 100 or stopped


def lab_script(units: Units) -> bool:
    """One look: an error is a unit at the target's version that is not completed."""
    at_target = [unit for unit in units if unit["version"].startswith(TARGET)]
    return not [unit for unit in at_target if unit["state"]["state"] != "UPGRADE_FSM_COMPLETED"]


def field_tool(units: Units) -> bool:
    """The state of the cluster has the word somewhere."""
    return "completed" in units[0]["state"]["state"].lower()


def failed_for_years() -> ControllerSpec:
    return replace(SPEC, upgrade=None, units=UnitOptions(old_error_s=63e6))


def with_groups(*groups: GroupSpec) -> ControllerSpec:
    return replace(SPEC, groups=groups)


def with_the_word_in_its_state() -> ControllerSpec:
    return replace(SPEC, units=UnitOptions(fsm="UPGRADE_FSM_CONTROLLER_COMPLETED"))


@pytest.mark.parametrize(
    ("judge", "spec", "moment", "left_behind"),
    [
        (playbook, failed_for_years(), None, {"se_group": 0.0, "se": 0.0}),
        (playbook, with_groups(WITH_A_FAILED_ONE), "done", {"se_group": 1.0, "se": 1.0}),
        (lab_script, with_groups(FORGOTTEN, GroupSpec()), "done", {"se_group": 1.0, "se": 2.0}),
        (field_tool, with_the_word_in_its_state(), "controllers", {"se_group": 0.0, "se": 0.0}),
    ],
    ids=["an-error", "failed-engines", "left-behind", "controllers-alone"],
)
async def test_an_upgrade_is_not_done_where_a_script_says_so(
    tmp_path: Path,
    judge: Callable[[Units], bool],
    spec: ControllerSpec,
    moment: Moment | None,
    left_behind: dict[str, float],
) -> None:
    async with upgrade_night(tmp_path, [spec], step_s=60.0) as (daemon, night):
        if moment:
            await night.go_to(moment, after_s=10.0)
        units = await UnitClient(night.controller).units("?page_size=200")
        assert judge(units), "the script says success"
        await polled(daemon, "dc1", 2)
        shown = await units_of(daemon)
        assert shown[0]["node_type"] == "NODE_CONTROLLER_CLUSTER"
        assert judge(shown), "and so it does of the daemon's list"
        assert await verdict(daemon) == (0.0, left_behind)
        assert await told(daemon) == (False, left_behind)


@pytest.mark.parametrize("judge", [playbook, lab_script, field_tool])
async def test_an_upgrade_that_all_judges_call_done_is_done(tmp_path: Path, judge: Callable[[Units], bool]) -> None:
    async with upgrade_night(tmp_path, [SPEC], step_s=60.0) as (daemon, night):
        assert samples(await scrape(daemon), "avi_controller_upgrade_done") == [], "nothing was ever upgraded"
        await night.go_to("done", after_s=10.0)
        assert judge(await UnitClient(night.controller).units("?page_size=200"))
        await polled(daemon, "dc1", 2)
        assert judge(await units_of(daemon))
        assert await verdict(daemon) == (1.0, {"se_group": 0.0, "se": 0.0})
        assert await told(daemon) == (True, {"se_group": 0.0, "se": 0.0})


async def test_a_script_that_takes_the_first_unit_for_the_cluster_is_right_if_it_asks_the_daemon(
    tmp_path: Path,
) -> None:
    quick, slow = GroupSpec(name="quick", ses=1), GroupSpec(name="slow", ses=4)
    spec = replace(with_groups(quick, slow), units=UnitOptions(cluster_last=True))
    async with upgrade_night(tmp_path, [spec], step_s=60.0) as (daemon, night):
        await night.go_to("first_group", after_s=10.0)
        await polled(daemon, "dc1", 2)
        assert field_tool(await UnitClient(night.controller).units("?page_size=200")), "of the group that is done"
        assert not field_tool(await units_of(daemon))


async def test_an_upgrade_is_done_at_no_moment_before_its_end(tmp_path: Path) -> None:
    moments: tuple[Moment, ...] = ("checks", "controllers", "away", "back", "groups", "first_group")
    async with upgrade_night(tmp_path, step_s=60.0) as (daemon, night):
        seen = []
        for moment in moments:
            await night.go_to(moment)
            seen.append(samples(await scrape(daemon), "avi_controller_upgrade_done", controller="dc1"))
        await night.go_to("done")
        last = labels_of(await exposition(daemon), "avi_controller_upgrade_done")
    assert seen == [[0.0]] * len(moments)
    assert last == [{"controller": "dc1"}]


async def units_of(daemon: Daemon) -> Units:
    """The units as the daemon lists them."""
    units: Units = (await ask(daemon, "GET", "/api/upgradestatusinfo", token="")).json["results"]
    return units


async def told(daemon: Daemon) -> tuple[bool, dict[str, float]]:
    """The same as `verdict`, as the event stream tells it."""
    async with reading(daemon) as reader:
        message = await reader.next()
    assert message
    (upgrade,) = (part["upgrade"] for part in message["parts"])
    return upgrade["done"], upgrade["left_behind"]


async def verdict(daemon: Daemon) -> tuple[float, dict[str, float]]:
    """Whether the upgrade is done, and how many units were left behind, by kind."""
    series = await exposition(daemon)
    name = "avi_controller_upgrade_left_behind"
    behind = {dict(labels)["kind"]: value for (each, labels), value in series.items() if each == name}
    return series["avi_controller_upgrade_done", (("controller", "dc1"),)], behind
