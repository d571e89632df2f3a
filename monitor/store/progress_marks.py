"""
Progress marks: kept in memory for the trackers, and written behind.

Their number is bounded by what the Controllers list at present, and those of a controller end with it, also while the
database is down: what is to be written is not kept, but follows from the marks and from what the database has.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec
import structlog
from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.model.tracked import OperationMark, ProgressMark
from monitor.polling.changes import not_after
from monitor.store.database import Database
from monitor.store.tables import is_storable, progress_marks
from monitor.store.write_behind import taken_from

_KEYS_PER_TRANSACTION = 5_000  # each of which must end in time
_ROWS_PER_STATEMENT = 200  # SQLite takes no more than 999 variables in its oldest builds
_TOLERANCE_S = 1.0  # a clock that is adjusted may go back a little

Group = tuple[str, str]
"""(controller, resource)."""
Key = tuple[str, str, str]
"""(controller, resource, object uuid)."""

log = structlog.get_logger()


class ProgressMarks:
    """The marks of all objects of all controllers. What is in memory wins over what the database has."""

    def __init__(self, database: Database, *, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._marks: dict[Group, Mapping[str, ProgressMark]] = {}
        self._stored: dict[Group, dict[str, ProgressMark]] = {}
        """What the database has, as far as it is known."""
        self._dirty: set[Group] = set()
        """The groups in which memory and database may differ."""
        self._controllers: frozenset[str] | None = None
        """Those to keep the marks of; None: all."""
        self._unsynced = True

    def of(self, controller: str, resource: str) -> Mapping[str, ProgressMark]:
        """The marks of one kind of object of a controller, by uuid."""
        return self._marks.get((controller, resource), {})

    def set(self, controller: str, resource: str, marks: Mapping[str, ProgressMark]) -> None:
        """Replace the marks of this kind of object of the controller; they are written at the next flush."""
        if marks != self.of(controller, resource):
            self._marks[controller, resource] = marks
            self._dirty.add((controller, resource))

    def keep_only(self, controllers: Collection[str]) -> None:
        """Forget the marks of all other controllers; the database does at the next flush."""
        self._controllers = frozenset(controllers)
        for group in [group for group in self._marks if group[0] not in self._controllers]:
            del self._marks[group]
            self._dirty.add(group)

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
        groups = frozenset(self._dirty)
        with taken_from(self._dirty, groups):
            changed = dict(sorted(each for group in groups for each in self._changes_of(group)))
            keys = list(changed)
            for start in range(0, len(keys), _KEYS_PER_TRANSACTION):
                await self._write({key: changed[key] for key in keys[start : start + _KEYS_PER_TRANSACTION]})

    def _changes_of(self, group: Group) -> Iterator[tuple[Key, ProgressMark | None]]:
        """What is to be written of a group; None: the database is to forget the mark."""
        stored, marks = self._stored.get(group, {}), self.of(*group)
        for uuid in stored.keys() | marks.keys():
            if stored.get(uuid) != marks.get(uuid) and is_storable(uuid):  # a Controller may say anything
                yield (*group, uuid), marks.get(uuid)

    async def _reconcile(self) -> None:
        """Take from the database what memory lacks; what the database lacks, or has otherwise, is written later."""
        async with self._database.transaction(writes=False) as connection:
            rows = (await connection.execute(select(progress_marks))).all()
        now = self._now()
        self._stored = {}
        for row in rows:
            mark = ProgressMark(row.fingerprint, row.changed_at, row.first_seen_at, _decode_operation(row.operation))
            self._stored.setdefault((row.controller, row.resource), {})[row.object_uuid] = mark
        for group, stored in self._stored.items():
            if self._controllers is None or group[0] in self._controllers:
                theirs = {uuid: not_after(mark, now) for uuid, mark in stored.items()}
                self._marks[group] = {**theirs, **self.of(*group)}
        self._dirty.update(self._stored, self._marks)
        _log_future(max((row.changed_at for row in rows), default=now) - now)
        self._unsynced = False

    async def _write(self, changed: Mapping[Key, ProgressMark | None]) -> None:
        """Write these in one transaction."""
        columns = progress_marks.c
        key = tuple_(columns.controller, columns.resource, columns.object_uuid)
        keys = list(changed)
        async with self._database.transaction() as connection:
            for start in range(0, len(keys), _ROWS_PER_STATEMENT):
                batch = keys[start : start + _ROWS_PER_STATEMENT]
                await connection.execute(delete(progress_marks).where(key.in_(batch)))
                await _insert(connection, [_row(each, mark) for each in batch if (mark := changed[each]) is not None])
        for (controller, resource, uuid), mark in changed.items():
            stored = self._stored.setdefault((controller, resource), {})
            stored.pop(uuid, None)
            if mark is not None:
                stored[uuid] = mark


async def _insert(connection: AsyncConnection, rows: list[dict[str, object]]) -> None:
    if rows:
        await connection.execute(insert(progress_marks), rows)


def _log_future(ahead_s: float) -> None:
    if ahead_s > _TOLERANCE_S:
        log.warning("clock_stepped", by_s=-round(ahead_s, 1), cause="the database has later moments than now")


def _row(key: Key, mark: ProgressMark) -> dict[str, object]:
    controller, resource, uuid = key
    return {
        "controller": controller,
        "resource": resource,
        "object_uuid": uuid,
        "fingerprint": mark.fingerprint,
        "changed_at": mark.changed_at,
        "first_seen_at": mark.first_seen_at,
        "operation": msgspec.json.encode(mark.operation).decode() if mark.operation else "",
    }


def _decode_operation(text: str) -> OperationMark | None:
    try:
        return msgspec.json.decode(text, type=OperationMark) if text else None
    except msgspec.DecodeError:  # of a version that was newer, or altered: the operation begins anew
        return None
