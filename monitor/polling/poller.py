"""
The read path: one loop a controller, which polls, and publishes what it learned.

    bytes → decode_image → progress.follow → render.portray → fleet.publish

An annotation takes the end of the same way at once, without waiting for a poll. Owns its controller's entry in the
fleet, being its only writer. A failed poll keeps the last snapshot until ``stale_after``; the next poll is the retry.
Knows no HTTP.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random  # noqa: TID251  the type of an argument; app.py makes the one there is
from typing import Protocol

import structlog
from msgspec import Raw
from msgspec.structs import replace

from monitor.avi.client import MAX_REQUESTS_PER_POLL, Link
from monitor.avi.image import decode_image
from monitor.config.settings import Events, Poll
from monitor.metrics import render
from monitor.metrics.controller import CONTROLLER_FAMILIES
from monitor.metrics.family import DETAIL, NODE, Subject
from monitor.metrics.image import IMAGE_FAMILIES
from monitor.metrics.pieces import EMPTY, Piece, again, renew
from monitor.model.errors import BadImage, PollError
from monitor.model.health import Health
from monitor.model.image import Image, ProgressMark, TrackedImage, UploadProgress
from monitor.model.snapshot import Change, ImageList, Snapshot
from monitor.polling import changes as track_changes
from monitor.polling import eta, poll_log
from monitor.polling import health as healths
from monitor.polling.eta import CompletedUpload, TypicalDurations
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.schedule import PollLimiter, PollWatchdog, backoff_s

_BREATH_S = 0.005  # how long a poll works at a stretch before others have the loop

_NOTHING: Mapping[str, str] = {}  # one and the same, so that identity tells whether annotations changed

_NO_IMAGES = (EMPTY,) * len(IMAGE_FAMILIES)
_HEALTH_UNCHANGED = (None,) * len(CONTROLLER_FAMILIES)


class ImageSource(Protocol):
    """What a poller needs of a controller's client."""

    link: Link

    async def list_images(self, before: ImageList) -> ImageList:
        """Read all images, or give ``before`` back when not a byte of them changed. Raises: PollError."""


class ProgressMarks(Protocol):
    """Where the marks of a controller's images outlive the process."""

    def of(self, controller: str) -> Mapping[str, ProgressMark]:
        """The marks by image uuid."""

    def settle(self, controller: str, marks: Mapping[str, ProgressMark]) -> None:
        """Remember these, and forget all others of the controller."""


class UploadHistory(Protocol):
    """What is known of uploads that are over."""

    def typical(self, controller: str, kind: str) -> TypicalDurations:
        """What earlier uploads of this kind have in common there."""

    def record(self, controller: str, image: Image, upload: CompletedUpload) -> None:
        """One more is complete."""


class AnnotationSource(Protocol):
    """Where the annotations of images are kept."""

    def annotations_of(self, controller: str) -> Mapping[str, Mapping[str, str]]:
        """Those of the controller's images by uuid; an inner mapping is replaced when it changes."""


