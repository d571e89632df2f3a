"""
What a Controller upgrades as one: its cluster of Controllers, a group of Service Engines, or a Service Engine.

Such a unit has one UpgradeStatusInfo of the Controller, with the uuid of the unit itself. Its operation is what it does
at present, or did last.
"""

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, TypeAlias, get_args

from msgspec import Struct

from monitor.model.cluster import NodesState
from monitor.model.tracked import Eta, Tracked, TrackedObject, UploadProgress

UnitKind = Literal["controller", "se_group", "se", "unknown"]

UpgradeState = Literal[
    "idle", "queued", "checking", "checked", "check_failed", "running", "aborting", "suspended", "failed", "completed",
    "unknown",
]  # fmt: skip
"""
The state of one unit.

``idle``: nothing was ever done. ``checked``, ``check_failed``: checks ended, and nothing was changed. ``suspended``: it
waits for an operator. ``completed``: as the Controller says; see `monitor.polling.upgrade.done`.
"""

UpgradePhase = Literal["none", "checking", "controllers", "away", "service_engines", "suspended", "rolling_back"]
"""Where a whole controller stands. ``away``: the Controllers are upgraded, and polls fail since."""

OperationName = Literal["", "upgrade", "patch", "rollback", "rollback_patch", "resume", "restore", "dry_run", "unknown"]
"""Empty: the Controller did not say. ``unknown``: it said what this monitor does not know."""

ImageRole = Literal["current", "target", "previous", "patch", "previous_patch"]
"""How a unit refers to an image. ``target``: of what it does at present."""

CheckResult = Literal["warning", "error", "other"]

EngineState = Literal["completed", "failed", "in_progress", "not_started", "suspended", "skipped"]

ENGINE_STATES: Final[tuple[EngineState, ...]] = get_args(EngineState)
"""The states of the Service Engines of a group, and the attributes of `Engines` that list them."""

CONTROLLERS_DONE: Final = frozenset({"UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS", "UPGRADE_FSM_CONTROLLER_COMPLETED"})
"""The `Upgrade.fsm` of a cluster whose Controllers are done, while Service Engines still are upgraded."""


class Version(Struct, frozen=True, gc=False):
    """``tag``: of the build, as the Controller writes it: ``31.2.2-9123-20250615.024303``. ``patch``: as ``2p1``."""

    tag: str = ""
    patch: str = ""

    @property
    def version(self) -> str:
        """The tag before its first dash."""
        return self.tag.partition("-")[0]

    @property
    def text(self) -> str:
        """As people write it: ``31.2.2``, with a patch ``31.2.2-2p1``."""
        return f"{self.version}-{self.patch}" if self.version and self.patch else self.version

    def is_build_of(self, other: "Version") -> bool:
        """Whether both are the same build, or the same version where only that is known of one. Patches may differ."""
        if not self.tag or not other.tag:
            return False
        whole = "-" in self.tag and "-" in other.tag
        return self.tag == other.tag if whole else self.version == other.version


class ImageRef(Struct, frozen=True, gc=False):
    """An image that a unit refers to. ``name``: if the Controller says it beside the uuid."""

    uuid: str
    role: ImageRole
    name: str = ""


class Engines(Struct, frozen=True, gc=False, kw_only=True):
    """
    The Service Engines of a group during its operation. The first six: their uuids by state.

    ``listed``: whether the Controller gave any list; without one all are empty, and say nothing. ``expected``: how many
    there are. ``rebooting``: the uuid of the one that reboots. ``errors``: how many errors the Controller lists.
    """

    completed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    in_progress: tuple[str, ...] = ()
    not_started: tuple[str, ...] = ()
    suspended: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    at_start: Mapping[str, int] = {}
    """How many were so before it: ``already_upgraded``, ``disconnected``, ``powered_off``, ``ip_missing``."""
    listed: bool = False
    expected: int | None = None
    virtual_services: int | None = None
    virtual_services_disrupted: int | None = None
    rebooting: str = ""
    errors: int = 0


