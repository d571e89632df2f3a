"""When a wait for an upgrade ends, and how: each cell of the table of ``--until``."""

from collections.abc import Mapping
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.cli.api.view import FleetView, apply
from monitor.cli.output.upgrade_judge import GRACE_S, Failed, Lost, NotBegun, Succeeded, Verdict, Waiting, judge
from monitor.cli.output.upgrade_wait import BEGIN_WITHIN_S, Seen, Wait
from monitor.model.upgrade import UpgradeState
from tests.support.stream_messages import DOWN, NOW, UP, state
from tests.support.stream_units import BEGAN, CLUSTER, GROUP, NEW, OLD, cluster, group, unit, units_part, upgrade

Units = tuple[dict[str, object], ...]
Step = tuple[dict[str, object], Units] | tuple[dict[str, object], Units, Mapping[str, Any]]

CHECKED, CONTROLLERS, COMPLETED = (Wait(until=until) for until in ("checked", "controllers", "completed"))
OLD_END: Step = (upgrade(done=True), (cluster("completed", key="1"), group("completed", key="1")))
"""What an upgrade left that ended long ago."""
NEVER: Step = (upgrade(), (cluster("idle"), group("idle")))
CHECKS: Step = (upgrade("checking", done=False), (cluster("checking", key="2"), group("idle")))
RUNNING: Step = (upgrade("controllers", done=False), (cluster("running", key="2"), group("idle")))
SE_PHASE: dict[str, Any] = {"fsm": "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS", "version": NEW, "key": "2"}
CONTROLLERS_DONE = cluster("running", **SE_PHASE)
GROUPS: Step = (
    upgrade("service_engines", done=False),
    (CONTROLLERS_DONE, group("running", key="2", engines={"in_progress": 1, "not_started": 2})),
)
DONE: Step = (
    upgrade(done=True),
    (cluster("completed", key="2", version=NEW), group("completed", key="2", version=NEW, engines={"completed": 3})),
)


def ended(cluster_state: str, group_state: str, *, version: str = NEW, **of_group: Any) -> Step:  # noqa: ANN401
    """An upgrade that has ended, and is not done."""
    told: dict[str, Any] = {"version": version, "key": "2", "started_at": BEGAN, **of_group}
    units = (cluster(cluster_state, key="2", version=NEW), group(group_state, **told))
    return upgrade(done=False, left_behind={"se_group": 1}), units


def of_cluster(state: str, phase: str = "none", *, key: str = "2", **more: Any) -> Step:  # noqa: ANN401
    return upgrade(phase, done=False), (cluster(state, key=key, **more), group("idle"))


def play(wait: Wait, *steps: Step, every_s: float = 1.0) -> Verdict:
    """Return the verdict after the last of these states, of which each is seen so many seconds after the one before."""
    view, seen = FleetView(), Seen()
    verdict: Verdict = Waiting()
    for number, (status, units, *health) in enumerate(steps):
        part = units_part("dc1", *units, status=status, health=health[0] if health else UP)
        view, _ = apply(view, state(part), received_at=0.0)
        seen, verdict = judge(wait, seen, view.controllers["dc1"], now=NOW + number * every_s)
        if not isinstance(verdict, Waiting):
            assert number == len(steps) - 1, f"{verdict} at step {number}"
    return verdict