class Poller:
    """The loop of one controller. ``now``: Unix seconds; intervals are measured on the event loop's own clock."""

    def __init__(
        self,
        name: str,
        source: ImageSource,
        fleet: Fleet,
        marks: ProgressMarks,
        notes: AnnotationSource,
        *,
        past: UploadHistory,
        poll: Poll,
        events: Events,
        exported: frozenset[str] = frozenset(),
        slots: PollLimiter,
        now: Callable[[], float],
        rng: Random,
        tls_insecure: bool = False,
        known: Entry | None = None,
    ) -> None:
        self._source = source
        self._fleet = fleet
        self._marks = marks
        self._notes = notes
        self._past = past
        self._exported = exported
        self._nudged = asyncio.Event()
        self._retired = False
        self._overtaken = False
        """Whether something is on display that is newer than the listing that is being read."""
        self._poll = poll
        self._events = events
        self._slots = slots
        self._pulse = PollWatchdog()
        self._now = now
        self._rng = rng
        self._log = structlog.get_logger().bind(controller=name)
        self._dropped = 0
        self._breath_ends = 0.0
        self._expiry: asyncio.TimerHandle | None = None
        self._shown = Health(tls_insecure=tls_insecure)  # what the pieces say of our health
        self._afresh = known is not None
        """Whether all images are to be rendered anew at the next poll, whatever came of them."""
        pieces = renew((), render.render_health(name, self._shown))
        self._entry = Entry(name, Snapshot(), self._shown, _NO_IMAGES + pieces)
        if known:  # the same controller, as it was watched with other settings
            images = known.pieces[: len(_NO_IMAGES)]
            self._entry = replace(self._entry, snapshot=known.snapshot, pieces=images + pieces)
        self._publish(replace(known.health, tls_insecure=tls_insecure) if known else self._shown)

    async def run(self, *, first_in_s: float) -> None:
        """Poll until retired. A poll is due an interval after the *start* of the one before: so starts stay spread."""
        loop = asyncio.get_running_loop()
        due = loop.time() + first_in_s
        self._expire_later()
        try:
            while True:
                self._pulse.rests(until=due)
                await self._pause(until=due)
                if self._retired:
                    return
                pool = self._slots.of(self._entry.health)
                self._pulse.queues(pool, limit_s=MAX_REQUESTS_PER_POLL * self._poll.timeout_s)
                async with pool:
                    self._pulse.polls()
                    started = loop.time()
                    await self._poll_once(late_s=max(0.0, started - due))
                health = self._entry.health  # after a failure the wait is ours, or what the Controller asked for
                due = max(loop.time(), (started if health.up else loop.time()) + health.interval_s)
        finally:
            self._pulse.rests(until=loop.time())  # whoever still counts on us is to notice
            self._cancel_expiry()

    async def _pause(self, *, until: float) -> None:
        """Wait for the time of the event loop, or for a nudge."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._nudged.wait()
        self._nudged.clear()

    def renew(self, poll: Poll, events: Events, exported: frozenset[str], slots: PollLimiter) -> None:
        """Go by these settings from now on; the next poll comes when it was due."""
        self._afresh |= (events, exported) != (self._events, self._exported)
        self._poll, self._events, self._exported, self._slots = poll, events, exported, slots

    @property
    def overdue_s(self) -> float:
        """For how long the loop has stood still when it should have gone on; a poll that fails goes on."""
        return self._pulse.overdue_s

    def nudge(self) -> None:
        """Poll now: something was changed on the controller."""
        self._nudged.set()

    def retire(self) -> None:
        """Poll no more, once the poll that is under way has ended: cut off, a log-in would leave a session behind."""
        self._retired = True
        self._nudged.set()

    def annotated(self) -> None:
        """Show the annotations as they are now, at once."""
        self._draw_annotations()
        self._fleet.publish(self._entry)

    async def _poll_once(self, *, late_s: float) -> None:
        """One poll, good or bad, counted and published."""
        loop = asyncio.get_running_loop()
        at, started = self._now(), loop.time()
        before = self._entry.health
        error: PollError | None = None
        changes: tuple[Change, ...] = ()
        self._overtaken = False
        try:
            listing = await self._source.list_images(self._entry.snapshot.listing)
            changes = await self._learn(listing, at=at)
        except PollError as failure:
            error = failure
        except Exception as bug:  # noqa: BLE001  decision 5: the one place; a bug of ours must not stop the loop
            self._log.exception("poll_bug")
            error = PollError("internal", type(bug).__name__)
        took_s = loop.time() - started
        self._conclude(error, changes, at=at, took_s=took_s)
        poll_log.poll(self._log, before, self._entry.health, took_s=took_s, late_s=late_s)
        poll_log.images(self._log, changes, first=before.succeeded_at is None)

    async def _learn(self, listing: ImageList, *, at: float) -> tuple[Change, ...]:
        """
        A complete listing came: read what is new of it, and take it for the truth. Published by the caller.

        Nothing of it is taken when it is older than what `replaced` put on display; the poll that was nudged tells.
        """
        known = self._entry.snapshot
        unchanged = listing is known.listing and at < known.detail_ends_at and not self._entry.health.stale
        if self._is_old() or (unchanged and not self._afresh):
            return ()
        afresh, self._afresh = self._afresh, False
        snapshot, health = await self._read(listing, at=at, afresh=afresh)
        pieces = await self._draw(snapshot)
        if self._is_old():  # since we began to read it
            self._afresh |= afresh
            return ()
        self._entry = replace(self._entry, snapshot=snapshot, health=health, pieces=pieces)
        self._draw_annotations()  # those that came while we read
        kept = self._marks.of(self._entry.name)
        unreadable = {uuid: kept[uuid] for uuid in snapshot.bad if uuid in kept}  # it may be mended, and not have moved
        marks = {uuid: track.mark for uuid, track in snapshot.images.items()}
        self._marks.settle(self._entry.name, unreadable | marks)
        return track_changes.changes(known.images, snapshot.images)

    def _is_old(self) -> bool:
        """Whether the listing in hand would undo what is on display; images that are withdrawn are not."""
        return self._overtaken and not self._entry.health.stale

    async def _read(self, listing: ImageList, *, at: float, afresh: bool) -> tuple[Snapshot, Health]:
        """Snapshot and counts after a listing. An image whose bytes are what they were is kept, undecoded."""
        known, marks = self._entry.snapshot, self._marks.of(self._entry.name)
        images: dict[str, TrackedImage] = {}
        bad: dict[str, str] = {}
        unknown: list[str] = []
        for uuid, raw in listing.raws.items():
            track = known.images.get(uuid)
            try:
                if afresh or known.listing.raws.get(uuid) != raw:
                    images[uuid] = self._read_image(raw, track, marks.get(uuid), unknown, at=at)
                elif track:
                    images[uuid] = _without_old_detail(track, at=at)
            except BadImage as error:
                bad[uuid] = str(error)
            await self._breathe()
        unidentified = listing.unidentified if listing is not known.listing else 0
        newly_nameless = unidentified if not known.listing.unidentified else 0
        poll_log.bad_images(self._log, {u: bad[u] for u in bad if u not in known.bad}, unidentified=newly_nameless)
        health = self._entry.health
        health = replace(
            health,
            bad_images=health.bad_images + len(bad) + unidentified,
            unknown_values=healths.count(health.unknown_values, unknown),
        )
        return track_changes.snapshot(listing, images, frozenset(listing.raws.keys() - images.keys()), at=at), health

    def _read_image(
        self, raw: Raw, known: TrackedImage | None, mark: ProgressMark | None, unknown: list[str], *, at: float
    ) -> TrackedImage:
        """The whole way of one image. ``mark``: the database's. Its events are let go once they are rendered."""
        image, strange = decode_image(raw)
        unknown.extend(strange)
        mark = known.mark if known else mark
        track = track_changes.follow(image, mark, at=at, detail_for_s=self._events.detail_for_s)
        course = self._foresee(image, known, at=at, moved=track.mark is not mark)
        annotations = self._notes.annotations_of(self._entry.name).get(image.uuid, _NOTHING)
        portrait = render.render_image(
            self._entry.name,
            Subject(image, track.mark.changed_at, annotations, self._exported),
            tiers=DETAIL if track.detail_until > at else NODE,
            most=self._events.max_series_per_image,
        )
        return replace(
            track, image=replace(image, events=()), course=course, portrait=portrait, annotations=annotations
        )

    def _foresee(self, image: Image, known: TrackedImage | None, *, at: float, moved: bool) -> UploadProgress | None:
        """Learn from an upload that is complete; of one under way, tell how it goes."""
        if image.state == "completed" and (moved or not known):
            self._past.record(self._entry.name, image, eta.summarize(known, image, at=at))
        return eta.update_eta(known, image, self._past.typical(self._entry.name, image.type), at=at, moved=moved)

    async def _draw(self, snapshot: Snapshot) -> tuple[Piece, ...]:
        """The pieces of the images, within the controller's budget, beside those of its health as they are."""
        portraits = {uuid: track.portrait for uuid, track in snapshot.images.items()}
        kept, dropped = render.fit(portraits, most=self._events.max_series_per_controller)
        dropped += sum(portrait.dropped for portrait in portraits.values())
        if dropped and not self._dropped:
            self._log.warning("series_dropped", series=dropped)
        self._dropped = dropped
        pieces: list[Piece] = []
        for known, text in zip(self._entry.pieces, render.gather(kept.values()), strict=False):
            pieces.append(again(known, text))
            await self._breathe()
        return (*pieces, *self._entry.pieces[len(pieces) :])

    def replaced(self, raw: bytes) -> None:
        """Show this image as it was read just now, and poll soon: it was changed on the controller."""
        self.nudge()
        entry, snapshot = self._entry, self._entry.snapshot
        unknown: list[str] = []
        try:
            image, _ = decode_image(Raw(raw))
            known = snapshot.images[image.uuid]
            track = self._read_image(Raw(raw), known, None, unknown, at=self._now())
        except (BadImage, KeyError):
            return  # the poll will tell
        images = {**snapshot.images, image.uuid: track}
        listing = replace(snapshot.listing, raws={**snapshot.listing.raws, image.uuid: Raw(raw)})
        self._entry = replace(entry, snapshot=replace(snapshot, images=images, listing=listing))
        self._overtaken = True
        self._redraw()
        self._fleet.publish(self._entry, track_changes.changes(snapshot.images, images))

    def _redraw(self) -> None:
        """The pieces of the images as they are, all at once; for a change of a few of them."""
        entry = self._entry
        if entry.health.stale:
            return
        portraits = {uuid: track.portrait for uuid, track in entry.snapshot.images.items()}
        kept, _ = render.fit(portraits, most=self._events.max_series_per_controller)
        texts = (*render.gather(kept.values()), *_HEALTH_UNCHANGED)
        self._entry = replace(entry, pieces=tuple(map(again, entry.pieces, texts)))

    def _draw_annotations(self) -> None:
        """Draw anew what annotations move, of the images whose annotations are not those that they show."""
        entry, notes = self._entry, self._notes.annotations_of(self._entry.name)
        images = entry.snapshot.images
        moved = {
            uuid: self._annotated(track, notes.get(uuid, _NOTHING))
            for uuid, track in images.items()
            if track.annotations is not notes.get(uuid, _NOTHING)
        }
        if not moved:
            return
        self._entry = replace(entry, snapshot=replace(entry.snapshot, images={**images, **moved}))
        self._redraw()

    def _annotated(self, track: TrackedImage, annotations: Mapping[str, str]) -> TrackedImage:
        subject = Subject(track.image, track.mark.changed_at, annotations, self._exported)
        return replace(
            track, annotations=annotations, portrait=render.annotated(track.portrait, self._entry.name, subject)
        )

    def _conclude(self, error: PollError | None, changes: tuple[Change, ...], *, at: float, took_s: float) -> None:
        """Count the poll, decide when the next is due, and publish."""
        health = healths.polled(self._entry.health, at=at, took_s=took_s)
        if error is None:
            dropped = health.series_dropped + self._dropped
            health = replace(healths.succeeded(health, at=self._now()), series_dropped=dropped)
            self._publish(replace(health, interval_s=self._interval_s()), changes)
            self._expire_later()
        else:
            health = healths.failed(health, error)
            least_s, most_s = self._poll.active_interval_s, self._poll.max_backoff_s
            delay_s = backoff_s(health.failed_in_a_row, self._rng, least_s=least_s, most_s=most_s)
            least_s = self._interval_s() if error.reason == "throttled" else 0.0  # not more often than in good times
            self._publish(replace(health, interval_s=max(delay_s, least_s, error.retry_after_s)))

    def _interval_s(self) -> float:
        active = track_changes.any_active(self._entry.snapshot.images)
        return self._poll.active_interval_s if active else self._poll.idle_interval_s

    def _publish(self, health: Health, changes: tuple[Change, ...] = ()) -> None:
        """Replace our entry in the fleet: with this health, what the client knows, and the images as last drawn."""
        link, before = self._source.link, self._entry
        health = replace(
            health,
            version=link.version,
            api_version=link.api_version,
            logins=link.logins,
            certificate_expires_at=link.certificate_expires_at,
        )
        texts = render.render_health_again(before.name, self._shown, health)
        self._shown = health
        of_images, of_health = before.pieces[: len(_NO_IMAGES)], before.pieces[len(_NO_IMAGES) :]
        self._entry = replace(before, health=health, pieces=of_images + renew(of_health, texts))
        self._fleet.publish(self._entry, changes)

    def _expire_later(self) -> None:
        """Withdraw the images when no good poll comes within ``stale_after``, however the polls then fare."""
        self._cancel_expiry()
        self._expiry = asyncio.get_running_loop().call_later(self._poll.stale_after_s, self._expire)

    def _expire(self) -> None:
        self._entry = replace(self._entry, pieces=_NO_IMAGES + self._entry.pieces[len(_NO_IMAGES) :])
        self._publish(replace(self._entry.health, stale=True))
        self._log.warning("controller_stale", last_success_at=self._entry.health.succeeded_at)

    def _cancel_expiry(self) -> None:
        if self._expiry:
            self._expiry.cancel()

    async def _breathe(self) -> None:
        """Let others have the loop, when we had it long enough."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._breath_ends:
            await asyncio.sleep(0)
            self._breath_ends = loop.time() + _BREATH_S


def _without_old_detail(track: TrackedImage, *, at: float) -> TrackedImage:
    """The same image, less its per-task series when their time is over."""
    if track.detail_until > at or not track.portrait.series[DETAIL]:
        return track
    return replace(track, portrait=render.without(track.portrait, DETAIL))
