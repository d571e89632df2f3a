"""Units, and what they amount to, as readers of the event stream see them."""

from typing import Any, Final

from msgspec import to_builtins
from msgspec.structs import replace

from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.tracked import Eta, OperationMark, ProgressMark, TrackedObject, UploadProgress
from monitor.model.upgrade import (
    Check,
    Checks,
    Engines,
    EngineTimes,
    ImageRef,
    Overview,
    Upgrade,
    UpgradeProgress,
    Version,
)
from monitor.polling.upgrade_status import UpgradeStatus, describe_unit, describe_upgrade
from tests.support.polling import entry_of

ETA: Final = Eta(900.0, 800.0, 1000.0)
MARK: Final = ProgressMark(b"", 120.0, 100.0, OperationMark("99.000", "upgrade", 99.0, active=True))
GROUP: Final = Upgrade(
    uuid="serviceenginegroup-1",
    name="Default-Group",
    kind="se_group",
    cloud="Default-Cloud",
    tenant="admin",
    state="running",
    fsm="UPGRADE_FSM_IN_PROGRESS",
    operation="upgrade",
    evaluation=True,
    system=True,
    reason="as told",
    version=Version("30.2.1-9053-20240610.111213", "2p1"),
    previous=Version("30.1.1-9001-20240101.000000"),
    progress_ratio=0.25,
    tasks=4,
    tasks_completed=1,
    enqueued_at=98.0,
    started_at=99.0,
    ended_at=None,
    duration_s=12.0,
    images=(ImageRef("i1", "current", "30.2.1"), ImageRef("i2", "target", "31.2.2"), ImageRef("i3", "target", "p")),
    engines=Engines(
        completed=("se-1",),
        in_progress=("se-2", "se-3"),
        listed=True,
        expected=4,
        virtual_services=20,
        virtual_services_disrupted=1,
    ),
    checks=Checks(
        state="checked",
        checks=12,
        checks_completed=12,
        exceptions=(Check("A", "warning"), Check("B", "error"), Check("C", "warning"), Check("D", "other")),
    ),
)
TRACKED: Final = TrackedObject(
    GROUP,
    MARK,
    0.0,
    progress=UpgradeProgress(100.0, 0.0, ETA, engines=EngineTimes(since={"se-3": 130.0, "se-2": 110.0})),
    annotations={"acknowledged": "yes"},
    standing="active",
)


def described(**fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """The JSON of the group with other fields."""
    shown: dict[str, Any] = to_builtins(describe_unit(replace(TRACKED, object=replace(GROUP, **fields))))
    return shown


def test_a_unit_is_described_with_all_that_is_known_of_it() -> None:
    assert to_builtins(describe_unit(TRACKED)) == {
        "uuid": "serviceenginegroup-1",
        "kind": "se_group",
        "name": "Default-Group",
        "cloud": "Default-Cloud",
        "tenant": "admin",
        "version": "30.2.1",
        "tag": "30.2.1-9053-20240610.111213",
        "patch": "2p1",
        "previous_version": "30.1.1",
        "target": "31.2.2",
        "operation": "eval_upgrade",
        "system": True,
        "state": "running",
        "fsm": "UPGRADE_FSM_IN_PROGRESS",
        "reason": "as told",
        "standing": "active",
        "standing_rank": 2,
        "progress_ratio": 0.25,
        "tasks": 4,
        "tasks_completed": 1,
        "engines": {
            "completed": 1,
            "failed": 0,
            "in_progress": 2,
            "not_started": 0,
            "suspended": 0,
            "skipped": 0,
            "expected": 4,
        },
        "oldest_engine": {"uuid": "se-2", "since": 110.0},
        "virtual_services": {"all": 20, "disrupted": 1},
        "checks": {"state": "checked", "checks": 12, "completed": 12, "warnings": 2, "errors": 1},
        "enqueued_at": 98.0,
        "started_at": 99.0,
        "ended_at": None,
        "duration_seconds": 12.0,
        "changed_at": 120.0,
        "first_seen_at": 100.0,
        "stalled_after_seconds": 1500.0,
        "eta": {"ends_at": 900.0, "earliest": 800.0, "latest": 1000.0, "why": ""},
        "image_uuids": {"current": "i1", "target": "i2"},
        "acknowledged": True,
        "annotations": {"acknowledged": "yes"},
        "operation_key": "99.000",
    }


def test_what_the_controller_does_not_tell_is_null() -> None:
    told = to_builtins(describe_unit(TrackedObject(Upgrade(uuid="x"), ProgressMark(b"", 1.0, 1.0), 0.0)))
    unknown = ("engines", "oldest_engine", "virtual_services", "checks", "eta", "progress_ratio", "started_at")
    assert [told[name] for name in unknown] == [None] * len(unknown)
    assert (told["target"], told["image_uuids"], told["operation_key"]) == ("", {}, "")


def test_without_any_list_of_service_engines_their_counts_say_nothing() -> None:
    told = described(engines=Engines(expected=4))
    assert (told["engines"], told["virtual_services"]) == (None, None)
    assert described(engines=Engines(virtual_services_disrupted=2))["virtual_services"] == {"all": None, "disrupted": 2}


def test_work_without_service_engines_has_none_that_is_the_oldest() -> None:
    assert describe_unit(replace(TRACKED, progress=UploadProgress(100.0, 0.0, ETA))).oldest_engine is None


def test_an_estimate_that_is_overdue_is_none() -> None:
    assert describe_unit(replace(TRACKED, progress=UploadProgress(100.0, 0.0, ETA, overdue=True))).eta is None


OVERVIEW: Final = Overview(
    readable=True,
    phase="away",
    done=False,
    left_behind={"se_group": 0, "se": 0},
    cluster="cluster-1",
    operation="upgrade",
    from_version="30.2.1",
    to_version="31.2.2",
    eta=ETA,
)
AWAY: Final = SessionHealth(up=False, under_way=True, failing_since=200.0, held_until=7000.0)


def upgrade_of(session: SessionHealth, *, stale: bool = False, overview: Overview | None = OVERVIEW) -> object:
    entry = entry_of("dc1", session=session, read=ReadHealth(stale=stale))
    return describe_upgrade(
        replace(entry, collections={**entry.collections, "upgrade": entry.collections["image"]}, overview=overview)
    )


def test_the_upgrade_of_a_controller_that_is_away_says_since_when_and_until_when_it_is_held() -> None:
    assert upgrade_of(AWAY) == UpgradeStatus(
        readable=True,
        phase="away",
        done=False,
        left_behind={"se_group": 0, "se": 0},
        cluster="cluster-1",
        operation="upgrade",
        from_version="30.2.1",
        to_version="31.2.2",
        eta=ETA,
        away_since=200.0,
        held_until=7000.0,
    )


def test_what_was_withdrawn_is_not_held_and_the_controller_is_still_away() -> None:
    told = upgrade_of(AWAY, stale=True, overview=Overview(readable=True))
    assert told == UpgradeStatus(readable=True, away_since=200.0)


def test_an_outage_without_an_upgrade_is_no_upgrade() -> None:
    told = upgrade_of(replace(AWAY, under_way=False))
    assert isinstance(told, UpgradeStatus)
    assert (told.away_since, told.held_until) == (None, None)


def test_of_units_that_are_not_watched_nothing_is_said() -> None:
    assert upgrade_of(AWAY, overview=None) is None
