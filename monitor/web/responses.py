"""
The JSON bodies of responses. The daemon encodes its own objects from these types; an Image is the Controller's own.

Times are Unix seconds; null means never, or unknown.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from monitor.avi import upgrade_wire, wire
from monitor.model.errors import Reason
from monitor.model.outcome import OutcomeKind
from monitor.model.tracked import EventState, Standing
from monitor.model.upgrade import CheckResult, EngineState, ImageRole, UpgradeState
from monitor.polling.inventory import KeepReason

Json = Any
Next = Annotated[str, Meta(description="The next page, relative to this one: `?page=2&…`; absent on the last one.")]


Annotations = Annotated[Mapping[str, str], Meta(description="The annotations that operators have set.")]
ControllerName = Annotated[str, Meta(description="The name of the controller that has it.")]
ObjectStanding = Annotated[Standing, Meta(description="What it means to an operator, as the daemon decides.")]
StandingRank = Annotated[int, Meta(description="The place of its standing in the order of display; 0 comes first.")]
Eta = Annotated[float | None, Meta(description="Estimated time until it is completed; null when unknown.")]
EtaMin = Annotated[float | None, Meta(description="Lower bound of the estimate.")]
EtaMax = Annotated[float | None, Meta(description="Upper bound of the estimate.")]
Stalled = Annotated[
    float | None,
    Meta(description="Time without progress; null when it is not processed, or reports nothing that moves."),
]


class Image(wire.Image, kw_only=True):
    """
    An Image object as the Controller sent it, with some members of the daemon. It may have members that are not listed.

    Any member of the Controller's may be absent or null.
    """

    annotations: Annotations
    controller: ControllerName
    eta_seconds: Eta = None
    eta_seconds_min: EtaMin = None
    eta_seconds_max: EtaMax = None
    standing: ObjectStanding = "unknown"
    standing_rank: StandingRank = 0
    stalled_seconds: Stalled = None


class UpgradeStatusInfo(upgrade_wire.Upgrade, kw_only=True):
    """
    An UpgradeStatusInfo object as the Controller sent it, with some members of the daemon.

    It may have members that are not listed. Any member of the Controller's may be absent or null.
    """

    annotations: Annotations
    controller: ControllerName
    observed_at: Annotated[float | None, Meta(description="When the units were last read, Unix seconds.")] = None
    detail: Annotated[
        Literal["full", "summary"],
        Meta(description="`summary`: since it changed, only what a summary tells was read; the rest is older."),
    ] = "full"
    left_out: Annotated[list[str], Meta(description="The Controller's members that were too large to be kept.")] = (
        field(default_factory=list)
    )
    upgrade_state: Annotated[
        UpgradeState, Meta(description="What the Controller's state means; `completed` is of this unit alone.")
    ] = "unknown"
    eta_seconds: Eta = None
    eta_seconds_min: EtaMin = None
    eta_seconds_max: EtaMax = None
    standing: ObjectStanding = "unknown"
    standing_rank: StandingRank = 0
    stalled_seconds: Stalled = None


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
    """What each node did. ``tasks``: in the Controller's order. ``nodes``: sorted."""

    tasks: list[str]
    nodes: list[str]
    events: list[NodeEvent]


class ImagePage(Struct, frozen=True):
    """One page of images. ``count``: on all pages together."""

    count: int
    results: list[Image]
    next: Next | UnsetType = UNSET


class UnitPage(Struct, frozen=True):
    """One page of units. ``count``: on all pages together."""

    count: int
    results: list[UpgradeStatusInfo]
    next: Next | UnsetType = UNSET


class CheckException(Struct, frozen=True):
    """A pre-check that did not simply pass. ``code``: the Controller's; ``other`` when it has none."""

    code: str
    result: CheckResult
    description: str
    details: list[str]


class Engine(Struct, frozen=True):
    """
    A Service Engine of a group during its operation. ``name``: empty while it is not known.

    ``since``: since when it has been seen in progress. ``took_seconds``: if it was seen from begin to end, and the
    operation goes on. Both by the daemon's clock: the Controller does not say.
    """

    uuid: str
    name: str
    state: EngineState
    since: float | None
    took_seconds: float | None


class TaskPage(NodePage, frozen=True, kw_only=True):
    """
    What was done in the operation of one unit. ``checks``: the pre-checks that failed or warned.

    ``engines``: of an SE group; those first that need an operator. ``notes``: of an SE group, the Controller's texts.
    """

    checks: list[CheckException]
    engines: list[Engine] | UnsetType = UNSET
    notes: list[str] | UnsetType = UNSET


class ImageUser(Struct, frozen=True):
    """A unit that refers to an image, in the Controller's own words, and how."""

    name: str
    node_type: Annotated[str, Meta(description="Such as `NODE_SE_GROUP`; empty when the Controller does not say.")]
    uuid: str
    roles: list[ImageRole]


class ImageInUse(Struct, frozen=True):
    """
    An image, and the units that refer to it. ``reasons``: what speaks against deleting it.

    ``in_use_info`` is empty, too, where the daemon may not read the units, but the Controller says that it is in use.
    """

    image: Image
    in_use: Annotated[bool | None, Meta(description="Null when it is not known.")]
    in_use_info: list[ImageUser]
    deletable: Annotated[bool | None, Meta(description="Whether it may be deleted; null when it is not known.")]
    reasons: list[KeepReason]


class ImagesOfVersion(Struct, frozen=True):
    """The images of one version. A page may end within a version: the next one goes on with it."""

    version: str
    image_info: list[ImageInUse]


class InventoryPage(Struct, frozen=True):
    """One page of the inventory, the newest version first. ``count``: the versions on all pages together."""

    count: int
    results: list[ImagesOfVersion]
    next: Next | UnsetType = UNSET


class DryRun(Struct, frozen=True):
    """What a PATCH would do. ``changes``: before and after, by field and by ``annotations.key``; null: absent."""

    dry_run: bool
    image: Image
    changes: Mapping[str, tuple[Json, Json]]


class UnitDryRun(Struct, frozen=True):
    """What a PATCH would do. ``changes``: before and after, by ``annotations.key``; null: absent."""

    dry_run: bool
    unit: UpgradeStatusInfo
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

    ``uuid``: of the image or unit. ``image_uuid``: the same; empty for a unit. ``operation_key``: of a unit, which of
    its operations was annotated; null for an image. ``asked``: the request. ``changes``: before and after, by field and
    by ``annotations.key``; null: absent.
    ``answer``: the status of the Controller's response, if there was one.
    """

    number: int
    at: float
    actor: str
    source: str
    request_id: str
    controller: str
    uuid: str
    image_uuid: str
    operation_key: str | None
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
