"""What is noted of an upgrade: when it begins and ends, what changes, and the report on it."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from monitor.model.tracked import ProgressMark
from monitor.model.upgrade import (
    Check,
    Checks,
    Engines,
    ImageRef,
    Overview,
    TrackedUpgrade,
    Upgrade,
    UpgradePhase,
    UpgradeState,
    Version,
)
from monitor.model.upgrade_log import UpgradeEvent, UpgradeLog
from monitor.polling.upgrade_log import MAX_EVENTS, MAX_LOGS, SAME_UPGRADE_S, Logs, follow
from monitor.polling.upgrade_report import AnnotatedUnit, EngineReport, PhaseSpan, report_on

OLD, NEW = Version("30.2.1-9053-x"), Version("31.2.2-9123-y")


def cluster(state: UpgradeState = "running", version: Version = OLD) -> Upgrade:
    target = ImageRef("image-2", "target", NEW.tag)
    return Upgrade(
        uuid="c1", kind="controller", name="cluster-0-1", state=state, operation="upgrade", version=version,
        previous=Version() if version == OLD else OLD, images=() if state == "completed" else (target,),
    )  # fmt: skip


def group(state: UpgradeState, engines: Engines | None = None, version: Version = OLD, reason: str = "") -> Upgrade:
    return Upgrade(
        uuid="g1", kind="se_group", name="group-1", cloud="aws", state=state, operation="upgrade", reason=reason,
        version=version, engines=engines,
    )  # fmt: skip


def engines(now: str = "", done: str = "", failed: str = "", later: str = "", disrupted: int | None = None) -> Engines:
    """Service Engines, one a letter."""
    return Engines(
        in_progress=tuple(now), completed=tuple(done), failed=tuple(failed), not_started=tuple(later), listed=True,
        expected=4, virtual_services_disrupted=disrupted,
    )  # fmt: skip


Reading = tuple[float, UpgradePhase | None, Sequence[Upgrade]]


def followed(readings: Sequence[Reading], logs: Logs = ()) -> Logs:
    """The logs after these publications."""
    for at, phase, units in readings:
        done = phase == "none" and all(unit.state == "completed" for unit in units)
        overview = Overview(readable=True, phase=phase, cluster="c1", done=done if phase else None)
        tracked = {unit.uuid: TrackedUpgrade(unit, ProgressMark(b"", at, at), 0.0) for unit in units}
        logs = follow(logs, overview, tracked, at=at)
    return logs


ENGINE = Upgrade(uuid="a", kind="se", name="se-a", state="running")
NIGHT: Sequence[Reading] = (
    (0.0, "none", [cluster("idle"), group("idle")]),
    (100.0, "controllers", [cluster(), group("idle"), ENGINE]),
    (200.0, "away", [cluster(), group("idle"), ENGINE]),
    (500.0, "service_engines", [cluster(version=NEW), group("running", engines(later="abcd"))]),
    (600.0, "service_engines", [cluster(version=NEW), group("running", engines(now="a", later="bcd", disrupted=3))]),
    (900.0, "service_engines", [cluster(version=NEW), group("running", engines(now="b", done="a", later="cd"))]),
    (1000.0, "service_engines", [cluster(version=NEW), group("running", engines(now="c", done="a", failed="b"))]),
    (1100.0, "none", [cluster("completed", NEW), group("failed", engines(done="ac", failed="b"), reason="b is lost")]),
)


def test_an_upgrade_lasts_from_the_first_phase_to_the_end_of_all() -> None:
    (log,) = followed(NIGHT)
    assert (log.began_at, log.ended_at, log.phase, log.done) == (100.0, 1100.0, "none", False)
    assert list(log.units) == ["c1", "g1"], "Service Engines are told by their group"
    assert log.left_behind == ("g1",), "it is at the old version, and has a failed Service Engine"


def test_each_change_is_noted_once_with_what_was_before() -> None:
    (log,) = followed(NIGHT)
    told = [(each.at, each.what, each.unit + each.engine, each.before, each.after) for each in log.events]
    assert told == [
        (100.0, "phase", "", "none", "controllers"),
        (100.0, "unit", "c1", "", "running"),
        (200.0, "phase", "", "controllers", "away"),
        (500.0, "phase", "", "away", "service_engines"),
        (500.0, "unit", "g1", "idle", "running"),
        (600.0, "service_engine", "g1a", "not_started", "in_progress"),
        (900.0, "service_engine", "g1a", "in_progress", "completed"),
        (900.0, "service_engine", "g1b", "not_started", "in_progress"),
        (1000.0, "service_engine", "g1b", "in_progress", "failed"),
        (1000.0, "service_engine", "g1c", "not_started", "in_progress"),
        (1100.0, "phase", "", "service_engines", "none"),
        (1100.0, "unit", "c1", "running", "completed"),
        (1100.0, "unit", "g1", "running", "failed"),
        (1100.0, "service_engine", "g1c", "in_progress", "completed"),
    ]
    assert log.events[-2].reason == "b is lost"


def test_a_poll_that_brings_nothing_new_changes_nothing() -> None:
    *_, (at, phase, units) = NIGHT
    for readings in (NIGHT[:1], NIGHT[:5], NIGHT):
        logs = followed(readings)
        at, phase, units = readings[-1]
        assert followed([(at + 5.0, phase, units), (at + 9.0, None, [])], logs) is logs


def test_what_follows_within_an_hour_is_the_same_upgrade_and_what_comes_later_another() -> None:
    checks: Sequence[Reading] = (0.0, "checking", [cluster("checking")]), (100.0, "none", [cluster("checked")])
    soon, late = 100.0 + SAME_UPGRADE_S, 101.0 + SAME_UPGRADE_S
    (log,) = followed([*checks, (soon, "controllers", [cluster()])])
    assert (log.began_at, log.ended_at) == (0.0, None)
    first, second = followed([*checks, (late, "controllers", [cluster()])])
    assert (first.ended_at, second.began_at, second.ended_at) == (100.0, late, None)


def test_the_oldest_upgrades_are_forgotten() -> None:
    logs: Logs = ()
    for number in range(MAX_LOGS + 2):
        at = number * 10_000.0
        logs = followed([(at, "controllers", [cluster()]), (at + 60.0, "none", [cluster("completed")])], logs)
    assert [log.began_at for log in logs] == [number * 10_000.0 for number in range(2, MAX_LOGS + 2)]


def test_changes_beyond_the_limit_are_counted_and_the_state_is_kept() -> None:
    (log,) = followed(NIGHT[:2])
    full = replace(log, events=log.events + (UpgradeEvent(at=1.0, what="unit"),) * (MAX_EVENTS - len(log.events) - 1))
    (log,) = followed([(500.0, "service_engines", [cluster(version=NEW), group("running")])], (full,))
    assert (len(log.events), log.events_left_out) == (MAX_EVENTS, 1)
    assert (log.phase, log.units["g1"].state) == ("service_engines", "running")


def test_what_is_left_of_an_earlier_upgrade_is_no_change_of_this_one() -> None:
    before = group("completed", engines(done="ab", failed="c", disrupted=3))
    begun = group("running", engines(later="abc", disrupted=0))
    (log,) = followed([(0.0, "controllers", [cluster(), before]), (600.0, "service_engines", [cluster(), begun])])
    assert [event.what for event in log.events] == ["phase", "unit", "phase", "unit"]
    assert log.disrupted == {"g1": 0}


def test_a_log_is_the_same_after_it_was_stored() -> None:
    (log,) = followed(NIGHT)
    assert msgspec.json.decode(msgspec.json.encode(log), type=UpgradeLog) == log


# --- the report


def test_a_report_tells_how_long_each_phase_and_the_controllers_away_took() -> None:
    (log,) = followed(NIGHT)
    report = report_on("dc1", log, (), now=5000.0)
    assert report.phases == [
        PhaseSpan("controllers", 100.0, 200.0, 100.0),
        PhaseSpan("away", 200.0, 500.0, 300.0),
        PhaseSpan("service_engines", 500.0, 1100.0, 600.0),
    ]
    assert (report.seconds, report.away_seconds, report.done) == (1000.0, 300.0, False)
    assert (report.operation, report.from_version, report.to_version) == ("upgrade", "30.2.1", "31.2.2")
    assert report.left_behind == ["group-1"]


def test_a_report_on_an_upgrade_that_goes_on_counts_to_the_present() -> None:
    (log,) = followed(NIGHT[:3])
    report = report_on("dc1", log, (), now=260.0)
    assert (report.ended_at, report.seconds, report.away_seconds) == (None, 160.0, 60.0)
    assert report.phases[-1] == PhaseSpan("away", 200.0, None, 60.0)
    assert [(unit.name, unit.ended_at, unit.seconds) for unit in report.units] == [("cluster-0-1", None, 160.0)]


def test_nothing_is_left_behind_while_the_upgrade_goes_on() -> None:
    """Would find a report that counts groups that wait for their turn, or for an operator, as left behind."""
    suspended = group("suspended", engines(done="a", failed="b", later="cd"), reason="b is lost")
    readings: Sequence[Reading] = (*NIGHT[:6], (1000.0, "suspended", [cluster("completed", NEW), suspended]))
    for number in range(2, len(readings) + 1):
        (log,) = followed(readings[:number])
        report = report_on("dc1", log, (), now=2000.0)
        assert (report.left_behind, [unit.name for unit in report.units if unit.left_behind]) == ([], []), number
    (log,) = followed([*readings, (1100.0, "none", [cluster("completed", NEW), group("failed")])])
    assert report_on("dc1", log, (), now=2000.0).left_behind == ["group-1"]


def test_a_report_tells_of_each_unit_what_became_of_it() -> None:
    (log,) = followed(NIGHT)
    first, second = report_on("dc1", log, (), now=5000.0).units
    assert (first.name, first.state, first.from_version, first.to_version) == (
        "cluster-0-1", "completed", "30.2.1", "31.2.2",
    )  # fmt: skip
    assert (second.name, second.state, second.reason, second.left_behind) == ("group-1", "failed", "b is lost", True)
    assert (second.began_at, second.ended_at, second.seconds) == (500.0, 1100.0, 600.0)
    assert second.virtual_services_disrupted == 3, "the most at once, not the last"
    assert second.service_engines == EngineReport(
        expected=4, completed=2, failed=1, in_progress=0, not_started=0, suspended=0, skipped=0,
        failed_uuids=("b",), suspended_uuids=(), typical_seconds=200.0, longest_seconds=300.0,
    )  # fmt: skip


def test_a_report_lists_the_checks_that_did_not_pass() -> None:
    checks = Checks(checks=8, exceptions=(Check("SYSERR_CHECK_DISK", "warning", "Disk space", ("node2: 71 %",)),))
    (log,) = followed([(0.0, "checking", [replace(cluster("checking"), checks=checks)])])
    (unit,) = report_on("dc1", log, (), now=10.0).units
    assert unit.checks == 8
    assert [(check.code, check.result, check.details) for check in unit.check_exceptions] == [
        ("SYSERR_CHECK_DISK", "warning", ("node2: 71 %",))
    ]


def test_a_report_names_who_annotated_its_units_and_leaves_out_other_objects() -> None:
    (log,) = followed(NIGHT)
    mine = AnnotatedUnit(700.0, "alice", "g1", {"acknowledged": "true"})
    other = AnnotatedUnit(700.0, "bob", "image-1", {"ticket": "CHG-1"})
    assert report_on("dc1", log, (mine, other), now=5000.0).annotations == [mine]


def test_a_report_without_a_cluster_tells_of_the_groups() -> None:
    tracked = {"g1": TrackedUpgrade(group("running"), ProgressMark(b"", 0.0, 0.0), 0.0)}
    (log,) = follow((), Overview(readable=True, phase="service_engines"), tracked, at=0.0)
    report = report_on("dc1", log, (), now=10.0)
    assert (report.operation, report.from_version, [unit.name for unit in report.units]) == ("", "", ["group-1"])
    assert report.units[0].service_engines is None
