"""What operators write on images: keys and values of ours, which no Controller sees. Pure."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from monitor.model import Refusal

MOST_ANNOTATIONS: Final = 64  # of one image

# `$` alone would let a newline pass at the end, and `\Z` is no pattern of JSON schema's
Key = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9._/-]{1,63}$(?!\n)")]
Value = Annotated[str, Meta(max_length=1024, pattern=r"^[^\x00]*$")]  # a zero byte is no text to a database

_TRUE: Final = frozenset({"true", "yes", "1"})


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
    for key in values:
        if not _is(key, Key):
            detail = f"found the key {str(key)[:80]!r}, expected 1 to 63 characters of a-z A-Z 0-9 . _ / -"
            raise Refusal("bad-patch", detail, path)
        if isinstance(values, Mapping) and not _is(values[str(key)], kind):
            found = type(values[str(key)]).__name__
            detail = f"found {found}, expected a text of at most 1,024 characters, none of them a zero byte"
            raise Refusal("bad-patch", detail, f"{path}.{key}")


def _is(value: object, kind: Any) -> bool:  # noqa: ANN401  any type that msgspec reads
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def is_acknowledged(annotations: Mapping[str, str]) -> bool:
    """Whether somebody said that they know of the trouble."""
    return annotations.get("acknowledged", "").lower() in _TRUE
