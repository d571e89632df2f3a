"""Progress marks: kept in memory for the trackers, and written behind."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.model.tracked import ProgressMark
from monitor.store.database import Database
from monitor.store.tables import is_storable, progress_marks
from monitor.store.write_behind import writing

_KEYS_PER_TRANSACTION = 5_000  # each of which must end in time
_ROWS_PER_STATEMENT = 200  # SQLite takes no more than 999 variables in its oldest builds

Group = tuple[str, str]
"""(controller, resource)."""
Key = tuple[str, str, str]
"""(controller, resource, object uuid)."""


class ProgressMarks:
    """The marks of all objects of all controllers. What is in memory wins over what the database has."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._marks: dict[Group, Mapping[str, ProgressMark]] = {}
        self._unwritten: set[Key] = set()
        self._synced = False

    def of(self, controller: str, resource: str) -> Mapping[str, ProgressMark]:
        """The marks of one kind of object of a controller, by uuid."""
        return self._marks.get((controller, resource), {})

    def set(self, controller: str, resource: str, marks: Mapping[str, ProgressMark]) -> None:
        """Replace the marks of this kind of object of the controller; they are written at the next flush."""
        before = self.of(controller, resource)
        self._marks[controller, resource] = marks
        changed = {uuid for uuid in before.keys() | marks.keys() if before.get(uuid) != marks.get(uuid)}
        self._unwritten.update((controller, resource, uuid) for uuid in changed)

    def mark_unsynced(self) -> None:
        """Compare with the database at the next flush: it may be another one now."""
        self._synced = False

    async def flush(self) -> None:
        """
        Write what changed since the last time.

        Raises: StoreError; what could not be written stays to be written.
        """
        if not self._synced:
            await self._read()
        changed = sorted(key for key in self._unwritten if is_storable(key[2]))  # a Controller may say anything
        for start in range(0, len(changed), _KEYS_PER_TRANSACTION):
            keys = changed[start : start + _KEYS_PER_TRANSACTION]
            async with writing(self._database, self._unwritten, keys) as connection:
                await self._write(connection, keys)

    async def _read(self) -> None:
        """Learn what the database alone has; what it lacks or has otherwise is to be written."""
        async with self._database.transaction() as connection:
            rows = (await connection.execute(select(progress_marks))).all()
        stored: dict[Group, dict[str, ProgressMark]] = {}
        for row in rows:
            mark = ProgressMark(row.fingerprint, row.changed_at, row.first_seen_at)
            stored.setdefault((row.controller, row.resource), {})[row.object_uuid] = mark
        for group, known in self._marks.items():
            theirs = stored.get(group, {})
            self._unwritten.update((*group, uuid) for uuid, mark in known.items() if theirs.get(uuid) != mark)
        self._marks |= {group: {**theirs, **self.of(*group)} for group, theirs in stored.items()}
        self._synced = True

    async def _write(self, connection: AsyncConnection, keys: list[Key]) -> None:
        columns = progress_marks.c
        key = tuple_(columns.controller, columns.resource, columns.object_uuid)
        for start in range(0, len(keys), _ROWS_PER_STATEMENT):
            batch = keys[start : start + _ROWS_PER_STATEMENT]
            await connection.execute(delete(progress_marks).where(key.in_(batch)))
            rows = [_row(each, mark) for each in batch if (mark := self.of(each[0], each[1]).get(each[2])) is not None]
            if rows:
                await connection.execute(insert(progress_marks), rows)


def _row(key: Key, mark: ProgressMark) -> dict[str, object]:
    controller, resource, uuid = key
    return {
        "controller": controller,
        "resource": resource,
        "object_uuid": uuid,
        "fingerprint": mark.fingerprint,
        "changed_at": mark.changed_at,
        "first_seen_at": mark.first_seen_at,
    }
