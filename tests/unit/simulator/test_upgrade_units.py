"""The units of one simulated Controller, from a plan and a time."""

from itertools import pairwise
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.simulator.random_values import SeededRandom
from monitor.simulator.upgrade_groups import SE_STATES
from monitor.simulator.upgrade_objects import Build, make_groups
from monitor.simulator.upgrade_plan import UpgradePlan
from monitor.simulator.upgrade_specs import CheckSpec, GroupSpec, UnitOptions, UpgradeSpec
from monitor.simulator.upgrade_units import Units
from tests.support.strategies import BOUNDED

START = 1_740_000_000.0
NODES = ("10.0.0.11", "10.0.0.12", "10.0.0.13")
OLD, NEW = Build("30.2.1-9114-20240826.101010", "image-old"), Build("31.2.2-9000-20250826.101010", "image-new")
AS_RECORDED = UnitOptions()
ENDED = {"UPGRADE_FSM_COMPLETED", "UPGRADE_FSM_ABORTED"}

GROUPS = st.builds(
    GroupSpec,
    ses=st.integers(0, 6),
    at_once=st.integers(1, 3),
    outcome=st.sampled_from(("completed", "suspended", "failed_ses_continue", "stuck_se", "left_behind")),
    resumed_after_s=st.sampled_from((0.0, 300.0)),
)
SPECS = st.builds(
    UpgradeSpec,
    operation=st.sampled_from(("UPGRADE", "PATCH", "ROLLBACK", "EVAL_UPGRADE")),
    system=st.booleans(),
    groups_at_once=st.integers(0, 2),
    groups_after_s=st.sampled_from((0.0, 100.0)),
    checks=st.builds(CheckSpec, warnings=st.integers(0, 3), errors=st.integers(0, 2)),
    outcome=st.sampled_from(("completed", "check_error", "check_warning_waits", "controller_failed", "never_back")),
    dry_run=st.booleans(),
)
OFFSETS = st.lists(st.floats(-10.0, 3_000.0), min_size=1, max_size=6).map(sorted)


def make_units(spec: UpgradeSpec | None, *groups: GroupSpec, options: UnitOptions = AS_RECORDED) -> Units:
    made = make_groups(groups, SeededRandom("7"))
    plan = UpgradePlan(spec, START, NODES, groups) if spec else None
    return Units(NODES[0], "cluster-1234", START, made, OLD, NEW, {}, plan, options)


def at(units: Units, offset: float) -> dict[str, dict[str, Any]]:
    return {unit["uuid"]: unit for unit in units.objects(START + offset)}


def cluster(units: Units, offset: float) -> dict[str, Any]:
    return at(units, offset)["cluster-1234"]


@BOUNDED
@given(spec=SPECS, groups=st.lists(GROUPS, max_size=3), offsets=OFFSETS)
def test_versions_states_and_lists_agree_at_any_time(
    spec: UpgradeSpec, groups: list[GroupSpec], offsets: list[float]
) -> None:
    units = make_units(spec, *groups)
    for offset in offsets:
        for unit in at(units, offset).values():
            state = unit["state"]["state"]
            assert ("end_time" in unit) == (state in {*ENDED, "UPGRADE_FSM_ERROR"})
            assert unit["version"] in {OLD.tag, NEW.tag}
            assert state != "UPGRADE_FSM_COMPLETED" or unit["version"] == NEW.tag
            if unit["node_type"] == "NODE_SE_GROUP" and "state" in unit["seg_status"]:
                lists = [unit["seg_status"].get(f"se_upgrade_{state}", []) for state in SE_STATES]
                assert sorted(ref for refs in lists for ref in refs) == sorted({ref for refs in lists for ref in refs})
                assert sum(map(len, lists)) == unit["seg_status"]["num_se"]


@BOUNDED
@given(spec=SPECS, offsets=OFFSETS)
def test_progress_of_the_cluster_never_decreases(spec: UpgradeSpec, offsets: list[float]) -> None:
    units = make_units(spec)
    found = [cluster(units, offset) for offset in offsets if offset >= 0]
    assert all(before["progress"] <= after["progress"] for before, after in pairwise(found))


def test_units_at_rest_are_as_recorded() -> None:
    units = make_units(None, GroupSpec(ses=1), GroupSpec(cloud="aws", ses=0))
    first, group, engine, other = units.objects(START)
    assert [unit["node_type"] for unit in (first, group, engine, other)] == [
        "NODE_CONTROLLER_CLUSTER", "NODE_SE_GROUP", "NODE_SE_TYPE", "NODE_SE_GROUP",
    ]  # fmt: skip
    assert (first["system"], first["progress"], first["previous_version"]) == (True, 0, "")
    assert isinstance(first["state"]["last_changed_time"]["secs"], int)
    assert engine["state"]["last_changed_time"] == {"secs": "1734816000", "usecs": "104598000"}, "nanoseconds"
    assert group["seg_status"] == {"notes": ["2024-12-21 21:20:00 Init segroup(Default-Group)"]}
    assert {unit["state"]["state"] for unit in (first, group, engine)} == {"UPGRADE_FSM_INIT"}
    assert group["name"] == other["name"]
    assert engine["uuid"].startswith("se-i-")


