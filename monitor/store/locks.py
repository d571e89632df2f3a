"""
One writer: what keeps a second daemon from a database, for as long as the first has it open.

Locks that end with the process that holds them, however it ends: of a file for SQLite, of a session for PostgreSQL.
"""

import asyncio
import fcntl
import os
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from monitor.model.errors import StoreError

TAKEN = "another monitor writes to it; this one does as soon as that has ended"

_KEY = 4708032  # any number, but the same in every version, and not that of the migrations
_TRIES, _PAUSE_S = 20, 0.05  # the session of a process that was killed needs a moment to end

# a server that has lost sight of us must not keep the lock for hours, as keep-alives of the system would have it
_KEEPALIVES = "SELECT " + ", ".join(
    f"set_config('tcp_keepalives_{name}', '{value}', false)"
    for name, value in (("idle", 5), ("interval", 5), ("count", 3))
)


class Lock(Protocol):
    """The right to write to one database."""

    async def take(self) -> None:
        """Take it, unless it is held. Raises: StoreError when another has it; OSError, SQLAlchemyError."""

    async def probe(self) -> None:
        """Let it show whether it is still held. Raises: OSError, SQLAlchemyError."""

    def lost(self) -> str:
        """Why it is not held any more; empty while it is."""

    async def release(self) -> None:
        """Give it back, as far as it is held."""


class NoLock:
    """For what nobody shares: a database in memory, and one that is only looked at."""

    async def take(self) -> None:
        """It is there."""

    async def probe(self) -> None:
        """It is there."""

    def lost(self) -> str:
        """Never."""
        return ""

    async def release(self) -> None:
        """It was none."""


class FileLock:
    """
    ``flock`` on a file beside the database, which stays there for the next one.

    Not on the database itself: to close a file ends all POSIX locks that the process has on it, and so SQLite's own.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database
        self._file: int | None = None

    async def take(self) -> None:
        """Take it, unless it is held."""
        if not self.lost():
            return
        await self.release()
        self._path = Path(f"{self._database.resolve()}-lock")
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            await self.release()
            raise (StoreError(TAKEN) if isinstance(error, BlockingIOError) else error) from error

    async def probe(self) -> None:
        """What a look does not show, nothing shows."""

    def lost(self) -> str:
        """Also when the file is another now: the next one would lock that."""
        try:
            held = self._file is not None and os.path.samestat(os.fstat(self._file), self._path.stat())
        except OSError:
            held = False
        return "" if held else f"its lock is lost: {self._path.name} is gone, or another has taken its place"

    async def release(self) -> None:
        """Give it back; it is a number and no object, so that nothing else does by forgetting it."""
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


class ServerLock:
    """An advisory lock of PostgreSQL, held by a session of its own, which is asked for nothing else."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._held: AsyncConnection | None = None
        self._session: Any = None  # asyncpg's, untyped

    async def take(self) -> None:
        """Take it, unless it is held; one that is about to be free is waited for."""
        if not self.lost():
            return
        await self.release()
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._engine.connect())
            connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text(_KEEPALIVES))
            await _take(connection)
            self._session = (await connection.get_raw_connection()).driver_connection
            self._held = connection
            stack.pop_all()

    async def probe(self) -> None:
        """Also keeps whatever is in between from forgetting the session."""
        if self._held is not None and not self.lost():
            await self._held.execute(text("SELECT 1"))

    def lost(self) -> str:
        """As far as we were told; ask `probe` for more."""
        held = self._session is not None and not self._session.is_closed()
        return "" if held else "its lock is lost: the connection was closed"

    async def release(self) -> None:
        """End the session: back in the pool it would keep the lock."""
        self._session = None
        if self._held is not None:
            held, self._held = self._held, None
            with suppress(SQLAlchemyError, OSError):
                await held.invalidate()
                await held.close()


async def _take(connection: AsyncConnection) -> None:
    for _ in range(_TRIES):
        if (await connection.execute(text(f"SELECT pg_try_advisory_lock({_KEY})"))).scalar_one():
            return
        await asyncio.sleep(_PAUSE_S)
    raise StoreError(TAKEN)
