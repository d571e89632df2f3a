"""
The JSON of upgrade status as it is kept between polls: without what grows for ever, and completed by the summary. Pure.

An object that is no JSON object is left as it is: it cannot be decoded, and the log says why.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from monitor.avi.paging import MAX_OBJECT_BYTES
from monitor.avi.upgrade_wire import State
from monitor.avi.wire import UNREADABLE, Status, Wire

MAX_UNIT_BYTES: Final = 256 * 1024
"""A larger object is kept without the events of its Service Engines."""

ENGINE_EVENTS: Final = "se_upgrade_events"

_MAX_OPERATIONS: Final = 10  # of the history, the last ones
_MAX_OPERATION_BYTES: Final = 64 * 1024  # of each, without its events
_MAX_HISTORY_OBJECTS: Final = 200_000  # JSON objects; 10 MB of a Controller's own have fewer
_EVENTS: Final = frozenset({"upgrade_events", ENGINE_EVENTS, "seg_status"})
"""What an operation in the history has beside its result: all its events again."""

_Members = dict[str, msgspec.Raw]
_members: Final = msgspec.json.Decoder(_Members)
_raws: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ABSENT: Final = (b"null", b'""')


class _Stated(Wire):
    state: State = None


_stated: Final = msgspec.json.Decoder(_Stated)


class _Large(Wire):
    """The members that are large where much was done. The decoder skips all others, and makes nothing of them."""

    history: msgspec.Raw = msgspec.Raw()
    upgrade_events: msgspec.Raw = msgspec.Raw()
    se_upgrade_events: msgspec.Raw = msgspec.Raw()
    seg_status: msgspec.Raw = msgspec.Raw()


_large: Final = msgspec.json.Decoder(_Large)
_large_of_each: Final = msgspec.json.Decoder(list[_Large])


class Trimmed(msgspec.Struct, frozen=True):
    """``raw``: the object as it is kept. ``left_out``: the members that were too large to be kept."""

    raw: msgspec.Raw
    left_out: tuple[str, ...] = ()


def trim(raw: msgspec.Raw) -> Trimmed:
    """
    Return an object with the last ten operations of its history, without their events, and of at most 256 KiB.

    It takes about 10 ms for each 10 MB: call it in a worker thread for what may be so large.
    """
    if memoryview(raw).nbytes <= MAX_UNIT_BYTES and b'"history"' not in bytes(raw):
        return Trimmed(raw)
    members = _members_of(raw)
    if members is None:
        return Trimmed(raw)
    history = _short_history(members.pop("history", msgspec.Raw(b"null")))
    if history:
        members["history"] = msgspec.Raw(msgspec.json.encode(history))
    short = msgspec.json.encode(members)
    if len(short) <= MAX_UNIT_BYTES or ENGINE_EVENTS not in members:
        return Trimmed(msgspec.Raw(short))
    return Trimmed(without_engine_events(msgspec.Raw(short)), (ENGINE_EVENTS,))


def without_engine_events(raw: msgspec.Raw) -> msgspec.Raw:
    """Return an object without the events of its Service Engines; the same one if it has none."""
    members = _members_of(raw)
    if members is None or members.pop(ENGINE_EVENTS, None) is None:
        return raw
    return msgspec.Raw(msgspec.json.encode(members))


def _members_of(raw: msgspec.Raw, *, most: int = MAX_OBJECT_BYTES) -> _Members | None:
    """
    Return the members of an object; None if it is none, or those that are not large have more than ``most`` bytes.

    Thirty megabytes of the smallest members would cost a gigabyte.
    """
    try:
        large = msgspec.structs.astuple(_large.decode(raw))
        rest = memoryview(raw).nbytes - sum(memoryview(each).nbytes for each in large)
        return _members.decode(raw) if rest <= most else None
    except UNREADABLE:
        return None


def _short_history(history: msgspec.Raw) -> list[_Members]:
    if bytes(history).count(b"{") > _MAX_HISTORY_OBJECTS:
        return []
    try:
        _large_of_each.decode(history)  # refuses millions of numbers, before there is an object for each
        operations = _raws.decode(history)[-_MAX_OPERATIONS:]
    except UNREADABLE:
        return []
    found = [_members_of(each, most=_MAX_OPERATION_BYTES) for each in operations]
    return [{name: value for name, value in each.items() if name not in _EVENTS} for each in found if each is not None]


def complete(info: msgspec.Raw, summary: msgspec.Raw) -> msgspec.Raw:
    """Return an info with the members that a newer summary of the same unit gives; empty ones are not given."""
    members, newer = _members_of(info), _members_of(summary)
    if members is None or newer is None:
        return summary
    given = {name: value for name, value in newer.items() if bytes(value) not in _ABSENT}
    return msgspec.Raw(msgspec.json.encode(members | given))


def summary_is_usable(summaries: Mapping[str, msgspec.Raw], infos: Mapping[str, msgspec.Raw]) -> bool:
    """
    Whether the list of summaries tells the same as the list of infos that was read with it, both by uuid.

    It does if both have the same units, and the same state of each, which may not be absent in a summary only.
    """
    return summaries.keys() == infos.keys() and all(
        _state_in(summaries[uuid]) == _state_in(raw) for uuid, raw in infos.items()
    )


def _state_in(raw: msgspec.Raw) -> str:
    """Return the Controller's state of a unit; empty when it is absent or the unit cannot be decoded."""
    try:
        state = _stated.decode(raw).state
    except UNREADABLE:
        return ""
    return (state.state or "" if isinstance(state, Status) else state) or ""
