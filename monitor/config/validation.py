"""
A plain tree against a shape of msgspec Structs: the value, and everything that is wrong with it, not only the first.

Knows no YAML, no file and no key of ours. A text with a meaning (a duration, an origin, a path) is
``Annotated[type, kind(Kind(…))]``, so that one declaration gives the value, the message and the JSON schema.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from msgspec import UNSET, Meta
from msgspec import inspect as mi

T = TypeVar("T")

_CLIP = 80  # a line of a terminal; what was written stands in the file anyway


class InvalidValue(Exception):
    """A text is not what its key wants. ``found``: in words, where the text itself must not or need not be shown."""

    def __init__(self, expected: str = "", *, found: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.found = found


class ParseContext(msgspec.Struct, frozen=True):
    """Where a value stands: what a relative path and the name of a variable mean there."""

    directory: Path
    environ: Mapping[str, str]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a text means.

    ``expected``: ends the sentence «found …, expected». ``pattern``: for the JSON schema, without anchors.
    ``parse``: raises ValueError, or InvalidValue where it can say more than ``expected``. ``write``: its inverse, for
    the default in the schema. ``shown``: whether a wrong value may be quoted: not where it may be a secret.
    """

    expected: str
    parse: Callable[[str, ParseContext], object]
    pattern: str = ".+"
    write: Callable[[Any], str] = str
    shown: bool = True


class Rule(msgspec.Struct, frozen=True):
    """
    What fields must be to each other; asked when each of ``needs`` is good by itself.

    ``key``: where the problem is shown; empty: at the struct. ``broken``: the problem, or None.
    """

    key: str
    needs: tuple[str, ...]
    broken: Callable[[Any], str | None]


class SchemaRules(msgspec.Struct, frozen=True):
    """All that is not in the types: rules by struct, and what is said about an unknown key of this name."""

    rules: Mapping[type, tuple[Rule, ...]] = {}
    unknown: Mapping[str, str] = {}


def kind(kind: Kind) -> Meta:
    """Put a kind into an annotation."""
    return Meta(extra={"kind": kind})


def kind_of(shape: mi.Type) -> Kind | None:
    """Take it out again."""
    extra = shape.extra if isinstance(shape, mi.Metadata) else None
    return cast("Kind", extra["kind"]) if extra and "kind" in extra else None


def check(tree: object, shape: type[T], site: ParseContext, book: SchemaRules) -> tuple[T, tuple[str, ...]]:
    """
    Read ``tree`` as a ``shape`` and collect every problem, each as ``key.path[0]: found …, expected …``.

    The value can be used only when there are no problems: until then a required field that is wrong is UNSET, and so
    is an element of a list, while any other field that is wrong has its default.
    """
    walk = _Walk(site, book)
    value = walk.read(tree, mi.type_info(shape), "")
    return cast("T", value), tuple(walk.problems)


def quoted(text: str) -> str:
    """Show a text of the operator's on one line: clipped, in quotes, nothing that moves the cursor."""
    return f'"{plain(text)}"'


def plain(text: str) -> str:
    """Show a name on one line, clipped."""
    return printable(text if len(text) <= _CLIP else f"{text[: _CLIP - 1]}…")


def printable(text: str) -> str:
    """Escape what would break the line or move the cursor."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def found(value: object, *, shown: bool = True) -> str:
    """Say what stands there; of a mapping or a list never what is in it."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _ if not shown:
            return "a value (not shown)"
        case str():
            return quoted(value)
        case _:
            return str(value).lower()


