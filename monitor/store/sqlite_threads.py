"""
SQLite's calls, each connection's in a thread of its own; and what becomes of a thread that does not come back.

A call cannot be taken back: on a disk that stalls it lasts as long as that. Whoever stops waiting for one leaves the
whole connection behind. Its thread does nothing more, when it comes back, than to roll back and close it; only a commit
that was under way may still be done. Knows no SQLAlchemy.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection
from functools import partial
from typing import Any
from weakref import WeakSet

import aiosqlite

_LENIENT = partial(str, encoding="utf-8", errors="replace")  # one altered byte must not keep all else from being read


class SqliteThreads:
    """The threads of one database, as far as they are ending."""

    def __init__(self) -> None:
        self._ending: set[asyncio.Future[Any]] = set()

    def connect(self, *args: Any, **options: Any) -> "Connection":  # noqa: ANN401  sqlite3.connect's
        """A connection, made when it is awaited."""
        return Connection(partial(_open, *args, **options), self._ending)

    async def wait(self) -> None:
        """Wait until every thread that was left behind is back: none of them will write any more."""
        while self._ending:
            await asyncio.wait(self._ending)


def _open(*args: Any, **options: Any) -> sqlite3.Connection:  # noqa: ANN401
    connection: sqlite3.Connection = sqlite3.connect(*args, **options)
    connection.text_factory = _LENIENT
    return connection


class Connection(aiosqlite.Connection):
    """As its parent, but that nobody waits for a call that he gave up, neither here nor at the end of the process."""

    def __init__(self, connector: Callable[[], sqlite3.Connection], ending: set[asyncio.Future[Any]]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True
        self._ending = ending
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    @property
    def usable(self) -> bool:
        """Whether it may be asked anything more."""
        return bool(self._running)

    def stop(self) -> asyncio.Future[Any] | None:
        """Close it and end its thread, after the call that it is in."""
        if not self._running:  # a thread that has ended would never answer
            return None
        future = super().stop()
        if future is not None:
            self._ending.add(future)
            future.add_done_callback(self._ending.discard)
        return future

    async def close(self) -> None:
        """Wait for the end of the thread, unless it was left behind."""
        future = self.stop()
        if future is not None:
            await asyncio.shield(future)

    async def rollback(self) -> None:
        """Where it was left behind, that is ordered already."""
        if self._running:
            await super().rollback()

    async def _execute(self, fn: Callable[..., Any], *args: Any, **options: Any) -> Any:  # noqa: ANN401
        try:
            result = await super()._execute(fn, *args, **options)  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            self._leave()
            raise
        if isinstance(result, sqlite3.Cursor):
            self._cursors.add(result)
        return result

    def _leave(self) -> None:
        if self._running and self._connection is not None:
            self._connection.interrupt()  # or a slow query would keep everybody waiting until its end
            self._tx.put_nowait((None, partial(_undo, self._connection, self._cursors)))
        self.stop()


def _undo(connection: sqlite3.Connection, cursors: Collection[sqlite3.Cursor]) -> None:
    """A statement that is still open would let the rollback be interrupted, too, and keep the locks after the end."""
    for cursor in cursors:
        cursor.close()
    connection.rollback()
