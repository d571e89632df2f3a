"""
The database: what must outlive the process. Today the progress marks.

Reads and metrics never wait for it: marks are kept in memory and written behind, in one transaction a round. A database
that is locked, full, read-only or gone is said once, retried for ever, and written whole when it is back.
"""

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import delete, event, insert, select, tuple_
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from monitor.model import Mark, StoreError
from monitor.store.migrate import migrate
from monitor.store.tables import progress_marks

ROUND_S = 2.0  # how often marks are written: the most that a kill -9 can lose, and that only restarts a stall clock
_BATCH = 200  # rows a statement; SQLite takes no more than 999 variables in its oldest builds

Key = tuple[str, str]
"""(controller, image uuid)."""


class Store:
    """
    One database by URL: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (memory), ``postgresql://…``.

    ``up``: whether the last thing asked of it was done.
    """

    def __init__(self, url: str, *, busy_timeout_ms: int = 1000) -> None:
        self._url = make_url(url)
        self._busy_timeout_ms = busy_timeout_ms
        self._engine: AsyncEngine | None = None
        self.name = self._url.render_as_string(hide_password=True)
        self._log = structlog.get_logger().bind(database=self.name)
        self._marks: dict[str, Mapping[str, Mark]] = {}
        self._dirty: set[Key] = set()
        self.up = False

    def of(self, controller: str) -> Mapping[str, Mark]:
        """The marks of a controller's images, by uuid."""
        return self._marks.get(controller, {})

    def settle(self, controller: str, marks: Mapping[str, Mark]) -> None:
        """Take these for the controller's marks, all of them; written at the end of the round."""
        before = self.of(controller)
        self._marks[controller] = marks
        changed = {uuid for uuid in before.keys() | marks.keys() if before.get(uuid) != marks.get(uuid)}
        self._dirty.update((controller, uuid) for uuid in changed)

    async def open(self) -> None:
        """
        Connect, bring the schema up to date, read the marks. What was settled meanwhile stands.

        Raises: StoreError.
        """
        try:
            engine = self._engine = _make_engine(self._url, self._busy_timeout_ms)
            async with engine.begin() as connection:
                await connection.run_sync(migrate)
                rows = (await connection.execute(select(progress_marks))).all()
        except (StoreError, SQLAlchemyError, OSError, ImportError) as error:
            await self.close()
            raise StoreError(_words(error)) from error
        for row in rows:
            known = self._marks.setdefault(row.controller, {})
            mark = Mark(row.fingerprint, row.changed_at, row.first_seen_at)
            self._marks[row.controller] = {row.image_uuid: mark, **known}
        self.up = True

    async def flush(self) -> None:
        """
        Write what changed since the last time, all or nothing.

        Raises: StoreError; what could not be written stays to be written.
        """
        if self._engine is None:
            await self.open()
        keys, self._dirty = self._dirty, set()
        written = False
        try:
            if keys and self._engine is not None:
                async with self._engine.begin() as connection:
                    await self._write(connection, sorted(keys))
            written = True
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(_words(error)) from error
        finally:
            if not written:  # also when cancelled: the last flush comes after
                self._dirty |= keys

    async def run(self) -> None:
        """Write behind for ever; say it when the database goes away and when it is back."""
        while True:
            await asyncio.sleep(ROUND_S)
            await self.try_flush()

    async def try_flush(self) -> None:
        """Flush; a database that does not answer is said once, not raised."""
        try:
            await self.flush()
        except StoreError as error:
            if self.up:
                self._log.warning("store_down", cause=str(error))
            self.up = False
        else:
            if not self.up:
                self._log.warning("store_up")
            self.up = True

    async def close(self) -> None:
        """Let go of the database."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.dispose()

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


def _row(controller: str, uuid: str, mark: Mark) -> dict[str, object]:
    return {
        "controller": controller,
        "image_uuid": uuid,
        "fingerprint": mark.fingerprint,
        "changed_at": mark.changed_at,
        "first_seen_at": mark.first_seen_at,
    }


def _words(error: Exception) -> str:
    """The database's own words, without the statement and its values."""
    return str(getattr(error, "orig", None) or error).splitlines()[0][:200]


def _make_engine(url: URL, busy_timeout_ms: int) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        return create_async_engine(url.set(drivername="postgresql+asyncpg"), pool_pre_ping=True)
    url = url.set(drivername="sqlite+aiosqlite")
    if not url.database:
        return create_async_engine(url, poolclass=StaticPool)  # a database in memory lives as long as its connection
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url)

    @event.listens_for(engine.sync_engine, "connect")
    def durable(connection: Any, _record: object) -> None:  # noqa: ANN401  the driver's connection, untyped
        """Readers do not block the writer, and a commit is on the disk when it returns."""
        try:
            cursor = connection.cursor()
            for pragma in (f"busy_timeout={busy_timeout_ms}", "journal_mode=WAL", "synchronous=FULL"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
        except sqlite3.Error:  # or its thread would outlive the attempt
            connection.close()
            raise

    return engine
