"""Completed uploads: how long each took, task by task. Pollers read them from memory; they are written behind."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Row, delete, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.polling.eta import UNKNOWN, CompletedUpload, TypicalDurations, typical_of
from monitor.store.database import Database
from monitor.store.tables import earlier_uploads, is_storable
from monitor.store.write_behind import writing

MAX_UPLOADS = 5  # of a type on a controller; older ones ran on older releases

Key = tuple[str, str]
"""(controller, type of image)."""

_tasks = msgspec.json.Decoder(dict[str, float])


class UploadHistory:
    """Where memory and database differ, memory wins."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._uploads: dict[Key, Mapping[str, CompletedUpload]] = {}
        self._typical: dict[Key, TypicalDurations] = {}
        self._dirty: set[Key] = set()
        self._unsynced = True

    def typical(self, controller: str, kind: str) -> TypicalDurations:
        """Return the medians over the last few uploads of this type on the controller."""
        return self._typical.get((controller, kind), UNKNOWN)

    def record(self, controller: str, kind: str, uuid: str, upload: CompletedUpload) -> None:
        """Add a completed upload, which the next flush writes. One without tasks, or not storable, is ignored."""
        if not upload.tasks or not all(map(is_storable, (uuid, kind, *upload.tasks))):
            return
        key = controller, kind
        known = self._uploads.get(key, {})
        if (before := known.get(uuid)) and upload.took_s is None:
            upload = msgspec.structs.replace(upload, took_s=before.took_s)
        self._set(key, {**known, uuid: upload})

    def mark_unsynced(self) -> None:
        """Compare memory with the database at the next flush: the database may be another one now."""
        self._unsynced = True

    async def flush(self) -> None:
        """
        Write what changed since the last flush.

        Raises: StoreError; what was not written stays to be written.
        """
        if self._unsynced:
            await self._reconcile()
        for key in sorted(self._dirty):
            async with writing(self._database, self._dirty, [key]) as connection:
                await _write(connection, key, self._uploads[key])

    def _set(self, key: Key, uploads: Mapping[str, CompletedUpload]) -> None:
        newest = sorted(uploads, key=lambda uuid: (uploads[uuid].ended_at, uuid))[-MAX_UPLOADS:]
        kept = {uuid: uploads[uuid] for uuid in newest}
        if kept != self._uploads.get(key):
            self._uploads[key] = kept
            self._typical[key] = typical_of(kept.values())
            self._dirty.add(key)

    async def _reconcile(self) -> None:
        """Take from the database what memory lacks; what the database lacks, or has otherwise, becomes dirty."""
        async with self._database.transaction() as connection:
            rows = (await connection.execute(select(earlier_uploads))).all()
        stored: dict[Key, dict[str, CompletedUpload]] = {}
        for row in rows:
            stored.setdefault((row.controller, row.type), {}).update(_decode(row))
        for key in stored.keys() | self._uploads.keys():
            known = self._uploads.get(key, {})
            self._set(key, {**stored.get(key, {}), **known})
            if self._uploads.get(key) == stored.get(key):
                self._dirty.discard(key)
            else:
                self._dirty.add(key)
        self._unsynced = False


def _decode(row: Row[Any]) -> Iterator[tuple[str, CompletedUpload]]:
    """Decode an upload by its image's uuid; nothing where the row makes no sense, which is no loss."""
    try:
        fields = {"ended_at": row.ended_at, "tasks": _tasks.decode(row.tasks), "took_s": row.took_s}
        yield row.image_uuid, msgspec.convert(fields, CompletedUpload)
    except (msgspec.MsgspecError, TypeError):
        return


async def _write(connection: AsyncConnection, key: Key, uploads: Mapping[str, CompletedUpload]) -> None:
    """Replace all uploads of a type. An image has one type, but rows may still have it under another."""
    controller, kind = key
    columns = earlier_uploads.c
    of_type = (columns.controller == controller) & (columns.type == kind)
    of_images = tuple_(columns.controller, columns.image_uuid).in_([(controller, uuid) for uuid in uploads])
    await connection.execute(delete(earlier_uploads).where(of_type | of_images))
    rows = [
        {
            "controller": controller,
            "image_uuid": uuid,
            "type": kind,
            "ended_at": upload.ended_at,
            "tasks": msgspec.json.encode(upload.tasks).decode(),
            "took_s": upload.took_s,
        }
        for uuid, upload in uploads.items()
    ]
    if rows:
        await connection.execute(insert(earlier_uploads), rows)
