"""
The log events of polls and objects.

At warning: a controller that goes down, is suspended or is up again, an object that failed, and one that cannot be
decoded. At info: other changes of objects, and a controller that goes down because it is being upgraded. At debug: each
poll, and objects that moved or were edited.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from logging import DEBUG
from typing import Final, Literal, TypeAlias, assert_never, get_args

from structlog.typing import FilteringBoundLogger

from monitor.model.errors import UNREADABLE, PollError, Reason
from monitor.model.health import SessionHealth
from monitor.model.snapshot import Altered, Appeared, Change, Vanished
from monitor.model.tracked import ProgressMark, Tracked

MAX_LINES: Final = 20  # of one read, for changed objects, and for bad ones

ChangeEvent: TypeAlias = Literal[
    "object_failed", "object_state_changed", "object_vanished", "object_appeared", "object_moved", "object_edited"
]
_ORDER: Final = get_args(ChangeEvent)
"""The most important first."""
_DEBUG: Final = frozenset({"object_moved", "object_edited"})


def poll(
    log: FilteringBoundLogger,
    before: SessionHealth,
    after: SessionHealth,
    *,
    at: float,
    took_s: float,
    late_s: float,
    last_success_at: float | None,
) -> None:
    """
    Log the end of a poll. A change of health is a warning; a new reason of a failure that lasts is at info.

    ``at``: when it began, ``last_success_at``: when a poll before it was good last, Unix seconds.
    """
    if log.is_enabled_for(DEBUG):
        numbers = {"took_s": round(took_s, 4), "late_s": round(late_s, 4), "next_in_s": round(after.interval_s, 1)}
        log.debug("poll", outcome=after.reason or "good", **numbers)
    if after.up and before.away:
        away_s = None if last_success_at is None else round(at - last_success_at, 1)
        log.info("controller_returned", away_s=away_s, version=after.version, api_version=after.api_version)
    elif after.up and not before.up:
        log.warning("controller_up", version=after.version, api_version=after.api_version)
    elif after.reason and after.reason != before.reason:
        was_good = before.up or before.under_way or before.reason is None
        write = log.warning if after.auth_suspended or (was_good and not after.upgrading) else log.info
        event = "controller_auth_suspended" if after.auth_suspended else "controller_down"
        write(event, reason=after.reason, cause=after.cause, last_success_at=last_success_at)
    if before.version and after.version != before.version:
        log.info("controller_version_changed", before=before.version, version=after.version)


def read_failed(log: FilteringBoundLogger, resource: str, error: PollError, *, before: Reason | None) -> None:
    """
    Log a failed read of a resource that does not decide whether the poll is good. ``before``: why it failed before.

    What the account may not read, or the Controller does not have, is no failure; nor is an upgrade.
    """
    if error.reason == before:
        return
    facts = {"resource": resource, "reason": error.reason, "cause": f"{error.phase}: {error.detail}"}
    if error.reason in UNREADABLE:
        log.info("objects_unreadable", **facts)
    elif error.reason == "upgrading":
        log.info("read_failed", **facts)
    else:
        log.warning("read_failed", **facts)


def objects(log: FilteringBoundLogger, resource: str, changes: tuple[Change, ...], *, first: bool) -> None:
    """
    Log the changes that a read found: one event for each object, but one for all objects of the first read.

    Of more than `MAX_LINES`, the most important ones are logged, and one event says how many others of each kind there
    are: a Controller may rename all its objects at every poll.
    """
    if not changes:
        return
    if first:
        active = sum(isinstance(change, Appeared) and change.after.active for change in changes)
        log.info("objects_listed", resource=resource, objects=len(changes), active=active)
        return
    events = [_event_of(change) for change in changes]
    order = sorted(range(len(changes)), key=lambda place: _ORDER.index(events[place]))  # stable
    for place in sorted(order[:MAX_LINES]):
        _log_change(log, resource, events[place], changes[place])
    rest: dict[str, int] = Counter(events[place] for place in order[MAX_LINES:])
    if rest.keys() - _DEBUG:
        log.info("more_objects_changed", resource=resource, objects=len(changes) - MAX_LINES, **rest)
    elif rest:
        log.debug("more_objects_changed", resource=resource, objects=len(changes) - MAX_LINES, **rest)


def _event_of(change: Change) -> ChangeEvent:
    match change:
        case Appeared():
            return "object_appeared"
        case Vanished():
            return "object_vanished"
        case Altered(before, after, moved) if after.state == before.state:
            return "object_moved" if moved else "object_edited"
        case Altered(_, after):
            return "object_failed" if after.failed else "object_state_changed"
        case _:
            assert_never(change)


def _log_change(log: FilteringBoundLogger, resource: str, event: ChangeEvent, change: Change) -> None:
    tracked = change.before if isinstance(change, Vanished) else change.after
    facts: dict[str, object] = {
        "resource": resource,
        "uuid": tracked.uuid,
        "name": tracked.name,
        "state": tracked.state,
        "progress_ratio": tracked.progress_ratio,
        "tasks_completed": tracked.tasks_completed,
    }
    match event:
        case "object_failed":
            log.warning("object_failed", cause=tracked.reason, **facts)
        case "object_state_changed":
            before = change.before.state if isinstance(change, Altered) else ""
            log.info("object_state_changed", before=before, **facts)
        case "object_vanished":
            log.info("object_vanished", **facts)
        case "object_appeared":
            log.info("object_appeared", **facts)
        case "object_moved":
            log.debug("object_moved", **facts)
        case "object_edited":
            log.debug("object_edited", **facts)
        case _:
            assert_never(event)


def bad_objects(
    log: FilteringBoundLogger, resource: str, undecodable: Mapping[str, str], left_out: Mapping[str, int]
) -> None:
    """
    Log objects that are left out. Call it once for each, when it is first seen.

    ``undecodable``: the cause by uuid; of more than `MAX_LINES`, one event says how many others there are.
    ``left_out``: how many cannot be identified, by cause.
    """
    for uuid, cause in islice(undecodable.items(), MAX_LINES):
        log.warning("bad_object", resource=resource, uuid=uuid, cause=cause)
    if len(undecodable) > MAX_LINES:
        log.warning("more_bad_objects", resource=resource, objects=len(undecodable) - MAX_LINES)
    for cause, objects in left_out.items():
        log.warning("bad_object", resource=resource, uuid="", cause=cause, objects=objects)


def annotations_lapsed(
    log: FilteringBoundLogger, resource: str, tracked: Tracked, before: ProgressMark, keys: Iterable[str]
) -> None:
    """Log which annotations an object has lost, because a new operation began. ``before``: the mark of the old one."""
    operation_key = before.operation.key if before.operation else None
    facts = {"uuid": tracked.uuid, "name": tracked.name, "operation_key": operation_key, "keys": sorted(keys)}
    log.info("annotations_lapsed", resource=resource, **facts)
