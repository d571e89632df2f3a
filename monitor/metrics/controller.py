"""The metric families of a controller: each row says how the samples of one are read off a `Health`. Pure."""

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Final, Literal, get_args

from monitor.metrics.family import Family, Row, escape, line_of, number, optional
from monitor.model.errors import Reason
from monitor.model.health import DURATION_BOUNDS_S, Health


def _gauge(name: str, text: str, read: Callable[[Health], float | None]) -> Family[Health]:
    return _of_controller(name, "gauge", text, lambda health: optional(read(health)), read)


def _counter(name: str, text: str, read: Callable[[Health], int]) -> Family[Health]:
    return _of_controller(name, "counter", text, lambda health: optional(read(health)), read)


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