class _Walk:
    """One descent; gathers problems as it goes."""

    def __init__(self, site: ParseContext, book: SchemaRules) -> None:
        self.problems: list[str] = []
        self._site = site
        self._book = book

    def read(self, value: object, shape: mi.Type, path: str) -> object:
        """Give the value in its type, or UNSET after a problem."""
        meaning = kind_of(shape)
        if meaning:
            return self._text(value, meaning, path)
        shape = _bare(shape)
        if isinstance(shape, mi.StructType) and isinstance(value, dict):
            return self._struct(value, shape, path)
        if isinstance(shape, mi.CollectionType) and isinstance(value, list):
            return self._list(value, shape, path)
        if isinstance(shape, mi.DictType) and isinstance(value, dict):
            return {key: self.read(each, shape.value_type, _join(path, key)) for key, each in value.items()}
        return value if _is_leaf(value, shape) else self._wrong(path, found(value), _expected(shape))

    def _text(self, value: object, meaning: Kind, path: str) -> object:
        if not isinstance(value, str):
            return self._wrong(path, found(value, shown=meaning.shown), meaning.expected)
        try:
            return meaning.parse(value, self._site)
        except InvalidValue as wrong:
            said = wrong.found or found(value, shown=meaning.shown)
            return self._wrong(path, said, wrong.expected or meaning.expected)
        except ValueError:
            return self._wrong(path, found(value, shown=meaning.shown), meaning.expected)

    def _list(self, values: list[object], shape: mi.CollectionType, path: str) -> object:
        items = [self.read(value, shape.item_type, f"{path}[{place}]") for place, value in enumerate(values)]
        return frozenset(items) if isinstance(shape, mi.FrozenSetType) else tuple(items)

    def _struct(self, tree: dict[str, object], shape: mi.StructType, path: str) -> object:
        fields = {field.encode_name: field for field in shape.fields}
        values: dict[str, object] = {}
        bad = set()
        self._note_unknown(tree, fields, path)
        for key, value, field in _joined(tree, fields):
            before = len(self.problems)
            read = self._field(value, field, _join(path, key))
            if read is not UNSET or field.required:
                values[field.name] = read
            if len(self.problems) > before:
                bad.add(field.name)
        struct = shape.cls(**values)
        self._ask_rules(struct, bad, path)
        return struct

    def _note_unknown(self, tree: Iterable[str], fields: Mapping[str, mi.Field], path: str) -> None:
        """Never with its value: what stands under a key that we do not know may be a secret."""
        for key in tree:
            if key not in fields:
                near = "".join(f"; did you mean {name}?" for name in get_close_matches(key, fields, n=1))
                said = self._book.unknown.get(key, f"unknown key, expected one of {', '.join(fields)}{near}")
                self.problems.append(_line(_join(path, key), said))

    def _field(self, value: object, field: mi.Field, path: str) -> object:
        if value is not UNSET:
            return self.read(value, field.type, path)
        meaning = kind_of(field.type)
        return self._wrong(path, "nothing", meaning.expected if meaning else _expected(_bare(field.type)))

    def _ask_rules(self, struct: object, bad: set[str], path: str) -> None:
        for rule in self._book.rules.get(type(struct), ()):
            problem = None if bad.intersection(rule.needs) else rule.broken(struct)
            if problem:
                self.problems.append(_line(_join(path, rule.key), problem))

    def _wrong(self, path: str, what: str, expected: str) -> object:
        self.problems.append(_line(path, f"found {what}, expected {expected}"))
        return UNSET


def _joined(tree: Mapping[str, object], fields: Mapping[str, mi.Field]) -> Iterator[tuple[str, object, mi.Field]]:
    """Every known key that is there, in the operator's order, then every required one that is not, as UNSET."""
    yield from ((key, value, fields[key]) for key, value in tree.items() if key in fields)
    yield from ((key, UNSET, field) for key, field in fields.items() if field.required and key not in tree)


def _join(path: str, key: str) -> str:
    return ".".join(part for part in (path, plain(key)) if part)


def _line(path: str, text: str) -> str:
    return f"{path}: {text}" if path else text


def _bare(shape: mi.Type) -> mi.Type:
    return _bare(shape.type) if isinstance(shape, mi.Metadata) else shape


def _is_leaf(value: object, shape: mi.Type) -> bool:
    """Whether the value, as it is, is of a type that needs no reading. No bool is an int here."""
    match shape:
        case mi.BoolType():
            return isinstance(value, bool)
        case mi.IntType():
            return type(value) is int and value >= (shape.ge or 0)
        case mi.LiteralType():
            return isinstance(value, str) and value in shape.values
        case _:
            return False


def _expected(shape: mi.Type) -> str:
    match shape:
        case mi.BoolType():
            return "true or false"
        case mi.IntType():
            return f"a whole number of at least {shape.ge or 0}"
        case mi.LiteralType():
            return f"one of {', '.join(map(str, shape.values))}"
        case mi.CollectionType():
            return "a list"
        case _:
            return "a mapping of keys"
