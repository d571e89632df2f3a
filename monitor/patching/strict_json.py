"""
JSON of a request body, decoded strictly. Pure.

Accepts UTF-8 without unpaired surrogates, no NaN and no number beyond a float, no key twice in an object, and no deeper
nesting than any Image has.
"""

import json
import re
from typing import Final

import msgspec

from monitor.model.errors import PatchProblem
from monitor.patching.annotations import member, quoted
from monitor.patching.fields import Json

MAX_DEPTH: Final = 16  # an adjustable field is at most 6 deep
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def decode_json(body: bytes) -> Json:
    """Decode the body. Raises: PatchProblem (bad-json), with the JSON path if one member is at fault."""
    try:
        tree = json.loads(body.decode(), object_pairs_hook=_Object)
        _check(tree, "$", 0)
        msgspec.json.decode(body)  # it refuses NaN, and numbers that are too large for a float; json.loads does not
    except UnicodeDecodeError as error:
        detail = f"the body is not UTF-8: invalid byte 0x{body[error.start]:02x} at position {error.start}"
        raise PatchProblem("bad-json", detail) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise PatchProblem("bad-json", f"the body is not valid JSON: {error}") from error
    except RecursionError:
        raise _too_deep() from None
    return tree


class _Object(dict[str, Json]):
    """A JSON object that knows whether a key appeared twice in it."""

    def __init__(self, pairs: list[tuple[str, Json]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        twice = (key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        self.duplicate = next(twice, None) if len(self) < len(pairs) else None


def _check(tree: Json, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(tree, _Object):
        for key in tree:
            _check_text(key, path)  # before a key is part of a message
        if tree.duplicate is not None:
            raise PatchProblem("bad-json", f"found the key {quoted(tree.duplicate)} twice in one object", path)
        for key, value in tree.items():
            _check(value, member(path, key), depth + 1)
    elif isinstance(tree, list):
        for place, value in enumerate(tree):
            _check(value, f"{path}[{place}]", depth + 1)
    elif isinstance(tree, str):
        _check_text(tree, path)


def _check_text(text: str, path: str) -> None:
    """An unpaired surrogate is no character (RFC 8259, 8.2)."""
    found = _SURROGATE.search(text)
    if found:
        raise PatchProblem("bad-json", f"found the unpaired surrogate \\u{ord(found[0]):04x}", path)


def _too_deep() -> PatchProblem:
    return PatchProblem("bad-json", f"the body is nested more than {MAX_DEPTH} levels deep")
