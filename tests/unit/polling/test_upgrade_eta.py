"""When a cluster, a group and the upgrade of a controller will end: by our own clock, with a range, or not at all."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from monitor.model.tracked import Eta, Event, ProgressMark, UploadProgress
from monitor.model.upgrade import Engines, EngineTimes, TrackedUpgrade, Upgrade, UpgradeProgress, UpgradeState, Version
from monitor.polling.eta import UNKNOWN, CompletedUpload, Remaining, TypicalDurations
from monitor.polling.upgrade import sort_units
from monitor.polling.upgrade_eta import (
    ENGINE_TASK,
    controller_eta,
    controller_remaining,
    group_remaining,
    history_kind,
    share_done,
    summarize,
    update_engines,
    update_eta,
    waiting_remaining,
)
from tests.support.strategies import BOUNDED

EARLIER = TypicalDurations({ENGINE_TASK: 600.0}, took_s=4800.0)
OLD, NEW = Version("30.2.1-9053-x"), Version("31.2.2-9123-y")


def engines(done: str = "", now: str = "", later: str = "", expected: int | None = None) -> Engines:
    """Service Engines, one a letter."""
    return Engines(
        completed=tuple(done), in_progress=tuple(now), not_started=tuple(later), listed=True, expected=expected
    )


def group(listed: Engines | None, state: UpgradeState = "running", ratio: float | None = None) -> Upgrade:
    return Upgrade(uuid="g1", kind="se_group", state=state, engines=listed, progress_ratio=ratio, version=OLD)


def cluster(state: UpgradeState = "running", ratio: float | None = 0.5, fsm: str = "") -> Upgrade:
    return Upgrade(
        uuid="c1", kind="controller", state=state, fsm=fsm, progress_ratio=ratio, operation="upgrade", version=OLD
    )


def tracked(unit: Upgrade, progress: UploadProgress | None, *, at: float) -> TrackedUpgrade:
    return TrackedUpgrade(unit, ProgressMark(b"", changed_at=at, first_seen_at=0.0), 0.0, progress=progress)


def followed(
    readings: Sequence[tuple[float, Upgrade]], typical: TypicalDurations = UNKNOWN
) -> list[UploadProgress | None]:
    """The progress after each of these reads, between which the unit moves."""
    known, found = None, list[UploadProgress | None]()
    for at, unit in readings:
        progress = update_eta(known, unit, typical, at=at, moved=True)
        known = tracked(unit, progress, at=at)
        found.append(progress)
    return found


def times_of(progress: UploadProgress | None) -> EngineTimes:
    assert isinstance(progress, UpgradeProgress)
    return progress.engines


NIGHT = [
    (0.0, group(engines("", "a", "bcdef"))),
    (600.0, group(engines("a", "b", "cdef"))),
    (1100.0, group(engines("ab", "c", "def"))),
    (1800.0, group(engines("abc", "d", "ef"))),
]
"""Six Service Engines, one at a time, of which b takes 500 s and c 700 s."""


# --- Service Engines


def test_service_engines_are_timed_from_when_they_are_first_seen_in_progress() -> None:
    first, second, third, fourth = map(times_of, followed(NIGHT))
    assert first == EngineTimes({"a": 0.0}, at_once=1)
    assert second == EngineTimes({"b": 600.0}, frozenset("b"), at_once=1)
    assert third == EngineTimes({"c": 1100.0}, frozenset("c"), {"b": 500.0}, 1)
    assert fourth == EngineTimes({"d": 1800.0}, frozenset("d"), {"b": 500.0, "c": 700.0}, 1)


def test_a_service_engine_that_fails_is_no_measure() -> None:
    times = EngineTimes({"a": 0.0, "b": 0.0}, frozenset("ab"), at_once=2)
    after = update_engines(times, replace(engines("b"), failed=("a",)), at=300.0)
    assert (after.took_s, after.since, after.at_once) == ({"b": 300.0}, {}, 2)


def test_the_clock_may_be_set_back() -> None:
    times = EngineTimes({"a": 900.0, "b": 900.0}, frozenset("ab"), at_once=2)
    after = update_engines(times, engines("b", "a"), at=100.0)
    assert after == EngineTimes({"a": 100.0}, frozenset("a"), at_once=2)
    known = tracked(NIGHT[1][1], UpgradeProgress(900.0, 0.5, engines=times), at=900.0)
    assert update_eta(known, NIGHT[1][1], UNKNOWN, at=100.0, moved=True) == UpgradeProgress(
        100.0, 1 / 6, engines=EngineTimes({"b": 100.0}, at_once=1)
    )


def test_the_share_of_a_group_is_of_the_service_engines_that_are_over() -> None:
    told = replace(engines("ab", "c", "d", expected=8), failed=("x",), skipped=("y",), at_start={"already_upgraded": 2})
    assert share_done(told) == 0.75
    assert share_done(replace(told, expected=4)) == 1.0
    assert share_done(engines("a", "b", "cd")) == 0.25
    assert share_done(Engines()) == 0.0


# --- groups


def test_what_was_estimated_before_a_service_engine_took_too_long_is_not_replaced() -> None:
    last = group(engines("abcd", "e"))
    *_, before, overdue = followed([*NIGHT, (2400.0, last), (3200.0, last)])
    assert before
    assert before.eta
    assert before.eta.latest == 2400.0 + 1.25 * 600.0
    assert overdue
    assert overdue.eta == before.eta


def test_a_group_has_no_estimate_before_two_service_engines_were_measured() -> None:
    assert [progress and progress.eta for progress in followed(NIGHT)[:3]] == [None, None, None]


def test_a_group_ends_when_those_that_are_left_have_taken_the_median() -> None:
    last = followed(NIGHT)[-1]
    assert last
    assert last.eta == Eta(1800.0 + 3 * 600.0, 1800.0 + 3 * 450.0, 1800.0 + 3 * 750.0)
    assert (last.since, last.initial_ratio) == (0.0, 0.0)


def test_an_estimate_stands_while_it_is_possible() -> None:
    readings = [*NIGHT, (2350.0, group(engines("abcd", "e", "f")))]
    before, after = followed(readings)[-2:]
    assert before
    assert after
    assert before.eta
    assert after.eta
    assert after.eta.ends_at == before.eta.ends_at
    assert after.eta.latest < before.eta.latest


def test_an_estimate_that_is_replaced_says_why() -> None:
    readings = [*NIGHT, (6000.0, group(engines("abcd", "e", "f")))]
    last = followed(readings)[-1]
    assert last
    assert last.eta
    assert last.eta.why == "it stood still for 4200 s"


def test_earlier_upgrades_tell_how_long_a_service_engine_takes() -> None:
    first, *_ = followed(NIGHT, EARLIER)
    assert first
    assert first.eta == Eta(3600.0, 1800.0, 5400.0)


def test_as_many_as_were_seen_at_once_go_on_at_once() -> None:
    times = EngineTimes({"a": 0.0, "b": 0.0}, at_once=2)
    assert group_remaining(engines("", "ab", "cdef"), times, 600.0, at=300.0) == Remaining(1500.0, 600.0, 2400.0)


def test_the_last_service_engine_is_waited_for() -> None:
    times = EngineTimes({"a": 0.0}, at_once=4)
    rest = group_remaining(engines("bcd", "a"), times, 600.0, at=100.0)
    assert rest == Remaining(500.0, 200.0, 800.0)


def test_a_group_whose_service_engines_are_over_ends_now() -> None:
    assert group_remaining(engines("abc"), EngineTimes(), 600.0, at=0.0) == Remaining(0.0, 0.0, 0.0)


def test_a_service_engine_that_takes_too_long_ends_now_at_the_earliest() -> None:
    times = EngineTimes({"a": 0.0}, at_once=1)
    assert group_remaining(engines("", "a"), times, 600.0, at=700.0) == Remaining(0.0, 0.0, 200.0)


def test_a_group_without_lists_is_estimated_by_its_progress() -> None:
    readings = [(0.0, group(None, ratio=0.0)), (100.0, group(Engines(), ratio=0.1))]
    last = followed(readings)[-1]
    assert last
    assert type(last) is UploadProgress
    assert last.eta
    assert last.eta.ends_at == pytest.approx(1000.0)


counts = st.integers(0, 30)


@BOUNDED
@given(
    st.tuples(counts, counts, counts),
    st.none() | counts,
    st.lists(st.floats(0, 1e5), max_size=5),
    st.none() | st.floats(0, 1e5),
    st.floats(0, 1e6),
)
def test_the_range_of_a_group_is_around_its_estimate(
    sizes: tuple[int, int, int], expected: int | None, took_s: list[float], typical_s: float | None, at: float
) -> None:
    done, now, later = (tuple(f"{name}{n}" for n in range(size)) for name, size in zip("abc", sizes, strict=True))
    listed = Engines(completed=done, in_progress=now, not_started=later, listed=True, expected=expected)
    times = EngineTimes(dict.fromkeys(now, at / 2), took_s=dict(zip("defgh", took_s, strict=False)), at_once=len(now))
    rest = group_remaining(listed, times, typical_s, at=at)
    assert (rest is None) is (len(took_s) < 2 and typical_s is None)
    assert rest is None or 0 <= rest.least_s <= rest.likely_s <= rest.most_s


# --- clusters


def test_a_cluster_is_estimated_as_an_image_is() -> None:
    readings = [(0.0, cluster(ratio=0.0)), (100.0, cluster(ratio=0.1))]
    last = followed(readings)[-1]
    assert last
    assert last.eta
    assert last.eta.ends_at == pytest.approx(1000.0)


def test_the_time_that_the_controllers_were_away_is_time_and_no_standstill() -> None:
    before, after = followed([(0.0, cluster(ratio=0.0)), (100.0, cluster(ratio=0.1)), (500.0, cluster(ratio=0.5))])[1:]
    assert before
    assert after
    assert before.eta
    assert after.eta
    assert (after.eta.ends_at, after.eta.why) == (before.eta.ends_at, "")


@pytest.mark.parametrize(
    "unit",
    [
        cluster("queued"),
        cluster("checking"),
        cluster("suspended"),
        cluster("aborting"),
        cluster("completed"),
        cluster(fsm="UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS"),
        group(engines("a", "b", "c"), "suspended"),
        Upgrade(uuid="se-1", kind="se", state="running", progress_ratio=0.5),
    ],
)
def test_what_waits_checks_or_rests_has_no_estimate(unit: Upgrade) -> None:
    assert update_eta(None, unit, EARLIER, at=0.0, moved=True) is None


# --- history


def test_a_completed_group_is_remembered_by_its_service_engines() -> None:
    (*_, last) = followed(NIGHT)
    completed = group(engines("abcd"), "completed")
    known = tracked(NIGHT[-1][1], last, at=1800.0)
    assert summarize(known, completed, at=2400.0) == CompletedUpload(2400.0, {ENGINE_TASK: 600.0}, 2400.0)


def test_a_completed_cluster_is_remembered_by_its_tasks() -> None:
    event = Event("MigrateConfig", "n1", "succeeded", "", 10.0, 70.0)
    unit = replace(cluster("completed"), events=(event,), ended_at=80.0)
    assert summarize(None, unit, at=99.0) == CompletedUpload(80.0, {"MigrateConfig": 60.0})


def test_estimates_learn_from_the_same_operation_of_the_same_kind() -> None:
    assert history_kind(cluster()) == "upgrade:controller:upgrade"
    assert history_kind(replace(cluster(), evaluation=True)) == "upgrade:controller:eval_upgrade"


def test_a_group_that_has_not_begun_takes_as_long_as_earlier_ones() -> None:
    waiting = group(engines("", "", "abcd"), "queued")
    assert waiting_remaining(waiting, EARLIER) == Remaining(2400.0, 1200.0, 3600.0)
    assert waiting_remaining(group(None, "queued"), EARLIER) == Remaining(4800.0, 2400.0, 7200.0)
    assert waiting_remaining(waiting, UNKNOWN) is None


# --- the whole controller

REST = Remaining(100.0, 50.0, 200.0)
SYSTEM = replace(cluster(), system=True, started_at=1000.0)
SE_PHASE = replace(SYSTEM, fsm="UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS", version=NEW)
RUNNING, QUEUED, IDLE, THERE, FAILED = (
    replace(group(None, state), uuid=f"g-{state}") for state in ("running", "queued", "idle", "completed", "failed")
)
AT_NEW = replace(THERE, version=NEW)

LEFT: Mapping[str, tuple[tuple[Upgrade, ...], Mapping[str, Remaining], int, Remaining | None]] = {
    "nothing is upgraded": ((cluster("completed"), IDLE), {}, 1, None),
    "only checks": ((cluster("checking"), group(None, "checking")), {}, 1, None),
    "the cluster alone": ((cluster(), IDLE), {"c1": REST}, 1, REST),
    "the cluster, of which nothing is known": ((cluster(),), {}, 1, None),
    "the cluster, then its groups": (
        (SYSTEM, IDLE, THERE),
        {"c1": REST, "g-idle": REST, "g-completed": REST},
        2,
        Remaining(200.0, 100.0, 400.0),
    ),
    "the cluster, then a group of which nothing is known": ((SYSTEM, IDLE), {"c1": REST}, 1, None),
    "the longest group": (
        (SE_PHASE, RUNNING, replace(RUNNING, uuid="g2"), AT_NEW),
        {"g-running": REST, "g2": Remaining(90.0, 80.0, 300.0)},
        1,
        Remaining(100.0, 80.0, 300.0),
    ),
    "a group, then those that wait": (
        (SE_PHASE, RUNNING, QUEUED, IDLE),
        {"g-running": REST, "g-queued": REST, "g-idle": REST},
        1,
        Remaining(300.0, 150.0, 600.0),
    ),
    "a failed group is not waited for": ((SE_PHASE, RUNNING, FAILED), {"g-running": REST}, 1, REST),
    "groups in a night of their own": ((cluster("completed"), RUNNING, IDLE), {"g-running": REST}, 1, REST),
    "the flag without a start": ((replace(SYSTEM, started_at=None), IDLE), {"c1": REST}, 1, REST),
}


@pytest.mark.parametrize(("found", "known", "at_once", "expected"), LEFT.values(), ids=LEFT)
def test_what_is_left_of_the_upgrade_of_a_controller(
    found: tuple[Upgrade, ...], known: Mapping[str, Remaining], at_once: int, expected: Remaining | None
) -> None:
    def remaining_of(unit: Upgrade) -> Remaining | None:
        return known.get(unit.uuid)

    assert controller_remaining(sort_units(found), remaining_of, groups_at_once=at_once) == expected


FIRST, SECOND = (replace(IDLE, uuid=uuid, operation="patch") for uuid in ("g1", "g2"))
PROGRESSES: Mapping[str, UploadProgress] = {"c1": UploadProgress(0.0, 0.0, Eta(1100.0, 1050.0, 1200.0))}
TYPICAL: Mapping[str, TypicalDurations] = {
    "upgrade:se_group:upgrade": TypicalDurations(took_s=600.0),
    "upgrade:se_group:patch": TypicalDurations(took_s=60.0),
    "upgrade:controller:upgrade": TypicalDurations(took_s=100.0),
}


def eta_of(*found: Upgrade, before: Eta | None = None, groups_at_once: int = 0, at: float = 1000.0) -> Eta | None:
    """The end of an upgrade of which these progresses and typical durations are known."""
    return controller_eta(
        sort_units(found),
        {unit.uuid: tracked(unit, PROGRESSES.get(unit.uuid), at=900.0) for unit in found},
        lambda kind: TYPICAL.get(kind, UNKNOWN),
        before=before,
        groups_at_once=groups_at_once,
        at=at,
    )


def test_a_controller_ends_with_its_cluster_and_then_its_groups() -> None:
    assert eta_of(cluster()) == Eta(1100.0, 1050.0, 1200.0)
    assert eta_of(SYSTEM, FIRST) == Eta(1700.0, 1350.0, 2100.0)
    assert eta_of(SYSTEM, FIRST, SECOND, groups_at_once=2) == Eta(1700.0, 1350.0, 2100.0)


def test_how_many_groups_are_upgraded_at_once_is_not_guessed() -> None:
    assert eta_of(SYSTEM, FIRST, SECOND) is None


def test_a_group_of_a_night_of_its_own_takes_as_long_as_its_own_operation() -> None:
    assert eta_of(cluster("completed"), replace(FIRST, state="queued")) == Eta(1060.0, 1030.0, 1090.0)


def test_a_cluster_that_waits_takes_as_long_as_earlier_ones() -> None:
    assert eta_of(cluster("queued")) == Eta(1100.0, 1050.0, 1150.0)


def test_an_upgrade_of_which_a_part_is_overdue_or_aborts_has_no_end() -> None:
    assert eta_of(cluster(), at=1201.0) is None
    assert eta_of(replace(cluster("aborting"), uuid="c2")) is None


def test_a_group_whose_service_engines_are_over_takes_no_more_time() -> None:
    assert eta_of(SE_PHASE, replace(group(engines("ab")), uuid="g3")) == Eta(1000.0, 1000.0, 1000.0)


def test_the_end_of_a_controller_stands_while_it_is_possible() -> None:
    promised = Eta(1150.0, 1000.0, 1300.0)
    assert eta_of(cluster(), before=promised) == Eta(1150.0, 1050.0, 1200.0)
    sooner = eta_of(cluster(), before=Eta(1300.0, 1200.0, 1400.0))
    assert sooner
    assert (sooner.ends_at, sooner.why) == (1100.0, "it goes faster than before")


def test_an_upgrade_that_is_over_has_no_end_to_come() -> None:
    assert eta_of(cluster("completed"), IDLE) is None
