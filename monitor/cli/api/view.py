"""
The state that ``GET /api/events`` has sent so far, and what each message changes. Pure.

The JSON of images and units is kept as it was received.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from monitor.cli.api.messages import Health, Message, Objects, Part, Read
from monitor.cli.api.responses import decode
from monitor.cli.api.stream_objects import StreamImage, StreamUnit, UpgradeStatus

T = TypeVar("T", StreamImage, StreamUnit)


class Received(Struct, Generic[T], frozen=True):
    """An image or a unit, and its JSON as it was received."""

    object: T
    raw: bytes


class ControllerView(Struct, frozen=True):
    """
    The state of one controller. ``images`` and ``units`` by uuid.

    ``units_read``: how the units were read. ``upgrade``: None: they are not watched.
    """

    health: Health = Health()
    images: Mapping[str, Received[StreamImage]] = {}
    units: Mapping[str, Received[StreamUnit]] = {}
    units_read: Read = Read()
    upgrade: UpgradeStatus | None = None

    @property
    def is_current(self) -> bool:
        """Whether the last poll succeeded, so that the images are up to date."""
        return self.health.up and not self.health.stale

    @property
    def units_are_current(self) -> bool:
        """Whether the last poll succeeded, so that the units are up to date."""
        return self.health.up and not self.units_read.stale

    @property
    def cluster(self) -> StreamUnit | None:
        """The unit whose upgrade is that of the whole controller."""
        received = self.units.get(self.upgrade.cluster) if self.upgrade else None
        return received.object if received else None


ObjectKey: TypeAlias = tuple[str, str]
"""A controller's name, and the uuid of an image or a unit on it."""


class FleetView(Struct, frozen=True):
    """The state of all controllers. ``clock_offset_s``: the daemon's clock minus the client's monotonic clock."""

    controllers: Mapping[str, ControllerView] = {}
    clock_offset_s: float | None = None

    def get(self, key: ObjectKey) -> Received[StreamImage] | None:
        """Return the image, or None."""
        controller = self.controllers.get(key[0])
        return controller.images.get(key[1]) if controller else None

    def unit(self, key: ObjectKey) -> StreamUnit | None:
        """Return the unit, or None."""
        controller = self.controllers.get(key[0])
        received = controller.units.get(key[1]) if controller else None
        return received.object if received else None

    def images(self) -> Iterator[tuple[str, ControllerView, StreamImage]]:
        """Yield every image with its controller's name and state."""
        for name, controller in self.controllers.items():
            for received in controller.images.values():
                yield name, controller, received.object

    def units(self) -> Iterator[tuple[str, ControllerView, StreamUnit]]:
        """Yield every unit with its controller's name and state."""
        for name, controller in self.controllers.items():
            for received in controller.units.values():
                yield name, controller, received.object


class ImageChanged(Struct, frozen=True):
    """An image is new, or differs from before."""

    controller: str
    received: Received[StreamImage]


class ImageRemoved(Struct, frozen=True):
    """An image no longer exists."""

    controller: str
    image: StreamImage


class UnitChanged(Struct, frozen=True):
    """A unit is new, or differs from before."""

    controller: str
    received: Received[StreamUnit]


class UnitRemoved(Struct, frozen=True):
    """A unit no longer exists."""

    controller: str
    unit: StreamUnit


class UpgradeChanged(Struct, frozen=True):
    """What the units of a controller amount to differs from before. ``before`` None: nothing was known."""

    controller: str
    upgrade: UpgradeStatus
    before: UpgradeStatus | None


class HealthChanged(Struct, frozen=True):
    """The result of polling a controller differs from before. ``before`` None: the controller is new."""

    controller: str
    health: Health
    before: Health | None


class ControllerRemoved(Struct, frozen=True):
    """The daemon no longer watches a controller."""

    controller: str


Change: TypeAlias = (
    ImageChanged | ImageRemoved | UnitChanged | UnitRemoved | UpgradeChanged | HealthChanged | ControllerRemoved
)


