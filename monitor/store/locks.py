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
_KEEPALIVES = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
_PING = text("SELECT 1")
"""
Executed once before the lock is taken: a process that is stopped while the server prepares a statement is not idle, so
that the server would keep its session for ever. Once prepared, a statement is one message.
"""
_SET = text("SELECT set_config(name, :value, false) FROM pg_settings WHERE name = :name")


class Lock(Protocol):
    """The exclusive right to use one database."""

    async def take(self) -> None:
        """Take the lock unless we hold it. Raises: DatabaseTaken while another has it; OSError, SQLAlchemyError."""

    def lost(self) -> str:
        """Return why we do not hold the lock; empty while we do."""

    async def release(self) -> None:
        """Release the lock, if we hold it."""


class NoLock:
    """For a database in memory, and for one that is only read: these need no lock."""

    async def take(self) -> None:
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

    It is a lease: the server ends a session of which it hears nothing for ``lease_s``, and so does this process. So it
    ends soon, too, when the process is stopped or the network is cut. PostgreSQL 13 knows keepalives alone.

    An earlier version locks the whole database, by one number. For one release that lock is taken as well, shared: so
    daemons of the two versions keep each other out, and daemons of this one on several schemas do not.
    """

    def __init__(self, engine: AsyncEngine, *, lease_s: float) -> None:
        self._engine = engine
        self._lease_s = lease_s
        self._loop = asyncio.get_running_loop()
        self._connection: AsyncConnection | None = None
        self._session: Any = None  # asyncpg's, untyped
        self._confirmed_at: float | None = None
        """When the last query was sent that the server has answered; None: the lock is not held."""
        self._renewing: asyncio.Task[None] | None = None

    async def take(self) -> None:
        """
        Take the lock, unless we hold it. While another has it, the session is kept to ask again.

        The first time, wait up to a second for the session of a process that just ended.
        """
        if not self.lost():
            return
        tries = 1
        if self._connection is None or self._confirmed_at is not None or self._session.is_closed():
            await self.release()
            await self._connect()
            tries = _TRIES
        assert self._connection is not None  # noqa: S101  it has just been made
        asked_at = self._loop.time()
        try:
            await _take(self._connection, tries)
        except DatabaseTaken:
            raise
        except BaseException:
            await self.release()
            raise
        self._confirmed_at = asked_at
        self._renewing = self._loop.create_task(self._renew(self._connection), name="lock")

    def lost(self) -> str:
        """Return why the lock is not held, as far as this process can know."""
        if self._confirmed_at is None or self._session.is_closed():
            return "the lock is lost: the connection was closed"
        if self._loop.time() - self._confirmed_at >= self._lease_s:
            return f"the lock is lost: the server has not answered for {self._lease_s:g} s"
        return ""

    async def release(self) -> None:
        """End the session: back in the pool it would keep the lock."""
        self._session = self._confirmed_at = None
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            await asyncio.wait([renewing])
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, OSError):
                await connection.invalidate()
                await connection.close()

    async def _connect(self) -> None:
        settings = {**_KEEPALIVES, "idle_session_timeout": f"{1000 * self._lease_s:.0f}"}
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._engine.connect())
            connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
            for name, value in settings.items():  # of those that the server knows
                await connection.execute(_SET, {"name": name, "value": value})
            await connection.execute(_PING)
            self._session = (await connection.get_raw_connection()).driver_connection
            self._connection = connection
            stack.pop_all()

    async def _renew(self, connection: AsyncConnection) -> None:
        """Let the server hear of us until the lock is lost. It also keeps firewalls from dropping the connection."""
        with suppress(SQLAlchemyError, OSError):
            while not self.lost():
                await asyncio.sleep(self._lease_s / 4)
                asked_at = self._loop.time()
                await connection.execute(_PING)
                self._confirmed_at = asked_at


async def _take(connection: AsyncConnection, tries: int) -> None:
    for left in reversed(range(tries)):
        if await _is_true(connection, f"pg_try_advisory_lock_shared({_KEY})"):
            if await _is_true(connection, f"pg_try_advisory_lock({_OF_SCHEMA})"):
                return
            await _is_true(connection, f"pg_advisory_unlock_shared({_KEY})")
        if left:
            await asyncio.sleep(_PAUSE_S)
    raise DatabaseTaken(TAKEN)


async def _is_true(connection: AsyncConnection, call: str) -> bool:
    return bool((await connection.execute(text(f"SELECT {call}"))).scalar_one())
