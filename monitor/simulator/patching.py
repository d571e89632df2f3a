"""
Applies a PATCH to an Image: three forms of body, errors with the texts of a Controller. Pure.

The vendor documents the operations add, replace and delete, and a ``json_patch`` list. Which fields of an Image may be
changed is not published, so the policy decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from monitor.simulator import versions
from monitor.simulator.http_types import ApiError, Json
from monitor.simulator.specs import PatchPolicy
from monitor.simulator.versions import Version

OPERATIONS = ("add", "replace", "delete")
READ_ONLY = frozenset({"uuid", "url", "tenant_ref"})
CONTROLLER_OWNED = frozenset(
    {
        "status", "img_state", "progress", "total_tasks", "tasks_completed", "duration", "start_time", "end_time",
        "events", "controller_info", "se_info", "dryrun_info", "migrations",
    },
)  # fmt: skip
FIELD_TYPES: dict[str, type] = {
    "name": str,
    "type": str,
    "controller_patch_ref": str,
    "se_patch_ref": str,
    "controller_patch_name": str,
    "se_patch_name": str,
    "uber_bundle": bool,
    "fips_mode_transition_applicable": bool,
    "cloud_info_values": list,
}
KNOWN = READ_ONLY | CONTROLLER_OWNED | FIELD_TYPES.keys() | {"_last_modified"}
IMAGE_TYPES = frozenset({"IMAGE_TYPE_PATCH", "IMAGE_TYPE_SYSTEM", "IMAGE_TYPE_MUST_CHECK"})


@dataclass(frozen=True, slots=True)
class PatchContext:
    """What the check of a PATCH depends on besides the image. ``names``: of all images, by uuid."""

    policy: PatchPolicy
    version: Version
    names: Mapping[str, str]


def apply_patch(image: Json, body: bytes, context: PatchContext) -> Json:
    """
    Return the image after the PATCH; ``_last_modified`` is not changed yet.

    Raises: ApiError 400 for an invalid body, 405 where images cannot be changed, 409 for a name of another image, 412
    for an outdated ``_last_modified``.
    """
    if not context.policy.enabled:
        raise ApiError(405, "Method 'PATCH' not allowed")
    change = _decode(body)
    if "json_patch" in change:
        after, fields = _apply_json_patch(image, change, context.policy)
    else:
        operation, partial = _operation(change, context.policy)
        _require_fresh(image, partial)
        partial = {field: value for field, value in partial.items() if field != "_last_modified"}
        after, fields = OPERATION_FUNCTIONS[operation](image, partial), tuple(partial)
    _require_allowed(fields, context)
    _require_valid(image, after, fields, context)
    return after


def _decode(body: bytes) -> Json:
    try:
        change = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ApiError(400, f"JSON parse error - {error}") from error
    if not isinstance(change, dict):
        raise ApiError(400, "Invalid patch data: an object is expected")
    return change


def _operation(change: Json, policy: PatchPolicy) -> tuple[str, Json]:
    named = [key for key in change if key in OPERATIONS]
    if not named and policy.plain == "merge":
        return "replace", change
    if len(named) != 1 or len(change) != 1:
        raise ApiError(400, "Patch data must be one of: add, replace, delete")
    partial = change[named[0]]
    if not isinstance(partial, dict):
        raise ApiError(400, f"Invalid patch data for {named[0]}: an object is expected")
    return named[0], partial


def _require_fresh(image: Json, partial: Json) -> None:
    if "_last_modified" in partial and str(partial["_last_modified"]) != image.get("_last_modified"):
        raise ApiError(412, "Concurrent Update Error: the object was changed by another user")


def _add(image: Json, partial: Json) -> Json:
    return {**image, **{field: _merge_value(image.get(field), value) for field, value in partial.items()}}


def _merge_value(old: object, new: object) -> object:
    if isinstance(old, list) and isinstance(new, list):
        return [*old, *new]
    return {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new


def _replace(image: Json, partial: Json) -> Json:
    return {**image, **partial}


def _delete(image: Json, partial: Json) -> Json:
    changed = {field: _remove_entries(image.get(field), value) for field, value in partial.items()}
    after = {field: changed.get(field, value) for field, value in image.items()}
    return {field: value for field, value in after.items() if value is not None}


def _remove_entries(old: object, listed: object) -> object:
    """Remove the listed entries from a list; return None, which unsets the field, for any other value."""
    both = isinstance(old, list) and isinstance(listed, list)
    return [entry for entry in old if entry not in listed] if both else None  # type: ignore[operator,attr-defined]


OPERATION_FUNCTIONS = {"add": _add, "replace": _replace, "delete": _delete}


def _apply_json_patch(image: Json, change: Json, policy: PatchPolicy) -> tuple[Json, tuple[str, ...]]:
    steps = change["json_patch"]
    if not policy.json_patch or len(change) != 1 or not isinstance(steps, list):
        raise ApiError(400, "Invalid json_patch")
    after: Json = msgspec.json.decode(msgspec.json.encode(image))  # a deep copy
    fields = []
    for step in steps:
        path = _pointer(step)
        if path == ["_last_modified"]:
            raise ApiError(400, "Field _last_modified is read-only")
        _apply(after, step["op"], path, step.get("value"))
        fields.append(path[0])
    return after, tuple(fields)


def _pointer(step: object) -> list[str]:
    operations = {"add", "replace", "remove"}
    if not isinstance(step, dict) or step.get("op") not in operations or not str(step.get("path")).startswith("/"):
        raise ApiError(400, f"Invalid json_patch step {step}")
    return [part.replace("~1", "/").replace("~0", "~") for part in str(step["path"]).split("/")[1:]]


def _apply(document: Any, operation: str, path: list[str], value: object) -> None:  # noqa: ANN401  any JSON there is
    *parents, last = path
    try:
        for step in parents:
            document = document[int(step) if isinstance(document, list) else step]
        _apply_here(document, operation, last, value)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise ApiError(400, f"Path /{'/'.join(path)} does not exist") from error


def _apply_here(parent: Any, operation: str, last: str, value: object) -> None:  # noqa: ANN401
    if isinstance(parent, list) and operation == "add":
        parent.insert(len(parent) if last == "-" else int(last), value)
        return
    key = int(last) if isinstance(parent, list) else last
    if operation != "add":
        parent[key]  # raises KeyError or IndexError where it does not exist
    if operation == "remove":
        del parent[key]
    else:
        parent[key] = value


def _require_allowed(fields: tuple[str, ...], context: PatchContext) -> None:
    versions.reject_newer_fields(fields, context.version)
    for field in fields:
        if field not in KNOWN or not versions.has_field(field, context.version):
            raise ApiError(400, f"Unknown field {field} in object Image")
        if field in READ_ONLY or (field in CONTROLLER_OWNED and context.policy.owned == "reject"):
            raise ApiError(400, f"Field {field} of object Image is read-only")


def _require_valid(before: Json, after: Json, fields: tuple[str, ...], context: PatchContext) -> None:
    for field in fields:
        value = after.get(field)
        if value is not None and not isinstance(value, FIELD_TYPES.get(field, object)):
            raise ApiError(400, f"Invalid value for field {field}: {value!r}")
    if after.get("type") != before.get("type") and after.get("type") not in IMAGE_TYPES:
        raise ApiError(400, f"Invalid enum value {after.get('type')} for field type")
    _require_name(before, after, context.names)
    for field in ("controller_patch_ref", "se_patch_ref"):
        if field in fields and after.get(field) and _slug(after[field]) not in context.names:
            raise ApiError(400, f"Image object not found: {after[field]}")


def _require_name(before: Json, after: Json, names: Mapping[str, str]) -> None:
    if not after.get("name"):
        raise ApiError(400, "Field name of object Image is required")
    others = [name for uuid, name in names.items() if uuid != before.get("uuid")]
    if after["name"] != before.get("name") and after["name"] in others:
        raise ApiError(409, f"Image with name {after['name']} already exists")


def _slug(ref: str) -> str:
    return ref.partition("#")[0].rstrip("/").rpartition("/")[2]
