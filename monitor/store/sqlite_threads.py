"""
SQLite connections, each with a thread of its own that can be abandoned.

A call of SQLite cannot be cancelled: on a disk that stalls it takes as long as the stall. A caller that stops waiting
abandons the whole connection. When the call returns, the thread rolls back and closes the connection; only a commit
that was already running may still take effect. Knows no SQLAlchemy.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection
from functools import partial
from typing import Any
from weakref import WeakSet

import aiosqlite

_decode_lossy = partial(str, encoding="utf-8", errors="replace")  # one altered byte must not make the rest unreadable


class SqliteThreads:
    """Makes the connections of one database, and knows which of their threads have not ended yet."""

    def __init__(self) -> None:
        self._ending: set[asyncio.Future[Any]] = set()

    def connect(self, *args: Any, **options: Any) -> "Connection":  # noqa: ANN401  sqlite3.connect's
        """Return a connection that is opened when it is awaited."""
        return Connection(partial(_open, *args, **options), self._ending)

    async def wait(self) -> None:
        """Wait until every abandoned thread has ended: none of them can write after that."""
        while self._ending:
            await asyncio.wait(self._ending)


def _open(*args: Any, **options: Any) -> sqlite3.Connection:  # noqa: ANN401
    connection: sqlite3.Connection = sqlite3.connect(*args, **options)
    connection.text_factory = _decode_lossy
    return connection


class Connection(aiosqlite.Connection):
    """A connection that is abandoned when a call is cancelled; the end of the process does not wait for it."""

    def __init__(self, connector: Callable[[], sqlite3.Connection], ending: set[asyncio.Future[Any]]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True
        self._ending = ending
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    @property
    def usable(self) -> bool:
        """Whether it is open and was not abandoned."""
        return bool(self._running)

    def stop(self) -> asyncio.Future[Any] | None:
        """Close the connection and end its thread after the present call."""
        if not self._running:  # a thread that has ended would never reply
            return None
        future = super().stop()
        if future is not None:
            self._ending.add(future)
            future.add_done_callback(self._ending.discard)
        return future

    async def close(self) -> None:
        """Wait for the end of the thread, unless the connection was abandoned."""
        future = self.stop()
        if future is not None:
            await asyncio.shield(future)

    async def rollback(self) -> None:
        """Roll back; an abandoned connection does so by itself."""
        if self._running:
            await super().rollback()

    async def _execute(self, fn: Callable[..., Any], *args: Any, **options: Any) -> Any:  # noqa: ANN401
        try:
            result = await super()._execute(fn, *args, **options)  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            self._abandon()
            raise
        if isinstance(result, sqlite3.Cursor):
            self._cursors.add(result)
        return result

    def _abandon(self) -> None:
        if self._running and self._connection is not None:
            self._connection.interrupt()  # otherwise `wait` takes as long as a slow query
            self._tx.put_nowait((None, partial(_roll_back, self._connection, self._cursors)))
        self.stop()


def _roll_back(connection: sqlite3.Connection, cursors: Collection[sqlite3.Cursor]) -> None:
    """Close all statements first: an open one would let the rollback be interrupted, too, and would keep the locks."""
    for cursor in cursors:
        cursor.close()
    connection.rollback()
