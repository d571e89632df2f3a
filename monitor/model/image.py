"""One image of a Controller, and what the daemon keeps of it between polls."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

ImageState = Literal["started", "in_progress", "completed", "failed", "unknown"]
EventState = Literal["pending", "running", "succeeded", "failed"]

ACTIVE: frozenset[ImageState] = frozenset({"started", "in_progress"})

_ACKNOWLEDGED: Final = frozenset({"true", "yes", "1"})


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
    """What the Controller says of it, free text."""


class Image(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    One image object of a Controller, in our words.

    Units: ratio 0 to 1, Unix seconds, seconds. ``None``: the Controller did not say. ``events`` hold one entry a
    (task, node); they are dropped once rendered, so a kept image has none.
    """

    uuid: str
    name: str = ""
    tenant: str = ""
    type: str = ""
    version: str = ""
    patch: str = ""
    uber_bundle: bool = False
    state: ImageState = "unknown"
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
        return self.state in ACTIVE


class ProgressMark(msgspec.Struct, frozen=True, gc=False):
    """
    How far an image had come when it last moved; kept in the database, so that a restart is no movement.

    ``fingerprint``: of progress, tasks, state and events; 16 bytes. Times in Unix seconds of *our* clock.
    """

    fingerprint: bytes
    changed_at: float
    first_seen_at: float


class Eta(msgspec.Struct, frozen=True, gc=False):
    """When an upload should be done: the moment that is promised, and the range; Unix seconds of our clock."""

    ends_at: float
    earliest: float
    latest: float
    why: str = ""
    """Why the promise is another than before; empty while it is the first."""


class UploadProgress(msgspec.Struct, frozen=True, gc=False):
    """
    How an upload that is under way goes, as we saw it.

    ``since``: from when on, Unix seconds of our clock. ``done``: the share of the work that was done then, 0 to 1.
    """

    since: float
    done: float
    forecast: Eta | None = None


class RenderedImage(msgspec.Struct, frozen=True, gc=False):
    """
    One image as exposition text, kept until the image changes.

    ``lines``: one a metric family. ``series``: how many of them are of each tier. ``dropped``: how many were left out
    to stay within the image's budget. ``vital``: active or failed, so the last to lose anything to the controller's.
    """

    lines: tuple[bytes, ...] = ()
    series: tuple[int, int, int] = (0, 0, 0)
    vital: bool = False
    dropped: int = 0


class TrackedImage(msgspec.Struct, frozen=True, gc=False):
    """What is kept of one image between polls: the image without its events, its mark, and its rendering."""

    image: Image
    mark: ProgressMark
    detail_until: float
    """Until when its per-task series are exported, Unix seconds; ``inf`` while it is active or failed."""
    course: UploadProgress | None = None
    """How it goes while it is under way; None when it is not, or when the Controller gives nothing to tell by."""
    portrait: RenderedImage = RenderedImage()
    annotations: Mapping[str, str] = {}
    """Those that ``portrait`` shows."""


def is_acknowledged(annotations: Mapping[str, str]) -> bool:
    """Whether the annotation ``acknowledged`` says that an operator knows of the trouble."""
    return annotations.get("acknowledged", "").lower() in _ACKNOWLEDGED