class Check(Struct, frozen=True, gc=False):
    """One pre-check that did not simply pass. ``code``: of the letters of a label, or ``other``; the rest free text."""

    code: str
    result: CheckResult
    description: str = ""
    details: tuple[str, ...] = ()


class Checks(Struct, frozen=True, gc=False, kw_only=True):
    """
    The pre-checks of an operation. ``exceptions``: those that failed or warned. Times in Unix seconds.

    ``image_uuid``: of the image for which they ran; empty when the Controller does not say.
    """

    state: UpgradeState = "idle"
    image_uuid: str = ""
    checks: int | None = None
    checks_completed: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    exceptions: tuple[Check, ...] = ()


class DryRun(Struct, frozen=True, gc=False, kw_only=True):
    """A dry run: it has a state of its own. ``worker``: the node on which it runs."""

    state: UpgradeState = "idle"
    progress_ratio: float | None = None
    worker: str = ""


class Upgrade(Tracked, frozen=True, gc=False, kw_only=True):
    """
    One unit, and its operation.

    ``evaluation``: the operation only checks whether it could be done. ``fsm``: the Controller's own state, of the
    letters of a label, or ``other``. ``system``: it is of the whole system, if it has a start.
    ``rollback_possible``, ``patch_rollback_possible``: None where the Controller does not say.
    """

    ACTIVE_STATES: ClassVar[frozenset[str]] = frozenset({"queued", "checking", "running", "aborting"})
    FAILED_STATES: ClassVar[frozenset[str]] = frozenset({"check_failed", "suspended", "failed"})
    COMPLETED_STATES: ClassVar[frozenset[str]] = frozenset({"idle", "checked", "completed"})

    kind: UnitKind = "unknown"
    state: UpgradeState = "idle"
    fsm: str = ""
    operation: OperationName = ""
    evaluation: bool = False
    system: bool = False
    version: Version = Version()
    previous: Version = Version()
    cloud: str = ""
    enqueued_at: float | None = None
    rollback_possible: bool | None = None
    patch_rollback_possible: bool | None = None
    images: tuple[ImageRef, ...] = ()
    engines: Engines | None = None
    checks: Checks | None = None
    dry_run: DryRun | None = None
    notes: tuple[str, ...] = ()
    """Free text of the Controller, each with its time; the last ones."""

    @property
    def identity(self) -> tuple[str, ...]:
        """The values of ``unit_uuid`` and ``kind``."""
        return self.uuid, self.kind

    @property
    def suspended(self) -> bool:
        """As `state` says."""
        return self.state == "suspended"

    @property
    def waits_for_others(self) -> bool:
        """Whether it is a cluster whose Controllers are done: it is active until all SE groups are done, too."""
        return self.controllers_done

    @property
    def operation_label(self) -> str:
        """The operation, with ``eval_`` before it if it is an evaluation; empty without one."""
        return f"eval_{self.operation}" if self.evaluation and self.operation else self.operation

    @property
    def rolls_back(self) -> bool:
        """Whether it goes back to an older version at present."""
        rollback = self.operation in {"rollback", "rollback_patch"} and self.state in {"queued", "running"}
        return self.state == "aborting" or (rollback and not self.evaluation)

    @property
    def only_checks(self) -> bool:
        """Whether what it does at present changes nothing."""
        return self.state == "checking" or (self.state == "queued" and (self.evaluation or self.operation == "dry_run"))

    @property
    def controllers_done(self) -> bool:
        """Whether it is a cluster whose Controllers are done, while its operation goes on."""
        return self.kind == "controller" and self.state == "running" and self.fsm in CONTROLLERS_DONE

    @property
    def moving_parts(self) -> tuple[object, ...]:
        """Neither durations nor notes, which change while nothing moves. The order of lists does not matter."""
        engines = self.engines or Engines()
        lists = [sorted(getattr(engines, state)) for state in ENGINE_STATES]
        checks = self.checks.checks_completed if self.checks else None
        operation = (self.operation_label, self.started_at, self.fsm, self.version.tag, self.version.patch)
        return (*operation, lists, engines.virtual_services_disrupted, checks)

    @property
    def drop_order(self) -> int:
        """Service Engines first, then units at rest, then those that do or need something; the cluster last."""
        if self.kind in {"se", "controller"}:
            return 0 if self.kind == "se" else 3
        return 2 if self.active or self.failed else 1

    @property
    def never_dropped(self) -> bool:
        """Whether it is the cluster, or does or needs something."""
        return self.drop_order > 1

    @property
    def has_begun(self) -> bool:
        """Whether anything was ever done with it."""
        return self.state != "idle"

    @property
    def can_stall(self) -> bool:
        """
        Whether it is active, and reports something that moves meanwhile.

        What waits for its turn may wait for hours: as many groups as the Controller allows are upgraded at once. So may
        Controllers that are done wait for the groups.
        """
        reports_more = self.state == "checking" or (self.engines is not None and self.engines.listed)
        waits = self.state == "queued" or self.waits_for_others
        return self.active and not waits and (reports_more or super().can_stall)