STORIES: dict[str, tuple[Wait, tuple[Step, ...], Verdict | type[Verdict]]] = {
    # checked
    "checks passed": (CHECKED, (NEVER, CHECKS, of_cluster("checked")), Succeeded()),
    "checks warned": (CHECKED, (CHECKS, of_cluster("checked", checks={"warnings": 1})), Succeeded()),
    "checks warned, strictly": (
        Wait(until="checked", strict=True),
        (CHECKS, of_cluster("checked", checks={"warnings": 1})),
        Failed("cluster-0-1: its pre-checks ended with 1 warning"),
    ),
    "a warning without counts": (
        Wait(until="checked", strict=True),
        (CHECKS, of_cluster("checked", fsm="UPGRADE_PRE_CHECK_WARNING")),
        Failed("cluster-0-1: its pre-checks ended with a warning"),
    ),
    "checks failed": (
        CHECKED,
        (CHECKS, of_cluster("check_failed", checks={"warnings": 2, "errors": 1}, reason="no disk")),
        Failed("cluster-0-1: check failed: 1 error, 2 warnings: no disk"),
    ),
    "the upgrade went on": (CHECKED, (CHECKS, RUNNING), Succeeded()),
    "checks wait for their turn": (CHECKED, (OLD_END, of_cluster("queued", "checking")), Waiting()),
    "checks of a group": (
        CHECKED,
        (
            OLD_END,
            (upgrade("checking"), (OLD_END[1][0], group("checking", key="2"))),
            (upgrade(), (OLD_END[1][0], group("checked", key="2"))),
        ),
        Succeeded(),
    ),
    "checks that left nothing but counts": (
        CHECKED, (CHECKS, of_cluster("idle", checks={"state": "completed", "checks": 20})), Succeeded()
    ),
    "checks that left nothing": (CHECKED, (CHECKS, of_cluster("idle")), Waiting(NOW + 1 + BEGIN_WITHIN_S)),
    "a group that is suspended since long ago": (
        CHECKED, ((OLD_END[0], (OLD_END[1][0], group("suspended", key="1"))),), Waiting(NOW + BEGIN_WITHIN_S)
    ),
    "old checks": (CHECKED, (of_cluster("checked"),), Waiting(NOW + BEGIN_WITHIN_S)),
    "old checks of this version": (
        Wait(until="checked", version=NEW), (of_cluster("checked", target=f"{NEW}-9123-20250615"),), Succeeded()
    ),
    "old checks of another version": (
        Wait(until="checked", version=NEW), (of_cluster("checked", target="31.2.20-1"),), Waiting(NOW + BEGIN_WITHIN_S)
    ),
    # controllers
    "the Controllers are done": (CONTROLLERS, (OLD_END, RUNNING, GROUPS), Succeeded()),
    "the Controllers alone are upgraded": (
        CONTROLLERS, (RUNNING, of_cluster("running", fsm="UPGRADE_FSM_CONTROLLER_COMPLETED", version=NEW)), Succeeded()
    ),
    "the Controllers are away": (CONTROLLERS, (RUNNING, (upgrade("away"), RUNNING[1], DOWN)), Waiting()),
    "the Controllers are done, but away again": (CONTROLLERS, (RUNNING, (*GROUPS, DOWN)), Waiting()),
    "the Controllers completed at the old version": (
        CONTROLLERS, (RUNNING, of_cluster("completed")), Waiting(NOW + 1 + GRACE_S)
    ),
    "the Controllers completed at another version than wanted": (
        Wait(until="controllers", version="31.1.1"), (RUNNING, of_cluster("completed", version=NEW)),
        Waiting(NOW + 1 + GRACE_S),
    ),
    "the Controllers are at the version already": (
        Wait(until="controllers", version=NEW), (of_cluster("idle", version=NEW),), Succeeded()
    ),
    "the Controllers had completed": (CONTROLLERS, (OLD_END,), Waiting(NOW + BEGIN_WITHIN_S)),
    "the Controllers failed": (
        CONTROLLERS, (RUNNING, of_cluster("failed", reason="MigrateConfig")),
        Failed("cluster-0-1: failed: MigrateConfig"),
    ),
    "the Controllers abort": (CONTROLLERS, (RUNNING, of_cluster("aborting", "rolling_back")), Waiting()),
    "pre-checks failed before": (CONTROLLERS, (RUNNING, of_cluster("check_failed")), Failed),
    "a group does not matter": (
        CONTROLLERS, (OLD_END, (upgrade("service_engines"), (OLD_END[1][0], group("failed", key="2")))),
        Waiting(NOW + BEGIN_WITHIN_S),
    ),
    # completed
    "done": (COMPLETED, (NEVER, CHECKS, RUNNING, GROUPS, DONE), Succeeded()),
    "done between two looks": (COMPLETED, (OLD_END, DONE), Succeeded()),
    "done long ago": (COMPLETED, (OLD_END,), Waiting(NOW + BEGIN_WITHIN_S)),
    "already at the version": (Wait(until="completed", version=OLD), (OLD_END,), Succeeded()),
    "already at the build": (Wait(until="completed", version="30.2.1-9114"), (OLD_END,), Succeeded()),
    "already at another version": (
        Wait(until="completed", version="30.2"), (OLD_END,), Waiting(NOW + BEGIN_WITHIN_S)
    ),
    "at the version, and another operation is under way": (
        Wait(until="completed", version=OLD),
        ((upgrade("checking", done=True), (OLD_END[1][0], group("checking"))),),
        Waiting(),
    ),
    "done at another version than wanted": (
        Wait(until="completed", version="31.1.1"), (RUNNING, DONE), Waiting(NOW + 1 + GRACE_S)
    ),
    "a group failed": (
        COMPLETED, (GROUPS, (GROUPS[0], (GROUPS[1][0], group("failed", key="2", reason="SE 3 is away")))),
        Failed("internet@aws: failed: SE 3 is away"),
    ),
    "a group had failed before the wait": (
        COMPLETED, ((GROUPS[0], (GROUPS[1][0], group("failed", started_at=BEGAN + 1))),), Failed("internet@aws: failed")
    ),
    "a group failed years ago": (
        COMPLETED, ((GROUPS[0], (GROUPS[1][0], group("failed", started_at=1.0))),), Waiting()
    ),
    "a group failed in the upgrade before": (
        COMPLETED,
        ((upgrade("controllers"), (cluster("queued", key="2", started_at=1.0), group("failed", started_at=2.0))),),
        Waiting(),
    ),
    "a group is suspended": (
        COMPLETED, (GROUPS, (GROUPS[0], (GROUPS[1][0], group("suspended", key="2")))), Failed("internet@aws: suspended")
    ),
    "through a suspended group": (
        Wait(until="completed", through_suspended=True),
        (GROUPS, (upgrade("suspended"), (GROUPS[1][0], group("suspended", key="2"))), GROUPS, DONE), Succeeded(),
    ),
    "a suspended group for hours": (
        Wait(until="completed", through_suspended=True),
        (GROUPS, (upgrade("suspended"), (DONE[1][0], group("suspended", key="2")))), Waiting(),
    ),
    "completed with a failed Service Engine": (
        COMPLETED, (GROUPS, ended("completed", "completed", engines={"completed": 2, "failed": 1})),
        Failed("internet@aws: completed, but 1 of 3 Service Engines failed"),
    ),
    "a failed Service Engine while the group goes on": (
        COMPLETED, (GROUPS, (GROUPS[0], (GROUPS[1][0], group("running", key="2", engines={"failed": 1})))), Waiting()
    ),
    "a group has not followed yet": (
        COMPLETED, (RUNNING, ended("completed", "idle", version=OLD)), Waiting(NOW + 1 + GRACE_S)
    ),
    "aborted": (
        COMPLETED, (RUNNING, of_cluster("aborting", "rolling_back"), of_cluster("failed", reason="aborted")),
        Failed("cluster-0-1: failed: aborted"),
    ),
    "rolled back by an operator": (
        COMPLETED,
        (
            RUNNING,
            of_cluster("running", "rolling_back", operation="rollback"),
            (upgrade(done=True), (cluster("completed", key="3", operation="rollback"),)),
        ),
        Failed("cluster-0-1: rolled back, at 30.2.1"),
    ),
    "a rollback is waited for": (
        COMPLETED,
        (
            of_cluster("running", "rolling_back", operation="rollback"),
            (upgrade(done=True), (cluster("completed", key="2", operation="rollback"), group("idle"))),
        ),
        Succeeded(),
    ),
    "a rollback is waited for that is checked first": (
        COMPLETED,
        (
            of_cluster("checking", "checking", operation="eval_rollback"),
            (upgrade(done=True), (cluster("completed", key="2", operation="rollback"), group("idle"))),
        ),
        Succeeded(),
    ),
    "done long ago, which the Controller tells in full later": (
        COMPLETED, ((OLD_END[0], (cluster("completed"),)), OLD_END, OLD_END), Waiting(NOW + BEGIN_WITHIN_S)
    ),
    "only its checks were done": (COMPLETED, (CHECKS, of_cluster("checked")), Waiting(NOW + 1 + BEGIN_WITHIN_S)),
    "a word that is not known": (COMPLETED, (RUNNING, of_cluster("unknown")), Waiting()),
    "done, but a group has begun again": (
        COMPLETED, (OLD_END, (upgrade("service_engines", done=True), (DONE[1][0], group("queued", key="1")))), Waiting()
    ),
    "a group of its own night": (
        COMPLETED,
        (
            (upgrade("service_engines", done=False), (OLD_END[1][0], group("running", key="2"))),
            (upgrade(done=True), (OLD_END[1][0], group("completed", key="2"))),
        ),
        Succeeded(),
    ),
    "the daemon has just started": (COMPLETED, (GROUPS, (upgrade(None), ())), Waiting()),
    "it cannot be polled": (COMPLETED, ((*OLD_END, DOWN),), Waiting()),
    "upgrades cannot be read": (COMPLETED, ((upgrade(None, readable=False), ()),), Lost),
}  # fmt: skip


