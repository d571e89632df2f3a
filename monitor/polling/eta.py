"""
When work under way will be done, and how sure that is. Pure; times in Unix seconds of the daemon's clock.

    share of the work done, poll by poll → pace → what is left takes … → the moment that is promised

The share is the Controller's progress, held between what the finished tasks make of it where earlier work told how long
each task takes. The pace is what the daemon saw itself, as a Controller's clock may be wrong. A promise stands for as
long as it is possible, and is moved with a reason.
"""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Final

from msgspec import Struct

from monitor.model.tracked import Eta, Event, Tracked, TrackedObject, UploadProgress

_SEEN_FROM_START = 0.05  # of the work: what may be done when it is first seen
_MIN_SEEN = 0.03  # of the work must have been seen being done: progress comes in whole percents, at polls
_RESOLUTION = 0.01  # of the work: no progress is finer
_PRIOR_WEIGHT = 0.1  # of the work: what earlier uploads weigh against the pace of this one
_FLICKER = 0.01  # progress may flicker; what falls further began anew
_STANDSTILL_S = 60.0  # without a move, to be a reason of its own


class CompletedUpload(Struct, frozen=True):
    """
    One completed upload. ``tasks``: seconds by task, as the Controller says. ``took_s``: all of it, as the daemon saw.

    ``ended_at``: Unix seconds of the Controller's clock where it says so; for their order alone.
    """

    ended_at: float
    tasks: Mapping[str, float]
    took_s: float | None = None


class TypicalDurations(Struct, frozen=True):
    """What earlier uploads of the kind have in common: as `CompletedUpload`, the medians."""

    tasks: Mapping[str, float] = {}
    took_s: float | None = None


class Remaining(Struct, frozen=True):
    """What an upload still takes, in seconds: likely, and the range in which it should be."""

    likely_s: float
    least_s: float
    most_s: float


UNKNOWN: Final = TypicalDurations()


def typical_of(uploads: Iterable[CompletedUpload]) -> TypicalDurations:
    """The medians, of each task over the uploads that had it."""
    uploads = tuple(uploads)
    names = dict.fromkeys(task for upload in uploads for task in upload.tasks)
    took = [upload.took_s for upload in uploads if upload.took_s is not None]
    return TypicalDurations(
        {name: median(upload.tasks[name] for upload in uploads if name in upload.tasks) for name in names},
        median(took) if took else None,
    )


def summarize(known: TrackedObject[Tracked] | None, tracked: Tracked, *, at: float) -> CompletedUpload:
    """
    What completed work took. ``known``: as of the poll before. ``tracked``: as read just now, with its events.

    How long it took is known only of work that the daemon saw from its beginning.
    """
    progress = known.progress if known else None
    took_s = at - progress.since if progress and progress.done <= _SEEN_FROM_START else None
    ended_at = tracked.ended_at if tracked.ended_at is not None else at
    return CompletedUpload(ended_at, _task_durations(tracked.events), took_s)


def _task_durations(events: Iterable[Event]) -> Mapping[str, float]:
    """How long each task took, from its first start on a node to its last end, in the Controller's seconds."""
    spans: dict[str, tuple[float, float]] = {}
    for event in events:
        if event.started_at is not None and event.ended_at is not None:
            begin, end = spans.get(event.task, (event.started_at, event.ended_at))
            spans[event.task] = min(begin, event.started_at), max(end, event.ended_at)
    return {task: end - begin for task, (begin, end) in spans.items() if end >= begin}


def share_done(tracked: Tracked, tasks: Mapping[str, float]) -> float | None:
    """
    How much of the work is done, 0 to 1; None when the Controller gives nothing to tell by.

    ``tasks``: how long they typically take; empty: not known. ``tracked`` must have its events.
    """
    share = tracked.progress_ratio
    if share is None and tracked.tasks:
        share = min(1.0, (tracked.tasks_completed or 0) / tracked.tasks)
    whole = sum(tasks.values())
    if not whole or not tracked.events:
        return share
    unfinished = {event.task for event in tracked.events if event.state != "succeeded"}
    begun = {event.task for event in tracked.events if event.state != "pending"}
    done = sum(tasks.get(task, 0.0) for task in begun - unfinished) / whole
    most = sum(tasks.get(task, 0.0) for task in begun) / whole
    return max(done, min(most, share if share is not None else (done + most) / 2))


def update_eta(
    known: TrackedObject[Tracked] | None, tracked: Tracked, typical: TypicalDurations, *, at: float, moved: bool
) -> UploadProgress | None:
    """
    Go on with what is known of the progress of work; None once it is not under way.

    ``known``: as of the poll before. ``tracked``: as read just now, with its events. ``moved``: whether it did since.
    """
    done = share_done(tracked, typical.tasks) if tracked.active else None
    if done is None:
        return None
    before = known.progress if known else None
    if known is None or before is None or not moved:
        return before or _begin(done, typical, at=at)
    if done < before.done - _FLICKER:
        fresh = _begin(done, typical, at=at)
        return UploadProgress(fresh.since, fresh.done, fresh.eta and _moved(fresh.eta, "its work began anew"))
    eta = _estimate(before, done, typical, at=at)
    standstill_s = at - known.mark.changed_at
    return UploadProgress(before.since, before.done, eta and _promise(before.eta, eta, standstill_s=standstill_s))


def _begin(done: float, typical: TypicalDurations, *, at: float) -> UploadProgress:
    return UploadProgress(at, done, _estimate(UploadProgress(at, done), done, typical, at=at))


def _estimate(progress: UploadProgress, done: float, typical: TypicalDurations, *, at: float) -> Eta | None:
    """What the pace so far makes of the rest; the more is left, and the less is known, the wider its range."""
    seen = done - progress.done
    prior = _PRIOR_WEIGHT if typical.took_s else 0.0
    if seen < _MIN_SEEN and not prior:
        return None
    pace_s = (at - progress.since + prior * (typical.took_s or 0.0)) / (max(0.0, seen) + prior)
    rest_s = pace_s * (1 - done)
    uncertainty = (0.25 if typical.tasks else 0.5) * (1 - done) + 0.05 + _RESOLUTION / (max(0.0, seen) + prior)
    uncertainty = min(uncertainty, 0.9)
    return Eta(at + rest_s, at + rest_s * (1 - uncertainty), at + rest_s * (1 + uncertainty))


def _promise(before: Eta | None, eta: Eta, *, standstill_s: float) -> Eta:
    """Keep what was promised for as long as it is possible; else say why not."""
    if before is None:
        return eta
    if eta.earliest <= before.ends_at <= eta.latest:
        return Eta(before.ends_at, eta.earliest, eta.latest, before.why)
    if eta.ends_at < before.ends_at:
        return _moved(eta, "it goes faster than before")
    stood = standstill_s > _STANDSTILL_S
    return _moved(eta, f"it stood still for {standstill_s:.0f} s" if stood else "it goes slower than before")


def _moved(eta: Eta, why: str) -> Eta:
    return Eta(eta.ends_at, eta.earliest, eta.latest, why)


def remaining(tracked: TrackedObject[Tracked], *, now: float) -> Remaining | None:
    """What the work still takes; None when that is not known, and when it is overdue."""
    eta = tracked.progress.eta if tracked.progress else None
    if eta is None or now > eta.latest:
        return None
    return Remaining(*(max(0.0, end - now) for end in (eta.ends_at, eta.earliest, eta.latest)))


def stalled_s(tracked: TrackedObject[Tracked], *, now: float) -> float | None:
    """For how long work that is under way has not moved; None for any other."""
    return max(0.0, now - tracked.mark.changed_at) if tracked.object.active else None
