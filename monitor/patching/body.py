"""
Decode the body of a PATCH into one Patch. Pure.

Three forms of body, one operation each: a partial Image (merge patch, RFC 7396), the Controller's own
``{"add" | "replace" | "delete": {…}}``, and the SDK's ``{"json_patch": [{op, path, value}]}``. In every case an
adjustment is sent as one request in the Controller's form, so a body that would need two requests is refused.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, cast, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, convert, defstruct

from monitor.model.errors import PatchProblem
from monitor.patching.annotations import (
    AnnotationChange,
    Key,
    Value,
    check_annotations,
    fault_of_key,
    fault_of_value,
    member,
    quoted,
)
from monitor.patching.fields import ADJUSTABLE, LISTS, OWNED, PLAIN, Adjustment, CloudInfo, Json, Operation
from monitor.patching.strict_json import decode_json

MEDIA_TYPES: Final = ("application/json", "application/merge-patch+json")
MAX_BODY_BYTES: Final = 64 * 1024
VERSION_PATTERN: Final = r"[0-9]{1,4}(\.[0-9]{1,6}){1,3}"
"""Of an API version, such as ``30.2.1``."""


def _define_image(name: str, doc: str, fields: Iterable[tuple[str, Any]], annotations: Any) -> type[Struct]:  # noqa: ANN401
    """Define a partial Image: a struct of these optional fields, ``annotations`` and ``_last_modified``."""
    members = [*fields, ("annotations", annotations), ("last_modified", str)]
    return defstruct(
        name,
        [(field, kind | UnsetType, UNSET) for field, kind in members],
        namespace={"__doc__": doc},
        rename={"last_modified": "_last_modified"},
        frozen=True,
        forbid_unknown_fields=True,
        kw_only=True,
    )


_ANNOTATIONS_TO_MERGE = dict[Key, Value | None]
Merge = _define_image(
    "Merge",
    "A partial Image: values to set, or null to unset; annotations are merged, null removes one.",
    ((field, kind | None) for field, kind in ADJUSTABLE.items()),
    _ANNOTATIONS_TO_MERGE,
)
SetFields = _define_image(
    "SetFields", "Values to set. `add`: lists gain entries.", ADJUSTABLE.items(), dict[Key, Value]
)
Delete = _define_image(
    "Delete",
    "Fields to unset, whatever their value; a list loses the entries given; annotations go by key.",
    ((field, kind | None if field in LISTS else Json) for field, kind in ADJUSTABLE.items()),
    dict[Key, Json] | list[Key],
)
_OuterMembers = _define_image("OuterMembers", "Members beside an operation.", (), _ANNOTATIONS_TO_MERGE)


_POINTER = "^/"
_StepName = Literal["add", "replace", "remove"]


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of ``json_patch``. ``path``: ``/field``, ``/cloud_info_values/-`` or ``/annotations/key``."""

    op: _StepName
    path: Annotated[str, Meta(pattern=_POINTER)]
    value: Json = None


_ANNOTATION_VALUES: Final[Mapping[Any, Any]] = {
    Merge: Value | None,
    _OuterMembers: Value | None,
    SetFields: Value,
    Delete: Json,
}
"""The types of partial Images, and the type of annotation values in each."""

FORMS: Final[Mapping[str, Any]] = {"add": SetFields, "replace": SetFields, "delete": Delete, "json_patch": list[Step]}
"""The operations, and the type of each one's content."""


class Patch(Struct, frozen=True):
    """One decoded PATCH. ``last_modified``: a condition, the value that the image's ``_last_modified`` must have."""

    annotations: AnnotationChange | None = None
    adjustment: Adjustment | None = None
    last_modified: str | None = None


def decode_patch(body: bytes) -> Patch:
    """
    Decode the body of a PATCH.

    Raises: PatchProblem of the kind bad-json, bad-patch, unknown-field, read-only-field or two-operations, naming the
    JSON path of the first wrong member.
    """
    return decode_tree(decode_json(body))


