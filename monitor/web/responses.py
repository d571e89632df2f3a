"""
The JSON that the routes answer with. What is ours encodes from these types; an Image is the Controller's, as it came.

Times are Unix seconds; null: never, or not known.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from monitor.avi import wire
from monitor.model.errors import Reason
from monitor.model.outcome import OutcomeKind
from monitor.model.tracked import EventState, Standing

Json = Any
Next = Annotated[str, Meta(description="The URL of the next page; not there on the last one.")]


class Image(wire.Image, kw_only=True):
    """
    An Image object as the Controller gave it, with two members of ours. It may have members that are not listed.

    Every member of the Controller's may lack, or be null.
    """

    annotations: Annotated[Mapping[str, str], Meta(description="What operators wrote on it.")]
    controller: Annotated[str, Meta(description="The name of the controller that it is on.")]
    eta_seconds: Annotated[float | None, Meta(description="What it still takes; null when that is not known.")] = None
    eta_seconds_min: Annotated[float | None, Meta(description="The least that it should take.")] = None
    eta_seconds_max: Annotated[float | None, Meta(description="The most that it should take.")] = None
    standing: Annotated[Standing, Meta(description="What it means to an operator, as the daemon decides.")] = "unknown"
    standing_rank: Annotated[
        int, Meta(description="The place of its standing in the order of display; 0 comes first.")
    ] = 0
    stalled_seconds: Annotated[
        float | None, Meta(description="For how long it has not moved; null when it is not under way.")
    ] = None


class NodeEvent(Struct, frozen=True):
    """What one node did for one task. Times by the Controller's clock; ``duration_seconds``: as it reports it."""

    task: str
    node: str
    state: EventState
    status: str
    message: str
    started_at: float | None
    ended_at: float | None
    duration_seconds: float | None


class NodePage(Struct, frozen=True):
    """An image's processing. ``tasks``: in the Controller's order. ``nodes``: sorted."""

    tasks: list[str]
    nodes: list[str]
    events: list[NodeEvent]


class ImagePage(Struct, frozen=True):
    """Images. ``count``: on all pages together."""

    count: int
    results: list[Image]
    next: Next | UnsetType = UNSET


class Rehearsal(Struct, frozen=True):
    """What a PATCH would do. ``changes``: before and after, by field and by ``annotations.key``; null: not there."""

    dry_run: bool
    image: Image
    changes: Mapping[str, tuple[Json, Json]]


class Polling(Struct, frozen=True, kw_only=True):
    """How polling one controller goes. ``reason``, ``cause``: why the last poll failed, as a word and in words."""

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


class PollingPage(Struct, frozen=True):
    """All controllers that the caller may see."""

    count: int
    results: list[Polling]


class Audited(Struct, frozen=True, kw_only=True):
    """
    What somebody was about to do, and what became of it; ``outcome`` is null while it is under way.

    ``changes``: before and after, by field and by ``annotations.key``; null: not there. ``answer``: the Controller's
    status, where it gave one.
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
    """Intents, the newest first."""

    results: list[Audited]
    next: Next | UnsetType = UNSET
