"""
The read path of one resource on one controller: from a complete list to exposition text.

    list → resource.decode → ObjectUpdates.track → pieces

New annotations, and an object that a PATCH changed, are rendered at once, without waiting for a poll. The tracker owns
the collection, which the poller publishes. It knows no schedule and no HTTP.
"""

import asyncio
from collections.abc import Iterator
from typing import Generic, TypeVar

from msgspec import Raw
from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from monitor.metrics import render
from monitor.metrics.controller import READ_FAMILIES
from monitor.model.errors import UNREADABLE, BadObject, Reason
from monitor.model.health import ReadHealth
from monitor.model.snapshot import Change, ObjectList, Snapshot
from monitor.model.tracked import Tracked, TrackedObject
from monitor.polling import changes, poll_log
from monitor.polling.eta import TypicalDurations, is_overdue
from monitor.polling.fleet import Collection
from monitor.polling.health import count_occurrences, read_failed, read_succeeded
from monitor.polling.object_updates import ObjectUpdates
from monitor.polling.ports import AnnotationSource, ProgressMarks, Source, UploadHistory
from monitor.polling.resources import Resource, TrackingSettings

T = TypeVar("T", bound=Tracked)

YIELD_AFTER_S = 0.005
"""How long a read may occupy the event loop before other tasks run."""