@pytest.mark.parametrize(("wait", "steps", "expected"), STORIES.values(), ids=STORIES)
def test_the_verdict_when(wait: Wait, steps: tuple[Step, ...], expected: Verdict | type[Verdict]) -> None:
    verdict = play(wait, *steps)
    assert verdict == expected if not isinstance(expected, type) else isinstance(verdict, expected)


@pytest.mark.parametrize("until", ["checked", "controllers", "completed"])
@pytest.mark.parametrize("before", [OLD_END, NEVER], ids=["completed-long-ago", "never-upgraded"])
def test_what_was_done_before_never_satisfies_a_wait(until: Any, before: Step) -> None:  # noqa: ANN401
    verdict = play(Wait(until=until), before, before, every_s=BEGIN_WITHIN_S)
    assert isinstance(verdict, NotBegun)
    assert ("no pre-checks began" if until == "checked" else "no upgrade began") in verdict.reason


def test_nothing_has_begun_in_time_names_what_there_is() -> None:
    waiting = Wait(until="completed", begin_within_s=60.0)
    checked = of_cluster("checked", checks={"warnings": 2})
    assert play(waiting, checked, checked, every_s=60.0) == NotBegun(
        "no upgrade began; cluster-0-1 is checked at 30.2.1, its pre-checks with 2 warnings"
    )
    lonely = (upgrade(cluster=""), (group("idle"),))
    assert play(waiting, lonely, lonely, every_s=60.0) == NotBegun(
        "no upgrade began; the daemon knows no cluster of Controllers"
    )


