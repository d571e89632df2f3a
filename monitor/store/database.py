"""
One database by URL: connected, migrated, locked against a second daemon, and used in transactions with a time limit.

Owns the engine and the lock, and knows whether the database is up. Every error of a driver is raised as a StoreError
with the message of the database. Knows no table.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from monitor.model.errors import StoreError
from monitor.store import engines
from monitor.store.engines import ConnectionRenewal
from monitor.store.locks import FileLock, Lock, NoLock, ServerLock
from monitor.store.migrate import migrate
from monitor.store.sqlite_threads import SqliteThreads

LIMIT_S = 5.0  # of one transaction: an HTTP client waits for it, and a database that takes longer counts as down
_OPEN_FACTOR = 4  # times the limit: connecting and migrating take several round trips
_CLOSE_TIMEOUT_S = 2.0  # a dead disk must not keep the process from ending

_DRIVER_ERRORS = (SQLAlchemyError, OSError)  # OSError: also TimeoutError, and every failure to connect


class Database:
    """
    ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (memory) or ``postgresql://…``.

    ``up``: whether the database works. A failed operation sets it to False; only `mark_up` sets it to True again.
    ``cause``: why it is down. ``read_only``: change nothing, and take no lock.

    Only one daemon at a time uses a database. A second one can neither open nor read it: what it read could be
    outdated a moment later. With ``read_only``, a database can be read while a daemon uses it.
    """

    def __init__(
        self, url: str, *, busy_timeout_ms: int = 1000, limit_s: float = LIMIT_S, read_only: bool = False
    ) -> None:
        self._url_text = url
        self._url = make_url(url)
        self._path = Path(self._url.database) if self._is_sqlite and self._url.database else None
        self._busy_timeout_ms = busy_timeout_ms
        self.limit_s = limit_s
        self._read_only = read_only
        self._engine: AsyncEngine | None = None
        self._renewal: ConnectionRenewal | None = None
        self._threads = SqliteThreads()
        self._lock: Lock = NoLock()
        self._opened_file: tuple[int, int] | None = None
        self.name = self._url.render_as_string(hide_password=True)
        self._log = structlog.get_logger().bind(database=self.name)
        self._down_logged = False
        self.is_open = False
        """Whether transactions are possible: False before `open`, and after the file or the lock was lost."""
        self.up = False
        self.cause = "the database has not been opened yet"

    async def open(self) -> None:
        """
        Connect, take the lock, and migrate the schema.

        Raises: StoreError, also while another process has the lock; NewerDatabase.
        """
        try:
            engine = self._prepare()
            async with asyncio.timeout(_OPEN_FACTOR * self.limit_s):
                await self._threads.wait()
                await self._lock.take()
                async with engine.begin() as connection:
                    if not self._read_only:
                        await connection.run_sync(migrate)
        except (StoreError, *_DRIVER_ERRORS) as error:
            await self._lock.release()  # another process may be able to use the database
            raise self.mark_down(error) from error
        self._opened_file = self._file_id()
        self.is_open = True

    @asynccontextmanager
    async def transaction(self, *, limited: bool = True) -> AsyncIterator[AsyncConnection]:
        """
        All or nothing, and durable at the end.

        ``limited``: whether the time limit applies.
        Raises: StoreError. Whether it was committed is then unknown, and is settled before the next transaction begins:
        that one waits for the abandoned threads.
        """
        engine = self._engine
        if engine is None or not self.is_open:
            raise StoreError(self.cause)
        try:
            async with asyncio.timeout(self.limit_s if limited else None):
                await self._threads.wait()
                self.check_file()  # directly before the transaction begins
                async with engine.begin() as connection:
                    yield connection
        except _DRIVER_ERRORS as error:
            raise self.mark_down(error) from error
        self.check_file()

    def check_file(self) -> None:
        """
        Check that the open file is still the one at its path, and that this process holds the lock.

        What is written to a removed file is lost when the process ends. Raises: StoreError; open the database again.
        """
        lost = self._lock.lost()
        if self._file_id() != self._opened_file:
            lost = "the database file was removed or replaced"
        if self.is_open and lost:
            self.is_open = False
            raise self.mark_down(StoreError(lost))

    async def probe(self) -> None:
        """As `check_file`, but also ask the server whether this process holds the lock. Raises: StoreError."""
        try:
            async with asyncio.timeout(self.limit_s):
                await self._lock.probe()
        except _DRIVER_ERRORS as error:
            raise self.mark_down(error) from error
        self.check_file()

    def require_up(self) -> None:
        """Raises: StoreError at once when the database is known to be down."""
        if not self.up:
            raise StoreError(self.cause)

    def mark_up(self) -> None:
        """Note that the database works again."""
        if self._down_logged:
            self._log.warning("database_up")
        self._down_logged, self.up, self.cause = False, True, ""

    def mark_down(self, error: Exception) -> StoreError:
        """
        Note that the database failed, and log it unless it was down before. Later transactions use new connections.

        Returns: the error as a StoreError.
        """
        self.cause = _cause_of(error)
        if not self._down_logged:
            self._log.warning("database_down", cause=self.cause)
        self._down_logged, self.up = True, False
        self.is_open = self.is_open and not self._lock.lost()
        if self._renewal and (self._path or not self._is_sqlite):  # a database in memory is lost with its connection
            self._renewal.renew_all()
        return error if isinstance(error, StoreError) else StoreError(self.cause)

    async def close(self) -> None:
        """
        Close the database, within about two seconds.

        The lock stays taken while a thread may still write: until the process ends, or this is called again.
        """
        self.is_open = False
        engine, self._engine = self._engine, None
        with suppress(TimeoutError):
            async with asyncio.timeout(min(_CLOSE_TIMEOUT_S, self.limit_s)):
                if engine is not None:
                    await engine.dispose()
                await self._threads.wait()
                await self._lock.release()

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    def _prepare(self) -> AsyncEngine:
        """Make the folder of the file; on the first call, also the engine and the lock."""
        if self._path and not self._read_only:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._engine is None:
            self._engine = self._make_engine()
            self._renewal = ConnectionRenewal(self._engine)
            self._lock = self._make_lock(self._engine)
        return self._engine

    def _make_engine(self) -> AsyncEngine:
        if not self._is_sqlite:
            return engines.make_postgres_engine(self._url_text, limit_s=self.limit_s)
        if self._path is None:
            return engines.make_memory_engine()
        make = engines.make_reading_engine if self._read_only else engines.make_file_engine
        return make(self._path, self._threads, busy_timeout_ms=self._busy_timeout_ms)

    def _make_lock(self, engine: AsyncEngine) -> Lock:
        if self._read_only or (self._is_sqlite and self._path is None):
            return NoLock()
        return FileLock(self._path) if self._path else ServerLock(engine)

    def _file_id(self) -> tuple[int, int] | None:
        """Device and inode of the file; None without one."""
        try:
            status = self._path.stat() if self._path else None
        except OSError:
            return None
        return (status.st_dev, status.st_ino) if status else None


def _cause_of(error: Exception) -> str:
    """Return the message of the database, without the statement and its values."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0][:200]
