"""
What a reload may change: each key of the settings declares ``LIVE`` or ``RESTART``, and a reload refuses the latter.

On a section, such as ``tls_server_config``, ``RESTART`` means that only a restart can add or remove it; the keys in the
section declare for themselves.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, cast

from msgspec import UNSET, Meta, Struct
from msgspec import inspect as mi

from monitor.config.validation import text_format_of, without_metadata

Reload = Literal["live", "restart"]


def _declare(reload: Reload) -> Meta:
    return Meta(extra={"reload": reload}, extra_json_schema={"x-reload": reload})


LIVE: Final = _declare("live")
RESTART: Final = _declare("restart")


class Key(Struct, frozen=True):
    """One key. ``path``: as it is in the file, with ``[]`` for a list. ``reload``: None where it declares nothing."""

    path: str
    names: tuple[str, ...]
    """The attributes that lead to its value."""
    type: mi.Type
    reload: Reload | None


def keys_of(shape: type[Struct]) -> Iterator[Key]:
    """Every key of a struct, of the structs in it and of those in its lists, a section before its own keys."""
    yield from _keys(mi.type_info(shape), Key("", (), mi.AnyType(), None))


def _keys(shape: mi.Type, above: Key) -> Iterator[Key]:
    match without_metadata(shape):
        case mi.StructType(fields=fields):
            for field in fields:
                path = ".".join(filter(None, (above.path, field.encode_name)))
                key = Key(path, (*above.names, field.name), field.type, _declared(field.type))
                yield key
                yield from _keys(field.type, key)
        case mi.CollectionType(item_type=item):
            yield from _keys(item, Key(f"{above.path}[]", above.names, item, None))
        case _:
            return


def _declared(shape: mi.Type) -> Reload | None:
    extra = shape.extra if isinstance(shape, mi.Metadata) else None
    return cast("Reload", extra["reload"]) if extra and "reload" in extra else None


def is_section(shape: mi.Type) -> bool:
    """Whether a key of this type holds keys of its own and no value."""
    return isinstance(without_metadata(shape), mi.StructType)


def check_restart(shape: type[Struct], before: object, after: object) -> Iterator[str]:
    """Name every ``RESTART`` key whose value, an attribute named as in ``shape``, is not what it was."""
    for key in keys_of(shape):
        if key.reload != "restart":
            continue
        old, new = (_value(each, key) for each in (before, after))
        if old != new:
            what = "adding or removing it" if is_section(key.type) else "changing it"
            yield f"{key.path}: found {new}, expected {old} as at the start: {what} needs a restart"


def _value(within: object, key: Key) -> str:
    """As it may be shown: never a secret, and of a section only whether it is there."""
    value = within
    for name in key.names:
        value = getattr(value, name)
    if value is None or value is UNSET:
        return "nothing"
    if is_section(key.type):
        return "a mapping"
    if isinstance(value, Path):
        return str(value)
    text_format = text_format_of(key.type)
    return text_format.write(value) if text_format and text_format.shown else repr(value)
