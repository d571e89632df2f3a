"""
The member names of the Controller's JSON, and which strings may stand there in a recording. Pure.

A name that is not here may be an operator's, as that of a label: a recording has a pseudonym in its place.
Source: Avi API objects Image, UpgradeStatusInfo, UpgradeStatusSummary, SystemReport and Cluster and their parts,
releases 18.2.6 to 32.2.1.
"""

import re
from collections.abc import Mapping
from typing import Final

_ENUM: Final = re.compile(r"[A-Z][A-Z0-9_]{0,99}\Z|true\Z|false\Z")
_VERSION: Final = re.compile(r"\d[\d._p]*(?:[-(][\d._p()\- :]*)?(?: UTC)?\Z")
_WORDS: Final = (
    "d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?|ms|us|UTC|GMT|AM|PM|T|Z|Mon|Tue|Wed|Thu|Fri|Sat|Sun"
    "|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
)
_NUMBER: Final = re.compile(rf"(?=.*\d)(?:[\d:.,+\-/ ]|(?<![A-Za-z])(?:{_WORDS})(?![A-Za-z])){{1,40}}\Z")
"""A number, a time or a duration, in whatever form Controllers write it."""

TIME_FORM: Final = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z| ?UTC|[+-]\d\d:?\d\d)?"
TIME: Final = re.compile(rf"{TIME_FORM}\Z")
"""A time that passes in every member."""
TAG: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){2}-(?:\d{1,2}p\d{1,3}-)?\d{1,6}(?:-\d{1,2}p\d{1,3})?-\d{8}\.\d{6}\Z")
"""The tag of a build, ``30.2.1-9114-20240826.101010``, which is also the name of its image; it passes, too."""

PASSING: Final[Mapping[str, re.Pattern[str]]] = {
    **dict.fromkeys(
        (
            "state", "type", "node_type", "upgrade_ops", "ops", "operation", "rollback_type", "status", "task",
            "check_code", "traffic_status", "action_on_error", "fips_mode",
        ),
        _ENUM,
    ),
    **dict.fromkeys(
        (
            "version", "Version", "patch_version", "previous_version", "previous_patch_version", "min_version",
            "api_version", "min_supported_api_version", "controller_min_docker_version", "versions", "tag", "Tag",
            "build",
        ),
        _VERSION,
    ),
    **dict.fromkeys(
        (
            "_last_modified", "secs", "usecs", "progress", "total_tasks", "tasks_completed", "duration", "start_time",
            "end_time", "enqueue_time", "up_since", "current_time", "date", "Date", "count", "total_checks",
            "checks_completed", "num_se", "num_vs", "num_vs_disrupted", "num_se_group", "build_no", "size",
        ),
        _NUMBER,
    ),
}  # fmt: skip
"""What passes in which member, beside times and tags."""

TASKS: Final = frozenset({"task_name", "sub_tasks"})
"""Texts that are the vendor's own."""
TEXTS: Final = frozenset({
    "reason", "message", "description", "details", "error_details", "notes", "error", "title", "previews", "obj_name",
})  # fmt: skip
"""Free texts."""
VENDOR: Final = frozenset({"product", "Product", "product_name", "ProductName", "patch_type", "hash", "path"})
"""Strings of the vendor: replaced, but not taken for names that may stand in a text."""

_OTHER: Final = frozenset({
    "results", "next", "uuid", "url", "name", "tenant_ref",
    # Image
    "uber_bundle", "img_state", "last_changed_time", "events", "nodes_events", "sub_events", "ip", "addr",
    "controller_info", "se_info", "patch", "reboot", "reboot_list", "remote_image_ref", "migrations",
    "max_active_versions", "controller_min_free_disk_size", "controller_host_min_free_disk_size",
    "rollback_controller_disk_space", "rollback_se_disk_space", "se_min_free_disk_size", "se_host_min_free_disk_size",
    "controller_min_memory", "controller_min_cores", "controller_min_total_disk", "se_min_memory", "se_min_cores",
    "se_min_total_disk", "podman_controller_host_min_free_disk_size", "podman_se_host_min_free_disk_size",
    "cloud_info_values", "cloud_name", "cloud_data_values", "key", "values", "controller_patch_name", "se_patch_name",
    "controller_patch_ref", "se_patch_ref", "controller_patch_uuid", "se_patch_uuid",
    "fips_mode_transition_applicable", "dryrun_info",
    # UpgradeStatusInfo, UpgradeStatusSummary
    "obj_cloud_ref", "system", "enable_rollback", "enable_patch_rollback", "patch_list", "previous_patch_list",
    "image_ref", "patch_image_ref", "se_patch_image_ref", "previous_image_ref", "previous_patch_image_ref",
    "prev_remote_image_ref", "image_path", "controller_patch_image_path", "se_patch_image_path", "params",
    "seg_params", "patch_ref", "seg_status", "upgrade_events", "se_upgrade_events", "history", "rebooted",
    "statediff_ref", "system_report_refs", "upgrade_readiness", "checks", "worker", "thread", "disruptive",
    "skip_suspended", "skip_warnings", "prechecks_only", "dryrun", "se_group_options", "se_group_resume_options",
    "se_group_refs", "se_group_ref", "se_upgrade_completed", "se_upgrade_failed", "se_upgrade_in_progress",
    "se_upgrade_not_started", "se_upgrade_suspended", "se_upgrade_skip_suspended", "se_already_upgraded_at_start",
    "se_disconnected_at_start", "se_poweredoff_at_start", "se_ip_missing_at_start", "se_reboot_in_progress_ref",
    "se_upgrade_errors", "se_ref", "from_se_ref", "to_se_ref", "vs_ref", "vs_errors", "disrupted_vs_ref", "vip_id",
    "ha_mode", "segroup_status", "se_with_no_vs", "se_upgraded_at_start",
    # SystemReport
    "readiness_reports", "system_readiness", "node_ref", "summary", "downloadable", "archive_ref",
    # ImageInventory
    "image_info", "image", "in_use", "in_use_info",
    # Cluster and its state, the version and the log-in
    "cluster_state", "node_states", "node_info", "role",
    "nodes", "virtual_ip", "mgmt_ip", "version_info", "user", "user_initialized", "tenants", "session_cookie_name",
    "controller", "system_config", "sso", "welcome_workflow_complete", "setup_failed", "is_superuser", "username",
    "user_profile", "default_tenant", "avi_version",
})  # fmt: skip

MEMBERS: Final = frozenset({*PASSING, *TASKS, *TEXTS, *VENDOR, *_OTHER})
"""All member names that are known."""

PATH_WORDS: Final = frozenset({
    "api", "login", "logout", "initial-data", "image", "image-inventory", "upgradestatusinfo", "upgradestatussummary",
    "systemreport", "cluster", "runtime", "status", "version", "tenant", "cloud", "serviceengine",
    "serviceenginegroup", "virtualservice", "statediffoperation",
})  # fmt: skip
"""The segments of a path that are no object's uuid or name."""

QUERY_KEYS: Final = frozenset({
    "page", "page_size", "name", "uuid", "fields", "include_name", "skip_default", "sort", "node_type", "refers_to",
    "referred_by", "join_subresources",
})  # fmt: skip
