"""
What a PATCH does to an Image: three forms of body, refusals in the Controller's words. Pure: object in, object out.

Real Controllers document the operation envelope and a ``json_patch`` list; which fields of an Image they let go is
not published, so the policy decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from monitor.simulator import versions
from monitor.simulator.http_types import Json, Refusal
from monitor.simulator.specs import PatchPolicy
from monitor.simulator.versions import Version

OPERATIONS = ("add", "replace", "delete")
READ_ONLY = frozenset({"uuid", "url", "tenant_ref"})
OWNED = frozenset(
    {
        "status", "img_state", "progress", "total_tasks", "tasks_completed", "duration", "start_time", "end_time",
        "events", "controller_info", "se_info", "dryrun_info", "migrations",
    },
)  # fmt: skip
TYPES_OF: dict[str, type] = {
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
KNOWN = READ_ONLY | OWNED | TYPES_OF.keys() | {"_last_modified"}
IMAGE_TYPES = frozenset({"IMAGE_TYPE_PATCH", "IMAGE_TYPE_SYSTEM", "IMAGE_TYPE_MUST_CHECK"})


@dataclass(frozen=True, slots=True)
class Setting:
    """What the Controller looks at besides the image itself. ``names``: of all images, by uuid."""

    policy: PatchPolicy
    version: Version
    names: Mapping[str, str]


def patched(image: Json, body: bytes, setting: Setting) -> Json:
    """
    The image after the PATCH, ``_last_modified`` still untouched.

    Raises: Refusal 400 for what cannot be, 405 where images cannot be changed, 409 for a name that is taken,
    412 for a stale ``_last_modified``.
    """
    if not setting.policy.anything:
        raise Refusal(405, "Method 'PATCH' not allowed")
    change = _decoded(body)
    if "json_patch" in change:
        after, fields = _json_patched(image, change, setting.policy)
    else:
        operation, partial = _operation(change, setting.policy)
        _require_fresh(image, partial)
        partial = {field: value for field, value in partial.items() if field != "_last_modified"}
        after, fields = OPERATE[operation](image, partial), tuple(partial)
    _require_allowed(fields, setting)
    _require_valid(image, after, fields, setting)
    return after


def _decoded(body: bytes) -> Json:
    try:
        change = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Refusal(400, f"JSON parse error - {error}") from error
    if not isinstance(change, dict):
        raise Refusal(400, "Invalid patch data: an object is expected")
    return change


def _operation(change: Json, policy: PatchPolicy) -> tuple[str, Json]:
    named = [key for key in change if key in OPERATIONS]
    if not named and policy.plain == "merge":
        return "replace", change
    if len(named) != 1 or len(change) != 1:
        raise Refusal(400, "Patch data must be one of: add, replace, delete")
    partial = change[named[0]]
    if not isinstance(partial, dict):
        raise Refusal(400, f"Invalid patch data for {named[0]}: an object is expected")
    return named[0], partial


def _require_fresh(image: Json, partial: Json) -> None:
    if "_last_modified" in partial and str(partial["_last_modified"]) != image.get("_last_modified"):
        raise Refusal(412, "Concurrent Update Error: the object was changed by somebody else")


def _add(image: Json, partial: Json) -> Json:
    return {**image, **{field: _added(image.get(field), value) for field, value in partial.items()}}


def _added(old: object, new: object) -> object:
    if isinstance(old, list) and isinstance(new, list):
        return [*old, *new]
    return {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new


def _replace(image: Json, partial: Json) -> Json:
    return {**image, **partial}


def _delete(image: Json, partial: Json) -> Json:
    left = {field: _deleted(image.get(field), value) for field, value in partial.items()}
    return {field: left.get(field, value) for field, value in image.items() if left.get(field, value) is not None}


def _deleted(old: object, listed: object) -> object:
    """Lists lose the entries that match; everything else is unset."""
    both = isinstance(old, list) and isinstance(listed, list)
    return [entry for entry in old if entry not in listed] if both else None  # type: ignore[operator,attr-defined]


OPERATE = {"add": _add, "replace": _replace, "delete": _delete}


def _json_patched(image: Json, change: Json, policy: PatchPolicy) -> tuple[Json, tuple[str, ...]]:
    steps = change["json_patch"]
    if not policy.json_patch or len(change) != 1 or not isinstance(steps, list):
        raise Refusal(400, "Invalid json_patch")
    after: Json = msgspec.json.decode(msgspec.json.encode(image))  # a copy to the bottom
    fields = []
    for step in steps:
        path = _pointer(step)
        if path == ["_last_modified"]:
            raise Refusal(400, "Field _last_modified is read-only")
        _apply(after, step["op"], path, step.get("value"))
        fields.append(path[0])
    return after, tuple(fields)


def _pointer(step: object) -> list[str]:
    operations = {"add", "replace", "remove"}
    if not isinstance(step, dict) or step.get("op") not in operations or not str(step.get("path")).startswith("/"):
        raise Refusal(400, f"Invalid json_patch step {step}")
    return [part.replace("~1", "/").replace("~0", "~") for part in str(step["path"]).split("/")[1:]]


def _apply(document: Any, operation: str, path: list[str], value: object) -> None:  # noqa: ANN401  any JSON there is
    *parents, last = path
    try:
        for step in parents:
            document = document[int(step) if isinstance(document, list) else step]
        _apply_here(document, operation, last, value)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise Refusal(400, f"Path /{'/'.join(path)} does not exist") from error


def _apply_here(parent: Any, operation: str, last: str, value: object) -> None:  # noqa: ANN401
    if isinstance(parent, list) and operation == "add":
        parent.insert(len(parent) if last == "-" else int(last), value)
        return
    key = int(last) if isinstance(parent, list) else last
    if operation != "add":
        parent[key]  # replace and remove want it to be there
    if operation == "remove":
        del parent[key]
    else:
        parent[key] = value


def _require_allowed(fields: tuple[str, ...], setting: Setting) -> None:
    versions.refuse_younger(fields, setting.version)
    for field in fields:
        if field not in KNOWN or not versions.has(field, setting.version):
            raise Refusal(400, f"Unknown field {field} in object Image")
        if field in READ_ONLY or (field in OWNED and setting.policy.owned == "refuse"):
            raise Refusal(400, f"Field {field} of object Image is read-only")


def _require_valid(before: Json, after: Json, fields: tuple[str, ...], setting: Setting) -> None:
    for field in fields:
        value = after.get(field)
        if value is not None and not isinstance(value, TYPES_OF.get(field, object)):
            raise Refusal(400, f"Invalid value for field {field}: {value!r}")
    if after.get("type") != before.get("type") and after.get("type") not in IMAGE_TYPES:
        raise Refusal(400, f"Invalid enum value {after.get('type')} for field type")
    _require_name(before, after, setting.names)
    for field in ("controller_patch_ref", "se_patch_ref"):
        if field in fields and after.get(field) and _slug(after[field]) not in setting.names:
            raise Refusal(400, f"Image object not found: {after[field]}")


def _require_name(before: Json, after: Json, names: Mapping[str, str]) -> None:
    if not after.get("name"):
        raise Refusal(400, "Field name of object Image is required")
    others = [name for uuid, name in names.items() if uuid != before.get("uuid")]
    if after["name"] != before.get("name") and after["name"] in others:
        raise Refusal(409, f"Image with name {after['name']} already exists")


def _slug(ref: str) -> str:
    return ref.partition("#")[0].rstrip("/").rpartition("/")[2]
