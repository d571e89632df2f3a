"""
The text of one YAML file to a plain tree of dict, list, str, int, float, bool and None. Knows no key of ours.

A subset of YAML, on purpose: no aliases (a kilobyte of them can expand to gigabytes), no tags, one document, keys that
are text and unique, and the scalars of YAML 1.2's core schema, so that no text becomes a date, a base-60 number or a
boolean by surprise. Reads parser events, so that nothing larger than the file is ever built.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, cast

import yaml

from monitor.config.text_file import read_text, reason
from monitor.config.validation import plain, quoted

_DEPTH = 16  # our keys have at most four levels
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# More digits than any number of ours has are text, such as a fingerprint without a letter in it.
_INT: Final = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18}(?=[eE]))([eE][-+]?[0-9]{1,3})?")


class _Unreadable(Exception):
    """The file cannot be read any further. The text says where and why."""


def read_tree(path: Path) -> tuple[object, tuple[str, ...]]:
    """
    Read one file. A tree of None: the problems say why; otherwise they name the keys that are there twice.

    Problems have no file name in front, and quote nothing of the file but keys.
    """
    tree, problems = _read_tree(path, _core_scalar)
    if tree is None and not problems:
        return None, ("found an empty file, expected a mapping of keys",)
    return tree, problems


def read_text_tree(path: Path) -> tuple[object, tuple[str, ...]]:
    """
    Read one file whose scalars are all text, whether or not they are in quotes; without a value they are None.

    For a format that decides by the key what a text means. An empty file is an empty mapping. Otherwise as `read_tree`.
    """
    tree, problems = _read_tree(path, _text_scalar)
    return {} if tree is None and not problems else tree, problems


def _read_tree(path: Path, scalar: Callable[[yaml.ScalarEvent], object]) -> tuple[object, tuple[str, ...]]:
    """Return also None without problems, for a file without content."""
    try:
        return _parse(_read_text(path), scalar)
    except _Unreadable as error:
        return None, (str(error),)


def _parse(text: str, scalar: Callable[[yaml.ScalarEvent], object]) -> tuple[object, tuple[str, ...]]:
    tree = _Tree(yaml.parse(text, Loader=_LOADER), scalar)
    try:
        return tree.document(), tuple(tree.problems)
    except yaml.MarkedYAMLError as error:
        raise _Unreadable(_syntax(error, text)) from error
    except yaml.YAMLError as error:
        raise _Unreadable("found a control character, expected printable text") from error


def _read_text(path: Path) -> str:
    try:
        return read_text(path)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _Unreadable(f"line {line}: found bytes that are not UTF-8, expected UTF-8 text") from error
    except (OSError, ValueError) as error:
        raise _Unreadable(f"cannot be read: {reason(error)}") from error


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    """Say where, and why in the parser's words; without the snippet, which could hold a secret."""
    mark = cast("yaml.Mark", error.problem_mark)  # scanner and parser always set it
    row = "".join(text.split("\n")[mark.line : mark.line + 1])
    tab = row[: mark.column + 1].lstrip(" ").startswith("\t")
    return f"{_at(mark)}: {'found a tab, expected spaces' if tab else f'not YAML: {plain(str(error.problem))}'}"


class _Tree:
    """Builds the one document of a stream of events. ``scalar``: the value of a scalar."""

    def __init__(self, events: Iterator[yaml.Event], scalar: Callable[[yaml.ScalarEvent], object]) -> None:
        self.problems: list[str] = []
        self._events = events
        self._scalar = scalar

    def document(self) -> object:
        """Return None where there is none, or one without a value."""
        next(self._events)  # stream start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        tree = self._node(next(self._events), 0)
        next(self._events)  # document end
        if not isinstance(event := next(self._events), yaml.StreamEndEvent):
            raise _unreadable(event, "a second document, expected one")
        return tree

    def _node(self, event: yaml.Event, depth: int) -> object:
        if isinstance(event, yaml.AliasEvent):
            raise _unreadable(event, "an alias, expected the value itself")
        if getattr(event, "tag", None) is not None:
            raise _unreadable(event, "a tag, expected a plain value")
        if depth > _DEPTH:
            raise _unreadable(event, f"more than {_DEPTH} levels, expected at most four")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(depth)
        return self._scalar(cast("yaml.ScalarEvent", event))  # no other event is left

    def _mapping(self, depth: int) -> dict[str, object]:
        tree: dict[str, object] = {}
        places: dict[str, str] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _unreadable(event, "a key that is not text, expected a name")
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


def _text_scalar(event: yaml.ScalarEvent) -> str | None:
    return None if event.implicit[0] and _WORDS.get(event.value, True) is None else event.value


def _core_scalar(event: yaml.ScalarEvent) -> object:
    text = event.value
    if not event.implicit[0]:  # quoted, or a block
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _unreadable(event: yaml.Event, what: str) -> _Unreadable:
    return _Unreadable(f"{_at(event.start_mark)}: found {what}")


def _at(mark: object) -> str:
    mark = cast("yaml.Mark", mark)  # of either loader; None only in events that no parser made
    return f"line {mark.line + 1}, column {mark.column + 1}"
