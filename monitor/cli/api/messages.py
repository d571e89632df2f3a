"""The messages of ``GET /api/events``, decoded. Pure. Unknown members are ignored."""

from msgspec import Raw, Struct
from msgspec.structs import asdict

from monitor.cli.api.responses import Timestamp, decode
from monitor.cli.api.sse import Event
from monitor.cli.api.stream_objects import UpgradeStatus


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


class Read(Struct, frozen=True):
    """The read of one kind of object. ``seen_at``: the last good one; None: none yet."""

    stale: bool = False
    seen_at: Timestamp | None = None


class Objects(Struct, frozen=True):
    """The objects of one kind that are new or differ, and the uuids of those that are gone."""

    health: Read | None = None
    objects: tuple[Raw, ...] = ()
    gone: tuple[str, ...] = ()


class _Resources(Struct, frozen=True):
    image: Objects = Objects()
    upgrade: Objects = Objects()


class Part(Struct, frozen=True):
    """
    The part of a message about one controller.

    ``session`` None: its health is unchanged. ``upgrade`` None: likewise, or upgrades are not watched.
    """

    controller: str
    session: _Session | None = None
    resources: _Resources = _Resources()
    upgrade: UpgradeStatus | None = None
    removed: bool = False

    @property
    def health(self) -> Health | None:
        """The session and the read of images together; None when they are unchanged."""
        if self.session is None:
            return None
        read = self.resources.image.health or Read()
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