def test_a_controller_that_is_away_is_waited_for_before_and_after_the_beginning() -> None:
    away = (*OLD_END, DOWN)
    assert play(COMPLETED, OLD_END, away, away, OLD_END, every_s=BEGIN_WITHIN_S) == Waiting(NOW + 4 * BEGIN_WITHIN_S)
    gone = (upgrade("away", done=False), RUNNING[1], DOWN)
    assert play(COMPLETED, RUNNING, gone, gone, gone, GROUPS, DONE, every_s=3600.0) == Succeeded()


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (ended("completed", "completed", version=OLD), "internet@aws: completed, still at 30.2.1, not 31.2.2"),
        (ended("completed", "idle", started_at=None), "internet@aws: idle"),
        ((upgrade(cluster=""), (group("completed", key="2"),)), "the daemon knows no cluster of Controllers"),
        (
            (upgrade(done=False, left_behind={"se": 2}), (*DONE[1], unit("se-1", "se", "idle"))),
            "se-1: idle, still at 30.2.1, not 31.2.2",
        ),
        ((upgrade(done=False, left_behind={"se": 2}), DONE[1]), "left behind: 2 se"),
        ((upgrade(done=False), (*DONE[1], unit("se-1", "se", "idle"))), "the daemon does not call it done"),
        (of_cluster("completed"), "cluster-0-1: completed, at 30.2.1, not 31.2.2"),
    ],
)  # fmt: skip
def test_what_keeps_an_ended_upgrade_from_being_done_is_named(step: Step, reason: str) -> None:
    before = [RUNNING] if step[0]["cluster"] else [(GROUPS[0], (group("running", key="2"),))]
    verdict = play(COMPLETED, *before, step, step, every_s=GRACE_S)
    assert isinstance(verdict, Failed)
    assert verdict.reason.startswith(reason)