def test_a_whole_upgrade_has_these_states() -> None:
    units = make_units(UpgradeSpec(), GroupSpec(ses=2))
    seen = [cluster(units, offset)["state"]["state"] for offset in (-1, 0, 10, 31, 100, 400, 520, 700)]
    assert seen == [
        "UPGRADE_FSM_INIT", "UPGRADE_PRE_CHECK_STARTED", "UPGRADE_PRE_CHECK_IN_PROGRESS", "UPGRADE_FSM_STARTED",
        "UPGRADE_FSM_IN_PROGRESS", "UPGRADE_FSM_IN_PROGRESS", "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS",
        "UPGRADE_FSM_COMPLETED",
    ]  # fmt: skip
    ended = cluster(units, 700)
    assert (ended["version"], ended["previous_version"], ended["enable_rollback"]) == (NEW.tag, OLD.tag, True)
    assert set(units.users(START + 700)) == {"image-old", "image-new"}


@pytest.mark.parametrize(
    ("outcome", "states", "lists"),
    [
        ("suspended", {"UPGRADE_FSM_SUSPENDED"}, {"completed": 2, "suspended": 1, "not_started": 1}),
        ("failed_ses_continue", {"UPGRADE_FSM_COMPLETED"}, {"completed": 3, "failed": 1}),
        ("stuck_se", {"UPGRADE_FSM_IN_PROGRESS"}, {"completed": 2, "in_progress": 1, "not_started": 1}),
        ("left_behind", {"UPGRADE_FSM_INIT"}, {}),
    ],
)
def test_a_group_ends_as_its_spec_says(outcome: Any, states: set[str], lists: dict[str, int]) -> None:  # noqa: ANN401
    units = make_units(UpgradeSpec(), GroupSpec(ses=4, outcome=outcome))
    group = next(unit for unit in at(units, 5_000).values() if unit["node_type"] == "NODE_SE_GROUP")
    assert {group["state"]["state"]} == states
    found = {state: group["seg_status"].get(f"se_upgrade_{state}", []) for state in SE_STATES}
    assert {state: len(refs) for state, refs in found.items() if refs} == lists
    bad = [*found["failed"], *found["suspended"]]
    assert [error["se_ref"] for error in group["seg_status"].get("se_upgrade_errors", [])] == bad
    assert all(ref.rpartition("#")[2] in group["state"]["reason"] for ref in bad)


def test_a_failed_migration_rolls_back_to_the_old_version() -> None:
    units = make_units(UpgradeSpec(outcome="controller_failed"), GroupSpec(ses=1))
    assert cluster(units, 300)["state"]["state"] == "UPGRADE_FSM_ABORT_IN_PROGRESS"
    ended = cluster(units, 5_000)
    assert (ended["state"]["state"], ended["version"]) == ("UPGRADE_FSM_ABORTED", OLD.tag)
    assert "10.0.0.13" in ended["reason"]
    failed = [event for events in ended["upgrade_events"] for event in events["sub_events"] if event["status"] is False]
    assert [event["ip"]["addr"] for event in failed] == ["10.0.0.13"]


def test_groups_wait_for_their_turn() -> None:
    waiting = (GroupSpec(ses=1), GroupSpec(ses=2, outcome="left_behind"), GroupSpec(ses=2), GroupSpec(ses=1))
    units = make_units(UpgradeSpec(groups_at_once=1), *waiting)

    def groups(offset: float) -> list[str]:
        found = [unit for unit in at(units, offset).values() if unit["node_type"] == "NODE_SE_GROUP"]
        return [unit["state"]["state"].removeprefix("UPGRADE_FSM_") for unit in found]

    assert groups(520) == ["IN_PROGRESS", "INIT", "ENQUEUED", "ENQUEUED"]
    assert groups(600) == ["COMPLETED", "INIT", "IN_PROGRESS", "ENQUEUED"]
    assert groups(700) == ["COMPLETED", "INIT", "COMPLETED", "IN_PROGRESS"]
    assert cluster(units, 700)["state"]["state"] == "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS"
    assert cluster(units, 800)["state"]["state"] == "UPGRADE_FSM_COMPLETED"
    waits = [unit for unit in at(units, 520).values() if unit["state"]["state"] == "UPGRADE_FSM_ENQUEUED"]
    assert all("enqueue_time" in unit and "start_time" not in unit for unit in waits)


