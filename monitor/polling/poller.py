"""
The polling loop of one controller: when it is polled, the health of its session, and when its objects become stale.

    tracker.read → overview.update → fleet.publish          (one tracker for each resource, in the order of `RESOURCES`)

The poller is the only writer of its controller's entry in the fleet. A failed poll keeps the last snapshots until
``stale_after``, or ``hold_for`` while the Controllers are upgraded; the next poll is the retry. The poller knows
nothing of HTTP.
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
from monitor.polling.health import count_poll, excuse, poll_failed, poll_succeeded
from monitor.polling.overview import RenderedOverview
from monitor.polling.ports import Source
from monitor.polling.resources import TrackingSettings
from monitor.polling.schedule import PollLimiter, PollWatchdog, ReadPause, Timer, interval_after, pace_s
from monitor.polling.session_health import RenderedSessionHealth
from monitor.polling.tracker import Tracker

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
        settings: TrackingSettings = TrackingSettings(),  # noqa: B008  frozen
        health: SessionHealth = SessionHealth(),  # noqa: B008  frozen
    ) -> None:
        self._name = name
        self._source = source
        self._fleet = fleet
        self._trackers = {tracker.resource.name: tracker for tracker in trackers}
        self._first = trackers[0]
        self._poll = poll
        self._upgrades = settings.upgrades
        self._limiter = limiter
        self._now = now
        self._rng = rng
        self._log = log
        self._wake = asyncio.Event()
        self._retired = False
        self._watchdog = PollWatchdog()
        self._expiries = {name: Timer(partial(self._expire, name)) for name in self._trackers}
        self._read_at = dict.fromkeys(self._trackers, asyncio.get_running_loop().time())
        """When each resource was last read, or this poller was made; by the event loop's clock."""
        self._pauses = {tracker.resource.name: ReadPause() for tracker in trackers[1:]}
        self._session = RenderedSessionHealth(name, health)
        self._overview = RenderedOverview(name) if "upgrade" in self._trackers else None
        self._update_overview(failing=not health.up)
        self._publish(health)

    async def run(self, *, first_in_s: float) -> None:
        """Poll until `retire` is called: an interval after the start of a good poll, or the end of a failed one."""
        loop = asyncio.get_running_loop()
        due = loop.time() + first_in_s
        self._start_expiries()
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

    def apply_settings(self, poll: Poll, settings: TrackingSettings, limiter: PollLimiter) -> None:
        """Use these settings from now on; the next poll is due as before, and reads every resource."""
        self._poll, self._upgrades, self._limiter = poll, settings.upgrades, limiter
        for tracker in self._trackers.values():
            tracker.apply_settings(settings)
        for pause in self._pauses.values():
            pause.end()

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
        at, started, before = self._now(), loop.time(), self._session.health
        summaries_given_up = self._source.units.given_up
        last_success_at = self._first.collection.health.succeeded_at
        if before.under_way:
            self._source.note_upgrade()
        error, changes = await self._read(self._first, at=at, returned=before.away)
        for name, pause in self._pauses.items() if error is None else ():
            if pause.is_over(version=self._source.link.version):
                failure, found = await self._read(self._trackers[name], at=at, returned=before.away)
                pause.note(failure, version=self._source.link.version, idle_interval_s=self._poll.idle_interval_s)
                changes += found
        took_s = loop.time() - started
        self._update_overview(failing=error is not None)
        health = count_poll(before, at=at, took_s=took_s)
        if error:
            health = poll_failed(health, error)
        else:
            under_way, blocked = (
                (self._overview.under_way, self._overview.blocked) if self._overview else (False, False)
            )
            health = poll_succeeded(health, under_way=under_way, blocked=blocked)
        self._publish(replace(health, interval_s=self._interval_s(health, error, at=at)), changes)
        self._start_expiries()
        poll_log.poll(
            self._log,
            before,
            self._session.health,
            at=at,
            took_s=took_s,
            late_s=late_s,
            last_success_at=last_success_at,
        )
        if self._source.units.given_up > summaries_given_up:
            self._log.warning("upgrade_summary_unusable", version=self._source.link.version)

    async def _read(
        self, tracker: AnyTracker, *, at: float, returned: bool
    ) -> tuple[PollError | None, tuple[Change, ...]]:
        """
        Read the objects of one resource, and record the result in its health.

        ``returned``: as in `Tracker.read`.
        """
        name, first = tracker.resource.name, tracker.never_read
        try:
            changes = await tracker.read(self._source, at=at, returned=returned)
        except PollError as failure:
            error = excuse(failure) if self._session.health.under_way else failure
        except Exception as bug:  # noqa: BLE001  a bug must not stop the loop: README, decision 5
            self._log.exception("poll_exception")
            error = PollError("internal", type(bug).__name__)
        else:
            tracker.succeed(at=self._now())
            self._read_at[name] = asyncio.get_running_loop().time()
            poll_log.objects(self._log, name, changes, first=first)
            return None, changes
        if tracker is not self._first:
            poll_log.read_failed(self._log, name, error, before=tracker.collection.health.reason)
        tracker.fail(error.reason)
        return error, ()

    def _interval_s(self, health: SessionHealth, error: PollError | None, *, at: float) -> float:
        snapshots = [tracker.collection.snapshot for tracker in self._trackers.values()]
        max_backoff_s = self._poll.max_backoff_s
        if health.under_way:
            max_backoff_s = min(max_backoff_s, self._upgrades.return_backoff_s)
        return interval_after(
            error,
            health.failed_in_a_row,
            self._poll,
            self._rng,
            pace_s=pace_s(snapshots, self._poll, at=at),
            max_backoff_s=max_backoff_s,
        )

    def _update_overview(self, *, failing: bool) -> None:
        if self._overview:
            images, units = (self._trackers[name].collection for name in ("image", "upgrade"))
            self._overview.update(images, units, cluster_uuid=self._source.units.cluster_uuid, failing=failing)

    def _publish(self, health: SessionHealth, changes: tuple[Change, ...] = ()) -> None:
        """Replace the controller's entry in the fleet, with this health and the trackers' present collections."""
        self._session.update(health, self._source.link)
        collections = {name: tracker.collection for name, tracker in self._trackers.items()}
        entry = Entry(self._name, self._session.health, collections, self._session.pieces)
        if self._overview:
            entry = replace(entry, overview=self._overview.overview, overview_pieces=self._overview.pieces)
        self._fleet.publish(entry, changes)

    def _start_expiries(self) -> None:
        """Let the objects of a resource expire after its last good read; later while the Controllers are upgraded."""
        keep_s = self._poll.stale_after_s
        if self._session.health.under_way:
            keep_s = max(keep_s, self._upgrades.hold_for_s)
        for name, expiry in self._expiries.items():
            health = self._trackers[name].collection.health
            if health.stale or health.readable is False:
                expiry.cancel()
            else:
                expiry.start(self._read_at[name] + keep_s - asyncio.get_running_loop().time())

    def _expire(self, resource: str) -> None:
        """Withdraw the objects of a resource, because no read of it has succeeded for too long."""
        self._trackers[resource].expire()
        self._update_overview(failing=not self._session.health.up)
        self._publish(self._session.health)
        last_success_at = self._trackers[resource].collection.health.succeeded_at
        self._log.warning("controller_stale", resource=resource, last_success_at=last_success_at)
