"""
What ``GET /api/events`` has told so far: its messages, from bytes to frozen structs, and what each changes. Pure.

Members that this version does not know are ignored, but for the image as it came, which holds them all.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from monitor.cli.api.responses import Moment, decode
from monitor.cli.api.sse import Event
from monitor.model.image import Image

Foreign = Annotated[float, Meta(ge=-62135596800, le=253402300799)]  # a Controller's Unix seconds: what a date can show


class Eta(Struct, frozen=True):
    """When it should be done, by the daemon's clock. ``why``: why that is another moment than was said before."""

    ends_at: float
    earliest: float
    latest: float
    why: str = ""


class Watched(Image, frozen=True, kw_only=True):
    """An image as the stream tells it. ``changed_at``: when it last moved, by the daemon's clock."""

    started_at: Foreign | None = None
    ended_at: Foreign | None = None
    duration_s: float | None = field(default=None, name="duration_seconds")
    changed_at: float | None = None
    eta: Eta | None = None
    acknowledged: bool = False
    annotations: Mapping[str, str] = {}


class Told(Struct, frozen=True):
    """An image, and its JSON as it came."""

    image: Watched
    raw: bytes


class Health(Struct, frozen=True):
    """How polling a controller goes. ``seen_at``: its last good poll; None: there was none since the daemon began."""

    up: bool = False
    stale: bool = False
    auth_suspended: bool = False
    upgrade_in_progress: bool = False
    reason: str | None = None
    cause: str = ""
    version: str = ""
    seen_at: Moment | None = None


class Part(Struct, frozen=True):
    """Of one controller. ``health`` None: as it was."""

    controller: str
    health: Health | None = None
    images: tuple[msgspec.Raw, ...] = ()
    gone: tuple[str, ...] = ()
    removed: bool = False


class Message(Struct, frozen=True):
    """``whole``: it replaces all that was known. ``now``: by the daemon's clock."""

    now: Moment
    parts: tuple[Part, ...]
    whole: bool


class _State(Struct, frozen=True):
    now: Moment
    parts: tuple[Part, ...]


class _Change(Struct, frozen=True):
    now: Moment
    part: Part


def decode_message(event: Event) -> Message | None:
    """None for a kind of event that this version does not know. Raises: ServerError."""
    match event.kind:
        case "state":
            state = decode(event.data, _State)
            return Message(state.now, state.parts, whole=True)
        case "change":
            change = decode(event.data, _Change)
            return Message(change.now, (change.part,), whole=False)
        case _:
            return None


class Known(Struct, frozen=True):
    """What is known of one controller. ``images`` by uuid."""

    health: Health = Health()
    images: Mapping[str, Told] = {}

    @property
    def current(self) -> bool:
        """Whether the last poll was good, so that what is known is true now."""
        return self.health.up and not self.health.stale


Key: TypeAlias = tuple[str, str]
"""A controller's name, and the uuid of an image on it."""


class View(Struct, frozen=True):
    """All that is known. ``ahead_s``: of the reader's own clock, whatever that counts, by the daemon's."""

    controllers: Mapping[str, Known] = {}
    ahead_s: float | None = None

    def told(self, key: Key) -> Told | None:
        """The image, if it is known at present."""
        known = self.controllers.get(key[0])
        return known.images.get(key[1]) if known else None

    def images(self) -> Iterator[tuple[str, Known, Watched]]:
        """All of them, with the controller that has them."""
        for name, known in self.controllers.items():
            for told in known.images.values():
                yield name, known, told.image


class ImageTold(Struct, frozen=True):
    """An image is there, or is another than before."""

    controller: str
    told: Told


class ImageGone(Struct, frozen=True):
    """An image is there no more."""

    controller: str
    image: Watched


class HealthTold(Struct, frozen=True):
    """Polling a controller goes otherwise than before. ``before`` None: nothing was known."""

    controller: str
    health: Health
    before: Health | None


class ControllerGone(Struct, frozen=True):
    """A controller is watched no more."""

    controller: str


Change: TypeAlias = ImageTold | ImageGone | HealthTold | ControllerGone


def apply(view: View, message: Message, *, at: float) -> tuple[View, tuple[Change, ...]]:
    """
    What is known after a message, and in what it differs. ``at``: the reader's clock.

    Raises: ServerError for an image that cannot be read.
    """
    before = view.controllers
    after = {} if message.whole else dict(before)
    for part in message.parts:
        if part.removed:
            after.pop(part.controller, None)
        else:
            after[part.controller] = _joined(after.get(part.controller, Known()), part)
    return View(after, _ahead_s(view, message, at=at)), tuple(_differences(before, after))


def _ahead_s(view: View, message: Message, *, at: float) -> float:
    """A message that was long under way, or was kept for who comes back, makes no clock go back."""
    ahead_s = message.now - at
    return ahead_s if message.whole or view.ahead_s is None else max(ahead_s, view.ahead_s)


def _joined(known: Known, part: Part) -> Known:
    gone = frozenset(part.gone)
    images = {uuid: told for uuid, told in known.images.items() if uuid not in gone} if gone else dict(known.images)
    for raw in part.images:
        told = Told(decode(bytes(raw), Watched), bytes(raw))
        images[told.image.uuid] = told
    return Known(part.health or known.health, images)


def _differences(before: Mapping[str, Known], after: Mapping[str, Known]) -> Iterator[Change]:
    for name, known in after.items():
        was = before.get(name)
        if known is not was:
            yield from _health_changes(name, was, known)
            yield from _image_changes(name, was or Known(), known)
    for name in before.keys() - after.keys():
        yield from (ImageGone(name, told.image) for told in before[name].images.values())
        yield ControllerGone(name)


def _health_changes(name: str, was: Known | None, known: Known) -> Iterable[Change]:
    """A good poll after a good poll is none."""
    if was is None or replace(was.health, seen_at=None) != replace(known.health, seen_at=None):
        yield HealthTold(name, known.health, was.health if was else None)


def _image_changes(name: str, was: Known, known: Known) -> Iterable[Change]:
    """A daemon that has just begun and has not read the controller yet does not say that its images are gone."""
    for uuid, told in known.images.items():
        if (old := was.images.get(uuid)) is not told and old != told:
            yield ImageTold(name, told)
    if known.health.seen_at is not None:
        gone = (told.image for uuid, told in was.images.items() if uuid not in known.images)
        yield from (ImageGone(name, image) for image in gone)
