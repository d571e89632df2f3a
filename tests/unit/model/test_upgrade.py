"""What the fields of a unit mean: versions, operations, what moves, what a budget drops, and what can stall."""

from typing import get_args

import pytest
from msgspec.structs import replace

from monitor.model.upgrade import Checks, Engines, OperationName, UnitKind, Upgrade, UpgradeState, Version

TAG, OTHER_BUILD, OLD = "31.2.2-9123-20250615.024303", "31.2.2-9124-20250701.101010", "30.2.1-9053-20240610.111213"
NEEDS_AN_OPERATOR = {"check_failed", "suspended", "failed"}
ACTIVE = {"queued", "checking", "running", "aborting"}


def unit(kind: UnitKind = "se_group", state: UpgradeState = "running", operation: OperationName = "upgrade") -> Upgrade:
    return Upgrade(uuid="u1", kind=kind, state=state, operation=operation)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (TAG, TAG, True),
        (TAG, OTHER_BUILD, False),
        (TAG, OLD, False),
        (TAG, "31.2.2", True),
        ("31.2.2", "31.2.2", True),
        (TAG, "31.2.20", False),
        (TAG, "", False),
        ("", "", False),
    ],
)
def test_two_versions_are_of_one_build(one: str, other: str, same: bool) -> None:
    assert Version(one, "2p1").is_build_of(Version(other)) is same
    assert Version(other).is_build_of(Version(one, "2p1")) is same


@pytest.mark.parametrize("state", get_args(UpgradeState))
def test_a_state_is_active_or_needs_an_operator_or_neither(state: UpgradeState) -> None:
    found = unit(state=state)
    assert (found.active, found.failed) == (state in ACTIVE, state in NEEDS_AN_OPERATOR)
    assert not (found.state in Upgrade.COMPLETED_STATES and (found.active or found.failed))


def test_a_unit_is_identified_by_its_uuid_and_kind() -> None:
    assert unit("controller").identity == ("u1", "controller")


@pytest.mark.parametrize(
    ("operation", "evaluation", "state", "rolls_back"),
    [
        ("rollback", False, "running", True),
        ("rollback_patch", False, "queued", True),
        ("upgrade", False, "aborting", True),
        ("upgrade", False, "running", False),
        ("rollback", False, "completed", False),
        ("rollback", True, "queued", False),
    ],
)
def test_a_unit_rolls_back(operation: OperationName, evaluation: bool, state: UpgradeState, rolls_back: bool) -> None:
    assert replace(unit(operation=operation, state=state), evaluation=evaluation).rolls_back is rolls_back


@pytest.mark.parametrize(
    ("operation", "evaluation", "state", "only_checks"),
    [
        ("upgrade", False, "checking", True),
        ("upgrade", True, "queued", True),
        ("dry_run", False, "queued", True),
        ("upgrade", False, "queued", False),
        ("upgrade", True, "checked", False),
    ],
)
def test_a_unit_only_checks(operation: OperationName, evaluation: bool, state: UpgradeState, only_checks: bool) -> None:
    assert replace(unit(operation=operation, state=state), evaluation=evaluation).only_checks is only_checks


@pytest.mark.parametrize(
    ("kind", "state", "order"),
    [
        ("se", "failed", 0),
        ("se_group", "idle", 1),
        ("se_group", "completed", 1),
        ("se_group", "suspended", 2),
        ("se_group", "running", 2),
        ("unknown", "failed", 2),
        ("controller", "idle", 3),
    ],
)
def test_a_budget_drops_the_cluster_and_what_needs_attention_last(
    kind: UnitKind, state: UpgradeState, order: int
) -> None:
    assert (unit(kind, state).drop_order, unit(kind, state).never_dropped) == (order, order > 1)


LISTED = Engines(listed=True, completed=("a", "b"))


@pytest.mark.parametrize(
    ("changed", "moves"),
    [
        pytest.param(replace(unit(), engines=replace(LISTED, completed=("b", "a"))), False, id="another order"),
        pytest.param(replace(unit(), engines=LISTED, notes=("x",), duration_s=5.0), False, id="notes and duration"),
        pytest.param(replace(unit(), engines=replace(LISTED, in_progress=("c",))), True, id="a service engine"),
        pytest.param(replace(unit(), engines=replace(LISTED, virtual_services_disrupted=1)), True, id="disruption"),
        pytest.param(replace(unit(), engines=LISTED, checks=Checks(checks_completed=1)), True, id="a check"),
        pytest.param(replace(unit(), engines=LISTED, fsm="UPGRADE_FSM_WAITING"), True, id="the state told"),
        pytest.param(replace(unit(), engines=LISTED, version=Version(TAG)), True, id="the version"),
        pytest.param(replace(unit(), engines=LISTED, operation="resume"), True, id="the operation"),
    ],
)
def test_what_moves_besides_progress(changed: Upgrade, *, moves: bool) -> None:
    assert (changed.moving_parts != replace(unit(), engines=LISTED).moving_parts) is moves


@pytest.mark.parametrize(
    ("found", "can_stall"),
    [
        pytest.param(replace(unit(), progress_ratio=0.5), True, id="progress"),
        pytest.param(replace(unit(), engines=LISTED), True, id="lists"),
        pytest.param(replace(unit(), engines=Engines()), False, id="nothing that moves"),
        pytest.param(unit(state="checking"), True, id="checks"),
        pytest.param(replace(unit(state="queued"), progress_ratio=0.0, engines=LISTED), False, id="its turn"),
        pytest.param(replace(unit(state="suspended"), progress_ratio=0.5, engines=LISTED), False, id="an operator"),
        pytest.param(
            Upgrade(
                uuid="c", kind="controller", state="running", fsm="UPGRADE_FSM_CONTROLLER_COMPLETED", tasks_completed=9
            ),
            False,
            id="the SE groups",
        ),
    ],
)
def test_a_unit_can_stall_while_it_does_something(found: Upgrade, *, can_stall: bool) -> None:
    assert found.can_stall is can_stall


@pytest.mark.parametrize(
    ("kind", "fsm", "done"),
    [
        ("controller", "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS", True),
        ("controller", "UPGRADE_FSM_CONTROLLER_COMPLETED", True),
        ("controller", "UPGRADE_FSM_IN_PROGRESS", False),
        ("se_group", "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS", False),
    ],
)
def test_the_controllers_of_a_cluster_are_done_while_its_operation_goes_on(
    kind: UnitKind, fsm: str, *, done: bool
) -> None:
    assert replace(unit(kind), fsm=fsm).controllers_done is done
