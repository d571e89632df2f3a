"""How SQLAlchemy connects to a SQLite file, to a database in memory and to PostgreSQL."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from monitor.model.errors import StoreError
from monitor.store.sqlite_threads import SqliteThreads

_SQLITE = "sqlite+aiosqlite"


def make_memory_engine() -> AsyncEngine:
    """Make an engine for a database in memory. It lives as long as its one connection, which all callers share."""
    return create_async_engine(f"{_SQLITE}://", poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0)


def make_file_engine(path: Path, threads: SqliteThreads, *, busy_timeout_ms: int) -> AsyncEngine:
    """Make an engine for a file: readers do not block the writer, and a commit is on the disk when it returns."""
    url = URL.create(_SQLITE, database=str(path))
    engine = create_async_engine(url, connect_args={"async_creator_fn": threads.connect})
    _prepare(engine, (f"busy_timeout={busy_timeout_ms}", "journal_mode=WAL", "synchronous=FULL"))
    return engine


def make_reading_engine(path: Path, threads: SqliteThreads, *, busy_timeout_ms: int) -> AsyncEngine:
    """Make an engine that only reads a file of another process. The file must exist."""
    uri = URL.create(_SQLITE, database=f"{path.absolute().as_uri()}?mode=ro", query={"uri": "true"})
    engine = create_async_engine(uri, connect_args={"async_creator_fn": threads.connect})
    _prepare(engine, (f"busy_timeout={busy_timeout_ms}",))
    return engine


def _prepare(engine: AsyncEngine, pragmas: Iterable[str]) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:  # noqa: ANN401  the driver's, untyped
        try:
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
        except sqlite3.Error:  # else the thread of the connection would never end
            connection.close()
            raise

    @event.listens_for(engine.sync_engine, "checkout")
    def check(connection: Any, _entry: ConnectionPoolEntry, _proxy: object) -> None:  # noqa: ANN401
        """Refuse a connection that was abandoned: the pool does not learn of all of them."""
        if not connection.driver_connection.usable:
            raise DisconnectionError

    @event.listens_for(engine.sync_engine, "invalidate")
    def release(connection: Any, _entry: ConnectionPoolEntry, _error: BaseException | None) -> None:  # noqa: ANN401
        """Roll back before it is closed: an open statement would keep the connection and its locks alive."""
        with suppress(sqlite3.Error, ValueError):  # ValueError: closed already
            connection.rollback()


LogIn = Callable[[], tuple[str, str | None]]
"""The URL for a new connection, and the password where that is not in the URL. Raises: ValueError."""


def make_postgres_engine(log_in: LogIn, *, timeout_s: float) -> AsyncEngine:
    """
    Make an engine for PostgreSQL. asyncpg reads the URL itself, so ``sslmode``, ``passfile`` and the rest work.

    Raises: StoreError when the driver is not installed.
    """
    try:
        import asyncpg  # noqa: PLC0415
    except ImportError as error:
        raise StoreError("asyncpg is not installed; it comes with the extra `postgres`") from error

    # the pool would log that a dead connection cannot be closed
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)

    async def connect() -> Any:  # noqa: ANN401  the driver's, untyped
        name = {"application_name": "avi-upgrade-monitor"}
        try:
            url, password = await asyncio.to_thread(log_in)  # it may read a file, and a disk may stall
            return await asyncpg.connect(
                url, password=password, timeout=timeout_s, command_timeout=timeout_s, server_settings=name
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise ConnectionError(str(error)) from error  # SQLAlchemy then treats it as a failure to connect

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, pool_pre_ping=True)


class ConnectionRenewal:
    """
    Replaces the connections of a pool after a failure.

    A connection to a file that was read-only, or to a server that has become the standby, would stay read-only.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._generation = 0
        event.listen(engine.sync_engine, "connect", self._mark)
        event.listen(engine.sync_engine, "checkout", self._check)

    def renew_all(self) -> None:
        """Use none of the present connections again."""
        self._generation += 1

    def _mark(self, _connection: object, entry: ConnectionPoolEntry) -> None:
        entry.info["generation"] = self._generation

    def _check(self, _connection: object, entry: ConnectionPoolEntry, _proxy: object) -> None:
        if entry.info["generation"] != self._generation:
            raise DisconnectionError  # the pool then connects anew
