"""
One daemon per database: a lock keeps a second one out for as long as the first has it open.

The lock ends with the process that holds it, however it ends: a file lock for SQLite, a session lock for PostgreSQL.
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

from monitor.model.errors import DatabaseTaken

TAKEN = "another daemon writes to the database; this one takes over when that has ended"

_KEY = 4708032  # any number; the same in every version, and not the one of migrate.py
_OF_SCHEMA = f"{_KEY}, hashtext(current_schema())"  # two monitors with a schema each may share a database
_TRIES, _PAUSE_S = 20, 0.05  # the session of a killed process takes a moment to end

# a server that cannot reach us any more must not keep the lock for hours, as by the default keepalives of a system
_KEEPALIVES = "SELECT " + ", ".join(
    f"set_config('tcp_keepalives_{name}', '{value}', false)"
    for name, value in (("idle", 5), ("interval", 5), ("count", 3))
)


class Lock(Protocol):
    """The exclusive right to use one database."""

    async def take(self) -> None:
        """Take the lock unless we hold it. Raises: DatabaseTaken while another has it; OSError, SQLAlchemyError."""

    async def probe(self) -> None:
        """Ask the server, where there is one, whether we still hold the lock. Raises: OSError, SQLAlchemyError."""

    def lost(self) -> str:
        """Return why we do not hold the lock; empty while we do."""

    async def release(self) -> None:
        """Release the lock, if we hold it."""


class NoLock:
    """For a database in memory, and for one that is only read: these need no lock."""

    async def take(self) -> None:
        """Do nothing."""

    async def probe(self) -> None:
        """Do nothing."""

    def lost(self) -> str:
        """Return that it is held."""
        return ""

    async def release(self) -> None:
        """Do nothing."""


class FileLock:
    """
    ``flock`` on a file beside the database. The file is never deleted.

    Not on the database itself: closing a file ends all POSIX locks that the process has on it, SQLite's own among them.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database
        self._file: int | None = None

    async def take(self) -> None:
        """Take the lock, unless we hold it."""
        if not self.lost():
            return
        await self.release()
        self._path = Path(f"{self._database.resolve()}-lock")
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            await self.release()
            raise (DatabaseTaken(TAKEN) if isinstance(error, BlockingIOError) else error) from error

    async def probe(self) -> None:
        """Do nothing: `lost` knows."""

    def lost(self) -> str:
        """Return why the lock is not held. A replaced lock file counts: the next daemon would lock the new one."""
        try:
            held = self._file is not None and os.path.samestat(os.fstat(self._file), self._path.stat())
        except OSError:
            held = False
        return "" if held else f"the lock is lost: {self._path.name} was removed or replaced"

    async def release(self) -> None:
        """Release the lock. It is a bare descriptor, so that no garbage collection can release it."""
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


class ServerLock:
    """
    An advisory lock of PostgreSQL on the schema, held by a session that is used for nothing else.

    An earlier version locks the whole database, by one number. For one release that lock is taken as well, shared: so
    daemons of the two versions keep each other out, and daemons of this one on several schemas do not.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._held: AsyncConnection | None = None
        self._session: Any = None  # asyncpg's, untyped

    async def take(self) -> None:
        """Take the lock, unless we hold it; wait up to a second for the session of a process that just ended."""
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
        """Send a query, which also keeps firewalls from dropping the idle connection."""
        if self._held is not None and not self.lost():
            await self._held.execute(text("SELECT 1"))

    def lost(self) -> str:
        """Return why the lock is not held, as far as asyncpg knows; `probe` asks the server."""
        held = self._session is not None and not self._session.is_closed()
        return "" if held else "the lock is lost: the connection was closed"

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
        if await _is_true(connection, f"pg_try_advisory_lock({_OF_SCHEMA})"):
            if await _is_true(connection, f"pg_try_advisory_lock_shared({_KEY})"):
                return
            await _is_true(connection, f"pg_advisory_unlock({_OF_SCHEMA})")
        await asyncio.sleep(_PAUSE_S)
    raise DatabaseTaken(TAKEN)


async def _is_true(connection: AsyncConnection, call: str) -> bool:
    return bool((await connection.execute(text(f"SELECT {call}"))).scalar_one())
