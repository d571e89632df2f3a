"""
When an upload will be done, and how sure that is. Pure; times in Unix seconds of our clock.

    share of the work done, poll by poll → pace → what is left takes … → the moment that is promised

The share is the Controller's progress, held between what the finished tasks make of it where earlier uploads told how
long each task takes. The pace is what we saw ourselves: a Controller's clock may be any. A promise stands for as long
as it is possible, and is moved with a reason.
"""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Final

from msgspec import Struct

from monitor.model.image import Eta, Event, Image, TrackedImage, UploadProgress

_FROM_THE_START = 0.05  # of the work: what may be done when it is first seen
_LEAST = 0.03  # of the work must have been seen being done: progress comes in whole percents, at polls
_GRAIN = 0.01  # of the work: no progress is finer
_PRIOR = 0.1  # of the work: what earlier uploads weigh against the pace of this one
_BACK = 0.01  # progress may flicker; what falls further began anew
_STOOD_S = 60.0  # without a move, to be a reason of its own


class CompletedUpload(Struct, frozen=True):
    """
    One completed upload. ``tasks``: seconds by task, as the Controller says; ``took_s``: all of it, as we saw it.

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


def usual(uploads: Iterable[CompletedUpload]) -> TypicalDurations:
    """The medians, of each task over the uploads that had it."""
    uploads = tuple(uploads)
    names = dict.fromkeys(task for upload in uploads for task in upload.tasks)
    took = [upload.took_s for upload in uploads if upload.took_s is not None]
    return TypicalDurations(
        {name: median(upload.tasks[name] for upload in uploads if name in upload.tasks) for name in names},
        median(took) if took else None,
    )


def summarize(known: TrackedImage | None, image: Image, *, at: float) -> CompletedUpload:
    """
    What a completed upload teaches. ``known``: as of the poll before. ``image``: as read just now, with its events.

    How long it took is known of one that we saw from its beginning.
    """
    course = known.course if known else None
    took_s = at - course.since if course and course.done <= _FROM_THE_START else None
    ended_at = image.ended_at if image.ended_at is not None else at
    return CompletedUpload(ended_at, _task_durations(image.events), took_s)


def _task_durations(events: Iterable[Event]) -> Mapping[str, float]:
    """How long each task took, from its first start on a node to its last end, in the Controller's seconds."""
    spans: dict[str, tuple[float, float]] = {}
    for event in events:
        if event.started_at is not None and event.ended_at is not None:
            begin, end = spans.get(event.task, (event.started_at, event.ended_at))
            spans[event.task] = min(begin, event.started_at), max(end, event.ended_at)
    return {task: end - begin for task, (begin, end) in spans.items() if end >= begin}


def share(image: Image, tasks: Mapping[str, float]) -> float | None:
    """
    How much of the work is done, 0 to 1; None when the Controller gives nothing to tell by.

    ``tasks``: how long they usually take; empty: not known. The image must have its events.
    """
    share = image.progress_ratio
    if share is None and image.tasks:
        share = min(1.0, (image.tasks_completed or 0) / image.tasks)
    whole = sum(tasks.values())
    if not whole or not image.events:
        return share
    unfinished = {event.task for event in image.events if event.state != "succeeded"}
    begun = {event.task for event in image.events if event.state != "pending"}
    done = sum(tasks.get(task, 0.0) for task in begun - unfinished) / whole
    most = sum(tasks.get(task, 0.0) for task in begun) / whole
    return max(done, min(most, share if share is not None else (done + most) / 2))


def update_eta(
    known: TrackedImage | None, image: Image, usually: TypicalDurations, *, at: float, moved: bool
) -> UploadProgress | None:
    """
    Go on with what is known of an upload's course; None once it is not under way.

    ``known``: as of the poll before. ``image``: as read just now, with its events. ``moved``: whether it did since.
    """
    done = share(image, usually.tasks) if image.active else None
    if done is None:
        return None
    before = known.course if known else None
    if known is None or before is None or not moved:
        return before or _begin(done, usually, at=at)
    if done < before.done - _BACK:
        return _explained(_begin(done, usually, at=at), "its work began anew")
    raw = _forecast(before, done, usually, at=at)
    still_s = at - known.mark.changed_at
    return UploadProgress(before.since, before.done, raw and _promise(before.forecast, raw, still_s=still_s))


def _begin(done: float, usually: TypicalDurations, *, at: float) -> UploadProgress:
    course = UploadProgress(at, done)
    return UploadProgress(at, done, _forecast(course, done, usually, at=at))


def _explained(course: UploadProgress, why: str) -> UploadProgress:
    forecast = course.forecast
    return UploadProgress(course.since, course.done, forecast and _moved(forecast, why))


def _forecast(course: UploadProgress, done: float, usually: TypicalDurations, *, at: float) -> Eta | None:
    """What the pace so far makes of the rest; the more is left, and the less is known, the wider its range."""
    seen = done - course.done
    prior = _PRIOR if usually.took_s else 0.0
    if seen < _LEAST and not prior:
        return None
    pace_s = (at - course.since + prior * (usually.took_s or 0.0)) / (max(0.0, seen) + prior)
    rest_s = pace_s * (1 - done)
    doubt = (0.25 if usually.tasks else 0.5) * (1 - done) + 0.05 + _GRAIN / (max(0.0, seen) + prior)
    doubt = min(doubt, 0.9)
    return Eta(at + rest_s, at + rest_s * (1 - doubt), at + rest_s * (1 + doubt))


def _promise(before: Eta | None, raw: Eta, *, still_s: float) -> Eta:
    """Stay with what was said, for as long as it can be; else say why not."""
    if before is None:
        return raw
    if raw.earliest <= before.ends_at <= raw.latest:
        return Eta(before.ends_at, raw.earliest, raw.latest, before.why)
    if raw.ends_at < before.ends_at:
        return _moved(raw, "it goes faster than before")
    return _moved(raw, f"it stood still for {still_s:.0f} s" if still_s > _STOOD_S else "it goes slower than before")


def _moved(forecast: Eta, why: str) -> Eta:
    return Eta(forecast.ends_at, forecast.earliest, forecast.latest, why)


def left(track: TrackedImage, *, now: float) -> Remaining | None:
    """What an upload still takes; None when that is not known, and when it is overdue."""
    forecast = track.course.forecast if track.course else None
    if forecast is None or now > forecast.latest:
        return None
    return Remaining(*(max(0.0, end - now) for end in (forecast.ends_at, forecast.earliest, forecast.latest)))


def stalled_s(track: TrackedImage, *, now: float) -> float | None:
    """For how long an upload that is under way has not moved; None for any other."""
    return max(0.0, now - track.mark.changed_at) if track.image.active else None