def apply(view: FleetView, message: Message, *, received_at: float) -> tuple[FleetView, tuple[Change, ...]]:
    """
    Return the view after a message, and the changes. ``received_at``: by the client's monotonic clock.

    Raises: ServerError for an image or a unit that cannot be decoded.
    """
    before = view.controllers
    after = {} if message.is_full else dict(before)
    for part in message.parts:
        if part.removed:
            after.pop(part.controller, None)
        else:
            after[part.controller] = _apply_part(after.get(part.controller, ControllerView()), part)
    offset_s = _clock_offset_s(view, message, received_at=received_at)
    return FleetView(after, offset_s), tuple(_changes(before, after))


def _clock_offset_s(view: FleetView, message: Message, *, received_at: float) -> float:
    """Never decrease the offset for a delayed message, or for one that was buffered until the client reconnected."""
    offset_s = message.now - received_at
    if message.is_full or view.clock_offset_s is None:
        return offset_s
    return max(offset_s, view.clock_offset_s)


def _apply_part(controller: ControllerView, part: Part) -> ControllerView:
    images, units = part.resources.image, part.resources.upgrade
    return ControllerView(
        part.health or controller.health,
        _apply_objects(controller.images, images, StreamImage),
        _apply_objects(controller.units, units, StreamUnit),
        units.health or controller.units_read,
        part.upgrade or controller.upgrade,
    )


def _apply_objects(known: Mapping[str, Received[T]], changed: Objects, shape: type[T]) -> Mapping[str, Received[T]]:
    if not changed.objects and not changed.gone:
        return known
    objects = {uuid: received for uuid, received in known.items() if uuid not in changed.gone}
    for raw in changed.objects:
        received = Received(decode(bytes(raw), shape), bytes(raw))
        objects[received.object.uuid] = received
    return objects


def _changes(before: Mapping[str, ControllerView], after: Mapping[str, ControllerView]) -> Iterator[Change]:
    for name, controller in after.items():
        old = before.get(name)
        if controller is not old:
            yield from _health_changes(name, old, controller)
            known = old or ControllerView()
            if controller.upgrade and controller.upgrade != known.upgrade:
                yield UpgradeChanged(name, controller.upgrade, known.upgrade)
            yield from _object_changes(name, known, controller)
    for name in before.keys() - after.keys():
        yield from (ImageRemoved(name, received.object) for received in before[name].images.values())
        yield from (UnitRemoved(name, received.object) for received in before[name].units.values())
        yield ControllerRemoved(name)


def _health_changes(name: str, old: ControllerView | None, new: ControllerView) -> Iterable[Change]:
    """Ignore ``seen_at``, which moves with every good poll."""
    if old is None or replace(old.health, seen_at=None) != replace(new.health, seen_at=None):
        yield HealthChanged(name, new.health, old.health if old else None)


def _object_changes(name: str, old: ControllerView, new: ControllerView) -> Iterable[Change]:
    """Report no removal while the daemon has not read the objects since its start: it knows none yet."""
    yield from (ImageChanged(name, received) for received in _changed(old.images, new.images))
    if new.health.seen_at is not None:
        yield from (ImageRemoved(name, received.object) for received in _gone(old.images, new.images))
    yield from (UnitChanged(name, received) for received in _changed(old.units, new.units))
    if new.units_read.seen_at is not None:
        yield from (UnitRemoved(name, received.object) for received in _gone(old.units, new.units))


def _changed(old: Mapping[str, Received[T]], new: Mapping[str, Received[T]]) -> Iterator[Received[T]]:
    for uuid, received in new.items() if new is not old else ():
        if (previous := old.get(uuid)) is not received and previous != received:
            yield received


def _gone(old: Mapping[str, Received[T]], new: Mapping[str, Received[T]]) -> Iterator[Received[T]]:
    return (received for uuid, received in old.items() if uuid not in new)
