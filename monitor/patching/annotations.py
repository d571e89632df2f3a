"""What operators write on images: keys and values of ours, which no Controller sees. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from monitor.model.errors import Refusal

MOST_ANNOTATIONS: Final = 64  # of one image
_LONGEST_KEY = 63
_LONGEST_VALUE = 1024

# `$` alone would let a newline pass at the end, and `\Z` is no pattern of JSON schema's
Key = Annotated[str, Meta(pattern=rf"^[a-zA-Z0-9._/-]{{1,{_LONGEST_KEY}}}$(?!\n)")]
Value = Annotated[str, Meta(max_length=_LONGEST_VALUE, pattern=r"^[^\x00]*$")]  # a zero byte is no text to a database


class Annotating(Struct, frozen=True):
    """What becomes of an image's annotations. ``values``: None removes the key. ``replace``: all others go, too."""

    values: Mapping[str, str | None] = {}
    replace: bool = False


def annotate(before: Mapping[str, str], change: Annotating) -> Mapping[str, str]:
    """
    The annotations after a change.

    Raises: Refusal (too-many-annotations).
    """
    merged = {**({} if change.replace else before), **change.values}
    after = {key: value for key, value in merged.items() if value is not None}
    if len(after) > MOST_ANNOTATIONS and len(after) > len(before):
        detail = f"the image would have {len(after)} annotations, {MOST_ANNOTATIONS} are the most"
        raise Refusal("too-many-annotations", detail, "$.annotations")
    return after


def check_annotations(values: Mapping[str, object] | list[object], kind: Any, path: str) -> None:  # noqa: ANN401
    """
    Look at keys and values one by one, so that the one that is wrong is named.

    ``kind``: the type of the values; a list has only keys.
    Raises: Refusal (bad-patch, too-many-annotations).
    """
    if len(values) > 2 * MOST_ANNOTATIONS:  # as many new ones as may be, beside as many to be removed
        raise Refusal("too-many-annotations", f"found {len(values)} keys, {MOST_ANNOTATIONS} are the most", path)
    for place, key in enumerate(values):
        if isinstance(values, Mapping):
            where, fault = member(path, str(key)), fault_of_key(key) or fault_of_value(values[str(key)], kind)
        else:
            where, fault = f"{path}[{place}]", fault_of_key(key)
        if fault:
            raise Refusal("bad-patch", fault, where)


def fault_of_key(key: object) -> str:
    """Why it can be no key; empty when it can."""
    if _is(key, Key):
        return ""
    if isinstance(key, str) and len(key) > _LONGEST_KEY:
        return f"found a key of {len(key):,} characters, {_LONGEST_KEY} are the most"
    expected = f"expected 1 to {_LONGEST_KEY} characters of a-z A-Z 0-9 . _ / -"
    return f"found {quoted(key) if isinstance(key, str) else _name_of(key)} for a key, {expected}"


def fault_of_value(value: object, kind: Any) -> str:  # noqa: ANN401
    """Why it can be no value of this type; empty when it can."""
    if _is(value, kind):
        return ""
    if not isinstance(value, str):
        return f"found {_name_of(value)}, expected a text"
    if len(value) > _LONGEST_VALUE:
        return f"found {len(value):,} characters, {_LONGEST_VALUE:,} are the most"
    return "found a zero byte, expected a text without one"


def member(path: str, key: str) -> str:
    """The JSON path of a member: with a dot where its name is a word, else in brackets."""
    return f"{path}.{key}" if _WORD.match(key) else f"{path}[{quoted(key)}]"


_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")


def quoted(text: str) -> str:
    """A text of somebody's as JSON, cut where it would be the longest part of what is said."""
    return json.dumps(text if len(text) <= _LONGEST_KEY else f"{text[:_LONGEST_KEY]}…", ensure_ascii=False)


_NAMES: Final[Mapping[type, str]] = {
    type(None): "null", bool: "a boolean", int: "a number", float: "a number", list: "a list",
}  # fmt: skip


def _name_of(value: object) -> str:
    """What JSON calls it."""
    return _NAMES.get(type(value), "an object")


def _is(value: object, kind: Any) -> bool:  # noqa: ANN401  any type that msgspec reads
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True
