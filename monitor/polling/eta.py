"""
Estimates when work that is under way will end. Pure; times in Unix seconds of the daemon's clock.

    share of the work done, poll by poll → seconds per share → seconds that remain → estimated end, with a range

The share is the Controller's progress. Where the durations of tasks are known from earlier work, the share is limited
to what the tasks that have begun and ended allow. The pace is measured by the daemon, because a Controller's clock may
be wrong. An estimate is kept as long as it is possible; when it is replaced, the new one carries the reason.
"""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from monitor.model.tracked import Eta, Event, Tracked, TrackedObject, UploadProgress

# Shares of the work, 0 to 1
_SEEN_FROM_START = 0.05  # the most that may be done at the first poll for the duration to count as measured
_MIN_SEEN = 0.03  # the least that must be done between the first poll and an estimate; progress is in whole percents
_RESOLUTION = 0.01  # the smallest step of progress
_PRIOR_WEIGHT = 0.1  # the weight of earlier uploads against the pace of this one
_FLICKER = 0.01  # the most that progress may fall without being taken for a restart of the work

_STANDSTILL_S = 60.0  # without a movement, before it is given as the reason for a later end


class CompletedUpload(Struct, frozen=True):
    """
    One completed upload.

    ``ended_at``: Unix seconds, by the Controller's clock if it reports the end; only used to sort uploads.
    ``tasks``: seconds by task, as the Controller reports them. ``took_s``: the whole upload, as the daemon measured it.
    """

    ended_at: float
    tasks: Mapping[str, float]
    took_s: float | None = None


class TypicalDurations(Struct, frozen=True):
    """The medians of earlier uploads of the same kind; fields as in `CompletedUpload`."""

    tasks: Mapping[str, float] = {}
    took_s: float | None = None


class Remaining(Struct, frozen=True):
    """The seconds until an upload ends: the estimate, and its range."""

    likely_s: float
    least_s: float
    most_s: float


UNKNOWN: Final = TypicalDurations()


def typical_of(uploads: Iterable[CompletedUpload]) -> TypicalDurations:
    """Return the medians; that of a task is over the uploads that had it."""
    uploads = tuple(uploads)
    names = dict.fromkeys(task for upload in uploads for task in upload.tasks)
    took = [upload.took_s for upload in uploads if upload.took_s is not None]
    return TypicalDurations(
        {name: median(upload.tasks[name] for upload in uploads if name in upload.tasks) for name in names},
        median(took) if took else None,
    )


def summarize(known: TrackedObject[Tracked] | None, tracked: Tracked, *, at: float) -> CompletedUpload:
    """
    Return how long completed work took. ``tracked``: as just read, with its events.

    ``known``: as of the previous poll. ``took_s`` is None unless the daemon saw the work from its beginning.
    """
    progress = _progress_of(known, at=at)
    took_s = at - progress.since if progress and progress.initial_ratio <= _SEEN_FROM_START else None
    ended_at = tracked.ended_at if tracked.ended_at is not None else at
    return CompletedUpload(ended_at, _task_durations(tracked.events), took_s)


def _task_durations(events: Iterable[Event]) -> Mapping[str, float]:
    """Return the seconds from the first start of each task on any node to its last end, by the Controller's clock."""
    spans: dict[str, tuple[float, float]] = {}
    for event in events:
        if event.started_at is not None and event.ended_at is not None:
            begin, end = spans.get(event.task, (event.started_at, event.ended_at))
            spans[event.task] = min(begin, event.started_at), max(end, event.ended_at)
    return {task: end - begin for task, (begin, end) in spans.items() if end >= begin}


