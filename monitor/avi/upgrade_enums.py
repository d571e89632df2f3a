"""The values of the enumerations in upgrade status, and what they mean here. Pure."""

from typing import Final

from monitor.model.upgrade import CheckResult, OperationName, UnitKind, UpgradeState

KINDS: Final[dict[str, UnitKind]] = {
    "NODE_CONTROLLER_CLUSTER": "controller",
    "NODE_SE_GROUP": "se_group",
    "NODE_SE_TYPE": "se",
}
PREFIXES: Final[dict[str, UnitKind]] = {"cluster": "controller", "serviceenginegroup": "se_group", "se": "se"}
OPERATIONS: Final[dict[str, OperationName]] = {
    "UPGRADE": "upgrade",
    "PATCH": "patch",
    "ROLLBACK": "rollback",
    "ROLLBACKPATCH": "rollback_patch",
    "SEGROUP_RESUME": "resume",
    "RESTORE": "restore",
    "UPGRADE_DRYRUN": "dry_run",
}
STATES: Final[dict[str, UpgradeState]] = {
    "UPGRADE_FSM_INIT": "idle",
    "UPGRADE_FSM_ENQUEUED": "queued",
    "UPGRADE_FSM_WAITING": "queued",
    "UPGRADE_FSM_STARTED": "running",
    "UPGRADE_FSM_IN_PROGRESS": "running",
    "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS": "running",
    "UPGRADE_FSM_CONTROLLER_COMPLETED": "running",
    "UPGRADE_FSM_ABORT_IN_PROGRESS": "aborting",
    "UPGRADE_FSM_SUSPENDED": "suspended",
    "UPGRADE_FSM_PAUSED": "suspended",
    "UPGRADE_FSM_ERROR": "failed",
    "UPGRADE_FSM_ENQUEUE_FAILED": "failed",
    "UPGRADE_FSM_ABORTED": "failed",
    "UPGRADE_FSM_COMPLETED": "completed",
    "UPGRADE_PRE_CHECK_STARTED": "checking",
    "UPGRADE_PRE_CHECK_IN_PROGRESS": "checking",
    "UPGRADE_PRE_CHECK_SUCCESS": "checked",
    "UPGRADE_PRE_CHECK_WARNING": "checked",
    "UPGRADE_PRE_CHECK_ERROR": "check_failed",
}
EVALUATION_STATES: Final[dict[str, UpgradeState]] = STATES | {
    "UPGRADE_FSM_STARTED": "checking",
    "UPGRADE_FSM_IN_PROGRESS": "checking",
    "UPGRADE_FSM_COMPLETED": "checked",
    "UPGRADE_FSM_ERROR": "check_failed",
}
"""The states of what changes nothing, so that nothing looks upgraded, or failed, that was only checked."""

RESULTS: Final[dict[str, CheckResult]] = {
    "UPGRADE_PRE_CHECK_WARNING": "warning",
    "UPGRADE_PRE_CHECK_ERROR": "error",
    "UPGRADE_FSM_ERROR": "error",
}
TASKS: Final = frozenset([
    "PREPARE_FOR_SHUTDOWN", "COPY_AND_VERIFY_IMAGE", "INSTALL_IMAGE", "POST_INSTALL_HOOKS",
    "PREPARE_CONTROLLER_FOR_SHUTDOWN", "STOP_CONTROLLER", "EXTRACT_PATCH_IMAGE", "EXECUTE_PRE_INSTALL_COMMANDS",
    "INSTALL_PATCH_IMAGE", "PREPARE_FOR_REBOOT_CONTROLLER_NODES", "REBOOT_CONTROLLER_NODES",
    "WAIT_FOR_ALL_CONTROLLER_NODES_ONLINE", "PRE_UPGRADE_HOOKS", "MIGRATE_CONFIG", "START_PRIMARY_CONTROLLER",
    "START_ALL_CONTROLLERS", "POST_UPGRADE_HOOKS", "EXECUTE_POST_INSTALL_COMMANDS",
    "SET_CONTROLLER_UPGRADE_COMPLETED", "STATE_NOT_USED_IN_V2", "COMMIT_UPGRADE", "UNKNOWN_TASK",
    "PATCH_CONTROLLER_HEALTH_CHECK",
])  # fmt: skip
"""The values of ``task``, which ``task_name`` has replaced; the names are an open set."""
