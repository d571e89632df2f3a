"""Uploads that are over: what each took, task by task, kept in memory for the pollers, and written behind."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Row, delete, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.model.image import Image
from monitor.polling.eta import UNKNOWN, CompletedUpload, TypicalDurations, usual
from monitor.store.database import Database
from monitor.store.tables import earlier_uploads, is_storable

_MOST = 5  # of a kind on a controller; older ones tell of older releases

Kind = tuple[str, str]
"""(controller, type of image)."""

_tasks = msgspec.json.Decoder(dict[str, float])


class UploadHistory:
    """What is here wins over what the database says."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._uploads: dict[Kind, Mapping[str, CompletedUpload]] = {}
        self._typical: dict[Kind, TypicalDurations] = {}
        self._dirty: set[Kind] = set()
        self._unread = True

    def typical(self, controller: str, kind: str) -> TypicalDurations:
        """What the last few uploads of this kind have in common there."""
        return self._typical.get((controller, kind), UNKNOWN)

    def record(self, controller: str, image: Image, upload: CompletedUpload) -> None:
        """One more is complete; written at the end of the round."""
        if not upload.tasks or not all(map(is_storable, (image.uuid, image.type, *upload.tasks))):
            return
        key = controller, image.type
        known = self._uploads.get(key, {})
        if (before := known.get(image.uuid)) and upload.took_s is None:
            upload = msgspec.structs.replace(upload, took_s=before.took_s)
        self._keep(key, {**known, image.uuid: upload})

    def doubt(self) -> None:
        """Compare with the database at the next flush: it may be another one now."""
        self._unread = True

    async def flush(self) -> None:
        """
        Write what changed since the last time.

        Raises: StoreError; what could not be written stays to be written.
        """
        if self._unread:
            await self._read()
        for key in sorted(self._dirty):
            self._dirty.discard(key)
            written = False
            try:
                async with self._database.transaction() as connection:
                    await _write(connection, key, self._uploads[key])
                written = True
            finally:
                if not written:  # also when cancelled
                    self._dirty.add(key)

    def _keep(self, key: Kind, uploads: Mapping[str, CompletedUpload]) -> None:
        newest = sorted(uploads, key=lambda uuid: (uploads[uuid].ended_at, uuid))[-_MOST:]
        kept = {uuid: uploads[uuid] for uuid in newest}
        if kept != self._uploads.get(key):
            self._uploads[key] = kept
            self._typical[key] = usual(kept.values())
            self._dirty.add(key)

    async def _read(self) -> None:
        """Learn what the database alone knows; what it lacks or has otherwise is to be written."""
        async with self._database.transaction() as connection:
            rows = (await connection.execute(select(earlier_uploads))).all()
        theirs: dict[Kind, dict[str, CompletedUpload]] = {}
        for row in rows:
            theirs.setdefault((row.controller, row.type), {}).update(_upload(row))
        for key in theirs.keys() | self._uploads.keys():
            ours = self._uploads.get(key, {})
            self._keep(key, {**theirs.get(key, {}), **ours})
            if self._uploads.get(key) == theirs.get(key):
                self._dirty.discard(key)
            else:
                self._dirty.add(key)
        self._unread = False


def _upload(row: Row[Any]) -> Iterator[tuple[str, CompletedUpload]]:
    """One, unless somebody wrote there what makes no sense; it is no loss."""
    try:
        yield (
            row.image_uuid,
            msgspec.convert(
                {"ended_at": row.ended_at, "tasks": _tasks.decode(row.tasks), "took_s": row.took_s}, CompletedUpload
            ),
        )
    except (msgspec.MsgspecError, TypeError):
        return


async def _write(connection: AsyncConnection, key: Kind, uploads: Mapping[str, CompletedUpload]) -> None:
    """All of a kind; an image is of one kind, but may once have been of another."""
    controller, kind = key
    table = earlier_uploads.c
    uuids = [(controller, uuid) for uuid in uploads]
    mine = (table.controller == controller) & (table.type == kind)
    await connection.execute(
        delete(earlier_uploads).where(mine | tuple_(table.controller, table.image_uuid).in_(uuids))
    )
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
