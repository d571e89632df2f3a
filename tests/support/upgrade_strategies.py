"""Upgrade status as a Controller of some release might send it, for properties. The same in every run."""

from collections.abc import Mapping

from hypothesis import strategies as st

from tests.support.strategies import some, texts, times, up_to

FSM_STATES = (
    "UPGRADE_FSM_INIT",
    "UPGRADE_FSM_STARTED",
    "UPGRADE_FSM_WAITING",
    "UPGRADE_FSM_IN_PROGRESS",
    "UPGRADE_FSM_ENQUEUED",
    "UPGRADE_FSM_ERROR",
    "UPGRADE_FSM_SUSPENDED",
    "UPGRADE_FSM_ENQUEUE_FAILED",
    "UPGRADE_FSM_PAUSED",
    "UPGRADE_FSM_COMPLETED",
    "UPGRADE_FSM_ABORT_IN_PROGRESS",
    "UPGRADE_FSM_ABORTED",
    "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS",
    "UPGRADE_FSM_CONTROLLER_COMPLETED",
    "UPGRADE_FSM_DUMMY_3",
    "UPGRADE_FSM_DUMMY_4",
    "UPGRADE_FSM_DUMMY_5",
    "UPGRADE_PRE_CHECK_STARTED",
    "UPGRADE_PRE_CHECK_IN_PROGRESS",
    "UPGRADE_PRE_CHECK_SUCCESS",
    "UPGRADE_PRE_CHECK_ERROR",
    "UPGRADE_PRE_CHECK_WARNING",
)
"""All that the vendor's schema has."""

OPERATIONS = (
    "UPGRADE",
    "PATCH",
    "ROLLBACK",
    "ROLLBACKPATCH",
    "SEGROUP_RESUME",
    "RESTORE",
    "EVAL_UPGRADE",
    "EVAL_PATCH",
    "EVAL_ROLLBACK",
    "EVAL_ROLLBACKPATCH",
    "EVAL_SEGROUP_RESUME",
    "EVAL_RESTORE",
    "UPGRADE_DRYRUN",
)
NODE_TYPES = ("NODE_CONTROLLER_CLUSTER", "NODE_SE_GROUP", "NODE_SE_TYPE")
TASKS = ("SwitchAndReboot", "CopyAndInstallImage", "MigrateConfig", 'Copy "x"\n', "", None)
ENUM_TASKS = ("COPY_AND_VERIFY_IMAGE", "REBOOT_CONTROLLER_NODES", "MIGRATE_CONFIG", "COMMIT_UPGRADE", "BREW_TEA", None)
ENGINE_TASKS = ("SE_UPGRADE_ERROR", "VS_DISRUPTED", "SE_REBOOT", "VS_SCALEOUT_ERROR_SE_NOT_READY")
TAGS = ("31.2.2-9123-20250615.024303", "31.2.2-9124-20250701.101010", "30.2.1-9053-20240610.111213", "31.2.2", "")
NODES = ("10.0.0.11", "10.0.0.12", 'no"de\\\n')

