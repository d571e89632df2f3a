"""
What a PATCH asks for: the bytes of its body to one Patch, and what that makes of an image. Pure.

Three forms of body, one operation each: a partial Image (merge patch, RFC 7396), the Controller's own
``{"add" | "replace" | "delete": {…}}``, and the SDK's ``{"json_patch": [{op, path, value}]}``. Whatever its form, an
adjustment goes out as one request in the Controller's own, so a body that would need two is refused.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, cast, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, convert, defstruct

from monitor.model.errors import Refusal
from monitor.patching.annotations import (
    Annotating,
    Key,
    Value,
    check_annotations,
    fault_of_key,
    fault_of_value,
    member,
    quoted,
)
from monitor.patching.fields import ADJUSTABLE, LISTS, OWNED, PLAIN, Adjustment, CloudInfo, Json, Operation

MEDIA_TYPES: Final = ("application/json", "application/merge-patch+json")
LARGEST_BODY: Final = 64 * 1024  # bytes

_DEEPEST = 16  # an adjustable field is at most 6 deep
_SURROGATE = re.compile("[\ud800-\udfff]")


def _shape(name: str, doc: str, fields: Iterable[tuple[str, Any]], annotations: Any) -> type[Struct]:  # noqa: ANN401
    """A struct of optional fields, with what may stand in every body."""
    every = [*fields, ("annotations", annotations), ("last_modified", str)]
    return defstruct(
        name,
        [(field, kind | UnsetType, UNSET) for field, kind in every],
        namespace={"__doc__": doc},
        rename={"last_modified": "_last_modified"},
        frozen=True,
        forbid_unknown_fields=True,
        kw_only=True,
    )


_TO_MERGE = dict[Key, Value | None]
Merge = _shape(
    "Merge",
    "A partial Image: values to set, or null to unset; annotations are merged, null removes one.",
    ((field, kind | None) for field, kind in ADJUSTABLE.items()),
    _TO_MERGE,
)
Change = _shape("Change", "Values to set. `add`: lists gain entries.", ADJUSTABLE.items(), dict[Key, Value])
Delete = _shape(
    "Delete",
    "Fields to unset, whatever their value; a list loses the entries given; annotations go by key.",
    ((field, kind | None if field in LISTS else Json) for field, kind in ADJUSTABLE.items()),
    dict[Key, Json] | list[Key],
)
_Beside = _shape("Beside", "What stands beside an operation.", (), _TO_MERGE)


_POINTER = "^/"
_StepName = Literal["add", "replace", "remove"]


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of ``json_patch``. ``path``: ``/field``, ``/cloud_info_values/-`` or ``/annotations/key``."""

    op: _StepName
    path: Annotated[str, Meta(pattern=_POINTER)]
    value: Json = None


_ANNOTATED: Final[Mapping[Any, Any]] = {Merge: Value | None, _Beside: Value | None, Change: Value, Delete: Json}
"""The shapes that are an Image's, and what the values of annotations are in them."""

FORMS: Final[Mapping[str, Any]] = {"add": Change, "replace": Change, "delete": Delete, "json_patch": list[Step]}
"""The operations, and what each holds."""


class Patch(Struct, frozen=True):
    """One PATCH, read. ``last_modified``: what the caller takes for the image's present ``_last_modified``."""

    annotating: Annotating | None = None
    adjustment: Adjustment | None = None
    last_modified: str | None = None


def decode_patch(body: bytes) -> Patch:
    """
    Read the body of a PATCH.

    Raises: Refusal of the kind bad-json, bad-patch, unknown-field, read-only-field or two-operations, naming the JSON
    path of the first wrong member.
    """
    tree = _decode_json(body)
    if not isinstance(tree, dict):
        raise Refusal("bad-patch", "found no object, expected a partial Image, or one of add, replace, delete", "$")
    forms = [key for key in tree if key in FORMS]
    if not forms:
        _check(tree, Merge, "$")
        return _merge(tree)
    (form, *others) = forms
    if others:
        raise Refusal("two-operations", f"found {' and '.join(forms)}, expected one of them", f"$.{others[0]}")
    _check({key: value for key, value in tree.items() if key != form}, _Beside, "$")
    return _with_beside(_read_form(form, tree[form]), tree)


