"""
Decode one Image object of a Controller. Pure.

Unknown values of an enum are counted: an unknown type is kept as it is, an unknown state becomes ``unknown``. An image
that cannot be decoded raises :class:`BadObject`, and the others of its list are decoded all the same.
"""

from collections.abc import Iterator
from typing import Final, get_args

import msgspec

from monitor.avi import wire
from monitor.avi.objects import MESSAGE_LENGTH, decode_object, merge_events, merge_spans
from monitor.avi.paging import uuid_of
from monitor.avi.values import (
    clip,
    last_segment,
    parse_code,
    parse_duration,
    parse_microseconds,
    parse_progress,
    parse_tasks,
    parse_time,
    parse_timestamp,
)
from monitor.model.errors import BadObject
from monitor.model.image import Image, ImageState
from monitor.model.tracked import Event, EventState

UNKNOWN_FIELDS: Final = ("type", "img_state", "progress", "tasks", "duration", "time", "events")
"""Fields whose unknown or implausible values are counted; the label of ``avi_controller_unknown_values_total``."""

_STATES: Final[dict[str, ImageState]] = {
    f"IMAGE_FSM_{state.upper()}": state for state in get_args(ImageState) if state != "unknown"
}
_TYPES: Final = {"IMAGE_TYPE_SYSTEM": "system", "IMAGE_TYPE_PATCH": "patch", "IMAGE_TYPE_MUST_CHECK": "must_check"}
_UNFINISHED: Final = frozenset({"", "SYSERR_PENDING", "SYSERR_TRY_AGAIN"})

_whole: Final[msgspec.json.Decoder[wire.ImageAlone]] = msgspec.json.Decoder(wire.Image)
_alone: Final = msgspec.json.Decoder(wire.ImageAlone)


def decode_image(raw: msgspec.Raw) -> tuple[Image, tuple[str, ...]]:
    """
    Decode one image object, and name the fields with unknown values (of UNKNOWN_FIELDS, one entry per occurrence).

    Units: percent in, ratio out; ``_last_modified`` microseconds as text in, Unix seconds out; other times as ISO
    8601 or microseconds in, Unix seconds out.
    Raises: BadObject naming the JSON path of the first wrong value.
    """
    unknown: list[str] = []
    fields = decode_object(raw, _whole, _alone, unknown)
    uuid = uuid_of(fields)
    if not uuid:
        raise BadObject("neither `uuid` nor `url` - at `$`")
    status = fields.img_state or wire.Status()
    packages = [package.build for package in (fields.controller_info, fields.se_info) if package and package.build]
    image = Image(
        uuid=uuid,
        name=clip(fields.name or ""),
        tenant=clip(last_segment(fields.tenant_ref or "")),
        type=clip(_translate(_TYPES, fields.type or "", "type", unknown)),
        version=clip(next((build.version for build in packages if build.version), "")),
        patch=clip(next((build.patch_version for build in packages if build.patch_version), "")),
        uber_bundle=bool(fields.uber_bundle),
        state=_state(status.state or "", unknown),
        reason=clip(status.reason or ""),
        progress_ratio=parse_progress(fields.progress, unknown),
        tasks=parse_tasks(fields.total_tasks, unknown),
        tasks_completed=parse_tasks(fields.tasks_completed, unknown),
        state_changed_at=parse_timestamp(status.last_changed_time, unknown),
        started_at=parse_time(fields.start_time, unknown),
        ended_at=parse_time(fields.end_time, unknown),
        last_modified_at=parse_microseconds(fields.last_modified, unknown),
        duration_s=parse_duration(fields.duration, unknown),
        events=merge_events(_events(fields, unknown)),
    )
    return image, tuple(unknown)


def _translate(names: dict[str, str], value: str, field: str, unknown: list[str]) -> str:
    if value and value not in names:
        unknown.append(field)
    return names.get(value, value)


def _state(value: str, unknown: list[str]) -> ImageState:
    if value and value not in _STATES:
        unknown.append("img_state")
    return _STATES.get(value, "unknown")


def _events(image: wire.ImageAlone, unknown: list[str]) -> Iterator[Event]:
    tasks = image.events if isinstance(image, wire.Image) else None
    for task in tasks or ():
        name = clip(task.task_name or "unknown")
        for fields in (*(task.nodes_events or ()), *(task.sub_events or ())):
            yield _event(name, fields, unknown)


def decode_spans(raw: msgspec.Raw) -> tuple[Event, ...]:
    """
    Return what each node did for each task of one image, from the first start to the last end of all its events.

    Raises: BadObject, as `decode_image`.
    """
    decode_image(raw)  # for the exception
    fields = decode_object(raw, _whole, _alone, [])
    return merge_spans(_events(fields, []))


def _event(task: str, fields: wire.Event, unknown: list[str]) -> Event:
    started_at = parse_time(fields.start_time, unknown)
    ended_at = parse_time(fields.end_time, unknown)
    status = fields.status or ""
    return Event(
        task,
        clip((fields.ip and fields.ip.addr) or "unknown"),
        _event_state(status, started=bool(fields.start_time), ended=bool(fields.end_time)),
        parse_code(status),
        started_at,
        ended_at,
        parse_duration(fields.duration, unknown),
        (fields.message or "")[:MESSAGE_LENGTH],
    )


def _event_state(status: str, *, started: bool, ended: bool) -> EventState:
    if status == "SYSERR_SUCCESS":
        return "succeeded"
    if status not in _UNFINISHED:
        return "failed"
    return "running" if started and not ended else "pending"
