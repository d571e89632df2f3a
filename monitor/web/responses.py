"""
The JSON bodies of responses. The daemon encodes its own objects from these types; an Image is the Controller's own.

Times are Unix seconds; null means never, or unknown.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from monitor.avi import wire
from monitor.model.errors import Reason
from monitor.model.outcome import OutcomeKind
from monitor.model.tracked import EventState, Standing

Json = Any
Next = Annotated[str, Meta(description="The next page, relative to this one: `?page=2&…`; absent on the last one.")]


class Image(wire.Image, kw_only=True):
    """
    An Image object as the Controller sent it, with some members of the daemon. It may have members that are not listed.

    Any member of the Controller's may be absent or null.
    """

    annotations: Annotated[Mapping[str, str], Meta(description="The annotations that operators have set.")]
    controller: Annotated[str, Meta(description="The name of the controller that has the image.")]
    eta_seconds: Annotated[
        float | None, Meta(description="Estimated time until it is completed; null when unknown.")
    ] = None
    eta_seconds_min: Annotated[float | None, Meta(description="Lower bound of the estimate.")] = None
    eta_seconds_max: Annotated[float | None, Meta(description="Upper bound of the estimate.")] = None
    standing: Annotated[Standing, Meta(description="What it means to an operator, as the daemon decides.")] = "unknown"
    standing_rank: Annotated[
        int, Meta(description="The place of its standing in the order of display; 0 comes first.")
    ] = 0
    stalled_seconds: Annotated[
        float | None,
        Meta(description="Time without progress; null when it is not processed, or reports nothing that moves."),
    ] = None


class NodeEvent(Struct, frozen=True):
    """What one node did for one task. Times by the Controller's clock; ``duration_seconds``: as reported."""

    task: str
    node: str
    state: EventState
    status: str
    message: str
    started_at: float | None
    ended_at: float | None
    duration_seconds: float | None


class NodePage(Struct, frozen=True):
    """What was done for one image. ``tasks``: in the Controller's order. ``nodes``: sorted."""

    tasks: list[str]
    nodes: list[str]
    events: list[NodeEvent]


class ImagePage(Struct, frozen=True):
    """One page of images. ``count``: on all pages together."""

    count: int
    results: list[Image]
    next: Next | UnsetType = UNSET


class DryRun(Struct, frozen=True):
    """What a PATCH would do. ``changes``: before and after, by field and by ``annotations.key``; null: absent."""

    dry_run: bool
    image: Image
    changes: Mapping[str, tuple[Json, Json]]


class ControllerStatus(Struct, frozen=True, kw_only=True):
    """The state of polling one controller. ``reason``, ``cause``: why the last poll failed, as a label and as text."""

    name: str
    up: bool
    stale: bool
    auth_suspended: bool
    upgrade_in_progress: bool
    reason: Reason | None
    cause: str
    version: str
    api_version: str
    images: int
    images_active: int
    last_poll_attempt_timestamp_seconds: float | None
    last_poll_success_timestamp_seconds: float | None
    poll_interval_seconds: float


class ControllerPage(Struct, frozen=True):
    """All controllers that are visible to the caller."""

    count: int
    results: list[ControllerStatus]


class AuditEntry(Struct, frozen=True, kw_only=True):
    """
    A change that a caller asked for, and its outcome, which is null while the change is in progress.

    ``asked``: the request. ``changes``: before and after, by field and by ``annotations.key``; null: absent.
    ``answer``: the status of the Controller's response, if there was one.
    """

    number: int
    at: float
    actor: str
    source: str
    request_id: str
    controller: str
    image_uuid: str
    asked: Mapping[str, Json]
    outcome: OutcomeKind | None
    ended_at: float | None
    changes: Mapping[str, tuple[Json, Json]]
    answer: int | None
    detail: str


class AuditPage(Struct, frozen=True):
    """One page of entries, the newest first."""

    results: list[AuditEntry]
    next: Next | UnsetType = UNSET
