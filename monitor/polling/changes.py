"""
What moved: objects before and objects now, to marks and changes. Pure; time is an argument, in Unix seconds.

An object *moves* when its progress, tasks, state or an event does. When it last moved is the base of stall detection,
so an edited name is no movement, and neither is a running event whose duration grows.
"""

from collections.abc import Mapping
from hashlib import blake2b
from math import inf
from typing import TypeVar

from monitor.model.snapshot import Altered, Appeared, Change, ObjectList, Snapshot, Vanished
from monitor.model.tracked import ProgressMark, Tracked, TrackedObject
from monitor.polling.standing import stalls_at

T = TypeVar("T", bound=Tracked)


def fingerprint(tracked: Tracked) -> bytes:
    """16 bytes that differ when the object moved, and are the same in every process: a restart is no movement."""
    events = sorted((e.task, e.node, e.state, e.status, e.started_at, e.ended_at) for e in tracked.events)
    moving = (tracked.state, tracked.progress_ratio, tracked.tasks, tracked.tasks_completed, events)
    return blake2b(repr(moving).encode(errors="replace"), digest_size=16).digest()


def follow(tracked: T, known: ProgressMark | None, *, at: float, detail_for_s: float) -> TrackedObject[T]:
    """Set an object as read just now beside its mark of the poll before, or of the database after a restart."""
    now = fingerprint(tracked)
    if known is None:
        mark = ProgressMark(now, changed_at=at, first_seen_at=at)
    elif known.fingerprint != now:
        mark = ProgressMark(now, changed_at=at, first_seen_at=known.first_seen_at)
    else:
        mark = known
    return TrackedObject(tracked, mark, _detail_until(tracked, mark, detail_for_s))


def _detail_until(tracked: Tracked, mark: ProgressMark, detail_for_s: float) -> float:
    if tracked.active or tracked.state == "failed":
        return inf
    ends = (tracked.ended_at, tracked.state_changed_at, tracked.last_modified_at, mark.first_seen_at)
    return next(end for end in ends if end is not None) + detail_for_s


def snapshot(
    object_list: ObjectList, objects: Mapping[str, TrackedObject[T]], *, at: float, stalled_after_s: float
) -> Snapshot[T]:
    """What is known from now on, with the next moment at which an object changes by itself."""
    moments = (
        moment
        for each in objects.values()
        for moment in (each.detail_until, stalls_at(each.object, each.mark, stalled_after_s=stalled_after_s))
        if moment > at
    )
    return Snapshot(
        object_list=object_list,
        objects=objects,
        undecodable=frozenset(object_list.raws.keys() - objects.keys()),
        next_change_at=min(moments, default=inf),
    )


def changes(before: Mapping[str, TrackedObject[T]], after: Mapping[str, TrackedObject[T]]) -> tuple[Change, ...]:
    """The differences between two polls, in the order of the newer, then what vanished."""
    found: list[Change] = []
    for uuid, now in after.items():
        known = before.get(uuid)
        if known is None:
            found.append(Appeared(now.object))
        elif known.object != now.object or known.mark != now.mark:
            found.append(Altered(known.object, now.object, known.mark.fingerprint != now.mark.fingerprint))
    found.extend(Vanished(known.object) for uuid, known in before.items() if uuid not in after)
    return tuple(found)
