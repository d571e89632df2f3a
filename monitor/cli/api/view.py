"""
The state that ``GET /api/events`` has sent so far: its messages, decoded, and what each one changes. Pure.

Unknown members are ignored, except in the JSON of an image, which is kept as it was received.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import asdict, replace

from monitor.cli.api.responses import Timestamp, decode
from monitor.cli.api.sse import Event
from monitor.model.image import Image
from monitor.model.tracked import Standing

ControllerTimestamp = Annotated[float, Meta(ge=-62135596800, le=253402300799)]
"""Unix seconds of a Controller's clock, limited to what a date can show."""


class Eta(Struct, frozen=True):
    """The expected end, by the daemon's clock. ``why``: the reason when the estimate changed."""

    ends_at: float
    earliest: float
    latest: float
    why: str = ""


class StreamImage(Image, frozen=True, kw_only=True):
    """An image of the stream. ``changed_at``: its last progress, by the daemon's clock."""

    started_at: ControllerTimestamp | None = None
    ended_at: ControllerTimestamp | None = None
    duration_s: float | None = field(default=None, name="duration_seconds")
    changed_at: float | None = None
    standing: Standing = "unknown"
    standing_rank: int = 0
    eta: Eta | None = None
    acknowledged: bool = False
    annotations: Mapping[str, str] = {}


class ReceivedImage(Struct, frozen=True):
    """An image, and its JSON as it was received."""

    image: StreamImage
    raw: bytes


class _Session(Struct, frozen=True):
    up: bool = False
    auth_suspended: bool = False
    upgrade_in_progress: bool = False
    reason: str | None = None
    cause: str = ""
    version: str = ""


class Health(_Session, frozen=True):
    """The result of polling a controller. ``seen_at``: the last good poll since the daemon started; None: none yet."""

    stale: bool = False
    seen_at: Timestamp | None = None


class _Read(Struct, frozen=True):
    stale: bool = False
    seen_at: Timestamp | None = None


class _Images(Struct, frozen=True):
    health: _Read | None = None
    objects: tuple[msgspec.Raw, ...] = ()
    gone: tuple[str, ...] = ()


class _Resources(Struct, frozen=True):
    image: _Images = _Images()


class Part(Struct, frozen=True):
    """The part of a message about one controller. ``session`` None: its health is unchanged."""

    controller: str
    session: _Session | None = None
    resources: _Resources = _Resources()
    removed: bool = False

    @property
    def health(self) -> Health | None:
        """The session and the read of images together; None when they are unchanged."""
        if self.session is None:
            return None
        read = self.resources.image.health or _Read()
        return Health(**asdict(self.session), **asdict(read))


class Message(Struct, frozen=True):
    """``is_full``: it replaces all earlier state. ``now``: the daemon's clock."""

    now: Timestamp
    parts: tuple[Part, ...]
    is_full: bool


class _State(Struct, frozen=True):
    now: Timestamp
    parts: tuple[Part, ...]


class _Change(Struct, frozen=True):
    now: Timestamp
    part: Part


def decode_message(event: Event) -> Message | None:
    """Return None for an event type that this version does not know. Raises: ServerError."""
    match event.type:
        case "state":
            state = decode(event.data, _State)
            return Message(state.now, state.parts, is_full=True)
        case "change":
            change = decode(event.data, _Change)
            return Message(change.now, (change.part,), is_full=False)
        case _:
            return None


class ControllerView(Struct, frozen=True):
    """The state of one controller. ``images`` by uuid."""

    health: Health = Health()
    images: Mapping[str, ReceivedImage] = {}

    @property
    def is_current(self) -> bool:
        """Whether the last poll succeeded, so that the images are up to date."""
        return self.health.up and not self.health.stale


ImageKey: TypeAlias = tuple[str, str]
"""A controller's name, and the uuid of an image on it."""


class FleetView(Struct, frozen=True):
    """The state of all controllers. ``clock_offset_s``: the daemon's clock minus the client's monotonic clock."""

    controllers: Mapping[str, ControllerView] = {}
    clock_offset_s: float | None = None

    def get(self, key: ImageKey) -> ReceivedImage | None:
        """Return the image, or None."""
        controller = self.controllers.get(key[0])
        return controller.images.get(key[1]) if controller else None

    def images(self) -> Iterator[tuple[str, ControllerView, StreamImage]]:
        """Yield every image with its controller's name and state."""
        for name, controller in self.controllers.items():
            for received in controller.images.values():
                yield name, controller, received.image


class ImageChanged(Struct, frozen=True):
    """An image is new, or differs from before."""

    controller: str
    received: ReceivedImage


class ImageRemoved(Struct, frozen=True):
    """An image no longer exists."""

    controller: str
    image: StreamImage


class HealthChanged(Struct, frozen=True):
    """The result of polling a controller differs from before. ``before`` None: the controller is new."""

    controller: str
    health: Health
    before: Health | None


class ControllerRemoved(Struct, frozen=True):
    """The daemon no longer watches a controller."""

    controller: str


Change: TypeAlias = ImageChanged | ImageRemoved | HealthChanged | ControllerRemoved


def apply(view: FleetView, message: Message, *, received_at: float) -> tuple[FleetView, tuple[Change, ...]]:
    """
    Return the view after a message, and the changes. ``received_at``: by the client's monotonic clock.

    Raises: ServerError for an image that cannot be decoded.
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
    images = dict(controller.images)
    for uuid in part.resources.image.gone:
        images.pop(uuid, None)
    for raw in part.resources.image.objects:
        received = ReceivedImage(decode(bytes(raw), StreamImage), bytes(raw))
        images[received.image.uuid] = received
    return ControllerView(part.health or controller.health, images)


def _changes(before: Mapping[str, ControllerView], after: Mapping[str, ControllerView]) -> Iterator[Change]:
    for name, controller in after.items():
        old = before.get(name)
        if controller is not old:
            yield from _health_changes(name, old, controller)
            yield from _image_changes(name, old or ControllerView(), controller)
    for name in before.keys() - after.keys():
        yield from (ImageRemoved(name, received.image) for received in before[name].images.values())
        yield ControllerRemoved(name)


def _health_changes(name: str, old: ControllerView | None, new: ControllerView) -> Iterable[Change]:
    """Ignore ``seen_at``, which moves with every good poll."""
    if old is None or replace(old.health, seen_at=None) != replace(new.health, seen_at=None):
        yield HealthChanged(name, new.health, old.health if old else None)


def _image_changes(name: str, old: ControllerView, new: ControllerView) -> Iterable[Change]:
    """Report no removal while the daemon has not polled the controller since its start: it knows no images yet."""
    for uuid, received in new.images.items():
        if (previous := old.images.get(uuid)) is not received and previous != received:
            yield ImageChanged(name, received)
    if new.health.seen_at is not None:
        gone = (received.image for uuid, received in old.images.items() if uuid not in new.images)
        yield from (ImageRemoved(name, image) for image in gone)
