"""
What a reader of ``GET /api/events`` is told: the fleet in our own words, part by part. Pure; from entry to structs.

Times are Unix seconds of our clock, but where they are said to be the Controller's; null: never, or not known.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

from msgspec import Meta, Struct

from monitor.model.errors import Reason
from monitor.model.tracked import Eta, is_acknowledged, Tracked, TrackedObject
from monitor.model.image import ImageState
from monitor.polling.fleet import Entry


class LiveImage(Struct, frozen=True, kw_only=True, gc=False):
    """One image. ``started_at``, ``ended_at``, ``duration_seconds``: by the Controller's clock."""

    uuid: str
    name: str
    tenant: str
    type: str
    version: str
    patch: str
    uber_bundle: bool
    state: ImageState
    reason: str
    progress_ratio: float | None
    tasks: int | None
    tasks_completed: int | None
    started_at: float | None
    ended_at: float | None
    duration_seconds: float | None
    changed_at: Annotated[float, Meta(description="When progress, tasks, state or an event moved last.")]
    first_seen_at: float
    eta: Eta | None
    acknowledged: bool
    annotations: Mapping[str, str]


class LiveHealth(Struct, frozen=True, kw_only=True, gc=False):
    """How polling one controller goes. ``seen_at``: the last good poll, as of this message."""

    up: bool
    stale: bool
    auth_suspended: bool
    upgrade_in_progress: bool
    reason: Reason | None
    cause: str
    version: str
    seen_at: float | None


class Part(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """
    One controller: in a state all of it, in a change what is other now.

    ``health``: null when it is as it was. ``gone``: the uuids that are no longer there. ``removed``: the controller
    is watched no more.
    """

    controller: str
    health: LiveHealth | None = None
    images: list[LiveImage] = []
    gone: list[str] = []
    removed: bool = False


class LiveState(Struct, frozen=True):
    """All that the caller may see; it replaces everything. ``now``: by which its times are to be read."""

    now: float
    version: str
    parts: list[Part]


class LiveChange(Struct, frozen=True):
    """What is other now."""

    now: float
    part: Part


Seen = tuple[Mapping[str, TrackedObject[Tracked]], LiveHealth | None]
"""What is known of one controller: its images, and its health less the moment of the poll."""

NOTHING: Seen = ({}, None)


def seen_of(entry: Entry) -> Seen:
    """What of an entry can make a difference."""
    return entry.snapshot.images, _health(entry, seen_at=None)


def whole(entry: Entry) -> Part:
    """All that there is to tell of a controller."""
    return _part(entry, entry.snapshot.images.values(), health=_health(entry, seen_at=entry.health.succeeded_at))


def difference(before: Seen, entry: Entry) -> Part | None:
    """What is other than before; None when nothing is."""
    images, health = before
    now = entry.snapshot.images
    moved = [track for uuid, track in now.items() if _differs(images.get(uuid), track)] if now is not images else []
    gone = [uuid for uuid in images if uuid not in now] if now is not images else []
    other = _health(entry, seen_at=None) != health
    if not moved and not gone and not other:
        return None
    return _part(entry, moved, gone, _health(entry, seen_at=entry.health.succeeded_at) if other else None)


def _differs(known: TrackedObject[Tracked] | None, track: TrackedObject[Tracked]) -> bool:
    """Whether a reader could tell: not when only the rendering is another."""
    return known is not track and (known is None or _facts(known) != _facts(track))


def _facts(track: TrackedObject[Tracked]) -> tuple[object, ...]:
    return track.image, track.mark.changed_at, track.course and track.course.forecast, track.annotations


def _part(
    entry: Entry, tracks: Iterable[TrackedObject[Tracked]], gone: Iterable[str] = (), health: LiveHealth | None = None
) -> Part:
    return Part(controller=entry.name, health=health, images=[_image(track) for track in tracks], gone=list(gone))


def _health(entry: Entry, *, seen_at: float | None) -> LiveHealth:
    health = entry.health
    return LiveHealth(
        up=health.up,
        stale=health.stale,
        auth_suspended=health.auth_suspended,
        upgrade_in_progress=health.upgrading,
        reason=health.reason,
        cause=health.cause,
        version=health.version,
        seen_at=seen_at,
    )


def _image(track: TrackedObject[Tracked]) -> LiveImage:
    image = track.image
    return LiveImage(
        uuid=image.uuid,
        name=image.name,
        tenant=image.tenant,
        type=image.type,
        version=image.version,
        patch=image.patch,
        uber_bundle=image.uber_bundle,
        state=image.state,
        reason=image.reason,
        progress_ratio=image.progress_ratio,
        tasks=image.tasks,
        tasks_completed=image.tasks_completed,
        started_at=image.started_at,
        ended_at=image.ended_at,
        duration_seconds=image.duration_s,
        changed_at=track.mark.changed_at,
        first_seen_at=track.mark.first_seen_at,
        eta=track.course.forecast if track.course else None,
        acknowledged=is_acknowledged(track.annotations),
        annotations=track.annotations,
    )
