"""
What ``GET /api/events`` sends: the fleet, controller by controller. Pure; from entries to structs.

Times are Unix seconds of the daemon's clock, except where the text says that they are the Controller's. Null means
never, or not known.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from monitor.model.errors import Reason
from monitor.model.tracked import Tracked, TrackedObject
from monitor.polling.fleet import Collection, Entry
from monitor.polling.resources import AnyResource
from monitor.polling.status import ImageStatus


class SessionStatus(Struct, frozen=True, kw_only=True, gc=False):
    """The session with one controller. ``reason``, ``cause``: why the last poll failed, as a word and in words."""

    up: bool
    auth_suspended: bool
    upgrade_in_progress: bool
    reason: Reason | None
    cause: str
    version: str


class ReadStatus(Struct, frozen=True, kw_only=True, gc=False):
    """
    The read of one kind of object.

    ``seen_at``: when the last good read ended, as of this message: a good read that changes nothing causes no message.
    """

    stale: bool
    seen_at: float | None


class ResourcePart(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """
    One kind of object of one controller: all objects in a StateMessage, those that differ in a ChangeMessage.

    ``health``: absent when it has not changed. ``gone``: the uuids that the Controller no longer lists.
    """

    health: ReadStatus | None = None
    objects: Annotated[list[ImageStatus], Meta(description="Of the resource `image`: images.")] = []
    gone: list[str] = []


class Part(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """
    One controller: everything in a StateMessage, what differs in a ChangeMessage.

    ``session``: absent when it has not changed. ``resources``: by the name of the kind of object; in a ChangeMessage
    only those that differ. ``removed``: the daemon no longer watches the controller.
    """

    controller: str
    session: SessionStatus | None = None
    resources: Mapping[str, ResourcePart] = {}
    removed: bool = False


class StateMessage(Struct, frozen=True):
    """
    Everything that the client may see. It replaces what the client has.

    ``now``: the time of the daemon's clock when the message was made; compare its other times with this one.
    """

    now: float
    version: str
    stalled_after_seconds: Annotated[float, Meta(description="After how long without a move an upload has stalled.")]
    parts: list[Part]


class ChangeMessage(Struct, frozen=True):
    """What differs now."""

    now: float
    part: Part


class Seen(Struct, frozen=True, gc=False):
    """What clients were last told of one controller. ``stale``: of each read."""

    session: SessionStatus | None = None
    stale: tuple[bool, ...] = ()
    objects: tuple[Mapping[str, TrackedObject[Tracked]], ...] = ()


def seen_of(entry: Entry, resources: Sequence[AnyResource]) -> Seen:
    """Return what `difference` compares of an entry."""
    collections = [entry.collections[resource.name] for resource in resources]
    return Seen(
        _session(entry),
        tuple(collection.health.stale for collection in collections),
        tuple(collection.snapshot.objects for collection in collections),
    )


def full_part(entry: Entry, resources: Sequence[AnyResource]) -> Part:
    """Return everything about a controller."""
    parts = {}
    for resource in resources:
        collection = entry.collections[resource.name]
        objects = [_describe(resource, tracked) for tracked in collection.snapshot.objects.values()]
        parts[resource.name] = ResourcePart(health=_read(collection), objects=objects)
    return Part(controller=entry.name, session=_session(entry), resources=parts)


def difference(before: Seen, entry: Entry, resources: Sequence[AnyResource]) -> Part | None:
    """What differs from what clients were told; None when nothing does."""
    now = seen_of(entry, resources)
    health_unchanged = (now.session, now.stale) == (before.session, before.stale)
    parts = {}
    known_objects = before.objects or ({},) * len(now.objects)
    for resource, known, objects in zip(resources, known_objects, now.objects, strict=True):
        changed, gone = _changed(known, objects)
        if changed or gone or not health_unchanged:
            parts[resource.name] = ResourcePart(
                health=None if health_unchanged else _read(entry.collections[resource.name]),
                objects=[_describe(resource, tracked) for tracked in changed],
                gone=gone,
            )
    if not parts:
        return None
    return Part(controller=entry.name, session=None if health_unchanged else now.session, resources=parts)


def _describe(resource: AnyResource, tracked: TrackedObject[Tracked]) -> Any:  # noqa: ANN401  each resource has its own
    assert resource.describe  # noqa: S101  the stream has only those with one
    return resource.describe(tracked)


def _changed(
    known: Mapping[str, TrackedObject[Tracked]], objects: Mapping[str, TrackedObject[Tracked]]
) -> tuple[list[TrackedObject[Tracked]], list[str]]:
    """The objects in which a client could see a difference, and the uuids that are gone."""
    if objects is known:
        return [], []
    changed = [tracked for uuid, tracked in objects.items() if _differs(known.get(uuid), tracked)]
    return changed, [uuid for uuid in known if uuid not in objects]


def _differs(known: TrackedObject[Tracked] | None, tracked: TrackedObject[Tracked]) -> bool:
    """Whether a client could tell: not when only the rendering differs."""
    return known is not tracked and (known is None or _facts(known) != _facts(tracked))


def _facts(tracked: TrackedObject[Tracked]) -> tuple[object, ...]:
    eta = tracked.progress and tracked.progress.eta
    return tracked.object, tracked.mark.changed_at, eta, tracked.annotations, tracked.standing


def _session(entry: Entry) -> SessionStatus:
    session = entry.session
    return SessionStatus(
        up=session.up,
        auth_suspended=session.auth_suspended,
        upgrade_in_progress=session.upgrading,
        reason=session.reason,
        cause=session.cause,
        version=session.version,
    )


def _read(collection: Collection[Tracked]) -> ReadStatus:
    return ReadStatus(stale=collection.health.stale, seen_at=collection.health.succeeded_at)
