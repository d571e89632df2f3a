"""
What the decoders of all resources share: an object within limits, and its events by task and node. Pure.

An object that cannot be decoded raises :class:`BadObject` without affecting others.
"""

from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec

from monitor.avi.paging import MAX_OBJECT_BYTES
from monitor.avi.values import clip
from monitor.avi.wire import UNREADABLE
from monitor.model.errors import BadObject
from monitor.model.tracked import Event, EventState

T = TypeVar("T")

MESSAGE_LENGTH: Final = 10_000
"""Texts that are not exported as labels are clipped to so many characters; they are shown for one object at a time."""

_MAX_OBJECTS = 10_000  # in an object, two an event; far beyond any budget of series
_MAX_CONTAINERS = 20_000  # objects and lists in an object; each costs a microsecond, other values nearly nothing
_SEVERITY: Final[dict[EventState, int]] = {"succeeded": 0, "pending": 1, "running": 2, "failed": 3}


def decode_object(
    raw: msgspec.Raw,
    whole: msgspec.json.Decoder[T],
    without_events: msgspec.json.Decoder[T],
    unknown: list[str],
) -> T:
    """
    Decode the fields that are read, within limits of size and work.

    The events are left out, and added to ``unknown``, where there may be more than any budget exports: a Controller
    could otherwise make ten million structs of a small reply. Fields that are not read have to be valid, too: our API
    hands on the whole object, in one document with all others.
    Raises: BadObject.
    """
    size = memoryview(raw).nbytes
    if size > MAX_OBJECT_BYTES:
        raise BadObject(f"the object has {size} bytes, expected at most {MAX_OBJECT_BYTES}")
    text = bytes(raw)
    objects = containers = 0
    if size > 2 * _MAX_OBJECTS:  # a smaller text cannot have so many
        objects = text.count(b"{")
        containers = objects + text.count(b"[")
    if containers > _MAX_CONTAINERS:
        raise BadObject(f"the object has {containers} JSON objects and lists, expected at most {_MAX_CONTAINERS}")
    try:
        msgspec.json.decode(text)
        if objects <= _MAX_OBJECTS:
            return whole.decode(text)
        unknown.append("events")
        return without_events.decode(text)
    except UNREADABLE as error:
        raise BadObject(clip(str(error))) from error


def merge_events(events: Iterable[Event]) -> tuple[Event, ...]:
    """Keep one event per (task, node), see `precedence`: Prometheus rejects a scrape with duplicate series."""
    kept: dict[tuple[str, str], Event] = {}
    for event in events:
        key = event.task, event.node
        before = kept.setdefault(key, event)
        if before is not event:
            kept[key] = max(before, event, key=precedence)
    return tuple(kept.values())


def merge_spans(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return one event per (task, node): that of `merge_events`, from the first start to the last end of all."""
    return tuple(map(_merge_span, _group(events)))


def _group(events: Iterable[Event]) -> Iterable[list[Event]]:
    """Group events by (task, node): a Controller may report several of each."""
    groups: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        groups.setdefault((event.task, event.node), []).append(event)
    return groups.values()


def _merge_span(group: list[Event]) -> Event:
    event = max(group, key=precedence)
    starts = [each.started_at for each in group if each.started_at is not None]
    ends = [each.ended_at for each in group if each.ended_at is not None]
    durations = [each.duration_s for each in group if each.duration_s is not None]
    messages = [each.message for each in group if each.message]
    ended = event.ended_at is not None
    return msgspec.structs.replace(
        event,
        started_at=min(starts, default=None),
        ended_at=max(ends) if ended else None,
        duration_s=max(durations, default=None) if ended else event.duration_s,
        message=event.message or next(iter(messages), ""),
    )


def precedence(event: Event) -> tuple[float, int, str]:
    """
    Sort key of events: the one with the latest start is kept; of several, the worst state; then the last status.

    It does not depend on the order in which the Controller lists events, which may differ between two polls.
    """
    return (-1.0 if event.started_at is None else event.started_at), _SEVERITY[event.state], event.status