def decode_tree(tree: Json) -> Patch:
    """As `decode_patch`, of what `decode_json` returned."""
    if not isinstance(tree, dict):
        raise PatchProblem(
            "bad-patch",
            "found no JSON object, expected a partial Image, or one of add, replace, delete, json_patch",
            "$",
        )
    forms = [key for key in tree if key in FORMS]
    if not forms:
        _check(tree, Merge, "$")
        return _merge_patch(tree)
    (form, *others) = forms
    if others:
        raise PatchProblem("two-operations", f"found {' and '.join(forms)}, expected one of them", f"$.{others[0]}")
    _check({key: value for key, value in tree.items() if key != form}, _OuterMembers, "$")
    return _merge_outer_members(_decode_form(form, tree[form]), tree)


def _check(tree: Json, shape: Any, path: str) -> None:  # noqa: ANN401  any type that msgspec reads
    """Refuse what is not of the type ``shape``, naming unknown and read-only fields, else the JSON path."""
    if isinstance(tree, dict) and shape in _ANNOTATION_VALUES:
        known = {field.encode_name for field in msgspec.structs.fields(shape)}
        for key in tree.keys() - known:
            raise _not_adjustable(key, path)
        if isinstance(annotations := tree.get("annotations"), dict if shape is not Delete else dict | list):
            check_annotations(annotations, _ANNOTATION_VALUES[shape], f"{path}.annotations")
    try:
        convert(tree, shape)
    except msgspec.ValidationError as error:
        message, _, inner_path = str(error).rpartition(" - at `$")
        where = path + inner_path.removesuffix("`") if message else path
        raise PatchProblem("bad-patch", _clear_message(message or str(error), where, shape), where) from error


def _clear_message(message: str, where: str, shape: Any) -> str:  # noqa: ANN401
    """Return the message of msgspec, or a clearer one where msgspec does not say what was expected."""
    if message.startswith(_INVALID_ENUM_PREFIX):
        *choices, last = get_args(_ENUM_BY_FIELD.get(where.rpartition(".")[2], shape))
        found = message.removeprefix(_INVALID_ENUM_PREFIX)[:80]
        return f"found {found}, expected {', '.join(choices)} or {last}"
    return next((clear for pattern, clear in _MESSAGE_BY_PATTERN.items() if message.endswith(repr(pattern))), message)


_MESSAGE_BY_PATTERN: Final = {
    PLAIN: "found a control character, expected a string without one",
    _POINTER: "expected a JSON pointer such as /name",
}
_INVALID_ENUM_PREFIX: Final = "Invalid enum value "
_ENUM_BY_FIELD: Final[Mapping[str, Any]] = {"type": ADJUSTABLE["type"], "op": _StepName}


def _not_adjustable(key: str, path: str) -> PatchProblem:
    where = member(path, key)
    if key in OWNED:
        detail = f"the Controller owns {key}, it cannot be changed; adjustable are {', '.join(ADJUSTABLE)}"
        return PatchProblem("read-only-field", detail, where)
    detail = f"an Image has no field {quoted(key)}; adjustable are {', '.join(ADJUSTABLE)}, and annotations"
    return PatchProblem("unknown-field", detail, where)


def _decode_form(form: str, inner: Json) -> Patch:
    _check(inner, FORMS[form], f"$.{form}")
    if form == "json_patch":
        return _json_patch(inner)
    operation = cast("Operation", form)
    unset = operation == "delete"  # values are ignored then, except the entries of a list
    fields = {field: None if unset and field not in LISTS else inner[field] for field in inner if field in ADJUSTABLE}
    annotations = None
    if "annotations" in inner:
        values = inner["annotations"]
        values = dict.fromkeys(values) if operation == "delete" else values
        annotations = AnnotationChange(values, replace=operation == "replace")
    return Patch(annotations, Adjustment(operation, fields) if fields else None, inner.get("_last_modified"))


def _merge_outer_members(patch: Patch, tree: Mapping[str, Json]) -> Patch:
    """Add annotations and ``_last_modified`` that stand beside the operation; each may occur once in a body."""
    for name, inside in (("annotations", patch.annotations), ("_last_modified", patch.last_modified)):
        if name in tree and inside is not None:
            raise PatchProblem(
                "two-operations", f"found {name} both inside the operation and beside it, expected it once", f"$.{name}"
            )
    return Patch(
        AnnotationChange(tree["annotations"]) if "annotations" in tree else patch.annotations,
        patch.adjustment,
        tree.get("_last_modified", patch.last_modified),
    )


