"""
The bytes of one YAML file to a plain tree of dict, list, str, int, float, bool and None. Knows no key of ours.

Less than YAML, on purpose: no aliases (a kilobyte of them can mean gigabytes), no tags, one document, keys that are
texts and stand once, and the scalars of YAML 1.2's core schema, so that no value is a date, a base-60 number or a
``yes`` behind the operator's back. Reads events, not documents: nothing is built that was not written out.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import yaml

from monitor.config.validation import plain, quoted

_LIMIT = 16 * 1024 * 1024  # some 50,000 controllers; more is a device or a mistake
_DEPTH = 16  # our keys go four deep
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# Longer digits than a number of ours can have are a text, such as a fingerprint that has no letter in it.
_INT: Final = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18}(?=[eE]))([eE][-+]?[0-9]{1,3})?")


class _Refused(Exception):
    """The file cannot be read any further. ``args``: where, what."""


def read_tree(path: Path) -> tuple[object, tuple[str, ...]]:
    """
    Read one file. A tree of None: there is none, the problems say why; else they name the keys that stand twice.

    Problems have no file name yet, and quote nothing of the file but keys.
    """
    try:
        return _parse(_read_text(path))
    except _Refused as refused:
        return None, (str(refused),)


def _parse(text: str) -> tuple[object, tuple[str, ...]]:
    tree = _Tree(yaml.parse(text, Loader=_LOADER))
    try:
        return tree.document(), tuple(tree.problems)
    except yaml.MarkedYAMLError as error:
        raise _Refused(_syntax(error, text)) from error
    except yaml.YAMLError as error:
        raise _Refused("found a control character, expected printable text") from error


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            body = file.read(_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise _Refused(f"cannot be read: {reason(error)}") from error
    if len(body) > _LIMIT:
        raise _Refused("found more than 16 MiB, expected a config file")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise _Refused(f"line {line}: found bytes that are not UTF-8, expected UTF-8 text") from error


def reason(error: Exception) -> str:
    """Why a file could not be read, in the system's words; neither its path nor, as Python would, a byte of it."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "not a usable path"


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    """Where, and why in the parser's words; never a snippet, which could hold anything."""
    mark = cast("yaml.Mark", error.problem_mark)  # scanner and parser always say where
    row = "".join(text.split("\n")[mark.line : mark.line + 1])
    tab = row[: mark.column + 1].lstrip(" ").startswith("\t")
    return f"{_at(mark)}: {'found a tab, expected spaces' if tab else f'not YAML: {plain(str(error.problem))}'}"


class _Tree:
    """Builds the one document of a stream of events."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self.problems: list[str] = []
        self._events = events

    def document(self) -> object:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _Refused("found an empty file, expected a mapping of keys")
        tree = self._node(next(self._events), 0)
        next(self._events)  # the end of the document
        if not isinstance(event := next(self._events), yaml.StreamEndEvent):
            raise _refused(event, "a second document, expected one")
        if tree is None:
            raise _Refused("found an empty file, expected a mapping of keys")
        return tree

    def _node(self, event: yaml.Event, depth: int) -> object:
        if isinstance(event, yaml.AliasEvent):
            raise _refused(event, "an alias, expected the value itself")
        if getattr(event, "tag", None) is not None:
            raise _refused(event, "a tag, expected a plain value")
        if depth > _DEPTH:
            raise _refused(event, f"more than {_DEPTH} levels, expected at most four")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(depth)
        return _scalar(cast("yaml.ScalarEvent", event))  # all that is left

    def _mapping(self, depth: int) -> dict[str, object]:
        tree: dict[str, object] = {}
        places: dict[str, str] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _refused(event, "a key that is no text, expected a name")
            value = self._node(next(self._events), depth + 1)
            key, at = event.value, _at(event.start_mark)
            if key in tree:
                self.problems.append(
                    f"{at}: found the key {quoted(key)} again, expected it once; first in {places[key]}"
                )
            tree.setdefault(key, value)
            places.setdefault(key, at)
        return tree

    def _sequence(self, depth: int) -> list[object]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return items


def _scalar(event: yaml.ScalarEvent) -> object:
    text = event.value
    if not event.implicit[0]:  # in quotes, or a block
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _refused(event: yaml.Event, what: str) -> _Refused:
    return _Refused(f"{_at(event.start_mark)}: found {what}")


def _at(mark: object) -> str:
    mark = cast("yaml.Mark", mark)  # of either loader; None only in events that were not parsed
    return f"line {mark.line + 1}, column {mark.column + 1}"
