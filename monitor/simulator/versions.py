"""
Which fields an Image has in which version of the API, and how a client's ``X-Avi-Version`` is negotiated. Pure.

Source: the vendor's published schemas, release by release.
"""

from typing import Any, TypeAlias

from monitor.simulator.http_types import ApiError, Json

Version: TypeAlias = tuple[int, ...]

PROFILES = ("20.1.9", "21.1.6", "22.1.6", "30.2.1", "31.2.2", "32.2.1")
DEFAULT_VERSION = "16_4_2"  # of a request without X-Avi-Version, in the form in which the response names it
LAST_QUERY_KEY_WINS = (31, 2, 2)
IMAGE_INVENTORY = (32, 2, 1)
NEXT_PAGE = (20, 1, 1)  # lists of upgrade status have no ``next`` before
UNIT_FIELDS: dict[str, Version] = {  # of UpgradeStatusInfo
    **dict.fromkeys(("progress", "patch_list", "previous_patch_list"), (18, 2, 8)),
    **dict.fromkeys(("seg_params", "image_path", "se_patch_image_ref"), (18, 2, 10)),
    "history": (20, 1, 4),
    **dict.fromkeys(("reason", "upgrade_readiness"), (22, 1, 3)),
    "dryrun_info": (31, 1, 1),
}
UNIT_PARTS: dict[str, Version] = {  # of what is inside an UpgradeStatusInfo
    **dict.fromkeys(("task_name", "sub_events"), (18, 2, 10)),
    "rebooted": (20, 1, 2),
}
_NEWEST_PART = max(UNIT_PARTS.values())
REPORT_FIELDS = frozenset({"system_report_refs", "error_details"})

INTRODUCED: dict[str, Version] = {
    **dict.fromkeys(
        (
            "name", "uuid", "url", "_last_modified", "tenant_ref", "type", "status", "controller_info", "se_info",
            "migrations",
        ),
        (18, 2, 6),
    ),
    **dict.fromkeys(("uber_bundle", "controller_patch_ref", "se_patch_ref"), (18, 2, 8)),
    **dict.fromkeys(("controller_patch_name", "se_patch_name"), (18, 2, 10)),
    "cloud_info_values": (20, 1, 1),
    **dict.fromkeys(
        (
            "img_state", "progress", "total_tasks", "tasks_completed", "duration", "start_time", "end_time", "events",
        ),
        (21, 1, 3),
    ),
    "fips_mode_transition_applicable": (30, 1, 1),
    "dryrun_info": (31, 2, 1),
}  # fmt: skip
REMOVED: dict[str, Version] = {"status": (22, 1, 1)}
REMOTE_IMAGE_REF = ((30, 1, 1), (32, 2, 1))  # added and removed again; a field of the build of each package
PACKAGES = ("controller_info", "se_info", "dryrun_info")
OLDEST_VERSION = (18, 2, 6)  # an older request receives the Image in this version


def parse(text: str) -> Version | None:
    """Read ``30.2.1`` or ``16_4_2``, without a patch suffix; None when the text is not a version."""
    parts = text.strip().split("-")[0].replace("_", ".").split(".")
    return tuple(map(int, parts)) if len(parts) >= 2 and all(part.isdecimal() for part in parts) else None


def negotiate(requested: str | None, own: str) -> tuple[Version, str]:
    """
    Return the version of the response, and its name in the header ``AVI_API_VERSION``.

    Raises: ApiError 400 for text that is not a version, or for a version above the Controller's own.
    """
    if requested is None:
        return parse(DEFAULT_VERSION) or (), DEFAULT_VERSION
    version, newest = parse(requested), parse(own) or ()
    if version is None or version > newest[:3]:
        raise ApiError(400, f"Invalid version {requested}: this Controller supports versions up to {own}.")
    return version, requested


def has_field(field: str, version: Version) -> bool:
    """Whether an Image has the field in this version."""
    version = max(version, OLDEST_VERSION)
    return INTRODUCED.get(field, OLDEST_VERSION) <= version and not (field in REMOVED and REMOVED[field] <= version)


def view_in_version(image: Json, version: Version) -> Json:
    """Return the image without the fields that this version does not have yet, or no longer has."""
    view = {field: value for field, value in image.items() if has_field(field, version)}
    if not REMOTE_IMAGE_REF[0] <= version < REMOTE_IMAGE_REF[1]:
        view.update({name: _without_remote_ref(view[name]) for name in PACKAGES if name in view})
    return view


def _without_remote_ref(package: Json) -> Json:
    build = {field: value for field, value in package.get("build", {}).items() if field != "remote_image_ref"}
    return {**package, "build": build}


def has_reports(version: Version) -> bool:
    """Whether a version has what came with 22.1.6 and with 30.2.1, but is in no 30.1."""
    return (22, 1, 6) <= version < (30,) or version >= (30, 2, 1)


def view_unit(unit: Json, version: Version, *, with_names: bool) -> Json:
    """Return an UpgradeStatusInfo without what this version does not have. ``with_names``: behind references."""
    version = max(version, OLDEST_VERSION)
    fields = {field: value for field, value in unit.items() if UNIT_FIELDS.get(field, version) <= version}
    if with_names and has_reports(version) and version >= _NEWEST_PART:
        return fields
    past = {"history": fields.pop("history")} if "history" in fields else {}  # may be large, and needs no change
    return {**_view_part(fields, version, with_names=with_names), **past}


def _view_part(value: Any, version: Version, *, with_names: bool) -> Any:  # noqa: ANN401  visits any JSON
    if isinstance(value, list):
        return [_view_part(entry, version, with_names=with_names) for entry in value]
    if isinstance(value, dict):
        return {
            field: _view_part(inner, version, with_names=with_names)
            for field, inner in value.items()
            if UNIT_PARTS.get(field, version) <= version and (field not in REPORT_FIELDS or has_reports(version))
        }
    is_ref = isinstance(value, str) and value.startswith("https://")
    return value.partition("#")[0] if is_ref and not with_names else value


def reject_newer_fields(fields: tuple[str, ...], version: Version) -> None:
    """Raises: ApiError 400, with the text of a Controller, for a field that was introduced after this version."""
    for field in fields:
        since = INTRODUCED.get(field, OLDEST_VERSION)
        if since > max(version, OLDEST_VERSION):
            text = (
                f"Incoming request ({_tag(version)}) has field ({field}) introduced in later versions({_tag(since)})."
            )
            raise ApiError(400, text)


def _tag(version: Version) -> str:
    return "v" + "_".join(map(str, version))
