"""
UpgradeStatusInfo and UpgradeStatusSummary on the wire: the fields that we read, under the Controller's own names.

A summary has a part of the fields of an info, and the same types. As in `monitor.avi.wire`, every field is optional.
Source: Avi API objects UpgradeStatusInfo and UpgradeStatusSummary and their parts, releases 18.2.6 to 31.2.2.
"""

from typing import TypeAlias

import msgspec

from monitor.avi.wire import Address, Identity, Number, Status, Wire

State: TypeAlias = Status | str | None
"""A state; some objects have only its name."""

Texts: TypeAlias = list[str] | None


class UpgradeEvent(Wire):
    ip: Address | None = None
    start_time: Number = None
    end_time: Number = None
    duration: Number = None
    status: bool | str | None = None
    message: str | None = None


class EventMap(Wire):
    task: str | None = None
    task_name: str | None = None
    nodes_events: list[UpgradeEvent] | None = None
    sub_events: list[UpgradeEvent] | None = None


class EngineError(Wire):
    task: str | None = None


class GroupStatus(Wire):
    progress: Number = None
    duration: Number = None
    enqueue_time: Number = None
    start_time: Number = None
    end_time: Number = None
    reason: list[str] | str | None = None
    notes: Texts = None
    num_se: Number = None
    num_vs: Number = None
    num_vs_disrupted: Number = None
    se_upgrade_completed: Texts = None
    se_upgrade_failed: Texts = None
    se_upgrade_in_progress: Texts = None
    se_upgrade_not_started: Texts = None
    se_upgrade_suspended: Texts = None
    se_upgrade_skip_suspended: Texts = None
    se_already_upgraded_at_start: Texts = None
    se_disconnected_at_start: Texts = None
    se_poweredoff_at_start: Texts = None
    se_ip_missing_at_start: Texts = None
    se_reboot_in_progress_ref: str | None = None
    se_upgrade_errors: list[EngineError] | None = None


class Params(Wire):
    image_ref: str | None = None
    patch_ref: str | None = None


class Patch(Wire):
    patch_version: str | None = None
    patch_image_ref: str | None = None


class Check(Wire):
    check_code: str | None = None
    state: State = None
    description: str | None = None
    details: Texts = None
    error_details: Texts = None


class Readiness(Wire):
    state: State = None
    total_checks: Number = None
    checks_completed: Number = None
    start_time: Number = None
    end_time: Number = None
    image_ref: str | None = None
    patch_image_ref: str | None = None
    checks: list[Check] | None = None


class DryRunInfo(Wire):
    state: State = None
    progress: Number = None
    worker: str | None = None


class UpgradeAlone(Identity):
    """An upgrade status without its events."""

    last_modified: Number = msgspec.field(default=None, name="_last_modified")
    node_type: str | None = None
    name: str | None = None
    tenant_ref: str | None = None
    obj_cloud_ref: str | None = None
    state: State = None
    reason: str | None = None
    upgrade_ops: str | None = None
    system: bool | None = None
    enable_rollback: bool | None = None
    enable_patch_rollback: bool | None = None
    progress: Number = None
    total_tasks: Number = None
    tasks_completed: Number = None
    duration: Number = None
    enqueue_time: Number = None
    start_time: Number = None
    end_time: Number = None
    version: str | None = None
    patch_version: str | None = None
    patch_list: list[Patch] | None = None
    previous_version: str | None = None
    previous_patch_version: str | None = None
    previous_patch_list: list[Patch] | None = None
    image_ref: str | None = None
    patch_image_ref: str | None = None
    se_patch_image_ref: str | None = None
    previous_image_ref: str | None = None
    previous_patch_image_ref: str | None = None
    params: Params | None = None
    seg_params: Params | None = None
    seg_status: GroupStatus | None = None
    upgrade_readiness: Readiness | None = None
    dryrun_info: DryRunInfo | None = None


class Upgrade(UpgradeAlone):
    upgrade_events: list[EventMap] | None = None
