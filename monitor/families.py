"""
The table of metric families, one row each. Pure.

A row says what a family is and how its samples are read off an image or off a controller's health. Everything else
(the scrape, the README's table, ``avi-upgrade-monitor metrics``, the tests) is made from these two tables.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Final, Literal, get_args

from monitor.family import CORE, DETAIL, NODE, Family, Row, Subject, escape, line_of, number
from monitor.model.errors import Reason
from monitor.model.health import DURATION_BOUNDS_S, Health
from monitor.model.image import EventState, Image, ImageState, is_acknowledged


def _one(value: float | None) -> Iterable[Row]:
    """One sample, or none: absent beats invented."""
    return () if value is None else ((number(value),),)


def _of_image(
    name: str,
    text: str,
    rows: Callable[[Subject], Iterable[Row]],
    labels: tuple[str, ...] = (),
    tier: int = CORE,
) -> Family[Subject]:
    identity = ("controller", "image_uuid")
    line = line_of(name, (*identity, *labels))
    return Family(name=name, kind="gauge", help=text, identity=identity, labels=labels, tier=tier, rows=rows, line=line)


def _value(name: str, text: str, read: Callable[[Image], float | None]) -> Family[Subject]:
    return _of_image(name, text, lambda subject: _one(read(subject.image)))


def _event_value(name: str, text: str, attribute: str) -> Family[Subject]:
    def rows(subject: Subject) -> Iterator[Row]:
        for event in subject.image.events:
            value: float | None = getattr(event, attribute)
            if value is not None:
                yield escape(event.node), escape(event.task), number(value)

    return _of_image(name, text, rows, ("node", "task"), DETAIL)


def _info(subject: Subject) -> Iterable[Row]:
    image = subject.image
    texts = (image.name, image.tenant, image.type, image.version, image.patch)
    return ((*map(escape, texts), str(image.uber_bundle).lower(), "1.0"),)


def _states(subject: Subject) -> Iterable[Row]:
    return [(state, "1.0" if state == subject.image.state else "0.0") for state in get_args(ImageState)]


def _node_events(subject: Subject) -> Iterable[Row]:
    counts = Counter((event.node, event.state) for event in subject.image.events)
    nodes = dict.fromkeys(event.node for event in subject.image.events)
    return [(escape(node), state, number(counts[node, state])) for node in nodes for state in get_args(EventState)]


def _event_states(subject: Subject) -> Iterable[Row]:
    return [(escape(e.node), escape(e.task), e.state, e.status, "1.0") for e in subject.image.events]


def _exported(subject: Subject) -> Iterable[Row]:
    known = sorted(subject.annotations.keys() & subject.exported)
    return [(escape(key), escape(subject.annotations[key]), "1.0") for key in known]


IMAGE_FAMILIES: Final = (
    _of_image(
        "avi_image_info",
        "What the image is; the value is always 1. Join it on controller and image_uuid.",
        _info,
        ("image", "tenant", "type", "version", "patch", "uber_bundle"),
    ),
    _value(
        "avi_image_progress_ratio", "Share of the image's processing that is done, 0 to 1.", lambda i: i.progress_ratio
    ),
    _value("avi_image_tasks", "How many tasks the Controller's processing of the image has.", lambda i: i.tasks),
    _value("avi_image_tasks_completed", "How many of these tasks are done.", lambda i: i.tasks_completed),
    _of_image("avi_image_state", "State of the image; exactly one state is 1.", _states, ("state",)),
    _value(
        "avi_image_state_changed_timestamp_seconds",
        "When the state changed last, as the Controller says, Unix seconds.",
        lambda i: i.state_changed_at,
    ),
    _value(
        "avi_image_start_timestamp_seconds",
        "When processing began, as the Controller says, Unix seconds.",
        lambda i: i.started_at,
    ),
    _value(
        "avi_image_end_timestamp_seconds",
        "When processing ended, as the Controller says, Unix seconds.",
        lambda i: i.ended_at,
    ),
    _value(
        "avi_image_last_modified_timestamp_seconds",
        "When the image object was written last, as the Controller says, Unix seconds.",
        lambda i: i.last_modified_at,
    ),
    _value(
        "avi_image_duration_seconds", "How long processing took, as the Controller reports it.", lambda i: i.duration_s
    ),
    _of_image(
        "avi_image_progress_changed_timestamp_seconds",
        "When this monitor last saw progress, tasks, state or an event move, Unix seconds; survives a restart.",
        lambda subject: _one(subject.changed_at),
    ),
    _of_image(
        "avi_image_annotations",
        "How many annotations operators have put on the image.",
        lambda subject: _one(len(subject.annotations)),
    ),
    _of_image(
        "avi_image_acknowledged",
        "Whether the annotation acknowledged is true, yes or 1: somebody knows, and alerts stay quiet.",
        lambda subject: _one(is_acknowledged(subject.annotations)),
    ),
    _of_image(
        "avi_image_annotation_info",
        "An annotation whose key the configuration exports; the value is always 1.",
        _exported,
        ("key", "value"),
    ),
    _of_image(
        "avi_image_node_events",
        "How many events of the node are in the state.",
        _node_events,
        ("node", "state"),
        NODE,
    ),
    _of_image(
        "avi_image_node_event_state",
        "State of one task on one node, with the Controller's raw status; the value is always 1.",
        _event_states,
        ("node", "task", "state", "status"),
        DETAIL,
    ),
    _event_value(
        "avi_image_node_event_start_timestamp_seconds", "When the task began on the node, Unix seconds.", "started_at"
    ),
    _event_value(
        "avi_image_node_event_end_timestamp_seconds", "When the task ended on the node, Unix seconds.", "ended_at"
    ),
    _event_value(
        "avi_image_node_event_duration_seconds", "How long the task took on the node, as reported.", "duration_s"
    ),
)


def _gauge(name: str, text: str, read: Callable[[Health], float | None]) -> Family[Health]:
    return _of_controller(name, "gauge", text, lambda health: _one(read(health)), read)


def _counter(name: str, text: str, read: Callable[[Health], int]) -> Family[Health]:
    return _of_controller(name, "counter", text, lambda health: _one(read(health)), read)


def _of_controller(
    name: str,
    kind: Literal["gauge", "counter"],
    text: str,
    rows: Callable[[Health], Iterable[Row]],
    reads: Callable[[Health], object],
    *labels: str,
) -> Family[Health]:
    line = line_of(name, ("controller", *labels))
    return Family(
        name=name, kind=kind, help=text, identity=("controller",), labels=labels, rows=rows, reads=reads, line=line
    )


def _versions(health: Health) -> Iterable[Row]:
    return ((escape(health.version), escape(health.api_version), "1.0"),) if health.version else ()


def _failures(health: Health) -> Iterable[Row]:
    return [(reason, number(health.failures.get(reason, 0))) for reason in get_args(Reason)]


def _unknown_values(health: Health) -> Iterable[Row]:
    return [(field, number(times)) for field, times in sorted(health.unknown_values.items())]


def _histogram(name: str, text: str) -> Family[Health]:
    """One row has all numbers, and the line all samples, because they have three names."""
    bounds = (*map(number, DURATION_BOUNDS_S), "+Inf")
    heads = [f'{name}_bucket{{{{controller="{{0}}",le="{bound}"}}}}' for bound in bounds]
    heads += [f'{name}_{suffix}{{{{controller="{{0}}"}}}}' for suffix in ("count", "sum")]
    line = "".join(f"{head} {{{place}}}\n" for place, head in enumerate(heads, 1))

    def rows(health: Health) -> Iterable[Row]:
        polls = [number(times) for times in accumulate(health.durations)]
        return ((*polls, polls[-1], number(health.durations_sum_s)),)

    return Family(
        name=name, kind="histogram", help=text, identity=("controller",), labels=("le",), rows=rows, line=line
    )


CONTROLLER_FAMILIES: Final = (
    _gauge(
        "avi_controller_up", "Whether the last poll of the controller was good.", lambda h: h.up if h.polls else None
    ),
    _gauge(
        "avi_controller_stale",
        "Whether the last good poll is so old that the controller's image series were withdrawn.",
        lambda h: h.stale,
    ),
    _gauge(
        "avi_controller_auth_suspended",
        "Whether log-in was refused; it is not tried again until the secret changes, so that no account is locked.",
        lambda h: h.auth_suspended,
    ),
    _gauge(
        "avi_controller_upgrade_in_progress",
        "Whether the controller said that it is being upgraded, and has not answered a poll since.",
        lambda h: h.upgrading,
    ),
    _of_controller(
        "avi_controller_info",
        "gauge",
        "The controller's version and the API version it is asked for; the value is always 1.",
        _versions,
        lambda h: (h.version, h.api_version),
        "version",
        "api_version",
    ),
    _gauge(
        "avi_controller_last_poll_attempt_timestamp_seconds",
        "When the last poll began, Unix seconds.",
        lambda h: h.attempted_at,
    ),
    _gauge(
        "avi_controller_last_poll_success_timestamp_seconds",
        "When the last good poll ended, Unix seconds.",
        lambda h: h.succeeded_at,
    ),
    _gauge(
        "avi_controller_poll_interval_seconds",
        "The time between the starts of two polls as it is now: fast while an image is active, or backed off.",
        lambda h: h.interval_s or None,
    ),
    _counter("avi_controller_polls_total", "Polls begun and ended, good or bad.", lambda h: h.polls),
    _of_controller(
        "avi_controller_poll_failures_total",
        "counter",
        "Polls that failed, by reason.",
        _failures,
        lambda h: h.failures,
        "reason",
    ),
    _histogram("avi_controller_poll_duration_seconds", "How long whole polls took."),
    _counter("avi_controller_logins_total", "Log-ins tried.", lambda h: h.logins),
    _counter(
        "avi_controller_bad_images_total",
        "Image objects that could not be read and were left out; counted again when their bytes change.",
        lambda h: h.bad_images,
    ),
    _counter(
        "avi_controller_series_dropped_total",
        "Series left out of this monitor's exposition to stay within the budgets, added up over polls.",
        lambda h: h.series_dropped,
    ),
    _of_controller(
        "avi_controller_unknown_values_total",
        "counter",
        "Values in image objects that this monitor does not know, by field; each counted when the image changes.",
        _unknown_values,
        lambda h: h.unknown_values,
        "field",
    ),
    _gauge(
        "avi_controller_tls_certificate_expiry_timestamp_seconds",
        "When the certificate that the controller showed last expires, Unix seconds.",
        lambda h: h.certificate_expires_at,
    ),
    _gauge(
        "avi_controller_tls_insecure",
        "Whether the controller's identity is not verified, by configuration.",
        lambda h: h.tls_insecure,
    ),
)

_OF_ANNOTATIONS = {"avi_image_annotations", "avi_image_acknowledged", "avi_image_annotation_info"}
ANNOTATION_FAMILIES: Final = tuple(
    place for place, family in enumerate(IMAGE_FAMILIES) if family.name in _OF_ANNOTATIONS
)
"""The places in IMAGE_FAMILIES of those that an annotation moves; they are read off nothing else."""

AnyFamily = Family[Subject] | Family[Health]

FAMILIES: Final[tuple[AnyFamily, ...]] = (*IMAGE_FAMILIES, *CONTROLLER_FAMILIES)
