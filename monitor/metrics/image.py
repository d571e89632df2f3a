"""The metric families of an image, one entry each: name, help text, and how to read the samples. Pure."""

from collections.abc import Callable, Iterable
from typing import Final, get_args

from monitor.metrics.family import CORE, DETAIL, NODE, Family, Row, Subject, escape, row_if_known, rows_of_choice
from monitor.metrics.objects import event_values, node_events, object_gauge, row_of_annotations
from monitor.model.image import Image, ImageState
from monitor.model.tracked import is_acknowledged

_IDENTITY: Final = ("controller", "image_uuid")


def _family(
    name: str,
    text: str,
    rows: Callable[[Subject[Image]], Iterable[Row]],
    labels: tuple[str, ...] = (),
    tier: int = CORE,
    *,
    changes_alone: bool = False,
) -> Family[Subject[Image]]:
    return object_gauge(
        name, text, identity=_IDENTITY, rows=rows, labels=labels, tier=tier, changes_alone=changes_alone
    )


def _gauge(name: str, text: str, read: Callable[[Image], float | None]) -> Family[Subject[Image]]:
    return _family(name, text, lambda subject: row_if_known(read(subject.object)))


def _info(subject: Subject[Image]) -> Iterable[Row]:
    image = subject.object
    texts = (image.name, image.tenant, image.type, image.version, image.patch)
    return ((*map(escape, texts), str(image.uber_bundle).lower(), "1.0"),)


def _states(subject: Subject[Image]) -> Iterable[Row]:
    return rows_of_choice(get_args(ImageState), subject.object.state)


def _event_states(subject: Subject[Image]) -> Iterable[Row]:
    return [(escape(e.node), escape(e.task), e.state, e.status, "1.0") for e in subject.object.events]


def _exported(subject: Subject[Image]) -> Iterable[Row]:
    annotations = subject.annotations or {}
    return [(escape(key), escape(annotations[key]), "1.0") for key in sorted(annotations.keys() & subject.exported)]


IMAGE_FAMILIES: Final = (
    _family(
        "avi_image_info",
        "What the image is; the value is always 1. Join it on controller and image_uuid.",
        _info,
        ("image", "tenant", "type", "version", "patch", "uber_bundle"),
    ),
    _gauge(
        "avi_image_progress_ratio", "Share of the image's processing that is done, 0 to 1.", lambda i: i.progress_ratio
    ),
    _gauge("avi_image_tasks", "How many tasks the Controller's processing of the image has.", lambda i: i.tasks),
    _gauge("avi_image_tasks_completed", "How many of these tasks are done.", lambda i: i.tasks_completed),
    _family("avi_image_state", "State of the image; exactly one state is 1.", _states, ("state",)),
    _gauge(
        "avi_image_state_changed_timestamp_seconds",
        "When the state changed last, as the Controller says, Unix seconds.",
        lambda i: i.state_changed_at,
    ),
    _gauge(
        "avi_image_start_timestamp_seconds",
        "When processing began, as the Controller says, Unix seconds.",
        lambda i: i.started_at,
    ),
    _gauge(
        "avi_image_end_timestamp_seconds",
        "When processing ended, as the Controller says, Unix seconds.",
        lambda i: i.ended_at,
    ),
    _gauge(
        "avi_image_last_modified_timestamp_seconds",
        "When the image object was written last, as the Controller says, Unix seconds.",
        lambda i: i.last_modified_at,
    ),
    _gauge(
        "avi_image_duration_seconds", "How long processing took, as the Controller reports it.", lambda i: i.duration_s
    ),
    _family(
        "avi_image_progress_changed_timestamp_seconds",
        "When this monitor last saw progress, tasks, state or an event move, Unix seconds; survives a restart.",
        lambda subject: row_if_known(subject.changed_at),
    ),
    _family(
        "avi_image_annotations",
        "How many annotations operators have put on the image.",
        row_of_annotations(len),
        changes_alone=True,
    ),
    _family(
        "avi_image_acknowledged",
        "Whether the annotation acknowledged is true, yes or 1: an operator knows, and alerts stay quiet.",
        row_of_annotations(is_acknowledged),
        changes_alone=True,
    ),
    _family(
        "avi_image_annotation_info",
        "An annotation whose key the configuration exports; the value is always 1.",
        _exported,
        ("key", "value"),
        changes_alone=True,
    ),
    _family(
        "avi_image_node_events",
        "How many events of the node are in the state.",
        node_events,
        ("node", "state"),
        NODE,
    ),
    _family(
        "avi_image_node_event_state",
        "State of one task on one node, with the Controller's raw status; the value is always 1.",
        _event_states,
        ("node", "task", "state", "status"),
        DETAIL,
    ),
    _family(
        "avi_image_node_event_start_timestamp_seconds",
        "When the task began on the node, Unix seconds.",
        event_values("started_at"),
        ("node", "task"),
        DETAIL,
    ),
    _family(
        "avi_image_node_event_end_timestamp_seconds",
        "When the task ended on the node, Unix seconds.",
        event_values("ended_at"),
        ("node", "task"),
        DETAIL,
    ),
    _family(
        "avi_image_node_event_duration_seconds",
        "How long the task took on the node, as reported.",
        event_values("duration_s"),
        ("node", "task"),
        DETAIL,
    ),
)
