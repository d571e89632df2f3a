"""Whether the daemon makes progress, and whether what it exports is complete: asked by probes and the watchdog."""

import asyncio
import time
from collections.abc import Callable

import structlog
from msgspec import Struct

from monitor.metrics.self_metrics import SelfMetrics
from monitor.polling.fleet import Fleet

_INTERVAL_S = 1.0
_STEP_S = 1.0  # a clock that is adjusted slowly moves by less in an interval
_TURNS = 5  # of the event loop; a poller whose timer is due takes three until it has begun its poll
_READY_AFTER_S = 30.0  # a controller that was not even tried by then does not keep the others' metrics from being used

log = structlog.get_logger()


class StallLimits(Struct, frozen=True, kw_only=True):
    """When the daemon counts as stalled, in seconds."""

    tick_age_s: float = 10.0
    """The heartbeat may be this old; an older one means that the event loop or the heartbeat's task does not run."""
    overdue_s: float = 30.0
    """A poller may be this late; no lag of the event loop explains more."""


class Heartbeat:
    """
    A task that ticks once a second on the event loop, and so measures how late the loop is.

    It also notices when the clock is set. ``now``: Unix seconds. ``monotonic``: seconds of a clock that is never set.
    """

    def __init__(
        self, metrics: SelfMetrics, *, now: Callable[[], float], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._metrics = metrics
        self._now = now
        self._monotonic = monotonic  # the event loop's own may be as old as its present iteration
        self._loop = asyncio.get_running_loop()
        self._ticked_at = self._started_at = self._loop.time()
        self._clock_offset = now() - monotonic()

    @property
    def tick_age_s(self) -> float:
        """Seconds since the last tick."""
        return self._loop.time() - self._ticked_at

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return self._loop.time() - self._started_at

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            due = self._loop.time() + _INTERVAL_S
            await asyncio.sleep(_INTERVAL_S)
            self._ticked_at = self._loop.time()
            self._metrics.lagged(max(0.0, self._ticked_at - due))
            self.check_clock()

    def check_clock(self) -> None:
        """Log it if the clock was set since the last time: times before and after are then not comparable."""
        offset = self._now() - self._monotonic()
        by_s, self._clock_offset = offset - self._clock_offset, offset
        if abs(by_s) > _STEP_S:
            log.warning("clock_stepped", by_s=round(by_s, 1))


async def let_overdue_run() -> None:
    """
    Let what became due while something held the event loop run before the caller: the heartbeat and the pollers.

    Otherwise the first to ask afterwards would find them late, although they go on: the watchdog would not be notified
    by a daemon that had just recovered.
    """
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def stall_reason(tick_age_s: float, overdue_s: float, limits: StallLimits) -> str:
    """Say why the daemon has stalled; empty: it has not. The probe shows it to any client, so it has no names."""
    if tick_age_s > limits.tick_age_s:
        return f"no heartbeat for {tick_age_s:.0f} s"
    return f"a poller is overdue by {overdue_s:.0f} s" if overdue_s > limits.overdue_s else ""


def not_ready_reason(fleet: Fleet, *, store: str, uptime_s: float, stopping: bool) -> str:
    """
    Say why the daemon should get no traffic yet; empty: it should. The probe shows it to any client: no names.

    ``store``: why the store is not ready; empty: it is.
    """
    if stopping:
        return "stopping"
    if store:
        return store
    untried = sum(entry.session.attempted_at is None for entry in fleet.entries.values())
    waiting = untried and uptime_s < _READY_AFTER_S
    return f"{untried} of {len(fleet.entries)} controllers not polled yet" if waiting else ""
