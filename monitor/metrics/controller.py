"""
The metric families of a controller. Pure.

`SESSION_FAMILIES` show the health of the session with the controller. `READ_FAMILIES` show the health of the reads of
one resource, whose name is in the label ``resource``.
"""

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Final, Literal, TypeVar, get_args

from monitor.metrics.family import Family, Row, compile_line, escape, format_number, line_of, row_if_known
from monitor.model.errors import Reason
from monitor.model.health import DURATION_BOUNDS_S, ReadHealth, SessionHealth

H = TypeVar("H", SessionHealth, ReadHealth)

_SESSION: Final = ("controller",)
_READ: Final = ("controller", "resource")


def _family(
    name: str,
    kind: Literal["gauge", "counter"],
    text: str,
    identity: tuple[str, ...],
    *labels: str,
    rows: Callable[[H], Iterable[Row]],
    depends_on: Callable[[H], object],
    each_poll: bool = False,
) -> Family[H]:
    return Family(
        name=name,
        kind=kind,
        help=text,
        identity=identity,
        labels=labels,
        rows=rows,
        depends_on=depends_on,
        each_poll=each_poll,
        line=line_of(name, (*identity, *labels)),
    )


def _session_gauge(
    name: str, text: str, read: Callable[[SessionHealth], float | None], *, each_poll: bool = False
) -> Family[SessionHealth]:
    def rows(health: SessionHealth) -> Iterable[Row]:
        return row_if_known(read(health))

    return _family(name, "gauge", text, _SESSION, rows=rows, depends_on=read, each_poll=each_poll)


def _session_counter(
    name: str, text: str, read: Callable[[SessionHealth], int], *, each_poll: bool = False
) -> Family[SessionHealth]:
    def rows(health: SessionHealth) -> Iterable[Row]:
        return row_if_known(read(health))

    return _family(name, "counter", text, _SESSION, rows=rows, depends_on=read, each_poll=each_poll)


def _read_gauge(
    name: str, text: str, read: Callable[[ReadHealth], float | None], *, each_poll: bool = False
) -> Family[ReadHealth]:
    def rows(health: ReadHealth) -> Iterable[Row]:
        return row_if_known(read(health))

    return _family(name, "gauge", text, _READ, rows=rows, depends_on=read, each_poll=each_poll)


def _read_counter(
    name: str, text: str, read: Callable[[ReadHealth], int], *, each_poll: bool = False
) -> Family[ReadHealth]:
    def rows(health: ReadHealth) -> Iterable[Row]:
        return row_if_known(read(health))

    return _family(name, "counter", text, _READ, rows=rows, depends_on=read, each_poll=each_poll)


def _versions(health: SessionHealth) -> Iterable[Row]:
    return ((escape(health.version), escape(health.api_version), "1.0"),) if health.version else ()


def _failures(health: ReadHealth) -> Iterable[Row]:
    return [(reason, format_number(health.failures.get(reason, 0))) for reason in get_args(Reason)]


def _unknown_values(health: ReadHealth) -> Iterable[Row]:
    return [(field, format_number(times)) for field, times in sorted(health.unknown_values.items())]


def _histogram(name: str, text: str) -> Family[SessionHealth]:
    """Return a histogram. Its samples have three names, so all of them are in one ``line``, filled by one row."""
    bounds = (*map(format_number, DURATION_BOUNDS_S), "+Inf")
    heads = [f'{name}_bucket{{{{controller="{{_0}}",le="{bound}"}}}}' for bound in bounds]
    heads += [f'{name}_{suffix}{{{{controller="{{_0}}"}}}}' for suffix in ("count", "sum")]
    lines = "".join(f"{head} {{_{place}}}\n" for place, head in enumerate(heads, 1))

    def rows(health: SessionHealth) -> Iterable[Row]:
        polls = [format_number(times) for times in accumulate(health.durations)]
        return ((*polls, polls[-1], format_number(health.durations_sum_s)),)

    return Family(
        name=name,
        kind="histogram",
        help=text,
        identity=("controller",),
        labels=("le",),
        rows=rows,
        each_poll=True,
        line=compile_line(lines, values=len(heads) + 1),
    )


SESSION_FAMILIES: Final = (
    _session_gauge(
        "avi_controller_up",
        "Whether the last poll of the controller was good.",
        lambda h: h.up if h.polls else None,
        each_poll=True,  # the first one
    ),
    _session_gauge(
        "avi_controller_auth_suspended",
        "Whether log-in was refused; it is not tried again until the secret changes, so that no account is locked.",
        lambda h: h.auth_suspended,
    ),
    _session_gauge(
        "avi_controller_upgrade_in_progress",
        "Whether an upgrade keeps the controller from changes, or is the reason why it cannot be polled.",
        lambda h: h.upgrading,
    ),
    _family(
        "avi_controller_info",
        "gauge",
        "The controller's version and the API version it is asked for; the value is always 1.",
        _SESSION,
        "version",
        "api_version",
        rows=_versions,
        depends_on=lambda h: (h.version, h.api_version),
    ),
    _session_gauge(
        "avi_controller_last_poll_attempt_timestamp_seconds",
        "When the last poll began, Unix seconds.",
        lambda h: h.attempted_at,
        each_poll=True,
    ),
    _session_gauge(
        "avi_controller_poll_interval_seconds",
        "Seconds to the next poll: from the start of a good poll, or from the end of a failed one.",
        lambda h: h.interval_s or None,
    ),
    _session_counter(
        "avi_controller_polls_total", "Polls begun and ended, good or bad.", lambda h: h.polls, each_poll=True
    ),
    _histogram("avi_controller_poll_duration_seconds", "How long whole polls took."),
    _session_counter("avi_controller_logins_total", "Log-ins tried.", lambda h: h.logins),
    _session_gauge(
        "avi_controller_tls_certificate_expiry_timestamp_seconds",
        "When the certificate that the controller showed last expires, Unix seconds.",
        lambda h: h.certificate_expires_at,
    ),
    _session_gauge(
        "avi_controller_tls_insecure",
        "Whether the controller's identity is not verified, by configuration.",
        lambda h: h.tls_insecure,
    ),
)

READ_FAMILIES: Final = (
    _read_gauge(
        "avi_controller_stale",
        "Whether the last good read is so old that the series of these objects were withdrawn.",
        lambda h: h.stale,
    ),
    _read_gauge(
        "avi_controller_last_poll_success_timestamp_seconds",
        "When the last good read ended, Unix seconds.",
        lambda h: h.succeeded_at,
        each_poll=True,
    ),
    _family(
        "avi_controller_poll_failures_total",
        "counter",
        "Reads that failed, by reason.",
        _READ,
        "reason",
        rows=_failures,
        depends_on=lambda h: h.failures,
    ),
    _read_counter(
        "avi_controller_bad_objects_total",
        "Objects left out: not decoded, or listed twice; counted again when their bytes change.",
        lambda h: h.bad_objects,
    ),
    _read_counter(
        "avi_controller_series_dropped_total",
        "Series left out of this monitor's exposition to stay within the budgets, added up over polls.",
        lambda h: h.series_dropped,
    ),
    _family(
        "avi_controller_unknown_values_total",
        "counter",
        "Values in objects that this monitor does not know, by field; each counted when the object changes.",
        _READ,
        "field",
        rows=_unknown_values,
        depends_on=lambda h: h.unknown_values,
    ),
)
