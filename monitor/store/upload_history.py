"""
Completed uploads: how long each took, task by task. Pollers read them from memory; they are written behind.

Kinds and tasks are the Controller's own text: both are limited in number, and those of a controller end with it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Row, Select, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.polling.eta import UNKNOWN, CompletedUpload, TypicalDurations, typical_of
from monitor.store.database import Database
from monitor.store.tables import earlier_uploads, is_storable
from monitor.store.write_behind import writing

MAX_UPLOADS = 5  # of a kind on a controller; older ones ran on older releases
MAX_KINDS = 8  # on a controller; it has three types of images
MAX_TASKS = 100  # of an upload; a Controller's have about twenty

Uploads: TypeAlias = Mapping[str, CompletedUpload]
"""By the uuid of the image."""
Kinds: TypeAlias = Mapping[str, Uploads]
"""Those of one controller. The kind of which an upload completed last comes last."""

_tasks = msgspec.json.Decoder(dict[str, float])


class UploadHistory:
    """Where memory and database differ, memory wins."""

    def __init__(self, database: Database, *, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._kinds: dict[str, Kinds] = {}
        """By controller."""
        self._typical: dict[str, Mapping[str, TypicalDurations]] = {}
        """By controller and kind."""
        self._dirty: set[str] = set()
        """The controllers of which memory and database may differ."""
        self._controllers: frozenset[str] | None = None
        """Those to keep the uploads of; None: all."""
        self._unsynced = True

    def typical(self, controller: str, kind: str) -> TypicalDurations:
        """Return the medians over the last few uploads of this kind on the controller."""
        return self._typical.get(controller, {}).get(kind, UNKNOWN)

    def record(self, controller: str, kind: str, uuid: str, upload: CompletedUpload) -> None:
        """
        Add a completed upload, which the next flush writes.

        One without tasks, with more than `MAX_TASKS`, or not storable, is ignored.
        """
        if not 0 < len(upload.tasks) <= MAX_TASKS or not all(map(is_storable, (uuid, kind, *upload.tasks))):
            return
        kinds = self._kinds.get(controller, {})
        known = kinds.get(kind, {})
        if (before := known.get(uuid)) and upload.took_s is None:
            upload = msgspec.structs.replace(upload, took_s=before.took_s)
        others = _without(kinds, {uuid})  # an image has one kind
        others.pop(kind, None)
        self._set(controller, {**others, kind: self._newest({**known, uuid: upload})})

    def keep_only(self, controllers: Collection[str]) -> None:
        """Forget the uploads of all other controllers; the database does at the next flush."""
        self._controllers = frozenset(controllers)
        for controller in self._kinds.keys() - self._controllers:
            self._set(controller, {})

    def mark_unsynced(self) -> None:
        """Compare memory with the database at the next flush: the database may be another one now."""
        self._unsynced = True

    async def read(self) -> None:
        """Take from the database what memory lacks, if that is still to be done. Raises: StoreError."""
        if self._unsynced:
            await self._reconcile()

    async def flush(self) -> None:
        """
        Write what changed since the last flush.

        Raises: StoreError; what was not written stays to be written.
        """
        await self.read()
        for controller in sorted(self._dirty):
            async with writing(self._database, self._dirty, [controller]) as connection:
                await _write(connection, controller, self._kinds.get(controller, {}))

    def _set(self, controller: str, kinds: Kinds) -> None:
        """Replace the uploads of a controller, and forget the kinds beyond `MAX_KINDS`."""
        before, typical = self._kinds.pop(controller, {}), self._typical.pop(controller, {})
        after = {kind: kinds[kind] for kind in [*kinds][-MAX_KINDS:]}
        if after:
            self._kinds[controller] = after
            self._typical[controller] = {
                kind: typical[kind] if before.get(kind) == uploads else typical_of(uploads.values())
                for kind, uploads in after.items()
            }
        if after != before:
            self._dirty.add(controller)

    def _newest(self, uploads: Uploads) -> Uploads:
        """Return the last few. One that ended in the future, by a wrong clock, would be one of them for ever."""
        now = self._now()
        past = {uuid: upload if upload.ended_at <= now else _ended(upload, now) for uuid, upload in uploads.items()}
        return {uuid: past[uuid] for uuid in sorted(past, key=lambda uuid: (past[uuid].ended_at, uuid))[-MAX_UPLOADS:]}

    async def _reconcile(self) -> None:
        """Take from the database what memory lacks; what the database lacks, or has otherwise, is written later."""
        async with self._database.transaction(writes=False) as connection:
            stored = _kinds_of((await connection.execute(_newest_rows())).all())
        for controller in stored.keys() | self._kinds.keys():
            theirs, known = stored.get(controller, {}), self._kinds.get(controller, {})
            if self._controllers is None or controller in self._controllers:
                merged = _without(theirs, {uuid for uploads in known.values() for uuid in uploads})
                for kind, uploads in known.items():
                    merged[kind] = {**merged.pop(kind, {}), **uploads}
                self._set(controller, {kind: self._newest(uploads) for kind, uploads in merged.items()})
            if self._kinds.get(controller, {}) == theirs:
                self._dirty.discard(controller)
            else:
                self._dirty.add(controller)
        self._unsynced = False


def _without(kinds: Kinds, uuids: Collection[str]) -> dict[str, Uploads]:
    """Return the uploads of other images; a kind without any is left out."""
    others = {
        kind: {uuid: upload for uuid, upload in uploads.items() if uuid not in uuids} for kind, uploads in kinds.items()
    }
    return {kind: uploads for kind, uploads in others.items() if uploads}


def _ended(upload: CompletedUpload, at: float) -> CompletedUpload:
    return msgspec.structs.replace(upload, ended_at=at)


def _newest_rows() -> Select[Any]:
    """
    Select the uploads of each controller, oldest first: as many as are kept, and one more.

    Where there is one more, memory and database differ, so that the next flush deletes all that are too many.
    """
    place = func.row_number().over(
        partition_by=earlier_uploads.c.controller, order_by=earlier_uploads.c.ended_at.desc()
    )
    rows = select(earlier_uploads, place.label("place")).subquery()
    return select(rows).where(rows.c.place <= MAX_KINDS * MAX_UPLOADS + 1).order_by(rows.c.ended_at)


def _kinds_of(rows: Iterable[Row[Any]]) -> Mapping[str, Kinds]:
    """Return the uploads by controller. ``rows``: oldest first. One that makes no sense is left out: it is no loss."""
    found: dict[str, dict[str, Uploads]] = {}
    for row in rows:
        with suppress(msgspec.MsgspecError, TypeError):
            fields = {"ended_at": row.ended_at, "tasks": _tasks.decode(row.tasks), "took_s": row.took_s}
            upload = msgspec.convert(fields, CompletedUpload)
            kinds = found.setdefault(row.controller, {})
            kinds[row.type] = {**kinds.pop(row.type, {}), row.image_uuid: upload}
    return found


async def _write(connection: AsyncConnection, controller: str, kinds: Kinds) -> None:
    """Replace all uploads of a controller."""
    await connection.execute(delete(earlier_uploads).where(earlier_uploads.c.controller == controller))
    rows = [
        {
            "controller": controller,
            "image_uuid": uuid,
            "type": kind,
            "ended_at": upload.ended_at,
            "tasks": msgspec.json.encode(upload.tasks).decode(),
            "took_s": upload.took_s,
        }
        for kind, uploads in kinds.items()
        for uuid, upload in uploads.items()
    ]
    if rows:
        await connection.execute(insert(earlier_uploads), rows)
