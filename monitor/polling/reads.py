"""
The reads of one controller: what a poll reads, why it failed, and until when the objects stand.

    tracker.read → overview.update          (one tracker for each resource, in the order of `RESOURCES`)

Knows neither when the controller is polled nor the fleet.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from structlog.typing import FilteringBoundLogger

from monitor.config.settings import Poll, Upgrades
from monitor.model.errors import PollError
from monitor.model.health import SessionHealth
from monitor.model.snapshot import Change
from monitor.model.tracked import Tracked
from monitor.polling import poll_log, schedule
from monitor.polling.fleet import Collection
from monitor.polling.health import excuse
from monitor.polling.overview import RenderedOverview
from monitor.polling.ports import Source
from monitor.polling.rare_read import RareRead
from monitor.polling.resources import TrackingSettings
from monitor.polling.schedule import ReadPause, Timer
from monitor.polling.tracker import Tracker

AnyTracker = Tracker[Any]


class Reads:
    """
    ``trackers``: the first decides whether a poll is good, and is read at every poll. ``now``: Unix seconds.

    ``on_expire``: called after the objects of a resource were withdrawn, because no read was good for too long.
    ``overview``: of the units; None if they are not watched.
    """

    def __init__(
        self,
        controller: str,
        source: Source,
        trackers: Sequence[AnyTracker],
        *,
        now: Callable[[], float],
        log: FilteringBoundLogger,
        on_expire: Callable[[], None],
    ) -> None:
        self._source = source
        self._trackers = {tracker.resource.name: tracker for tracker in trackers}
        self._first = trackers[0]
        self._now = now
        self._log = log
        self._on_expire = on_expire
        self._expiries = {name: Timer(partial(self._expire, name)) for name in self._trackers}
        self._read_at = dict.fromkeys(self._trackers, asyncio.get_running_loop().time())
        """When each resource was last read, or these began; by the event loop's clock."""
        self._pauses = {tracker.resource.name: ReadPause() for tracker in trackers[1:]}
        self._failing = False
        self._images_in_use = RareRead("image_inventory", source.list_images_in_use, log)
        self._nodes = RareRead("cluster_runtime", source.get_nodes, log)
        self.overview = RenderedOverview(controller) if "upgrade" in self._trackers else None

    @property
    def collections(self) -> Mapping[str, Collection[Tracked]]:
        """What is known of the objects, by name of the resource."""
        return {name: tracker.collection for name, tracker in self._trackers.items()}

    @property
    def succeeded_at(self) -> float | None:
        """When a poll was last good, Unix seconds."""
        return self._first.collection.health.succeeded_at

    def apply_settings(self, settings: TrackingSettings) -> None:
        """Use these settings from now on; the next poll reads every resource."""
        for tracker in self._trackers.values():
            tracker.apply_settings(settings)
        for pause in self._pauses.values():
            pause.end()

    async def read_all(
        self, session: SessionHealth, poll: Poll, upgrades: Upgrades, *, at: float
    ) -> tuple[PollError | None, tuple[Change, ...]]:
        """
        Read the resources that are due. Returns: why the poll failed, and the changes.

        ``session``: before the poll. ``at``: when it began, Unix seconds. Each ``full_interval`` of the upgrades the
        state of the nodes is read, or, where the units cannot be read, the Controller's own inventory.
        """
        summaries_given_up = self._source.units.given_up
        error, changes = await self._read(self._first, session, at=at)
        for name, pause in self._pauses.items() if error is None else ():
            if session.away or pause.is_over(version=self._source.link.version):
                failure, found = await self._read(self._trackers[name], session, at=at)
                pause.note(failure, version=self._source.link.version, idle_interval_s=poll.idle_interval_s)
                changes += found
        if error is None and self.overview:
            unreadable = self._trackers["upgrade"].collection.health.readable is False
            await self._images_in_use.update(wanted=unreadable, interval_s=upgrades.full_interval_s)
            # another node may lead after the Controllers were away
            await self._nodes.update(wanted=not unreadable and not session.away, interval_s=upgrades.full_interval_s)
        for tracker in self._trackers.values():
            tracker.drop_overdue(at=at)
        self.update_overview(failing=error is not None)
        if self._source.units.given_up > summaries_given_up:
            self._log.warning("upgrade_summary_unusable", version=self._source.link.version)
        return error, changes

    def pace_s(self, poll: Poll, *, at: float) -> float:
        """Return the interval of polls that the objects ask for while all goes well. ``at``: Unix seconds."""
        snapshots = (tracker.collection.snapshot for tracker in self._trackers.values())
        return schedule.pace_s(snapshots, poll, at=at)

    def replace_object(self, resource: str, raw: bytes) -> tuple[Change, ...] | None:
        """As `Tracker.replace_object`."""
        return self._trackers[resource].replace_object(raw, at=self._now())

    def update_annotations(self) -> None:
        """Render the annotations as they are now."""
        for tracker in self._trackers.values():
            tracker.update_annotations(at=self._now())

    def update_overview(self, *, failing: bool) -> None:
        """Compute what all units amount to. ``failing``: whether the last poll failed."""
        self._failing = failing
        if self.overview:
            images, units = (self._trackers[name].collection for name in ("image", "upgrade"))
            self.overview.update(
                images,
                units,
                self._trackers["upgrade"].typical,
                cluster_uuid=self._source.units.cluster_uuid,
                images_in_use=self._images_in_use.value or {},
                nodes=self._nodes.value,
                failing=failing,
                at=self._now(),
            )

    def keep_for(self, keep_s: float) -> None:
        """Let the objects of each resource expire so long after its last good read; what cannot be read does not."""
        for name, expiry in self._expiries.items():
            health = self._trackers[name].collection.health
            if health.stale or health.readable is False:
                expiry.cancel()
            else:
                expiry.start(self._read_at[name] + keep_s - asyncio.get_running_loop().time())

    def stop(self) -> None:
        """Let nothing expire any more."""
        for expiry in self._expiries.values():
            expiry.cancel()

    async def _read(
        self, tracker: AnyTracker, session: SessionHealth, *, at: float
    ) -> tuple[PollError | None, tuple[Change, ...]]:
        """Read the objects of one resource, and record the result in its health."""
        name, first = tracker.resource.name, tracker.never_read
        try:
            changes = await tracker.read(self._source, at=at, returned=session.away)
        except PollError as failure:
            error = excuse(failure) if session.under_way else failure
        except Exception as bug:  # noqa: BLE001  a bug must not stop the loop: decision 5
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

    def _expire(self, resource: str) -> None:
        self._trackers[resource].expire()
        self.update_overview(failing=self._failing)
        last_success_at = self._trackers[resource].collection.health.succeeded_at
        self._log.warning("controller_stale", resource=resource, last_success_at=last_success_at)
        self._on_expire()
