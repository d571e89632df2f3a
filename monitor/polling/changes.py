"""
What changed between two polls: progress marks of objects, and changes. Pure; time is an argument, in Unix seconds.

An object *moves* when its progress, tasks, state or an event changes. Stall detection is based on the last movement,
so an edited name is no movement, and neither is a running event whose duration grows.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from math import inf
from typing import Final, TypeVar

from msgspec.structs import replace

from monitor.model.digest import digest
from monitor.model.snapshot import Altered, Appeared, Change, ObjectList, Snapshot, Vanished
from monitor.model.tracked import OperationMark, ProgressMark, Tracked, TrackedObject
from monitor.polling.standing import stalls_at

T = TypeVar("T", bound=Tracked)

_OLD_FINGERPRINT_BYTES: Final = 16  # of BLAKE2; those of `digest` are longer


def fingerprint(tracked: Tracked) -> bytes:
    """Hash what moves. Equal in every process, so that a restart does not look like a movement."""
    events = sorted((e.task, e.node, e.state, e.status, e.started_at, e.ended_at) for e in tracked.events)
    progress = (tracked.state, tracked.progress_ratio, tracked.tasks, tracked.tasks_completed)
    moving = (*progress, events, *tracked.moving_parts)
    return digest(repr(moving).encode(errors="replace"))


def not_after(mark: ProgressMark, at: float) -> ProgressMark:
    """
    Return the mark, with moments after ``at`` set to it; the same object where there are none.

    They are from before the clock was set back: an object would otherwise not stall until the clock is there again.
    """
    if mark.changed_at <= at and mark.first_seen_at <= at:
        return mark
    return replace(mark, changed_at=min(mark.changed_at, at), first_seen_at=min(mark.first_seen_at, at))


def update_mark(
    tracked: T,
    known: ProgressMark | None,
    *,
    at: float,
    detail_for_s: float,
    operation: OperationMark | None = None,
) -> TrackedObject[T]:
    """
    Update the progress mark of an object that was just read.

    ``known``: its mark of the previous poll, or of the database after a restart, `not_after` ``at``; None when it is
    new. A fingerprint that an older version of the daemon has stored cannot be compared, and is taken for an equal one.
    ``operation``: the present one.
    """
    now = fingerprint(tracked)
    if known is None:
        mark = ProgressMark(now, at, at, operation)
    elif known.fingerprint != now and len(known.fingerprint) != _OLD_FINGERPRINT_BYTES:
        mark = ProgressMark(now, at, known.first_seen_at, operation)
    elif (known.fingerprint, known.operation) != (now, operation):
        mark = replace(known, fingerprint=now, operation=operation)
    else:
        mark = known
    return TrackedObject(tracked, mark, _detail_until(tracked, mark, detail_for_s, at=at))


def _detail_until(tracked: Tracked, mark: ProgressMark, detail_for_s: float, *, at: float) -> float:
    if tracked.active or tracked.failed:
        return inf
    if not tracked.has_begun:
        return -inf
    ends = (tracked.ended_at, tracked.state_changed_at, tracked.last_modified_at, mark.first_seen_at)
    end = next(end for end in ends if end is not None)
    return min(end, at) + detail_for_s  # a Controller's clock may be ahead


def make_snapshot(
    object_list: ObjectList,
    objects: Mapping[str, TrackedObject[T]],
    *,
    at: float,
    stalled_after_s: Callable[[T], float],
) -> Snapshot[T]:
    """
    Return the snapshot of these objects. ``stalled_after_s``: returns how long an object may not move.

    ``next_change_at`` is the first moment after ``at`` at which an object loses its per-task series or has stalled.
    """
    tracked = objects.values()
    stalls = (stalls_at(each.object, each.mark, stalled_after_s=stalled_after_s(each.object)) for each in tracked)
    moments = (moment for moment in chain((each.detail_until for each in tracked), stalls) if moment > at)
    suspended_since = max((each.mark.changed_at for each in tracked if each.object.suspended), default=-inf)
    waits = suspended_since > -inf
    return Snapshot(
        object_list=object_list,
        objects=objects,
        undecodable=frozenset(object_list.raws.keys() - objects.keys()),
        next_change_at=min(moments, default=inf),
        overdue_at=next_overdue_at(tracked),
        active=any(each.object.active and not (waits and each.object.waits_for_others) for each in tracked),
        suspended_since=suspended_since,
    )


def next_overdue_at(objects: Iterable[TrackedObject[T]]) -> float:
    """Return the end, Unix seconds, after which the first of the estimates is overdue; ``inf`` without one."""
    forecasts = (each.progress.forecast for each in objects if each.progress)
    return min((forecast.latest for forecast in forecasts if forecast), default=inf)


def diff(before: Mapping[str, TrackedObject[T]], after: Mapping[str, TrackedObject[T]]) -> tuple[Change, ...]:
    """Return the differences between two polls: those of ``after`` in its order, then the objects that vanished."""
    changes: list[Change] = []
    for uuid, new in after.items():
        old = before.get(uuid)
        if old is None:
            changes.append(Appeared(new.object))
        elif old.object != new.object or old.mark != new.mark:
            changes.append(Altered(old.object, new.object, old.mark.fingerprint != new.mark.fingerprint))
    changes.extend(Vanished(old.object) for uuid, old in before.items() if uuid not in after)
    return tuple(changes)
