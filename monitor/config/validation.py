"""
Converts a tree of dicts, lists and scalars to msgspec Structs, and collects every problem, not only the first.

Knows nothing of YAML and of the keys of our config, and opens no file. Text with a format (a duration, an origin, a
path) is declared as ``Annotated[type, written_as(TextFormat(…))]``: this one declaration gives the value, the error
message and the JSON schema.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from msgspec import UNSET, Meta
from msgspec import inspect as mi

from monitor.config.file_state import FileState, file_state

T = TypeVar("T")

_CLIP = 80  # a line of a terminal; the operator has the whole text in the file


class InvalidValue(Exception):
    """A text does not have the format of its key. ``found``: a description, where the text itself must not be shown."""

    def __init__(self, expected: str = "", *, found: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.found = found


class ParseContext(msgspec.Struct, frozen=True):
    """
    What the texts of a file are resolved against: ``directory`` for relative paths, ``environ`` for variables.

    ``seen``: receives every file that the texts name, and how it looked just before it was read.
    """

    directory: Path
    environ: Mapping[str, str]
    seen: MutableMapping[Path, FileState] = {}

    def file(self, text: str) -> Path:
        """Return the path of a file that is to be read now."""
        path = self.directory / text
        self.seen.setdefault(path, file_state(path))
        return path


class TextFormat(msgspec.Struct, frozen=True, kw_only=True):
    """
    The format of a text, and what it is parsed to.

    ``expected``: completes the sentence «found …, expected». ``pattern``: for the JSON schema, without anchors.
    ``parse``: raises ValueError, or InvalidValue where it can say more than ``expected``. ``write``: its inverse, for
    the default in the schema. ``shown``: whether a wrong value may be quoted; False where it may be a secret.
    """

    expected: str
    parse: Callable[[str, ParseContext], object]
    pattern: str = ".+"
    write: Callable[[Any], str] = str
    shown: bool = True


class Rule(msgspec.Struct, frozen=True):
    """
    What must hold between fields. It is checked only if every field in ``needs`` is valid by itself.

    ``key``: where the problem is shown; empty: at the struct. ``check``: returns the problem, or None.
    """

    key: str
    needs: tuple[str, ...]
    check: Callable[[Any], str | None]


class SchemaRules(msgspec.Struct, frozen=True):
    """What the types cannot express: rules by struct, and messages for certain unknown keys by name."""

    rules: Mapping[type, tuple[Rule, ...]] = {}
    unknown: Mapping[str, str] = {}


def written_as(text_format: TextFormat) -> Meta:
    """Return the metadata that declares the format of a text in ``Annotated``."""
    return Meta(extra={"text_format": text_format})


def text_format_of(shape: mi.Type) -> TextFormat | None:
    """Return the format that a type declares for its text, or None."""
    extra = shape.extra if isinstance(shape, mi.Metadata) else None
    return cast("TextFormat", extra["text_format"]) if extra and "text_format" in extra else None


def check(tree: object, shape: type[T], context: ParseContext, rules: SchemaRules) -> tuple[T, tuple[str, ...]]:
    """
    Convert ``tree`` to the Struct ``shape`` and collect every problem, each as ``key.path[0]: found …, expected …``.

    The value may be used only when there are no problems. Otherwise a required field with a problem is UNSET, and so is
    such an element of a list, while any other field with a problem has its default.
    """
    checker = _Checker(context, rules)
    value = checker.visit(tree, mi.type_info(shape), "")
    return cast("T", value), tuple(checker.problems)


def quoted(text: str) -> str:
    """Return a text for one line of a message: clipped, in quotes, control characters escaped."""
    return f'"{plain(text)}"'


def plain(text: str) -> str:
    """Return a name for one line of a message: clipped, control characters escaped."""
    return printable(text if len(text) <= _CLIP else f"{text[: _CLIP - 1]}…")


def printable(text: str) -> str:
    """Escape every character that would break the line or move the cursor."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def found(value: object, *, shown: bool = True) -> str:
    """Describe a value; of a mapping or a list never its content."""
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


