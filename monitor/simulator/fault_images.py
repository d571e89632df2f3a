"""Faults in what a list says: images with wrong contents, envelopes that contradict themselves. Pure."""

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
FAR_STATE, FAR_TYPE, FAR_STATUS = "IMAGE_FSM_TELEPORTING", "IMAGE_TYPE_HOLOGRAM", "SYSERR_FROM_A_LATER_RELEASE"


def each(change: Callable[[Json, Fault], object]) -> Callable[[list[Any], Fault], list[Any]]:
    """From a change of one image to a change of the list: the first, or all of them. Images are copies: change away."""

    def altered(images: list[Any], fault: Fault) -> list[Any]:
        return [
            change(image, fault) if isinstance(image, dict) and (fault.all or place == 0) else image
            for place, image in enumerate(images)
        ]

    return altered


def wrong_types(image: Json, fault: Fault) -> object:
    """``value``: the fields, comma between; all that are known otherwise."""
    fields = _fields(fault, tuple(WRONG_TYPES))
    return {**image, **{field: WRONG_TYPES.get(field, {"wrong": "type"}) for field in fields}}


def unknown_enum(image: Json, fault: Fault) -> object:
    """``value``: the unknown ``img_state.state``."""
    state = {**image.get("img_state", {}), "state": fault.value or FAR_STATE}
    return {**image, "img_state": state, "type": FAR_TYPE, "events": _events(image, {"status": FAR_STATUS})}


def unknown_fields(image: Json, fault: Fault) -> object:
    """``value``: the name of the field that nobody has heard of; it stands in the image, its state and its events."""
    strange = {fault.value or "from_a_later_release": {"deep": [1, None, "x"]}}
    state = {**image.get("img_state", {}), **strange}
    return {**image, **strange, "img_state": state, "events": _events(image, strange)}


def absent_fields(image: Json, fault: Fault) -> object:
    """``value``: which fields, comma between; without one only ``uuid`` and ``name`` stay."""
    gone = _fields(fault, tuple(field for field in image if field not in {"uuid", "name"}))
    return {field: value for field, value in image.items() if field not in gone}


def missing_events(image: Json, fault: Fault) -> object:  # noqa: ARG001  every change is called alike
    """As Controllers before 21.1.3, or one that has nothing to tell."""
    return {field: value for field, value in image.items() if field != "events"}


def null_fields(image: Json, fault: Fault) -> object:
    """``value``: which fields are null, comma between; all but ``uuid`` otherwise."""
    nulls = _fields(fault, tuple(field for field in image if field != "uuid"))
    return {field: None if field in nulls else value for field, value in image.items()}


def not_an_object(image: Json, fault: Fault) -> object:  # noqa: ARG001
    """A string stands where an image should."""
    return "image"


def time_format(image: Json, fault: Fault) -> object:
    """``value``: space, iso, fraction, microseconds, empty or absent; start and end of the image and of every event."""
    return _retimed(image, TIME_FORMATS[fault.value or "iso"])


def _retimed(value: Any, told: Callable[[datetime], str | None]) -> Any:  # noqa: ANN401  it walks any JSON there is
    if isinstance(value, list):
        return [_retimed(entry, told) for entry in value]
    if not isinstance(value, dict):
        return value
    changed = {field: _told(inner, told) if field in TIMES else _retimed(inner, told) for field, inner in value.items()}
    return {field: inner for field, inner in changed.items() if inner is not None or field not in TIMES}


def _told(text: object, told: Callable[[datetime], str | None]) -> object:
    try:
        return told(datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC))
    except ValueError:
        return text  # a literal image may say anything


TIMES = frozenset({"start_time", "end_time"})
TIME_FORMATS: dict[str, Callable[[datetime], str | None]] = {
    "space": lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S"),
    "iso": lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "fraction": lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S.%f"),
    "microseconds": lambda moment: str(round(moment.timestamp() * 1_000_000)),  # as _last_modified says it
    "empty": lambda _: "",
    "absent": lambda _: None,
}


def _fields(fault: Fault, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(fault.value.split(",")) if fault.value else default


def _events(image: Json, more: Json) -> list[Json]:
    return [
        {**event, "nodes_events": [{**node, **more} for node in event.get("nodes_events", [])]}
        for event in image.get("events", [])
    ]


def duplicate_uuids(images: list[Any], fault: Fault) -> list[Any]:
    """The first image comes twice; with ``value="replace"`` the second time instead of the last one."""
    kept = images[:-1] if fault.value == "replace" else images
    return [*kept, *images[:1]]


def shrinking_pages(envelope: Json, fault: Fault, page: int) -> Json:
    """As if an image had been deleted between two pages: the count falls, and what follows moves up by one."""
    gone = (page - 1) * (fault.size or 1)
    return {**envelope, "count": envelope["count"] - gone, "results": envelope["results"][gone:]}


def varying_count(envelope: Json, fault: Fault, page: int) -> Json:
    """No two pages agree on the count."""
    return {**envelope, "count": envelope["count"] + (page - 1) * (fault.size or 1)}


def not_a_list(envelope: Json, fault: Fault, page: int) -> Json:  # noqa: ARG001
    """``results`` is an object, with the images under their places."""
    return {**envelope, "results": {str(place): image for place, image in enumerate(envelope["results"])}}
