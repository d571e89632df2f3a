"""
What ``GET /api/events`` sends: the fleet, controller by controller. Pure; from entries to structs.

Times are Unix seconds of the daemon's clock, except where the text says that they are the Controller's. Null means
never, or not known.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta, Struct

from monitor.model.errors import Reason
from monitor.model.tracked import Tracked, TrackedObject
from monitor.polling.fleet import Collection, Entry
from monitor.polling.resources import AnyResource
from monitor.polling.upgrade_status import UpgradeStatus, describe_upgrade

Objects: TypeAlias = Mapping[str, TrackedObject[Tracked]]

_NOT_WATCHED: Final = UpgradeStatus()


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

    ``health``: absent when it has not changed. ``gone``: the uuids that the Controller no longer lists, or all when
    the daemon no longer watches this kind.
    """

    health: ReadStatus | None = None
    objects: Annotated[list[Any], Meta(description="Of `image`: ImageStatus. Of `upgrade`: UnitStatus.")] = []
    gone: list[str] = []


class Part(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """
    One controller: everything in a StateMessage, what differs in a ChangeMessage.

    ``session``: absent when it has not changed. ``resources``: by the name of the kind of object; in a ChangeMessage
    only those that differ. ``upgrade``: absent when it has not changed, or is not watched. ``removed``: the daemon no
    longer watches the controller.
    """

    controller: str
    session: SessionStatus | None = None
    resources: Mapping[str, ResourcePart] = {}
    upgrade: UpgradeStatus | None = None
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
    """What clients were last told of one controller. ``stale``, ``objects``: of each resource that is watched on it."""

    session: SessionStatus | None = None
    stale: Mapping[str, bool] = {}
    objects: Mapping[str, Objects] = {}
    upgrade: UpgradeStatus | None = None


def seen_of(entry: Entry, resources: Sequence[AnyResource]) -> Seen:
    """Return what `difference` compares of an entry."""
    watched = _watched(entry, resources)
    return Seen(
        _session(entry),
        {resource.name: collection.health.stale for resource, collection in watched},
        {resource.name: collection.snapshot.objects for resource, collection in watched},
        describe_upgrade(entry),
    )


def full_part(entry: Entry, resources: Sequence[AnyResource]) -> Part:
    """Return everything about a controller."""
    parts = {}
    for resource, collection in _watched(entry, resources):
        objects = [_describe(resource, tracked) for tracked in collection.snapshot.objects.values()]
        parts[resource.name] = ResourcePart(health=_read(collection), objects=objects)
    return Part(controller=entry.name, session=_session(entry), resources=parts, upgrade=describe_upgrade(entry))


def difference(before: Seen, entry: Entry, resources: Sequence[AnyResource]) -> Part | None:
    """What differs from what clients were told; None when nothing does."""
    now = seen_of(entry, resources)
    health_unchanged = (now.session, now.stale) == (before.session, before.stale)
    parts = {name: ResourcePart(gone=list(known)) for name, known in before.objects.items() if name not in now.objects}
    for resource, collection in _watched(entry, resources):
        changed, gone = _changed(before.objects.get(resource.name, {}), now.objects[resource.name])
        if changed or gone or not health_unchanged:
            parts[resource.name] = ResourcePart(
                health=None if health_unchanged else _read(collection),
                objects=[_describe(resource, tracked) for tracked in changed],
                gone=gone,
            )
    if not parts and now.upgrade == before.upgrade:
        return None
    return Part(
        controller=entry.name,
        session=None if health_unchanged else now.session,
        resources=parts,
        upgrade=None if now.upgrade == before.upgrade else now.upgrade or _NOT_WATCHED,
    )


def _watched(entry: Entry, resources: Sequence[AnyResource]) -> list[tuple[AnyResource, Collection[Tracked]]]:
    """Return the resources that are polled on this controller, with their objects."""
    return [(each, entry.collections[each.name]) for each in resources if each.name in entry.collections]


def _describe(resource: AnyResource, tracked: TrackedObject[Tracked]) -> Any:  # noqa: ANN401  each resource has its own
    assert resource.describe  # noqa: S101  the stream has only those with one
    return resource.describe(tracked)


def _changed(known: Objects, objects: Objects) -> tuple[list[TrackedObject[Tracked]], list[str]]:
    """The objects in which a client could see a difference, and the uuids that are gone."""
    if objects is known:
        return [], []
    changed = [tracked for uuid, tracked in objects.items() if _differs(known.get(uuid), tracked)]
    return changed, [uuid for uuid in known if uuid not in objects]


def _differs(known: TrackedObject[Tracked] | None, tracked: TrackedObject[Tracked]) -> bool:
    """Whether a client could tell: not when only the rendering differs."""
    return known is not tracked and (known is None or _facts(known) != _facts(tracked))


def _facts(tracked: TrackedObject[Tracked]) -> tuple[object, ...]:
    moved = tracked.mark.changed_at, tracked.mark.operation, tracked.progress
    return tracked.object, moved, tracked.annotations, tracked.standing


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