class Tracker(Generic[T]):
    """
    Tracks the objects of one resource on one controller.

    ``known``: the collection of the tracker that this one replaces, because the controller has new settings.
    """

    def __init__(
        self,
        controller: str,
        resource: Resource[T],
        marks: ProgressMarks,
        annotations: AnnotationSource,
        history: UploadHistory,
        *,
        settings: TrackingSettings,
        log: FilteringBoundLogger,
        known: Collection[T] | None = None,
        yield_after_s: float = YIELD_AFTER_S,
    ) -> None:
        self.resource = resource
        self._controller = controller
        self._marks = marks
        self._settings = settings
        self._updates = ObjectUpdates(controller, resource, annotations, history, settings=settings, log=log)
        self._log = log
        self._yield_after_s = yield_after_s
        self._yield_at = 0.0
        self._read_at = 0.0
        self._series_dropped = 0  # by the budgets, at the last read
        self._returned = False  # from an upgrade, since the last good read
        self._object_replaced = False
        """Whether `replace_object` was called since the list that is being read was requested."""
        self._render_all = known is not None
        """Whether the next read renders all objects, unchanged ones, too."""
        self._no_pieces = (b"",) * len(resource.families)
        health = known.health if known else ReadHealth()
        texts = render.render_health(READ_FAMILIES, self._identity, health)
        snapshot: Snapshot[T] = known.snapshot if known else Snapshot()
        pieces = known.pieces if known else self._no_pieces
        self.collection = Collection(snapshot, health, pieces, texts)

    @property
    def never_read(self) -> bool:
        """Whether no read has succeeded yet."""
        return self.collection.health.succeeded_at is None

    def apply_settings(self, settings: TrackingSettings) -> None:
        """Use these settings from now on."""
        self._render_all |= settings != self._settings
        self._settings = self._updates.settings = settings

    async def read(self, source: Source, *, at: float, returned: bool = False) -> tuple[Change, ...]:
        """
        Read all objects, and apply the list.

        ``at``: when the poll began, Unix seconds. ``returned``: whether the Controller was away until now, for an
        upgrade; that it is back counts as a move of what is active.
        Raises: PollError.
        """
        self._object_replaced = False
        self._returned |= returned
        return await self.apply_list(await self.resource.read(source, self.collection.snapshot.object_list), at=at)

    async def apply_list(self, object_list: ObjectList, *, at: float) -> tuple[Change, ...]:
        """
        Decode and render the objects of a complete list that changed. Returns: the changes.

        The list is ignored if an object was replaced by `replace_object` after the list was requested.
        """
        known = self.collection.snapshot
        self._render_all |= self._returned or at < self._read_at  # the clock was set back: marks may lie in the future
        self._read_at = at
        unchanged = object_list is known.object_list and at < known.next_change_at and not self.collection.health.stale
        if self._is_outdated() or (unchanged and not self._render_all):
            return ()
        render_all, self._render_all = self._render_all, False
        snapshot, health = await self._decode(object_list, at=at, render_all=render_all)
        pieces = await self._make_pieces(snapshot)
        if self._is_outdated():  # an object was replaced while the list was decoded
            self._render_all |= render_all
            return ()
        self._returned = False
        self.collection = replace(self.collection, snapshot=snapshot, pieces=pieces)
        self._set_health(health)
        self.update_annotations(at=at)  # those that changed while the list was decoded
        self._save_marks(snapshot)
        return changes.diff(known.objects, snapshot.objects)

    def succeed(self, *, at: float) -> None:
        """Record a good read in the health. ``at``: when it ended, Unix seconds."""
        self._set_health(read_succeeded(self.collection.health, at=at, series_dropped=self._series_dropped))

    def fail(self, reason: Reason) -> None:
        """Record a failed read in the health; drop the objects if they cannot be read at all."""
        if reason in UNREADABLE:
            self.collection = replace(self.collection, snapshot=Snapshot(), pieces=self._no_pieces)
        self._set_health(read_failed(self.collection.health, reason))

    def expire(self) -> None:
        """Withdraw the objects, because the last good read is too old."""
        self.collection = replace(self.collection, pieces=self._no_pieces)
        self._set_health(replace(self.collection.health, stale=True))

    def replace_object(self, raw: bytes, *, at: float) -> tuple[Change, ...] | None:
        """Replace one object with JSON that was just read. Returns: None if it is not known or cannot be decoded."""
        snapshot = self.collection.snapshot
        try:
            tracked, _ = self.resource.decode(Raw(raw))
            known = snapshot.objects[tracked.uuid]
        except (BadObject, KeyError):
            return None  # the next poll reads it
        objects = {**snapshot.objects, tracked.uuid: self._updates.track(tracked, known, None, at=at)}
        raws = {**snapshot.object_list.raws, tracked.uuid: Raw(raw)}
        object_list = replace(snapshot.object_list, raws=raws)
        self._set_snapshot(
            changes.make_snapshot(object_list, objects, at=at, stalled_after_s=self._updates.stalled_after_s)
        )
        self._object_replaced = True
        return changes.diff(snapshot.objects, objects)

    def update_annotations(self, *, at: float) -> bool:
        """Render the annotations as they are now. Returns: whether any had changed."""
        snapshot = self.collection.snapshot
        annotated = {uuid: self._updates.annotate(each, at=at) for uuid, each in snapshot.objects.items()}
        updated = {uuid: each for uuid, each in annotated.items() if each is not snapshot.objects[uuid]}
        if updated:
            self._set_snapshot(replace(snapshot, objects={**snapshot.objects, **updated}))
        return bool(updated)

    def drop_overdue(self, *, at: float) -> None:
        """Withdraw estimates whose end has passed. ``at``: of a poll, good or bad, Unix seconds."""
        snapshot = self.collection.snapshot
        if at <= snapshot.overdue_at:
            return
        overdue = {
            uuid: self._updates.render_again(replace(tracked, progress=replace(tracked.progress, overdue=True)))
            for uuid, tracked in snapshot.objects.items()
            if tracked.progress and is_overdue(tracked, at=at)
        }
        objects = {**snapshot.objects, **overdue}
        self._set_snapshot(replace(snapshot, objects=objects, overdue_at=changes.next_overdue_at(objects.values())))

    def typical(self, history_kind: str) -> TypicalDurations:
        """Return what is known of completed work of this kind on the controller."""
        return self._updates.typical(history_kind)

    @property
    def _identity(self) -> tuple[str, str]:
        return self._controller, self.resource.name

    def _is_outdated(self) -> bool:
        """Whether the list may be older than a replaced object; irrelevant once all objects have been withdrawn."""
        return self._object_replaced and not self.collection.health.stale

    async def _decode(self, object_list: ObjectList, *, at: float, render_all: bool) -> tuple[Snapshot[T], ReadHealth]:
        """Return the snapshot and health after a list. An object whose bytes did not change is not decoded again."""
        known, marks = self.collection.snapshot, self._marks.of(*self._identity)
        raws, is_time, loop = known.object_list.raws, at >= known.next_change_at, asyncio.get_running_loop()
        objects: dict[str, TrackedObject[T]] = {}
        undecodable: dict[str, str] = {}
        unknown_fields: list[str] = []
        for uuid, raw in object_list.raws.items():
            tracked = known.objects.get(uuid)
            try:
                if render_all or raws.get(uuid) != raw:
                    decoded, unknown = self.resource.decode(raw)
                    unknown_fields.extend(unknown)
                    saved, returned = marks.get(uuid), self._returned
                    objects[uuid] = self._updates.track(decoded, tracked, saved, at=at, returned=returned)
                elif tracked:
                    objects[uuid] = self._updates.pass_time(tracked, at=at) if is_time else tracked
            except BadObject as error:
                undecodable[uuid] = str(error)
            if loop.time() >= self._yield_at:
                await self._yield_to_loop()
        left_out = object_list.left_out if object_list is not known.object_list else {}
        new = {uuid: cause for uuid, cause in undecodable.items() if uuid not in known.undecodable}
        new_causes = {cause: left_out[cause] for cause in left_out.keys() - known.object_list.left_out.keys()}
        poll_log.bad_objects(self._log, self.resource.name, new, new_causes)
        health = replace(
            self.collection.health,
            bad_objects=self.collection.health.bad_objects + len(undecodable) + sum(left_out.values()),
            unknown_values=count_occurrences(self.collection.health.unknown_values, unknown_fields),
        )
        return changes.make_snapshot(object_list, objects, at=at, stalled_after_s=self._updates.stalled_after_s), health

    async def _make_pieces(self, snapshot: Snapshot[T]) -> tuple[bytes, ...]:
        """Join the exposition text of the objects, within the controller's budget."""
        texts, dropped = self._join_objects(snapshot)
        dropped += sum(tracked.rendered.dropped for tracked in snapshot.objects.values())
        if dropped and not self._series_dropped:
            self._log.warning("series_dropped", resource=self.resource.name, series=dropped)
        self._series_dropped = dropped
        pieces: list[bytes] = []
        loop = asyncio.get_running_loop()
        for text in texts:
            pieces.append(text)
            if loop.time() >= self._yield_at:
                await self._yield_to_loop()
        return tuple(pieces)

    def _set_snapshot(self, snapshot: Snapshot[T]) -> None:
        """Replace snapshot and pieces without yielding to the event loop; for a few changed objects."""
        pieces = self.collection.pieces
        if not self.collection.health.stale:
            texts, _ = self._join_objects(snapshot)
            pieces = tuple(texts)
        self.collection = replace(self.collection, snapshot=snapshot, pieces=pieces)

    def _join_objects(self, snapshot: Snapshot[T]) -> tuple[Iterator[bytes], int]:
        """Return the text of each family within the controller's budget, and how many series that budget dropped."""
        objects, resource = snapshot.objects, self.resource
        hidden = resource.without_series((tracked.object for tracked in objects.values()), self._settings)
        rendered = {uuid: tracked.rendered for uuid, tracked in objects.items() if uuid not in hidden}
        max_series = resource.budget(self._settings).per_controller
        kept, dropped = render.apply_budget(resource.families, rendered, max_series=max_series)
        dropped += sum(sum(objects[uuid].rendered.series) for uuid in hidden)
        return render.join_by_family(resource.families, kept.values()), dropped

    def _save_marks(self, snapshot: Snapshot[T]) -> None:
        """Save the marks of all objects; undecodable ones keep theirs, in case they become decodable later."""
        saved = self._marks.of(*self._identity)
        undecodable = {uuid: saved[uuid] for uuid in snapshot.undecodable if uuid in saved}
        self._marks.set(*self._identity, undecodable | {uuid: each.mark for uuid, each in snapshot.objects.items()})

    def _set_health(self, health: ReadHealth) -> None:
        before = self.collection
        texts = before.health, before.health_pieces
        pieces = render.render_changes(READ_FAMILIES, self._identity, texts, health)
        self.collection = replace(before, health=health, health_pieces=pieces)

    async def _yield_to_loop(self) -> None:
        """Let other tasks run. Called when this one has occupied the event loop for too long."""
        await asyncio.sleep(0)
        self._yield_at = asyncio.get_running_loop().time() + self._yield_after_s
