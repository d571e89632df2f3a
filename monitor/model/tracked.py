"""What is known of an object of any resource: its state, its progress, and what is kept of it between polls."""

from collections.abc import Mapping
from typing import ClassVar, Final, Generic, Literal, TypeVar

import msgspec

EventState = Literal["pending", "running", "succeeded", "failed"]

Standing = Literal["failed", "stalled", "active", "unknown", "acknowledged", "completed"]
"""
What the state of an object means to an operator. In the order in which objects are shown: what needs an operator first.

``stalled``: active, but unmoved for too long. ``acknowledged``: failed, but acknowledged by an annotation.
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
    The fields that objects of all resources have; a resource adds its own by a subclass.

    Units: ratio 0 to 1, Unix seconds, seconds. None: the Controller did not say. ``events`` has one entry for each task
    on each node; it is dropped after rendering, so an object that is kept between polls has none, but ``had_events``.
    """

    ACTIVE_STATES: ClassVar[frozenset[str]] = frozenset({"started", "in_progress"})
    FAILED_STATES: ClassVar[frozenset[str]] = frozenset({"failed"})
    """States in which the work will not go on without an operator."""
    COMPLETED_STATES: ClassVar[frozenset[str]] = frozenset({"completed"})

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
    had_events: bool = False

    @property
    def active(self) -> bool:
        """Whether the Controller says that it is working on the object."""
        return self.state in self.ACTIVE_STATES

    @property
    def failed(self) -> bool:
        """Whether an operator has to look at it."""
        return self.state in self.FAILED_STATES

    @property
    def suspended(self) -> bool:
        """Whether the work on it waits for an operator."""
        return False

    @property
    def waits_for_others(self) -> bool:
        """Whether it is active only as long as others are worked on."""
        return False

    @property
    def identity(self) -> tuple[str, ...]:
        """The values of the labels that identify it, after the controller's."""
        return (self.uuid,)

    @property
    def moving_parts(self) -> tuple[object, ...]:
        """What moves besides progress, tasks, state and events. With a `repr` that is equal in every process."""
        return ()

    @property
    def drop_order(self) -> int:
        """Where a budget has to drop series: of the objects with the lowest number first."""
        return int(self.active or self.failed)

    @property
    def never_dropped(self) -> bool:
        """Whether its core series are exported, whatever the budget."""
        return False

    @property
    def has_begun(self) -> bool:
        """Whether any work on it has begun; without it, there is no detail to show."""
        return True

    @property
    def can_stall(self) -> bool:
        """
        Whether it is active and the Controller reports something that moves meanwhile.

        Releases before 21.1.3 and some editions report neither progress nor tasks nor events: an upload of any length
        looks the same there from its beginning to its end.
        """
        reported = (self.progress_ratio, self.tasks_completed) != (None, None) or self.had_events or bool(self.events)
        return self.active and reported


T_co = TypeVar("T_co", bound=Tracked, covariant=True)


class OperationMark(msgspec.Struct, frozen=True, gc=False):
    """
    The operation of an object on which several follow one another, as it is stored with its progress mark.

    ``key``: identifies the operation among those of the object; empty while nothing was ever done. ``operation``,
    ``started_at``: as told last. ``active``: whether the object was active last.
    """

    key: str = ""
    operation: str = ""
    started_at: float | None = None
    active: bool = False


class ProgressMark(msgspec.Struct, frozen=True, gc=False):
    """
    When an object last moved, that is, when its progress, tasks, state or an event changed.

    ``fingerprint``: a hash of these. ``operation``: None for an object on which there is only one, as an upload.
    Marks are stored in the database, so that a restart of the daemon is not taken for a change, or for another
    operation. Times in Unix seconds of the daemon's clock.
    """

    fingerprint: bytes
    changed_at: float
    first_seen_at: float
    operation: OperationMark | None = None

    def work_id(self, uuid: str) -> str:
        """Return what identifies the work on the object of this uuid: what is kept of an earlier one is not of it."""
        return work_id(uuid, self.operation.key if self.operation else None)


def work_id(uuid: str, operation_key: str | None) -> str:
    """As `ProgressMark.work_id`. ``operation_key``: None for an object on which there is only one operation."""
    return uuid if operation_key is None else f"{uuid}@{operation_key}"


class Eta(msgspec.Struct, frozen=True, gc=False):
    """The estimated end of work, and its range; Unix seconds of the daemon's clock."""

    ends_at: float
    earliest: float
    latest: float
    why: str = ""
    """Why the estimate differs from the one before; empty for the first."""


class UploadProgress(msgspec.Struct, frozen=True, gc=False):
    """
    The progress of work that is under way, as the daemon measured it.

    ``since``: when the daemon first saw it, Unix seconds of the daemon's clock. ``initial_ratio``: the share of the
    work that was done at that time, 0 to 1. ``eta``: None while too little was seen for an estimate. ``overdue``:
    whether its latest end has passed.
    """

    since: float
    initial_ratio: float
    eta: Eta | None = None
    overdue: bool = False

    @property
    def forecast(self) -> Eta | None:
        """The estimate, unless it is overdue."""
        return None if self.overdue else self.eta


class RenderedObject(msgspec.Struct, frozen=True, gc=False):
    """
    One object as exposition text, kept until the object changes.

    ``lines``: one text for each metric family. ``series``: how many series it has of each tier, CORE, NODE and DETAIL.
    ``drop_order``, ``never_dropped``: of the object, for the controller's budget.
    ``dropped``: how many series the object's own budget dropped.
    """

    lines: tuple[bytes, ...] = ()
    series: tuple[int, int, int] = (0, 0, 0)
    drop_order: int = 0
    never_dropped: bool = False
    dropped: int = 0


class TrackedObject(msgspec.Struct, Generic[T_co], frozen=True, gc=False):
    """What is kept of one object between polls. ``object``: without its events."""

    object: T_co
    mark: ProgressMark
    detail_until: float
    """Until when its per-task series are exported, Unix seconds; ``inf`` while it is active or failed."""
    progress: UploadProgress | None = None
    """None when it is not active, or when the Controller reports neither progress nor tasks."""
    rendered: RenderedObject = RenderedObject()
    annotations: Mapping[str, str] = {}
    """Those that ``rendered`` contains."""
    standing: Standing = "unknown"


def is_acknowledged(annotations: Mapping[str, str]) -> bool:
    """Whether an operator has acknowledged the object, by the annotation ``acknowledged``."""
    return annotations.get("acknowledged", "").lower() in _TRUE