def _decode_json(body: bytes) -> Json:
    """Strict JSON: UTF-8, whole characters, no NaN, no key twice in one object, not deeper than any Image."""
    try:
        tree = json.loads(body.decode(), object_pairs_hook=_Object)
        _inspect(tree, "$", 0)
        msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        detail = f"the body is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}, where it cannot stand"
        raise Refusal("bad-json", detail) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise Refusal("bad-json", f"the body is no JSON: {error}") from error
    except RecursionError:
        raise _too_deep() from None
    return tree


class _Object(dict[str, Json]):
    """A JSON object that knows whether a key stood twice in it."""

    def __init__(self, pairs: list[tuple[str, Json]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        twice = (key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        self.doubled = next(twice, None) if len(self) < len(pairs) else None


def _inspect(tree: Json, path: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise _too_deep()
    if isinstance(tree, _Object):
        for key in tree:
            _require_characters(key, path)  # before any of them stands in what we say
        if tree.doubled is not None:
            raise Refusal("bad-json", f"the key {quoted(tree.doubled)} stands twice in one object", path)
        for key, value in tree.items():
            _inspect(value, member(path, key), depth + 1)
    elif isinstance(tree, list):
        for place, value in enumerate(tree):
            _inspect(value, f"{path}[{place}]", depth + 1)
    elif isinstance(tree, str):
        _require_characters(tree, path)


def _require_characters(text: str, path: str) -> None:
    """Half of a surrogate pair (RFC 8259, 8.2) is none."""
    half = _SURROGATE.search(text)
    if half:
        detail = f"found \\u{ord(half[0]):04x} alone, which is half of a character, expected it with its other half"
        raise Refusal("bad-json", detail, path)


def _too_deep() -> Refusal:
    return Refusal("bad-json", f"the body is nested more than {_DEEPEST} deep; no Image is")


def _check(tree: Json, shape: Any, path: str) -> None:  # noqa: ANN401  any type that msgspec reads
    """Refuse what is not of the shape: what is not ours to change by name, the rest by JSON path."""
    if isinstance(tree, dict) and shape in _ANNOTATED:
        known = {field.encode_name for field in msgspec.structs.fields(shape)}
        for key in tree.keys() - known:
            raise _no_such(key, path)
        if isinstance(annotations := tree.get("annotations"), dict if shape is not Delete else dict | list):
            check_annotations(annotations, _ANNOTATED[shape], f"{path}.annotations")
    try:
        convert(tree, shape)
    except msgspec.ValidationError as error:
        words, _, place = str(error).rpartition(" - at `$")
        where = path + place.removesuffix("`") if words else path
        raise Refusal("bad-patch", _advice(words or str(error), where, shape), where) from error


def _advice(words: str, where: str, shape: Any) -> str:  # noqa: ANN401
    """What msgspec says, or where it does not say what was expected, that."""
    if words.startswith(_NO_CHOICE):
        choices = get_args(_CHOICES.get(where.rpartition(".")[2], shape))
        return f"found {words.removeprefix(_NO_CHOICE)[:80]}, expected {', '.join(choices[:-1])} or {choices[-1]}"
    return next((advice for pattern, advice in _ADVICE.items() if words.endswith(repr(pattern))), words)


_ADVICE: Final = {
    PLAIN: "found a control character, expected a text without one",
    _POINTER: "found no JSON pointer, expected one such as /name",
}
_NO_CHOICE: Final = "Invalid enum value "
_CHOICES: Final[Mapping[str, Any]] = {"type": ADJUSTABLE["type"], "op": _StepName}


def _no_such(key: str, path: str) -> Refusal:
    where = member(path, key)
    if key in OWNED:
        detail = f"{key} is not an operator's to change; adjustable are {', '.join(ADJUSTABLE)}"
        return Refusal("read-only-field", detail, where)
    detail = f"an Image has no field {quoted(key)} to change; adjustable are {', '.join(ADJUSTABLE)}, and annotations"
    return Refusal("unknown-field", detail, where)


def _read_form(form: str, inner: Json) -> Patch:
    _check(inner, FORMS[form], f"$.{form}")
    if form == "json_patch":
        return _translate(inner)
    operation = cast("Operation", form)
    named = operation == "delete"  # the value of what is unset means nothing, but for the entries of a list
    fields = {field: None if named and field not in LISTS else inner[field] for field in inner if field in ADJUSTABLE}
    annotating = None
    if "annotations" in inner:
        values = inner["annotations"]
        values = dict.fromkeys(values) if operation == "delete" else values
        annotating = Annotating(values, replace=operation == "replace")
    return Patch(annotating, Adjustment(operation, fields) if fields else None, inner.get("_last_modified"))


def _with_beside(patch: Patch, tree: Mapping[str, Json]) -> Patch:
    """What stands beside the operation: annotations to merge, and the condition; each only when not inside it."""
    for name, inside in (("annotations", patch.annotating), ("_last_modified", patch.last_modified)):
        if name in tree and inside is not None:
            raise Refusal("two-operations", f"found {name} inside the operation and beside it", f"$.{name}")
    return Patch(
        Annotating(tree["annotations"]) if "annotations" in tree else patch.annotating,
        patch.adjustment,
        tree.get("_last_modified", patch.last_modified),
    )


def _merge(tree: Mapping[str, Json]) -> Patch:
    """A plain partial Image: all values to set, or all null."""
    fields = {field: tree[field] for field in tree if field in ADJUSTABLE}
    nulls = [field for field, value in fields.items() if value is None]
    if nulls and len(nulls) < len(fields):
        raise _two_requests(f"$.{nulls[0]}")
    adjustment = Adjustment("delete" if nulls else "replace", fields) if fields else None
    return Patch(
        Annotating(tree["annotations"]) if "annotations" in tree else None, adjustment, tree.get("_last_modified")
    )


def _two_requests(path: str) -> Refusal:
    detail = "this would need two requests to the Controller, and the second could fail alone: send it as two PATCHes"
    return Refusal("two-operations", detail, path)


def _translate(steps: list[dict[str, Json]]) -> Patch:
    """A ``json_patch`` in the Controller's own form, where one operation of that form can say it."""
    annotations: dict[str, str | None] = {}
    fields: dict[str, Json] = {}
    operations: dict[str, Operation] = {}
    for place, step in enumerate(steps):
        path = f"$.json_patch[{place}].path"
        field, *rest = _pointer(step["path"])
        if field == "annotations" and len(rest) == 1:
            annotations |= _annotation(rest[0], step, path.removesuffix(".path"))
            continue
        operation = _operation(field, rest, step, path)
        appends = operation == "add"
        if operation != "delete":
            _check(step["value"], CloudInfo if appends else ADJUSTABLE[field], f"$.json_patch[{place}].value")
        # entries added to a list that a step before has set or removed are part of what it is set to
        operations[field] = "replace" if appends and operations.get(field, "add") != "add" else operation
        value = None if operation == "delete" else step["value"]  # what stands beside a remove means nothing (RFC 6902)
        fields[field] = [*(fields.get(field) or ()), value] if appends else value
    adjustment = Adjustment(_one_operation(operations), fields) if fields else None
    return Patch(Annotating(annotations) if annotations else None, adjustment)


def _pointer(path: str) -> list[str]:
    """The parts of a JSON pointer (RFC 6901)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _annotation(key: str, step: Mapping[str, Json], path: str) -> dict[str, str | None]:
    if fault := fault_of_key(key):
        raise Refusal("bad-patch", fault, f"{path}.path")
    if step["op"] == "remove":
        return {key: None}
    _require_value(step, path)
    if fault := fault_of_value(step["value"], Value):
        raise Refusal("bad-patch", fault, f"{path}.value")
    return {key: step["value"]}


def _require_value(step: Mapping[str, Json], path: str) -> None:
    if "value" not in step:
        raise Refusal("bad-patch", f"found no value, expected one for {step['op']}", path)


def _operation(field: str, rest: list[str], step: Mapping[str, Json], path: str) -> Operation:
    """Which operation of the Controller's says what the step says."""
    if field not in ADJUSTABLE and field != "annotations":
        refusal = _no_such(field, "$")
        raise Refusal(refusal.kind, refusal.detail, path)
    if field == "annotations":
        pass  # one at a time, by key
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
    raise Refusal("bad-patch", detail, path)


def _one_operation(operations: Mapping[str, Operation]) -> Operation:
    """One for all fields: where a list gains entries, scalars are set by ``add`` as well as by ``replace``."""
    kinds = set(operations.values())
    if kinds == {"add", "replace"} and all(operations[field] == "add" for field in operations.keys() & LISTS):
        return "add"
    if len(kinds) > 1:
        raise _two_requests("$.json_patch")
    return kinds.pop()


_VERSION: Final = re.compile(r"[0-9]{1,4}(\.[0-9]{1,6}){1,3}\Z")


def is_version(text: str) -> bool:
    """Whether a text can be an API version, as ``30.2.1``."""
    return bool(_VERSION.match(text))