def test_units_without_a_system_upgrade_are_not_named_unless_they_took_part() -> None:
    separate: dict[str, Any] = {"system": False, "version": NEW, "key": "2"}
    old = group("idle", "serviceenginegroup-2", name="later")
    late = (upgrade(done=False), (cluster("completed", **separate), group("completed", key="2", started_at=NOW), old))
    verdict = play(COMPLETED, RUNNING, late, late, every_s=GRACE_S)
    assert verdict == Failed("internet@aws: completed, still at 30.2.1, not 31.2.2")


def test_many_reasons_are_counted() -> None:
    groups = [group("failed", f"serviceenginegroup-{n}", key="2", started_at=NOW) for n in range(12)]
    verdict = play(COMPLETED, (GROUPS[0], (GROUPS[1][0], *groups)))
    assert isinstance(verdict, Failed)
    assert verdict.reason.endswith("; and 2 more")


def test_a_unit_that_appears_with_an_old_operation_has_not_begun() -> None:
    found = group("completed", "serviceenginegroup-2", key="1")
    assert play(COMPLETED, OLD_END, (OLD_END[0], (*OLD_END[1], found))) == Waiting(NOW + BEGIN_WITHIN_S)


@pytest.mark.parametrize("status", [None, upgrade()])
def test_a_controller_that_is_not_watched_is_lost(status: dict[str, object] | None) -> None:
    view, _ = apply(FleetView(), state(units_part("dc1", status=status)), received_at=0.0)
    controller = view.controllers["dc1"] if status is None else None
    _, verdict = judge(COMPLETED, Seen(), controller, now=NOW)
    what = "the upgrades of this controller" if status is None else "this controller"
    assert verdict == Lost(f"the daemon does not watch {what}")


STATES = st.sampled_from(get_args(UpgradeState))
KEYS = st.sampled_from(["", "1", "2"])
VERSIONS = st.sampled_from(["", OLD, NEW])
STEPS = st.lists(
    st.tuples(
        st.sampled_from([True, False, None]), st.tuples(STATES, KEYS, VERSIONS), st.tuples(STATES, KEYS, VERSIONS),
        st.sampled_from([UP, DOWN]), st.integers(0, 2000),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@given(until=st.sampled_from(["checked", "controllers", "completed"]), version=VERSIONS, steps=STEPS)
@settings(max_examples=300)
def test_whatever_is_seen_a_wait_never_succeeds_by_mistake(until: Any, version: str, steps: Any) -> None:  # noqa: ANN401
    view, seen, now = FleetView(), Seen(), NOW
    wait, begun = Wait(until=until, version=version), False
    keys: dict[object, object] = {}
    for done, (state_1, key_1, version_1), (state_2, key_2, version_2), health, later_s in steps:
        units = (cluster(state_1, key=key_1, version=version_1), group(state_2, key=key_2, version=version_2))
        view, _ = apply(
            view, state(units_part("dc1", *units, status=upgrade(done=done), health=health)), received_at=0.0
        )
        now += later_s
        begun |= any(
            shown["state"] in {"queued", "checking", "running", "aborting"}
            or (shown["state"] == "suspended" and until != "checked")
            or shown["operation_key"] not in {"", keys.setdefault(shown["uuid"], shown["operation_key"])}
            for shown in units
        )
        seen, verdict = judge(wait, seen, view.controllers["dc1"], now=now)
        if isinstance(verdict, Succeeded):
            assert begun or version, "nothing was seen to begin"
            assert until != "completed" or done is True
            assert until == "checked" or not version or version_1 == version
            assert until != "controllers" or health is UP
        if not isinstance(verdict, Waiting):
            break


def test_the_cluster_and_the_groups_are_remembered_as_they_were() -> None:
    view, _ = apply(FleetView(), state(units_part("dc1", *RUNNING[1], status=RUNNING[0])), received_at=0.0)
    seen, _ = judge(COMPLETED, Seen(), view.controllers["dc1"], now=NOW)
    assert seen == Seen(
        keys={CLUSTER: "2", GROUP: ""}, begun=frozenset({CLUSTER}), operation="upgrade", target=NEW, resting_since=None
    )
