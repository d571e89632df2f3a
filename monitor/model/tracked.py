"""What is known of any kind of object that is polled: its state, its progress, and what is kept of it between polls."""

from collections.abc import Mapping
from typing import ClassVar, Final, Generic, Literal, TypeVar

import msgspec

EventState = Literal["pending", "running", "succeeded", "failed"]

Standing = Literal["failed", "stalled", "active", "unknown", "acknowledged", "completed"]
"""
What an object means to an operator, in the order in which objects are shown: what needs a person comes first.

``acknowledged``: failed, and the annotation ``acknowledged`` says that an operator knows.
"""

_TRUE: Final = frozenset({"true", "yes", "1"})


class Event(msgspec.Struct, frozen=True, gc=False):
    """What one node did for one task. Times in Unix seconds, ``duration_s`` as the Controller reports it."""

    task: str
    node: str
    state: EventState
    status: str
    started_at: float | None = None
    ended_at: float | None = None
    duration_s: float | None = None
    message: str = ""
    """Free text of the Controller."""


class Tracked(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    What changes, estimates, events and budgets read of any kind of object.

    Units: ratio 0 to 1, Unix seconds, seconds. ``None``: the Controller did not say. ``events`` hold one entry a
    (task, node); they are dropped once rendered, so a kept object has none.
    """

    ACTIVE_STATES: ClassVar[frozenset[str]] = frozenset({"started", "in_progress"})

    uuid: str
    name: str = ""
    tenant: str = ""
    state: str = "unknown"
    reason: str = ""
    progress_ratio: float | None = None
    tasks: int | None = None
    tasks_completed: int | None = None
    state_changed_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    last_modified_at: float | None = None
    duration_s: float | None = None
    events: tuple[Event, ...] = ()

    @property
    def active(self) -> bool:
        """Whether the Controller still works on it, as far as it says."""
        return self.state in self.ACTIVE_STATES


T_co = TypeVar("T_co", bound=Tracked, covariant=True)


class ProgressMark(msgspec.Struct, frozen=True, gc=False):
    """
    How far an object had come when it last moved; kept in the database, so that a restart is no movement.

    ``fingerprint``: of progress, tasks, state and events; 16 bytes. Times in Unix seconds of the daemon's clock.
    """

    fingerprint: bytes
    changed_at: float
    first_seen_at: float


class Eta(msgspec.Struct, frozen=True, gc=False):
    """When work should be done: the moment that is promised, and the range; Unix seconds of the daemon's clock."""

    ends_at: float
    earliest: float
    latest: float
    why: str = ""
    """Why the promise differs from the one before; empty while it is the first."""


class UploadProgress(msgspec.Struct, frozen=True, gc=False):
    """
    How work that is under way goes, as the daemon saw it.

    ``since``: from when on, Unix seconds of the daemon's clock. ``done``: the share that was done then, 0 to 1.
    """

    since: float
    done: float
    eta: Eta | None = None


class RenderedObject(msgspec.Struct, frozen=True, gc=False):
    """
    One object as exposition text, kept until the object changes.

    ``lines``: one a metric family. ``series``: how many of them are of each tier. ``dropped``: how many were left out
    to stay within the object's budget. ``keep_last``: active or failed, so the last to lose series to the controller's
    budget.
    """

    lines: tuple[bytes, ...] = ()
    series: tuple[int, int, int] = (0, 0, 0)
    keep_last: bool = False
    dropped: int = 0


class TrackedObject(msgspec.Struct, Generic[T_co], frozen=True, gc=False):
    """What is kept of one object between polls: the object without its events, its mark, and its rendering."""

    object: T_co
    mark: ProgressMark
    detail_until: float
    """Until when its per-task series are exported, Unix seconds; ``inf`` while it is active or failed."""
    progress: UploadProgress | None = None
    """None when it is not under way, or when the Controller gives nothing to tell by."""
    rendered: RenderedObject = RenderedObject()
    annotations: Mapping[str, str] = {}
    """Those that ``rendered`` shows."""
    standing: Standing = "unknown"


def is_acknowledged(annotations: Mapping[str, str]) -> bool:
    """Whether the annotation ``acknowledged`` says that an operator knows of the trouble."""
    return annotations.get("acknowledged", "").lower() in _TRUE