states = some(
    state=st.sampled_from(FSM_STATES) | st.sampled_from(("", "UPGRADE_FSM_NEW", "at tea")),
    reason=texts,
    last_changed_time=some(
        secs=st.integers(0, 2**33) | st.integers(0, 2**33).map(str),
        usecs=st.integers(0, 999_999_999) | st.integers(0, 999_999_999).map(str),
    ),
    rebooted=st.booleans(),
)
numbers = st.none() | st.integers(0, 200) | st.integers(0, 200).map(str) | st.just("")
tags = st.none() | st.sampled_from(TAGS) | texts
image_refs = st.none() | st.sampled_from(
    [f"https://avi.example.net/api/image/image-{n}{name}" for n in range(4) for name in ("", "#31.2.2-9123")]
    + ["/api/image/?name=31.2.2-9123", ""]
)
engine_refs = st.none() | st.lists(
    st.sampled_from([f"https://avi.example.net/api/serviceengine/se-i-{n}{n}" for n in range(6)]), max_size=6
)
texts_or_none = st.none() | st.lists(texts, max_size=3)
events = some(
    ip=st.sampled_from([{"addr": node, "type": "V4"} for node in NODES]),
    status=st.none() | st.booleans() | st.sampled_from(("true", "SYSERR_SUCCESS")),
    start_time=times,
    end_time=times,
    duration=numbers,
    message=texts,
)
event_maps = up_to(
    12,
    some(
        task=st.sampled_from(ENUM_TASKS),
        task_name=st.sampled_from(TASKS),
        sub_events=st.none() | st.lists(events, max_size=3),
        nodes_events=st.none() | st.lists(events, max_size=2),
    ),
)
engine_events = st.lists(
    some(task=st.sampled_from(ENGINE_TASKS), se_ref=texts, reason=texts_or_none, sub_tasks=texts_or_none), max_size=3
)
group_statuses = st.none() | some(
    progress=numbers,
    duration=numbers | st.sampled_from(("0:12:05", "725 sec", "a while")),
    enqueue_time=times,
    start_time=times,
    end_time=times,
    reason=texts_or_none | texts,
    notes=texts_or_none,
    num_se=numbers,
    num_vs=numbers,
    num_vs_disrupted=numbers,
    se_upgrade_completed=engine_refs,
    se_upgrade_failed=engine_refs,
    se_upgrade_in_progress=engine_refs,
    se_upgrade_not_started=engine_refs,
    se_upgrade_suspended=engine_refs,
    se_upgrade_skip_suspended=engine_refs,
    se_already_upgraded_at_start=engine_refs,
    se_disconnected_at_start=engine_refs,
    se_poweredoff_at_start=engine_refs,
    se_ip_missing_at_start=engine_refs,
    se_reboot_in_progress_ref=st.none() | texts,
    se_upgrade_errors=st.none() | engine_events,
)
checks = st.lists(
    some(
        check_code=st.sampled_from(("SYSERR_CHECK_DISK", "SYSERR_MC_SE_GROUP", "no code", "")),
        state=st.sampled_from(FSM_STATES) | states,
        description=texts,
        details=texts_or_none,
        error_details=texts_or_none,
    ),
    max_size=4,
)
patches = st.none() | st.lists(some(patch_version=st.sampled_from(("2p1", "2p2")), patch_image_ref=image_refs))
params = st.none() | some(image_ref=image_refs, patch_ref=image_refs)
unit_fields: Mapping[str, st.SearchStrategy[object]] = {
    "_last_modified": times | st.integers(0, 2**52),
    "node_type": st.none() | st.sampled_from(NODE_TYPES) | texts,
    "name": texts,
    "tenant_ref": st.none() | texts,
    "obj_cloud_ref": st.none() | texts.map(lambda name: f"https://avi.example.net/api/cloud/cloud-1#{name}"),
    "state": st.none() | states,
    "reason": st.none() | texts,
    "upgrade_ops": st.none() | st.sampled_from(OPERATIONS) | st.sampled_from(("", "EVAL_TEA")),
    "system": st.none() | st.booleans(),
    "enable_rollback": st.none() | st.booleans(),
    "enable_patch_rollback": st.none() | st.booleans(),
    "progress": numbers,
    "total_tasks": numbers,
    "tasks_completed": numbers,
    "duration": numbers,
    "enqueue_time": times,
    "start_time": times,
    "end_time": times,
    "version": tags,
    "patch_version": st.none() | st.sampled_from(("", "2p1", "2p2")),
    "patch_list": patches,
    "previous_version": tags,
    "previous_patch_version": st.none() | texts,
    "previous_patch_list": patches,
    "image_ref": image_refs,
    "patch_image_ref": image_refs,
    "se_patch_image_ref": image_refs,
    "previous_image_ref": image_refs,
    "previous_patch_image_ref": image_refs,
    "params": params,
    "seg_params": params,
    "seg_status": group_statuses,
    "upgrade_readiness": st.none()
    | some(
        state=states,
        total_checks=numbers,
        checks_completed=numbers,
        start_time=times,
        end_time=times,
        image_ref=image_refs,
        patch_image_ref=image_refs,
        checks=st.none() | checks,
    ),
    "dryrun_info": st.none() | some(state=states, progress=numbers, worker=texts),
    "upgrade_events": st.none() | event_maps,
}
units = some(**unit_fields)
"""Objects of upgrade status, but for ``uuid``."""

unit_uuids = st.tuples(
    st.sampled_from(("cluster", "serviceenginegroup", "se", "se-i", "other")), st.text("0123456789abcdef", min_size=1)
).map("-".join)
