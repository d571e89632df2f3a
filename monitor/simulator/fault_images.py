"""Faults in the content of a list: images with wrong contents, pages that contradict each other. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from monitor.simulator.faults import Fault
from monitor.simulator.http_types import Json

WRONG_TYPES: Json = {
    "progress": "forty",
    "total_tasks": {"six": 6},
    "tasks_completed": [3],
    "img_state": "IMAGE_FSM_IN_PROGRESS",
    "events": "none",
    "name": 17,
    "start_time": 20250213,
    "controller_info": ["build"],
}
UNKNOWN_STATE = "IMAGE_FSM_FROM_A_LATER_RELEASE"
UNKNOWN_TYPE = "IMAGE_TYPE_FROM_A_LATER_RELEASE"
UNKNOWN_STATUS = "SYSERR_FROM_A_LATER_RELEASE"


def for_each_image(change: Callable[[Json, Fault], object]) -> Callable[[list[Any], Fault], list[Any]]:
    """Turn a change of one image into a change of a list: of the first image, or of all with ``fault.all``."""

    def change_list(images: list[Any], fault: Fault) -> list[Any]:
        return [
            change(image, fault) if isinstance(image, dict) and (fault.all or index == 0) else image
            for index, image in enumerate(images)
        ]

    return change_list


def wrong_types(image: Json, fault: Fault) -> object:
    """``value``: the fields, separated by commas; without it, all fields of ``WRONG_TYPES``."""
    fields = _fields(fault, tuple(WRONG_TYPES))
    return {**image, **{field: WRONG_TYPES.get(field, {"wrong": "type"}) for field in fields}}


def unknown_enum(image: Json, fault: Fault) -> object:
    """``value``: the unknown ``img_state.state``; the type and the status of the events are unknown, too."""
    state = {**image.get("img_state", {}), "state": fault.value or UNKNOWN_STATE}
    events = _with_node_fields(image, {"status": UNKNOWN_STATUS})
    return {**image, "img_state": state, "type": UNKNOWN_TYPE, "events": events}


def unknown_fields(image: Json, fault: Fault) -> object:
    """``value``: the name of the unknown field, which is added to the image, to its state and to its events."""
    unknown = {fault.value or "from_a_later_release": {"deep": [1, None, "x"]}}
    state = {**image.get("img_state", {}), **unknown}
    return {**image, **unknown, "img_state": state, "events": _with_node_fields(image, unknown)}


def absent_fields(image: Json, fault: Fault) -> object:
    """``value``: the absent fields, separated by commas; without it, all but ``uuid`` and ``name``."""
    absent = _fields(fault, tuple(field for field in image if field not in {"uuid", "name"}))
    return {field: value for field, value in image.items() if field not in absent}


def missing_events(image: Json, fault: Fault) -> object:  # noqa: ARG001  every change has the same arguments
    """Leave out ``events``, as Controllers before 21.1.3 do."""
    return {field: value for field, value in image.items() if field != "events"}


def null_fields(image: Json, fault: Fault) -> object:
    """``value``: the fields that are null, separated by commas; without it, all but ``uuid``."""
    nulls = _fields(fault, tuple(field for field in image if field != "uuid"))
    return {field: None if field in nulls else value for field, value in image.items()}


def not_an_object(image: Json, fault: Fault) -> object:  # noqa: ARG001
    """Put a string in the place of the image."""
    return "image"


def time_format(image: Json, fault: Fault) -> object:
    """``value``: a key of ``TIME_FORMATS`` (iso), for every time of the image and of its events."""
    return _reformat_times(image, TIME_FORMATS[fault.value or "iso"])


TIME_FIELDS = frozenset({"enqueue_time", "start_time", "end_time"})
TIME_FORMATS: dict[str, Callable[[datetime], str | None]] = {
    "space": lambda time: time.strftime("%Y-%m-%d %H:%M:%S"),
    "iso": lambda time: time.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "fraction": lambda time: time.strftime("%Y-%m-%d %H:%M:%S.%f"),
    "microseconds": lambda time: str(round(time.timestamp() * 1_000_000)),  # as in _last_modified
    "empty": lambda _: "",
    "absent": lambda _: None,
}


def _reformat_times(value: Any, render: Callable[[datetime], str | None]) -> Any:  # noqa: ANN401  visits any JSON
    if isinstance(value, list):
        return [_reformat_times(entry, render) for entry in value]
    if not isinstance(value, dict):
        return value
    changed = {
        field: _reformat(inner, render) if field in TIME_FIELDS else _reformat_times(inner, render)
        for field, inner in value.items()
    }
    return {field: inner for field, inner in changed.items() if inner is not None or field not in TIME_FIELDS}


def _reformat(text: object, render: Callable[[datetime], str | None]) -> object:
    try:
        return render(datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC))
    except ValueError:
        return text  # a literal image may hold any text


def _fields(fault: Fault, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(fault.value.split(",")) if fault.value else default


def _with_node_fields(image: Json, fields: Json) -> list[Json]:
    """Return the events of the image with these fields set in every node event."""
    return [
        {**event, "nodes_events": [{**node, **fields} for node in event.get("nodes_events", [])]}
        for event in image.get("events", [])
    ]


def duplicate_uuids(images: list[Any], fault: Fault) -> list[Any]:
    """List the first image twice; ``value="replace"``: the second time in the place of the last image."""
    kept = images[:-1] if fault.value == "replace" else images
    return [*kept, *images[:1]]


def shrinking_pages(page: Json, fault: Fault, number: int) -> Json:
    """Behave as if images were deleted between two pages: the count falls, and the next images move up by ``size``."""
    deleted = (number - 1) * (fault.size or 1)
    return {**page, "count": page["count"] - deleted, "results": page["results"][deleted:]}


def varying_count(page: Json, fault: Fault, number: int) -> Json:
    """Give each page another count."""
    return {**page, "count": page["count"] + (number - 1) * (fault.size or 1)}


def not_a_list(page: Json, fault: Fault, number: int) -> Json:  # noqa: ARG001
    """Make ``results`` an object, with the images under their indexes."""
    return {**page, "results": {str(index): image for index, image in enumerate(page["results"])}}
