"""
One database by URL: connected, migrated, locked against a second daemon, and used in transactions with a time limit.

Owns the engine and the lock, and knows whether the database is up. Every error of a driver is raised as a StoreError
with the message of the database. Knows no table but the one that says who the writer is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from monitor.model.errors import CommitUnknown, DatabaseTaken, FilesLost, StoreError
from monitor.patching.in_flight import InFlight
from monitor.store import engines, writer_row
from monitor.store.engines import ConnectionRenewal, LogIn
from monitor.store.files import DatabaseFiles
from monitor.store.locks import FileLock, Lock, NoLock, ServerLock
from monitor.store.log_keeper import LogKeeper
from monitor.store.reading import reading
from monitor.store.sqlite_threads import SqliteThreads
from monitor.store.status import DatabaseStatus
from monitor.store.time_limit import time_limit

TRANSACTION_TIMEOUT_S = 5.0  # an HTTP client waits for it, and a database that takes longer counts as down
_LEASE_FACTOR = 0.6  # times that: a server ends the session with the lock when it hears nothing of it
_OPEN_FACTOR = 4  # times that: connecting and migrating take several round trips
_CLOSE_TIMEOUT_S = 2.0  # a dead disk must not keep the process from ending

_DRIVER_ERRORS = (SQLAlchemyError, OSError)  # OSError: also TimeoutError, and every failure to connect


class Database(DatabaseStatus):
    """
    ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (memory) or ``postgresql://…``.

    ``log_in``: returns the URL for a new connection to PostgreSQL, and the password where the URL has none; may block.
    None: ``url`` for each.
    ``read_only``: change nothing, and take no lock.

    Only one daemon at a time writes to a database. A second one cannot open it, and from then on can read it alone.
    """

    def __init__(
        self,
        url: str,
        *,
        log_in: LogIn | None = None,
        busy_timeout_ms: int = 1000,
        transaction_timeout_s: float = TRANSACTION_TIMEOUT_S,
        read_only: bool = False,
    ) -> None:
        self._log_in = log_in or (lambda: (url, None))
        self._url = make_url(url)
        super().__init__(self._url.set(query={}).render_as_string(hide_password=True))  # a parameter may be a password
        self._path = Path(self._url.database) if self._is_sqlite and self._url.database else None
        self._busy_timeout_ms = busy_timeout_ms
        self.transaction_timeout_s = transaction_timeout_s
        self._lease_s = _LEASE_FACTOR * transaction_timeout_s
        self._read_only = read_only
        self._engine: AsyncEngine | None = None
        self._renewal: ConnectionRenewal | None = None
        self._threads = SqliteThreads()
        self._lock: Lock = NoLock()
        self._files = DatabaseFiles(self._path) if self._path else None
        self._keeper: LogKeeper | None = None
        self._writer = asyncio.Lock()
        self._in_flight = InFlight()
        self._taken = False
        """Whether another daemon had the lock when it was asked for last."""
        self._term = 0
        self.is_open = False
        """Whether transactions are possible: False before `open`, and after a file or the lock was lost."""

    @property
    def locked(self) -> bool:
        """Whether this process holds the lock, as far as it knows."""
        return self._engine is not None and not self._lock.lost()

    async def open(self) -> None:
        """
        Connect, take the lock, and migrate the schema. What only a removed log has is saved before.

        Raises: DatabaseTaken while another process has the lock; StoreError; NewerDatabase.
        """
        try:
            engine = self._prepare()
            async with time_limit(_OPEN_FACTOR * self.transaction_timeout_s):
                await self._threads.wait()
                await self._take_lock()
                await self._leave_lost_files()
                async with engine.begin() as connection:
                    if not self._read_only:
                        from monitor.store.migrate import migrate  # noqa: PLC0415  it imports alembic

                        await connection.run_sync(migrate)
                    if not self._read_only and not self._is_sqlite:  # before anything is read
                        self._term = await writer_row.begin_term(connection)
                await self._watch_files()
        except DatabaseTaken:
            self._taken = True
            raise
        except (StoreError, *_DRIVER_ERRORS) as error:
            self._taken = False
            if not (self._files and self._files.lost()):  # what has not been saved yet is ours to save
                await self._lock.release()  # another process may be able to use the database
            raise self.mark_down(error) from error
        self._taken, self.is_open = False, True

    async def take_over(self) -> bool:
        """Ask for the lock as a standby. Returns: whether this daemon holds it now, and is to `open` the database."""
        with suppress(DatabaseTaken, *_DRIVER_ERRORS):
            async with time_limit(self.transaction_timeout_s):
                await self._lock.take()
        return self.locked

    async def _take_lock(self) -> None:
        try:
            await self._lock.take()
        except DatabaseTaken:  # it may change the database: the log that we have open does not belong to it any more
            await self._disconnect()
            raise

    async def _leave_lost_files(self) -> None:
        """
        Close all files when one of them was removed or replaced; save the log before, where the database is still ours.

        Raises: StoreError while it cannot be saved; then all stays open.
        """
        if self._files and self._files.lost():
            await self._in_flight.wait_idle()
            if self._keeper and not self._files.database_lost:
                await self._keeper.save()
            self._files.remove_mismatched()
            await self._disconnect()

    async def _watch_files(self) -> None:
        """Remember which files SQLite has opened. Raises: StoreError when one of them is gone already."""
        if self._files and self._keeper and not self._keeper.is_open:
            has_log = await self._keeper.open()
            try:
                self._files.remember(log=has_log and not self._read_only)
            except FilesLost:
                await self._disconnect()
                raise

    async def _disconnect(self) -> None:
        """Close all connections to a file: SQLite lets those that remain share what they know of the log."""
        if self._files and self._keeper and self._engine:
            await self._in_flight.wait_idle()
            await self._keeper.close()
            await self._engine.dispose()
            self._files.forget()

    @asynccontextmanager
    async def transaction(self, *, writes: bool = True, limited: bool = True) -> AsyncIterator[AsyncConnection]:
        """
        All or nothing, and durable at the end.

        SQLite has one writer at a time and makes the others ask again and again, until its busy timeout is over. With
        ``writes``, those of this process wait for each other here instead; only another process is then waited for so.

        Without ``writes``, it also works while another daemon is the writer. ``limited``: whether the time limit
        applies; it includes the wait for the other writers.
        Raises: StoreError; CommitUnknown from the commit on. The next transaction waits for the abandoned threads of
        SQLite, so that they commit nothing later; PostgreSQL rolls back when the connection ends.
        """
        engine = self._engine
        if self._taken and not writes:
            async with self._reading(limited=limited) as connection:
                yield connection
            return
        if engine is None or not self.is_open:
            raise type(self.error)(self.cause)
        committing = False
        try:
            with self._in_flight.counting():
                async with (
                    time_limit(self.transaction_timeout_s if limited else None),
                    self._writer if writes and self._is_sqlite else nullcontext(),
                ):
                    await self._threads.wait()
                    self.check_files()
                    async with engine.begin() as connection:
                        self.check_files()  # again: a connection that was just made may have opened another log
                        if writes and not self._is_sqlite:
                            await self._require_term(connection)
                        yield connection
                        committing = True
                self.check_files()
        except StoreError as error:
            if committing:
                raise CommitUnknown(str(error)) from error
            raise
        except _DRIVER_ERRORS as error:
            failure = self.mark_down(error)
            raise (CommitUnknown(str(failure)) if committing else failure) from error

    @asynccontextmanager
    async def _reading(self, *, limited: bool) -> AsyncIterator[AsyncConnection]:
        """Read what the writer has written. Raises: StoreError."""
        assert self._engine is not None  # noqa: S101  it asked for the lock
        try:
            async with time_limit(self.transaction_timeout_s if limited else None):
                await self._threads.wait()
                busy_timeout_ms = self._busy_timeout_ms
                async with reading(self._path, self._engine, self._threads, busy_timeout_ms=busy_timeout_ms) as read:
                    yield read
        except _DRIVER_ERRORS as error:
            raise self.mark_down(error) from error

    async def _require_term(self, connection: AsyncConnection) -> None:
        """Raises: StoreError when another daemon has become the writer, which this one may not have noticed."""
        if not await writer_row.keep_term(connection, self._term):
            self.is_open = False
            raise self.mark_down(StoreError("the lock is lost: another daemon has become the writer"))

    def check_files(self) -> None:
        """
        Check that the open files are still those at their paths, and that this process holds the lock.

        What is written to a removed file is lost when the process ends. Raises: StoreError; open the database again.
        """
        if self.is_open and self._files and (lost := self._files.lost()):
            self.is_open = False
            raise self.mark_down(FilesLost(lost))
        if self.is_open and (lost := self._lock.lost()):
            self.is_open = False
            raise self.mark_down(StoreError(lost))
        if not self.is_open:
            raise type(self.error)(self.cause)

    def mark_down(self, error: Exception) -> StoreError:
        """As `DatabaseStatus` does; later transactions use new connections."""
        failure = super().mark_down(error)
        self.is_open = self.is_open and not self._lock.lost()
        if self._renewal and (self._path or not self._is_sqlite):  # a database in memory is lost with its connection
            self._renewal.renew_all()
        return failure

    async def close(self) -> None:
        """
        Close the database, within about two seconds.

        The lock stays taken while a thread may still write: until the process ends, or this is called again.
        """
        self.is_open = False
        engine, self._engine = self._engine, None
        if self._files:
            self._files.forget()
        with suppress(TimeoutError):
            async with time_limit(min(_CLOSE_TIMEOUT_S, self.transaction_timeout_s)):
                if self._keeper:
                    await self._keeper.close()
                if engine is not None:
                    await engine.dispose()
                await self._threads.wait()
                await self._lock.release()

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    def _prepare(self) -> AsyncEngine:
        """Make the file private; on the first call, also make the engine and the lock."""
        if self._files and not self._read_only:
            self._files.make_private()
        if self._engine is None:
            self._engine = self._make_engine()
            self._renewal = ConnectionRenewal(self._engine)
            self._lock = self._make_lock(self._engine)
            self._keeper = LogKeeper(self._engine) if self._path else None
        return self._engine

    def _make_engine(self) -> AsyncEngine:
        if not self._is_sqlite:
            return engines.make_postgres_engine(self._log_in, timeout_s=self.transaction_timeout_s)
        if self._path is None:
            return engines.make_memory_engine()
        make = engines.make_reading_engine if self._read_only else engines.make_file_engine
        return make(self._path, self._threads, busy_timeout_ms=self._busy_timeout_ms)

    def _make_lock(self, engine: AsyncEngine) -> Lock:
        if self._read_only or (self._is_sqlite and self._path is None):
            return NoLock()
        return FileLock(self._path) if self._path else ServerLock(engine, lease_s=self._lease_s)
