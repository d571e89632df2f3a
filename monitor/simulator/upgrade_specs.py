"""The description of the SE groups of a Controller, and of an upgrade of it. All times are simulated seconds."""

from typing import Literal, TypeAlias

import msgspec

GroupOutcome: TypeAlias = Literal["completed", "suspended", "failed_ses_continue", "stuck_se", "left_behind"]
UpgradeOutcome: TypeAlias = Literal[
    "completed", "check_error", "check_warning_waits", "controller_failed", "never_back"
]


class GroupSpec(msgspec.Struct, frozen=True, kw_only=True):
    """
    One SE group, and how it takes part in an upgrade.

    ``se_s``: how long one Service Engine takes; ``at_once``: how many are upgraded at the same time. ``outcome``:
    ``suspended`` stops at a failed Service Engine, until it is resumed after ``resumed_after_s`` (0: never) and skips
    it; ``failed_ses_continue`` ends as completed with a failed one; ``stuck_se`` never ends; ``left_behind`` is never
    upgraded. ``disrupted``: how many virtual services are disrupted.
    """

    name: str = "Default-Group"
    cloud: str = "Default-Cloud"
    tenant: str = "admin"
    ses: int = 4
    virtual_services: int = 10
    se_s: float = 60.0
    at_once: int = 1
    outcome: GroupOutcome = "completed"
    resumed_after_s: float = 0.0
    disrupted: int = 0


class CheckSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The pre-checks of an upgrade: how many there are, how many end badly, and how long all of them take."""

    total: int = 20
    warnings: int = 0
    errors: int = 0
    seconds: float = 30.0


class UpgradeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """
    One upgrade, ``at`` seconds after the start of the simulation.

    Pre-checks, then ``controllers_s`` of tasks on the Controllers, which then refuse connections for ``outage_s``,
    answer 503 for ``unready_s``, and 502 for ``bad_gateway_s``. Then they are back; for ``refuses_logins_s`` they
    refuse every log-in. With ``system``, all SE groups follow, ``groups_at_once`` at the same time (0: all); without,
    they follow ``groups_after_s`` later, on another night (0: never). When the cluster is completed, the portal answers
    502 for ``portal_restart_s``.

    ``outcome``: ``check_error`` and ``check_warning_waits`` end with the pre-checks; ``controller_failed`` rolls back
    to the old version; ``never_back`` refuses connections for ever.
    ``version``: empty for the next release. ``dry_run``: only simulates, on one node.
    """

    at: float = 0.0
    operation: str = "UPGRADE"
    version: str = ""
    system: bool = True
    checks: CheckSpec = CheckSpec()
    controllers_s: float = 240.0
    outage_s: float = 210.0
    unready_s: float = 30.0
    bad_gateway_s: float = 0.0
    refuses_logins_s: float = 0.0
    groups_at_once: int = 0
    groups_after_s: float = 0.0
    portal_restart_s: float = 0.0
    outcome: UpgradeOutcome = "completed"
    dry_run: bool = False


class UnitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is not known of real Controllers, or differs between them. The defaults are as recorded.

    ``stamps``: ``recorded`` has integers for the cluster, and text with nanoseconds for groups and Service Engines.
    ``duration``: the form of the text in ``seg_status``. ``history``: how many earlier operations each unit lists;
    ``history_bytes``: the size of their events in the cluster. ``running_status``: the ``status`` of an event that
    runs; None: absent. ``ends_without_status``: an event that has ended has none. ``summary``: the list
    UpgradeStatusSummary; ``stateless`` leaves out the state, ``lying`` says that every unit is at rest.
    ``stale_cluster``: a second cluster object, before the right one. ``old_error_s``: the age of an error that the
    cluster still shows from long ago; 0: none. ``fsm`` and ``task``: text in place of the state and of the tasks while
    the Controllers are upgraded. ``vanishing``: Service Engines are deleted when the upgrade begins.

    The form of other times, and pages and answers that are wrong, are faults on the path of the list.
    """

    stamps: Literal["recorded", "numbers"] = "recorded"
    duration: Literal["seconds", "clock", "text"] = "seconds"
    cluster_last: bool = False
    history: int = 0
    history_bytes: int = 0
    running_status: bool | None = None
    ends_without_status: bool = False
    summary: Literal["good", "absent", "lying", "stateless"] = "good"
    stale_cluster: bool = False
    old_error_s: float = 0.0
    fsm: str = ""
    task: str = ""
    vanishing: bool = False