def _merge_patch(tree: Mapping[str, Json]) -> Patch:
    """Decode a partial Image: all fields have values to set, or all are null."""
    fields = {field: tree[field] for field in tree if field in ADJUSTABLE}
    nulls = [field for field, value in fields.items() if value is None]
    if nulls and len(nulls) < len(fields):
        raise _two_requests(f"$.{nulls[0]}")
    adjustment = Adjustment("delete" if nulls else "replace", fields) if fields else None
    return Patch(
        AnnotationChange(tree["annotations"]) if "annotations" in tree else None, adjustment, tree.get("_last_modified")
    )


def _two_requests(path: str) -> PatchProblem:
    detail = "this would need two requests to the Controller, and the second could fail alone: send it as two PATCHes"
    return PatchProblem("two-operations", detail, path)


def _json_patch(steps: list[dict[str, Json]]) -> Patch:
    """Translate a ``json_patch`` to the Controller's form, where one operation of that form can express it."""
    annotations: dict[str, str | None] = {}
    fields: dict[str, Json] = {}
    operations: dict[str, Operation] = {}
    for index, step in enumerate(steps):
        path = f"$.json_patch[{index}].path"
        field, *rest = split_pointer(step["path"])
        if field == "annotations" and len(rest) == 1:
            annotations |= _annotation_of_step(rest[0], step, path.removesuffix(".path"))
            continue
        operation = _operation_of_step(field, rest, step, path)
        appends = operation == "add"
        if operation != "delete":
            _check(step["value"], CloudInfo if appends else ADJUSTABLE[field], f"$.json_patch[{index}].value")
        # entries added to a list that an earlier step set or removed belong to its new value
        operations[field] = "replace" if appends and operations.get(field, "add") != "add" else operation
        value = None if operation == "delete" else step["value"]  # RFC 6902: remove ignores a value
        fields[field] = [*(fields.get(field) or ()), value] if appends else value
    adjustment = Adjustment(_common_operation(operations), fields) if fields else None
    return Patch(AnnotationChange(annotations) if annotations else None, adjustment)


def split_pointer(path: str) -> list[str]:
    """Split a JSON pointer (RFC 6901)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _annotation_of_step(key: str, step: Mapping[str, Json], path: str) -> dict[str, str | None]:
    if fault := fault_of_key(key):
        raise PatchProblem("bad-patch", fault, f"{path}.path")
    if step["op"] == "remove":
        return {key: None}
    _require_value(step, path)
    if fault := fault_of_value(step["value"], Value):
        raise PatchProblem("bad-patch", fault, f"{path}.value")
    return {key: step["value"]}


def _require_value(step: Mapping[str, Json], path: str) -> None:
    if "value" not in step:
        raise PatchProblem("bad-patch", f"found no value, expected one for {step['op']}", path)


def _operation_of_step(field: str, rest: list[str], step: Mapping[str, Json], path: str) -> Operation:
    """Return the operation of the Controller that does what the step does."""
    if field not in ADJUSTABLE and field != "annotations":
        problem = _not_adjustable(field, "$")
        raise PatchProblem(problem.kind, problem.detail, path)
    if field == "annotations":
        pass  # only single keys can be patched, which the caller handled
    elif step["op"] == "remove":
        if not rest:
            return "delete"
    else:
        _require_value(step, path.removesuffix(".path"))
        if not rest:
            return "replace"
        if rest == ["-"] and step["op"] == "add" and field in LISTS:
            return "add"
    detail = f"found {quoted(str(step['path']))}, expected /field, /cloud_info_values/- to add, or /annotations/key"
    raise PatchProblem("bad-patch", detail, path)


def _common_operation(operations: Mapping[str, Operation]) -> Operation:
    """Return one operation for all fields: ``add`` adds entries to a list, and sets scalars as ``replace`` does."""
    kinds = set(operations.values())
    if kinds == {"add", "replace"} and all(operations[field] == "add" for field in operations.keys() & LISTS):
        return "add"
    if len(kinds) > 1:
        raise _two_requests("$.json_patch")
    return kinds.pop()


def is_version(text: str) -> bool:
    """Whether a text has the form of an API version, such as ``30.2.1``."""
    return re.fullmatch(VERSION_PATTERN, text) is not None
