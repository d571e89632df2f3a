"""Annotations of objects: keys and values that operators set, and that no Controller sees. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from monitor.model.errors import PatchProblem

MAX_ANNOTATIONS: Final = 64  # of one object
_MAX_KEY = 63
_MAX_VALUE = 1024

# `$` alone would allow a newline at the end, and JSON schema has no `\Z`
Key = Annotated[str, Meta(pattern=rf"^[a-zA-Z0-9._/-]{{1,{_MAX_KEY}}}$(?!\n)")]
Value = Annotated[str, Meta(max_length=_MAX_VALUE, pattern=r"^[^\x00]*$")]  # PostgreSQL stores no zero byte


class AnnotationChange(Struct, frozen=True):
    """A change of annotations. ``values``: None removes the key. ``replace``: all other keys are removed."""

    values: Mapping[str, str | None] = {}
    replace: bool = False


def annotate(before: Mapping[str, str], change: AnnotationChange) -> Mapping[str, str]:
    """
    Return the annotations after a change.

    Raises: PatchProblem (too-many-annotations).
    """
    merged = {**({} if change.replace else before), **change.values}
    after = {key: value for key, value in merged.items() if value is not None}
    if len(after) > MAX_ANNOTATIONS and len(after) > len(before):
        detail = f"there would be {len(after)} annotations, expected at most {MAX_ANNOTATIONS}"
        raise PatchProblem("too-many-annotations", detail, "$.annotations")
    return after


def check_annotations(
    values: Mapping[str, object] | list[object],
    value_type: Any,  # noqa: ANN401  any type that msgspec reads
    path: str,
) -> None:
    """
    Check keys and values one by one, so that the wrong one is named.

    ``value_type``: of the values; a list has only keys.
    Raises: PatchProblem (bad-patch, too-many-annotations).
    """
    if len(values) > 2 * MAX_ANNOTATIONS:  # so many new keys, and as many to remove
        raise PatchProblem(
            "too-many-annotations", f"found {len(values)} keys, expected at most {MAX_ANNOTATIONS}", path
        )
    for place, key in enumerate(values):
        if isinstance(values, Mapping):
            where, fault = member(path, str(key)), fault_of_key(key) or fault_of_value(values[str(key)], value_type)
        else:
            where, fault = f"{path}[{place}]", fault_of_key(key)
        if fault:
            raise PatchProblem("bad-patch", fault, where)


def fault_of_key(key: object) -> str:
    """Return why it is not a valid key; empty when it is."""
    if _is_valid(key, Key):
        return ""
    if isinstance(key, str) and len(key) > _MAX_KEY:
        return f"found a key of {len(key):,} characters, expected at most {_MAX_KEY}"
    expected = f"expected 1 to {_MAX_KEY} characters of a-z A-Z 0-9 . _ / -"
    return f"found {quoted(key) if isinstance(key, str) else _json_type(key)} for a key, {expected}"


def fault_of_value(value: object, value_type: Any) -> str:  # noqa: ANN401
    """Return why it is not a valid value of this type; empty when it is."""
    if _is_valid(value, value_type):
        return ""
    if not isinstance(value, str):
        return f"found {_json_type(value)}, expected a string"
    if len(value) > _MAX_VALUE:
        return f"found {len(value):,} characters, expected at most {_MAX_VALUE:,}"
    return "found a zero byte, expected a string without one"


def member(path: str, key: str) -> str:
    """Return the JSON path of a member: with a dot if its name is a word, else in brackets."""
    return f"{path}.{key}" if _WORD.match(key) else f"{path}[{quoted(key)}]"


_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")


def quoted(text: str) -> str:
    """Quote a text of the client as JSON, clipped so that it does not dominate a message."""
    return json.dumps(text if len(text) <= _MAX_KEY else f"{text[:_MAX_KEY]}…", ensure_ascii=False)


_JSON_TYPES: Final[Mapping[type, str]] = {
    type(None): "null", bool: "a boolean", int: "a number", float: "a number", list: "a list",
}  # fmt: skip


def _json_type(value: object) -> str:
    return _JSON_TYPES.get(type(value), "an object")


def _is_valid(value: object, kind: Any) -> bool:  # noqa: ANN401  any type that msgspec reads
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True