def share_done(tracked: Tracked, tasks: Mapping[str, float]) -> float | None:
    """
    Return how much of the work is done, 0 to 1; None when the Controller reports neither progress nor tasks.

    ``tasks``: their typical seconds; empty when not known. ``tracked`` must have its events.
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
    Return the progress of work after a poll, with a new estimate if it moved; None when it is not under way.

    ``known``: as of the previous poll. ``tracked``: as just read, with its events. ``moved``: whether it moved between.
    """
    done = share_done(tracked, typical.tasks) if tracked.active else None
    if done is None:
        return None
    before = _progress_of(known, at=at)
    if known is None or before is None or not moved:
        return before or _start_progress(done, typical, at=at)
    if done < before.initial_ratio - _FLICKER:
        fresh = _start_progress(done, typical, at=at)
        return replace(fresh, eta=fresh.eta and _with_reason(fresh.eta, "its work began anew"))
    eta = _estimate(before, done, typical, at=at)
    standstill_s = at - known.mark.changed_at
    eta = eta and update_estimate(before.eta, eta, standstill_s=standstill_s)
    return replace(before, eta=eta, overdue=False)


def _progress_of(known: TrackedObject[Tracked] | None, *, at: float) -> UploadProgress | None:
    """Return the progress so far; None when it began in the future, because the clock was set back."""
    progress = known.progress if known else None
    return progress if progress and progress.since <= at else None


def _start_progress(done: float, typical: TypicalDurations, *, at: float) -> UploadProgress:
    return UploadProgress(at, done, _estimate(UploadProgress(at, done), done, typical, at=at))


def _estimate(progress: UploadProgress, done: float, typical: TypicalDurations, *, at: float) -> Eta | None:
    """
    Extrapolate the pace so far.

    The range is wider the more work remains and the less of it was seen, and narrower if typical durations of tasks are
    known.
    """
    seen = done - progress.initial_ratio
    prior = _PRIOR_WEIGHT if typical.took_s else 0.0
    if seen < _MIN_SEEN and not prior:
        return None
    pace_s = (at - progress.since + prior * (typical.took_s or 0.0)) / (max(0.0, seen) + prior)
    rest_s = pace_s * (1 - done)
    uncertainty = (0.25 if typical.tasks else 0.5) * (1 - done) + 0.05 + _RESOLUTION / (max(0.0, seen) + prior)
    uncertainty = min(uncertainty, 0.9)
    return Eta(at + rest_s, at + rest_s * (1 - uncertainty), at + rest_s * (1 + uncertainty))


def update_estimate(before: Eta | None, eta: Eta, *, standstill_s: float) -> Eta:
    """Keep the end that was estimated before while it is in the new range; else return the new one with a reason."""
    if before is None:
        return eta
    if eta.earliest <= before.ends_at <= eta.latest:
        return Eta(before.ends_at, eta.earliest, eta.latest, before.why)
    if eta.ends_at < before.ends_at:
        return _with_reason(eta, "it goes faster than before")
    stood = standstill_s > _STANDSTILL_S
    return _with_reason(eta, f"it stood still for {standstill_s:.0f} s" if stood else "it goes slower than before")


def _with_reason(eta: Eta, why: str) -> Eta:
    return Eta(eta.ends_at, eta.earliest, eta.latest, why)


def is_overdue(tracked: TrackedObject[Tracked], *, at: float) -> bool:
    """Whether the latest end that is forecast has passed."""
    forecast = tracked.progress.forecast if tracked.progress else None
    return forecast is not None and at > forecast.latest


def remaining(tracked: TrackedObject[Tracked], *, now: float) -> Remaining | None:
    """Return the time until the work ends; None without an estimate, and when its latest end has passed."""
    eta = tracked.progress.eta if tracked.progress else None
    if eta is None or now > eta.latest:
        return None
    return Remaining(*(max(0.0, end - now) for end in (eta.ends_at, eta.earliest, eta.latest)))


def stalled_s(tracked: TrackedObject[Tracked], *, now: float) -> float | None:
    """Return for how long work that is under way has not moved; None when it is not, or reports nothing that moves."""
    return max(0.0, now - tracked.mark.changed_at) if tracked.object.can_stall else None
