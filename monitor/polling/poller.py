"""
The polling loop of one controller: when it is polled, the health of its session, and when its objects become stale.

    tracker.read → fleet.publish          (one tracker for each resource, in the order of `RESOURCES`)

The poller is the only writer of its controller's entry in the fleet. A failed poll keeps the last snapshots until
``stale_after``; the next poll is the retry. The poller knows nothing of HTTP. All that it knows of the objects is
whether any is active.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from random import Random  # noqa: TID251  the type of an argument; the command makes the one rng
from typing import Any

from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from monitor.avi.client import POLL_TIMEOUT_FACTOR
from monitor.config.settings import Poll
from monitor.model.errors import PollError
from monitor.model.health import SessionHealth
from monitor.model.snapshot import Change
from monitor.polling import poll_log
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.health import count_poll, poll_failed, poll_succeeded
from monitor.polling.ports import Source
from monitor.polling.schedule import PollLimiter, PollWatchdog, Timer, interval_after
from monitor.polling.session_health import RenderedSessionHealth
from monitor.polling.tracker import Tracker, TrackingSettings

AnyTracker = Tracker[Any]


class Poller:
    """
    Polls one controller, and publishes the result. A poll is good if the read by the first tracker succeeds.

    Publishes its first entry when it is made. ``now``: Unix seconds; intervals are by the event loop's clock.
    ``health``: from the poller that this one replaces.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        fleet: Fleet,
        trackers: Sequence[AnyTracker],
        *,
        poll: Poll,
        limiter: PollLimiter,
        now: Callable[[], float],
        rng: Random,
        log: FilteringBoundLogger,
        health: SessionHealth = SessionHealth(),  # noqa: B008  frozen
    ) -> None:
        self._name = name
        self._source = source
        self._fleet = fleet
        self._trackers = {tracker.resource.name: tracker for tracker in trackers}
        self._first = trackers[0]
        self._poll = poll
        self._limiter = limiter
        self._now = now
        self._rng = rng
        self._log = log
        self._wake = asyncio.Event()
        self._retired = False
        self._watchdog = PollWatchdog()
        self._expiries = {name: Timer(partial(self._expire, name)) for name in self._trackers}
        self._session = RenderedSessionHealth(name, health)
        self._publish(health)

    async def run(self, *, first_in_s: float) -> None:
        """Poll until `retire` is called: an interval after the start of a good poll, or the end of a failed one."""
        loop = asyncio.get_running_loop()
        due = loop.time() + first_in_s
        for expiry in self._expiries.values():
            expiry.start(self._poll.stale_after_s)
        try:
            while True:
                self._watchdog.set_idle(until=due)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._wake.wait()
                self._wake.clear()
                if self._retired:
                    return
                pool = self._limiter.pool_for(self._session.health)
                self._watchdog.set_queued(pool, limit_s=POLL_TIMEOUT_FACTOR * self._poll.timeout_s)
                async with self._limiter.slot(pool, lambda: self._source.received):
                    self._watchdog.set_polling()
                    started = loop.time()
                    await self.poll_once(late_s=max(0.0, started - due))
                health = self._session.health
                due = max(loop.time(), (started if health.up else loop.time()) + health.interval_s)
        finally:
            self._watchdog.set_idle(until=loop.time())  # a poller that ended unexpectedly is overdue from now on
            for expiry in self._expiries.values():
                expiry.cancel()

    def apply_settings(self, poll: Poll, tracking: TrackingSettings, limiter: PollLimiter) -> None:
        """Use these settings from now on; the next poll is due as before."""
        self._poll, self._limiter = poll, limiter
        for tracker in self._trackers.values():
            tracker.apply_settings(tracking)

    @property
    def overdue_s(self) -> float:
        """For how long the loop has been stuck; 0 while it runs, even if polls fail."""
        return self._watchdog.overdue_s

    def poll_soon(self) -> None:
        """Poll as soon as a slot is free, because something was changed on the controller."""
        self._wake.set()

    def retire(self) -> None:
        """Stop polling, after the poll under way: a log-in that is cancelled leaves a session on the Controller."""
        self._retired = True
        self._wake.set()

    def update_annotations(self) -> None:
        """Render the current annotations, and publish them."""
        for tracker in self._trackers.values():
            tracker.update_annotations(at=self._now())
        self._publish(self._session.health)

    def replace_object(self, resource: str, raw: bytes) -> None:
        """Publish this object as it was just read, and `poll_soon`, because it was changed on the controller."""
        self.poll_soon()
        changes = self._trackers[resource].replace_object(raw, at=self._now())
        if changes is not None:
            self._publish(self._session.health, changes)

    async def poll_once(self, *, late_s: float) -> None:
        """Poll, count the poll, decide when the next is due, and publish. ``late_s``: how late this one began."""
        loop = asyncio.get_running_loop()
        at, started = self._now(), loop.time()
        error: PollError | None = None
        changes: tuple[Change, ...] = ()
        for tracker in self._trackers.values():
            failure, found = await self._read(tracker, at=at)
            changes += found
            if tracker is self._first and failure:
                error = failure
                break
        before, took_s = self._session.health, loop.time() - started
        health = count_poll(before, at=at, took_s=took_s)
        health = poll_failed(health, error) if error else poll_succeeded(health)
        active = any(tracker.active for tracker in self._trackers.values())
        interval_s = interval_after(error, health.failed_in_a_row, self._poll, self._rng, active=active)
        self._publish(replace(health, interval_s=interval_s), changes)
        since = self._first.collection.health.succeeded_at
        poll_log.poll(self._log, before, self._session.health, took_s=took_s, late_s=late_s, last_success_at=since)

    async def _read(self, tracker: AnyTracker, *, at: float) -> tuple[PollError | None, tuple[Change, ...]]:
        """Read the objects of one resource, and record the result in its health."""
        first = tracker.never_read
        try:
            changes = await tracker.read(self._source, at=at)
        except PollError as failure:
            error = failure
        except Exception as bug:  # noqa: BLE001  a bug must not stop the loop: README, decision 5
            self._log.exception("poll_exception")
            error = PollError("internal", type(bug).__name__)
        else:
            tracker.succeed(at=self._now())
            self._expiries[tracker.resource.name].start(self._poll.stale_after_s)
            poll_log.objects(self._log, tracker.resource.name, changes, first=first)
            return None, changes
        tracker.fail(error.reason)
        return error, ()

    def _publish(self, health: SessionHealth, changes: tuple[Change, ...] = ()) -> None:
        """Replace the controller's entry in the fleet, with this health and the trackers' present collections."""
        self._session.update(health, self._source.link)
        collections = {name: tracker.collection for name, tracker in self._trackers.items()}
        self._fleet.publish(Entry(self._name, self._session.health, collections, self._session.pieces), changes)

    def _expire(self, resource: str) -> None:
        """Withdraw the objects of a resource, because no read of it has succeeded for ``stale_after``."""
        self._trackers[resource].expire()
        self._publish(self._session.health)
        last_success_at = self._trackers[resource].collection.health.succeeded_at
        self._log.warning("controller_stale", resource=resource, last_success_at=last_success_at)
