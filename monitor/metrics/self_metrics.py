"""The daemon's own metrics, a few dozen series; prometheus-client keeps and renders them."""

from collections import deque
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from monitor import __version__
from monitor.model.outcome import OUTCOME_KINDS, OutcomeKind

_LAGS = 60  # measurements, one a second: with one scrape a minute, no lag is missed
_REQUEST_BOUNDS_S = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0)

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double every counter in the text format, for nothing that Prometheus uses


class SelfMetrics:
    """
    One registry, and its metrics as attributes, which the rest of the daemon sets and increments.

    OpenMetrics also shows the id of the last request of a bucket, and of the last PATCH with an outcome, as exemplars:
    it leads to the log and the audit.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.reload_successful = self._gauge(
            "config_last_reload_successful", "Whether the configuration was good when it was read last."
        )
        self.reload_success_at = self._gauge(
            "config_last_reload_success_timestamp_seconds", "When a good configuration was read last, Unix seconds."
        )
        self.store_up = self._gauge(
            "store_up", "Whether the database answers; also 1 while another daemon writes to it."
        )
        self.writer = self._gauge("writer", "Whether this daemon holds the lock on the database, and so can change it.")
        self.event_readers = self._gauge("event_readers", "How many clients read the event stream at present.")
        self.auth_failures = Counter(
            "avi_upgrade_monitor_auth_failures_total",
            "Requests rejected because their credentials were unknown, or unchecked after too many failures.",
            registry=self.registry,
        )
        self._patches = Counter(
            "avi_upgrade_monitor_patches_total",
            "PATCH requests that were carried out or refused on the way, by outcome.",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in OUTCOME_KINDS:
            self._patches.labels(outcome)  # so that each exists at 0 from the start
        self.audit_write_failures = Counter(
            "avi_upgrade_monitor_audit_write_failures_total",
            "Audit records that could not be written at once.",
            registry=self.registry,
        )
        self._requests = Histogram(
            "avi_upgrade_monitor_http_request_duration_seconds",
            "How long requests to this monitor took, by route.",
            ("route", "method", "code"),
            buckets=_REQUEST_BOUNDS_S,
            registry=self.registry,
        )
        self._lags: deque[float] = deque([0.0], maxlen=_LAGS)
        self._gauge("event_loop_lag_seconds", "The longest lag of the event loop in the last minute.").set_function(
            lambda: max(self._lags)
        )
        build = Gauge(
            "avi_upgrade_monitor_build_info",
            "The version that runs; the value is always 1.",
            ("version",),
            registry=self.registry,
        )
        build.labels(version=__version__).set(1)

    def patched(self, outcome: OutcomeKind, request_id: str) -> None:
        """Count one PATCH by its outcome."""
        self._patches.labels(outcome).inc(exemplar={"request_id": request_id})

    def requested(self, route: str, method: str, status: int, duration_s: float, request_id: str) -> None:
        """Record how long a request took."""
        self._requests.labels(route, method, str(status)).observe(duration_s, exemplar={"request_id": request_id})

    def lagged(self, lag_s: float) -> None:
        """Record by how much one tick of the event loop was late."""
        self._lags.append(lag_s)

    def render(self, *, openmetrics: bool) -> bytes:
        """Return all of it as exposition text; as OpenMetrics with the final ``# EOF``."""
        generate: Callable[[CollectorRegistry], bytes] = generate_openmetrics if openmetrics else generate_latest
        return generate(self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"avi_upgrade_monitor_{name}", text, registry=self.registry)
