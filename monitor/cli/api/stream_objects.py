"""
The objects of ``GET /api/events``, as far as the command line shows them: images, units, and what the units amount to.

Unknown members are ignored. Times are Unix seconds, by the daemon's clock unless the text says otherwise.
"""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct, field

from monitor.model.image import Image
from monitor.model.tracked import Standing
from monitor.model.upgrade import CONTROLLERS_DONE, UnitKind, Upgrade, UpgradePhase, UpgradeState

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

    @property
    def label(self) -> str:
        """To be escaped."""
        return self.name or self.uuid


class EngineCounts(Struct, frozen=True, kw_only=True):
    """How many Service Engines of a group are in each state. ``expected``: how many there are."""

    completed: int = 0
    failed: int = 0
    in_progress: int = 0
    not_started: int = 0
    suspended: int = 0
    skipped: int = 0
    expected: int | None = None

    @property
    def all(self) -> int:
        """How many there are, as far as is known."""
        listed = self.completed + self.failed + self.in_progress + self.not_started + self.suspended + self.skipped
        return max(listed, self.expected or 0)


class VirtualServiceCounts(Struct, frozen=True, kw_only=True):
    """How many virtual services a group has, and how many the operation has disrupted."""

    all: int | None = None
    disrupted: int | None = None


class CheckCounts(Struct, frozen=True, kw_only=True):
    """The pre-checks of an operation: how many there are, are done, gave a warning, and gave an error."""

    state: UpgradeState = "idle"
    checks: int | None = None
    completed: int | None = None
    warnings: int = 0
    errors: int = 0


class StreamUnit(Struct, frozen=True, kw_only=True):
    """
    A unit of the stream, and its operation.

    ``enqueued_at``, ``started_at``, ``ended_at``: by the Controller's clock. ``changed_at``: its last movement.
    ``tag``: the whole build, of which ``version`` is the part before the first dash. ``target``: the name of the image
    that it is upgraded to. ``operation_key``: another one for each operation; empty before the first.
    """

    uuid: str
    kind: UnitKind = "unknown"
    name: str = ""
    cloud: str = ""
    tenant: str = ""
    version: str = ""
    tag: str = ""
    patch: str = ""
    previous_version: str = ""
    target: str = ""
    operation: str = ""
    system: bool = False
    state: UpgradeState = "unknown"
    fsm: str = ""
    reason: str = ""
    standing: Standing = "unknown"
    standing_rank: int = 0
    progress_ratio: float | None = None
    tasks: int | None = None
    tasks_completed: int | None = None
    engines: EngineCounts | None = None
    virtual_services: VirtualServiceCounts | None = None
    checks: CheckCounts | None = None
    enqueued_at: ControllerTimestamp | None = None
    started_at: ControllerTimestamp | None = None
    ended_at: ControllerTimestamp | None = None
    duration_s: float | None = field(default=None, name="duration_seconds")
    changed_at: float | None = None
    eta: Eta | None = None
    acknowledged: bool = False
    annotations: Mapping[str, str] = {}
    operation_key: str = ""

    @property
    def active(self) -> bool:
        """Whether the Controller says that it works on the unit."""
        return self.state in Upgrade.ACTIVE_STATES

    @property
    def label(self) -> str:
        """``group@cloud``: the names of groups are unique in a cloud only. To be escaped."""
        name = self.name or self.uuid
        return f"{name}@{self.cloud}" if self.cloud else name

    @property
    def controllers_done(self) -> bool:
        """Whether it is a cluster whose Controllers are done, whatever goes on with the Service Engines."""
        return self.state == "completed" or (self.state == "running" and self.fsm in CONTROLLERS_DONE)


class UpgradeStatus(Struct, frozen=True, kw_only=True):
    """
    What the units of one controller amount to.

    ``readable``: whether the Controller lets the daemon read them. ``phase``: None while none were read. ``done``: None
    while nothing was ever done. ``cluster``: the uuid of the unit whose upgrade this is; empty: there is none.
    ``away_since``, ``held_until``: since when the Controllers are gone for their upgrade, and until when objects are
    shown meanwhile.
    """

    readable: bool | None = None
    phase: UpgradePhase | None = None
    done: bool | None = None
    left_behind: Mapping[str, int] = {}
    cluster: str = ""
    operation: str = ""
    from_version: str = ""
    to_version: str = ""
    eta: Eta | None = None
    away_since: float | None = None
    held_until: float | None = None
