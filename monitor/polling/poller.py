"""
The polling loop of one controller: when it is polled, and the health of its session.

    reads.read_all → fleet.publish

The poller is the only writer of its controller's entry in the fleet. A failed poll keeps the last snapshots until
``stale_after``, or ``hold_for`` while the Controllers are upgraded; the next poll is the retry. The poller knows
nothing of HTTP, and of the objects only how often they want a poll.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random  # noqa: TID251  the type of an argument; the command makes the one rng

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
from monitor.polling.reads import AnyTracker, Reads
from monitor.polling.resources import TrackingSettings
from monitor.polling.schedule import PollLimiter, PollWatchdog, interval_after
from monitor.polling.session_health import RenderedSessionHealth


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
        settings: TrackingSettings = TrackingSettings(),  # noqa: B008  frozen
        health: SessionHealth = SessionHealth(),  # noqa: B008  frozen
    ) -> None:
        self._name = name
        self._source = source
        self._fleet = fleet
        self._poll = poll
        self._upgrades = settings.upgrades
        self._limiter = limiter
        self._now = now
        self._rng = rng
        self._log = log
        self._wake = asyncio.Event()
        self._retired = False
        self._watchdog = PollWatchdog()
        self._reads = Reads(name, source, trackers, now=now, log=log, on_expire=self._publish_present)
        self._reads.update_overview(failing=not health.up)
        self._session = RenderedSessionHealth(name, health)
        self._publish(health)

    async def run(self) -> None:
        """Poll until `retire` is called: an interval after the start of a good poll, or the end of a failed one."""
        loop = asyncio.get_running_loop()
        self._reads.keep_for(self._keep_s(self._session.health))
        try:
            await self._limiter.first_polls.wait_for_turn()
            due = loop.time()
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
            self._reads.stop()

    def apply_settings(self, poll: Poll, settings: TrackingSettings, limiter: PollLimiter) -> None:
        """Use these settings from now on; the next poll is due as before."""
        self._poll, self._upgrades, self._limiter = poll, settings.upgrades, limiter
        self._reads.apply_settings(settings)

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
        self._reads.update_annotations()
        self._publish_present()

    def replace_object(self, resource: str, raw: bytes) -> None:
        """Publish this object as it was just read, and `poll_soon`, because it was changed on the controller."""
        self.poll_soon()
        changes = self._reads.replace_object(resource, raw)
        if changes is not None:
            self._publish(self._session.health, changes)

    async def poll_once(self, *, late_s: float) -> None:
        """Poll, count the poll, decide when the next is due, and publish. ``late_s``: how late this one began."""
        loop = asyncio.get_running_loop()
        at, started, before = self._now(), loop.time(), self._session.health
        last_success_at = self._reads.succeeded_at
        if before.under_way:
            self._source.note_upgrade()
        error, changes = await self._reads.read_all(before, self._poll, self._upgrades, at=at)
        took_s, units = loop.time() - started, self._reads.overview
        health = count_poll(before, at=at, took_s=took_s)
        if error:
            health = poll_failed(health, error)
        elif units:
            health = poll_succeeded(health, under_way=units.overview.under_way, blocked=units.overview.blocked)
        else:
            health = poll_succeeded(health)
        keep_s = self._keep_s(health)
        held_until = last_success_at + keep_s if health.away and last_success_at is not None else None
        interval_s = self._interval_s(health, error, at=at)
        self._publish(replace(health, interval_s=interval_s, held_until=held_until), changes)
        self._reads.keep_for(keep_s)
        health = self._session.health  # with what the client knows of the Controller
        poll_log.poll(self._log, before, health, at=at, took_s=took_s, late_s=late_s, last_success_at=last_success_at)

    def _keep_s(self, health: SessionHealth) -> float:
        """For how long objects stand after their last good read: longer while the Controllers are upgraded."""
        hold_s = self._upgrades.hold_for_s if health.under_way else 0.0
        return max(self._poll.stale_after_s, hold_s)

    def _interval_s(self, health: SessionHealth, error: PollError | None, *, at: float) -> float:
        pace_s, max_backoff_s = self._reads.pace_s(self._poll, at=at), self._poll.max_backoff_s
        if health.under_way:
            max_backoff_s = min(max_backoff_s, self._upgrades.return_backoff_s)
        failures = health.failed_in_a_row
        return interval_after(error, failures, self._poll, self._rng, pace_s=pace_s, max_backoff_s=max_backoff_s)

    def _publish_present(self) -> None:
        """Publish the present collections; nothing was polled since."""
        self._publish(self._session.health)

    def _publish(self, health: SessionHealth, changes: tuple[Change, ...] = ()) -> None:
        """Replace the controller's entry in the fleet, with this health and the present collections."""
        self._session.update(health, self._source.link)
        entry = Entry(self._name, self._session.health, self._reads.collections, self._session.pieces)
        if units := self._reads.overview:
            entry = replace(entry, overview=units.overview, overview_pieces=units.pieces)
        self._fleet.publish(entry, changes)
