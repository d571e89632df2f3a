"""The daemon's own metrics, kept and rendered by prometheus-client: a few dozen series beside thousands of images."""

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

_LAGS = 60  # beats, one a second: a scrape a minute misses no stall
_REQUEST_BOUNDS_S = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0)

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double every counter in the text format, for nothing that Prometheus uses


class SelfMetrics:
    """One registry; the attributes are set where what they tell happens."""

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
        self.store_up = self._gauge("store_up", "Whether the database did what it was asked last.")
        self.event_readers = self._gauge("event_readers", "How many follow the events at present.")
        self.auth_failures = Counter(
            "avi_upgrade_monitor_auth_failures_total",
            "Requests refused because their credentials were not known, or not looked at after too many such.",
            registry=self.registry,
        )
        self._patches = Counter(
            "avi_upgrade_monitor_patches_total",
            "PATCHes that came to be carried out, by outcome.",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in OUTCOME_KINDS:
            self._patches.labels(outcome)  # each is there, at 0, from the start
        self.audit_write_failures = Counter(
            "avi_upgrade_monitor_audit_write_failures_total",
            "Writes of the audit that the database did not take at once.",
            registry=self.registry,
        )
        self.requests = Histogram(
            "avi_upgrade_monitor_http_request_duration_seconds",
            "How long answers of this monitor took, by route.",
            ("route", "method", "code"),
            buckets=_REQUEST_BOUNDS_S,
            registry=self.registry,
        )
        self._lags: deque[float] = deque([0.0], maxlen=_LAGS)
        self._gauge(
            "event_loop_lag_seconds", "The longest of the last minute for which the event loop was late."
        ).set_function(lambda: max(self._lags))
        build = Gauge(
            "avi_upgrade_monitor_build_info",
            "The version that runs; the value is always 1.",
            ("version",),
            registry=self.registry,
        )
        build.labels(version=__version__).set(1)

    def patched(self, outcome: OutcomeKind) -> None:
        """One PATCH ended so."""
        self._patches.labels(outcome).inc()

    def lagged(self, lag_s: float) -> None:
        """One beat came so much too late."""
        self._lags.append(lag_s)

    def render(self, *, openmetrics: bool) -> bytes:
        """All of it as exposition text; as OpenMetrics with the final ``# EOF``."""
        generate: Callable[[CollectorRegistry], bytes] = generate_openmetrics if openmetrics else generate_latest
        return generate(self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"avi_upgrade_monitor_{name}", text, registry=self.registry)