class _Checker:
    """Visits every node of one tree, and collects the problems."""

    def __init__(self, context: ParseContext, rules: SchemaRules) -> None:
        self.problems: list[str] = []
        self._context = context
        self._rules = rules

    def visit(self, value: object, shape: mi.Type, path: str) -> object:
        """Return the converted value, or UNSET after a problem."""
        text_format = text_format_of(shape)
        if text_format:
            return self._parse(value, text_format, path)
        shape = without_metadata(shape)
        if isinstance(shape, mi.StructType) and isinstance(value, dict):
            return self._visit_struct(value, shape, path)
        if isinstance(shape, mi.CollectionType) and isinstance(value, list):
            return self._visit_list(value, shape, path)
        if isinstance(shape, mi.DictType) and isinstance(value, dict):
            return {key: self.visit(each, shape.value_type, _join(path, key)) for key, each in value.items()}
        return value if _is_valid_scalar(value, shape) else self._add_invalid(path, found(value), _expected(shape))

    def _parse(self, value: object, text_format: TextFormat, path: str) -> object:
        if not isinstance(value, str):
            return self._add_invalid(path, found(value, shown=text_format.shown), text_format.expected)
        try:
            return text_format.parse(value, self._context)
        except InvalidValue as error:
            what = error.found or found(value, shown=text_format.shown)
            return self._add_invalid(path, what, error.expected or text_format.expected)
        except ValueError:
            return self._add_invalid(path, found(value, shown=text_format.shown), text_format.expected)

    def _visit_list(self, values: list[object], shape: mi.CollectionType, path: str) -> object:
        items = [self.visit(value, shape.item_type, f"{path}[{place}]") for place, value in enumerate(values)]
        return frozenset(items) if isinstance(shape, mi.FrozenSetType) else tuple(items)

    def _visit_struct(self, tree: dict[str, object], shape: mi.StructType, path: str) -> object:
        fields = {field.encode_name: field for field in shape.fields}
        values: dict[str, object] = {}
        invalid = set()
        self._add_unknown_keys(tree, fields, path)
        for key, value, field in _known_keys(tree, fields):
            before = len(self.problems)
            result = self._visit_field(value, field, _join(path, key))
            if result is not UNSET or field.required:
                values[field.name] = result
            if len(self.problems) > before:
                invalid.add(field.name)
        struct = shape.cls(**values)
        self._check_rules(struct, invalid, path)
        return struct

    def _add_unknown_keys(self, tree: Iterable[str], fields: Mapping[str, mi.Field], path: str) -> None:
        """Add a problem for each unknown key, but do not show its value, which may be a secret."""
        for key in tree:
            if key not in fields:
                hint = "".join(f"; did you mean {name}?" for name in get_close_matches(key, fields, n=1))
                text = self._rules.unknown.get(key, f"unknown key, expected one of {', '.join(fields)}{hint}")
                self.problems.append(_line(_join(path, key), text))

    def _visit_field(self, value: object, field: mi.Field, path: str) -> object:
        if value is not UNSET:
            return self.visit(value, field.type, path)
        text_format = text_format_of(field.type)
        expected = text_format.expected if text_format else _expected(without_metadata(field.type))
        return self._add_invalid(path, "nothing", expected)

    def _check_rules(self, struct: object, invalid: set[str], path: str) -> None:
        for rule in self._rules.rules.get(type(struct), ()):
            problem = None if invalid.intersection(rule.needs) else rule.check(struct)
            if problem:
                self.problems.append(_line(_join(path, rule.key), problem))

    def _add_invalid(self, path: str, what: str, expected: str) -> object:
        self.problems.append(_line(path, f"found {what}, expected {expected}"))
        return UNSET


def _known_keys(tree: Mapping[str, object], fields: Mapping[str, mi.Field]) -> Iterator[tuple[str, object, mi.Field]]:
    """Yield the known keys in the order of the file, then the required keys that are missing, with the value UNSET."""
    yield from ((key, value, fields[key]) for key, value in tree.items() if key in fields)
    yield from ((key, UNSET, field) for key, field in fields.items() if field.required and key not in tree)


def _join(path: str, key: str) -> str:
    return ".".join(part for part in (path, plain(key)) if part)


def _line(path: str, text: str) -> str:
    return f"{path}: {text}" if path else text


def without_metadata(shape: mi.Type) -> mi.Type:
    """Return the type that is in ``Annotated``; any other as it is."""
    return without_metadata(shape.type) if isinstance(shape, mi.Metadata) else shape


def _is_valid_scalar(value: object, shape: mi.Type) -> bool:
    """Whether a value that needs no conversion has the right type and range. A bool is not an int here."""
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
