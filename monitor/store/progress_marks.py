"""Progress marks: kept in memory for the pollers, and written behind."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.model.image import ProgressMark
from monitor.store.database import Database
from monitor.store.tables import is_storable, progress_marks

_MOST = 5_000  # keys a transaction, each of which must end in time
_BATCH = 200  # rows a statement; SQLite takes no more than 999 variables in its oldest builds

Key = tuple[str, str]
"""(controller, image uuid)."""


class ProgressMarks:
    """The marks of all controllers' images. What is here wins over what the database says."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._marks: dict[str, Mapping[str, ProgressMark]] = {}
        self._dirty: set[Key] = set()
        self._unread = True

    def of(self, controller: str) -> Mapping[str, ProgressMark]:
        """The marks of a controller's images, by uuid."""
        return self._marks.get(controller, {})

    def settle(self, controller: str, marks: Mapping[str, ProgressMark]) -> None:
        """Take these for the controller's marks, all of them; written at the end of the round."""
        before = self.of(controller)
        self._marks[controller] = marks
        changed = {uuid for uuid in before.keys() | marks.keys() if before.get(uuid) != marks.get(uuid)}
        self._dirty.update((controller, uuid) for uuid in changed)

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
        changed = sorted(key for key in self._dirty if is_storable(key[1]))  # a Controller may say anything
        for start in range(0, len(changed), _MOST):
            await self._flush(changed[start : start + _MOST])

    async def _flush(self, keys: list[Key]) -> None:
        """One transaction. What is settled meanwhile is dirty again, and waits for the next round."""
        self._dirty.difference_update(keys)
        written = False
        try:
            async with self._database.transaction() as connection:
                await self._write(connection, keys)
            written = True
        finally:
            if not written:  # also when cancelled: the last flush comes after
                self._dirty.update(keys)

    async def _read(self) -> None:
        """Learn what the database alone knows; what it lacks or has otherwise is to be written."""
        async with self._database.transaction() as connection:
            rows = (await connection.execute(select(progress_marks))).all()
        kept: dict[str, dict[str, ProgressMark]] = {}
        for row in rows:
            mark = ProgressMark(row.fingerprint, row.changed_at, row.first_seen_at)
            kept.setdefault(row.controller, {})[row.image_uuid] = mark
        for controller, known in self._marks.items():
            theirs = kept.get(controller, {})
            self._dirty.update((controller, uuid) for uuid, mark in known.items() if theirs.get(uuid) != mark)
        self._marks |= {controller: {**theirs, **self.of(controller)} for controller, theirs in kept.items()}
        self._unread = False

    async def _write(self, connection: AsyncConnection, keys: list[Key]) -> None:
        key = tuple_(progress_marks.c.controller, progress_marks.c.image_uuid)
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            await connection.execute(delete(progress_marks).where(key.in_(batch)))
            rows = [
                _row(controller, uuid, mark) for controller, uuid in batch if (mark := self.of(controller).get(uuid))
            ]
            if rows:
                await connection.execute(insert(progress_marks), rows)


def _row(controller: str, uuid: str, mark: ProgressMark) -> dict[str, object]:
    return {
        "controller": controller,
        "image_uuid": uuid,
        "fingerprint": mark.fingerprint,
        "changed_at": mark.changed_at,
        "first_seen_at": mark.first_seen_at,
    }