@pytest.mark.parametrize(("outcome", "next_one"), [("stuck_se", "ENQUEUED"), ("suspended", "COMPLETED")])
def test_a_group_that_is_stuck_holds_the_next_one_up(outcome: Any, next_one: str) -> None:  # noqa: ANN401
    units = make_units(UpgradeSpec(groups_at_once=1), GroupSpec(ses=3, outcome=outcome), GroupSpec(ses=1))
    last = [unit for unit in at(units, 5_000).values() if unit["node_type"] == "NODE_SE_GROUP"][-1]
    assert last["state"]["state"] == f"UPGRADE_FSM_{next_one}"


@BOUNDED
@given(spec=SPECS, groups=st.lists(GROUPS, max_size=3), offsets=OFFSETS)
def test_a_unit_changes_only_when_it_says_so(spec: UpgradeSpec, groups: list[GroupSpec], offsets: list[float]) -> None:
    units = make_units(spec, *groups)
    for before, after in pairwise(at(units, offset) for offset in offsets):
        for uuid, unit in after.items():
            assert (unit == before[uuid]) == (unit["_last_modified"] == before[uuid]["_last_modified"])


def test_what_is_not_known_of_controllers_is_an_option() -> None:
    running = make_units(
        UpgradeSpec(),
        options=UnitOptions(fsm="UPGRADE_FSM_NEW", task="NewTask", running_status=False, history=10),
    )
    unit = cluster(running, 100)
    assert unit["state"]["state"] == "UPGRADE_FSM_NEW"
    assert {events["task_name"] for events in unit["upgrade_events"]} == {"NewTask"}
    assert unit["upgrade_events"][-1]["sub_events"][0]["status"] is False
    assert len(unit["history"]) == 10
    ended = make_units(UpgradeSpec(), GroupSpec(ses=2), options=UnitOptions(ends_without_status=True, duration="clock"))
    assert "status" not in cluster(ended, 100)["upgrade_events"][0]["sub_events"][0]
    group = next(unit for unit in at(ended, 5_000).values() if unit["node_type"] == "NODE_SE_GROUP")
    assert (group["seg_status"]["duration"], group["duration"]) == ("0:02:00", 120)
    odd = UnitOptions(cluster_last=True, stale_cluster=True, old_error_s=7e7)
    last = make_units(None, GroupSpec(ses=0), options=odd).objects(START)
    assert [each["node_type"] for each in last[1:]] == ["NODE_CONTROLLER_CLUSTER"] * 2
    assert [each["state"]["state"] for each in last[1:]] == ["UPGRADE_FSM_IN_PROGRESS", "UPGRADE_FSM_ERROR"]
    gone = make_units(UpgradeSpec(), GroupSpec(ses=3), options=UnitOptions(vanishing=True))
    assert (len(at(gone, -1)), len(at(gone, 0))) == (5, 2)


def test_pre_checks_are_counted_and_name_what_is_wrong() -> None:
    units = make_units(UpgradeSpec(outcome="check_error", checks=CheckSpec(warnings=2, errors=1)))
    half, ended = cluster(units, 15)["upgrade_readiness"], cluster(units, 5_000)["upgrade_readiness"]
    assert (half["checks_completed"], half["total_checks"]) == (10, 20)
    assert ended["state"]["state"] == "UPGRADE_PRE_CHECK_ERROR"
    assert [check["state"].rpartition("_")[2] for check in ended["checks"]] == ["ERROR", "WARNING", "WARNING"]


def test_a_dry_run_changes_nothing_but_its_own_state() -> None:
    units = make_units(UpgradeSpec(dry_run=True))
    unit = cluster(units, 5_000)
    assert (unit["state"]["state"], unit["version"]) == ("UPGRADE_FSM_INIT", OLD.tag)
    assert (unit["dryrun_info"]["state"]["state"], unit["dryrun_info"]["worker"]) == (
        "UPGRADE_FSM_COMPLETED",
        NODES[-1],
    )


def test_what_a_client_notices_is_in_order() -> None:
    spec = UpgradeSpec(version="31.2.2", bad_gateway_s=20.0, portal_restart_s=60.0)
    plan = UpgradePlan(spec, START, NODES, (GroupSpec(ses=1),))
    events = plan.timeline(zero=START)
    assert [event.kind for event in events] == [
        "upgrading", "down", "unready", "bad_gateway", "ready", "upgrading", "upgraded", "bad_gateway", "ready",
    ]  # fmt: skip
    assert [event.version for event in events if event.version] == ["31.2.2"]
    assert [event.at for event in events] == sorted(event.at for event in events)
    never = UpgradePlan(UpgradeSpec(outcome="never_back"), START, NODES, ())
    assert [event.kind for event in never.timeline(zero=START)] == ["upgrading", "down"]
    assert never.end == inf