class EngineTimes(Struct, frozen=True, gc=False):
    """
    How long the Service Engines of a group take, by the daemon's clock: the Controller does not say.

    ``since``: since when each that is upgraded now has been seen so, Unix seconds, by its uuid. ``measured``: those of
    them whose beginning was seen. ``took_s``: the seconds of those that were seen from begin to end, by uuid.
    ``at_once``: the most that were upgraded at the same time.
    """

    since: Mapping[str, float] = {}
    measured: frozenset[str] = frozenset()
    took_s: Mapping[str, float] = {}
    at_once: int = 0


class UpgradeProgress(UploadProgress, frozen=True, gc=False):
    """The progress of a group of Service Engines."""

    engines: EngineTimes = EngineTimes()


TrackedUpgrade: TypeAlias = TrackedObject[Upgrade]


class Overview(Struct, frozen=True, gc=False, kw_only=True):
    """
    What all units of one controller amount to.

    ``readable``: whether the Controller lets this monitor read them; None while that is not known. ``phase``: None
    while none were read. ``units``: how many units of a kind run a version with a patch. ``done``: None while nothing
    was ever done. ``under_way``: whether the Controllers may be gone at any time, because they are upgraded.
    ``blocked``: whether an upgrade of the whole system goes on after they are done. ``left_behind``: how many of a kind
    took part in the cluster's operation, and are not at its version, or have failed Service Engines; empty while
    nothing was ever done. ``cluster``: the uuid of the one that drives; empty without one. ``operation``: what it does
    or did last. ``from_version``, ``to_version``: of that, with their patches; empty while they are not known.
    ``eta``: of the upgrade of the whole controller.
    """

    EACH_POLL: ClassVar[tuple[str, ...]] = ()
    """The fields that every good poll changes."""

    readable: bool | None = None
    phase: UpgradePhase | None = None
    units: Mapping[tuple[UnitKind, str, str], int] = {}
    done: bool | None = None
    under_way: bool = False
    blocked: bool = False
    left_behind: Mapping[UnitKind, int] = {}
    cluster: str = ""
    operation: str = ""
    from_version: str = ""
    to_version: str = ""
    eta: Eta | None = None
    image_users: Mapping[tuple[str, ImageRole], int] = {}
    """How many units refer to an image, by its uuid, in a role."""
    images_pinned: Mapping[str, bool] = {}
    """Whether a delete of the image, by its uuid, would be refused, as far as is known."""
    nodes: NodesState | None = None
    """Of the Controllers' cluster, as told at most a `full_interval` ago; None while they are not known."""
