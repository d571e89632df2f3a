"""
One database by URL: connected, migrated, ours alone to write to, and asked in transactions that end in time.

Owns the engine, the lock, and the knowledge whether the database is there. Whatever a driver raises leaves as a
StoreError in the database's own words. Knows no table.
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
from monitor.store.engines import Renewal
from monitor.store.locks import FileLock, Lock, NoLock, ServerLock
from monitor.store.migrate import migrate
from monitor.store.sqlite_threads import SqliteThreads

LIMIT_S = 5.0  # of one transaction: a caller of ours waits for it, and what takes longer is as good as down
_OPENING = 4  # times as long: connecting and migrating are many waits in a row
_CLOSING_S = 2.0  # at most; an ended process may not wait for a dead disk

_FOREIGN = (SQLAlchemyError, OSError)  # OSError: also TimeoutError, and every failure to connect


class Database:
    """
    ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (memory) or ``postgresql://…``.

    ``up``: whether the last thing asked of it was done; that it is not is said here, that it is again by `rise`.
    ``cause``: why it is not. ``read_only``: look at a database that another process owns, and change nothing.

    It is written to by one process. Another that has it open keeps it from being opened here, and so also from being
    read: what is kept in memory could be wrong a moment later.
    """

    def __init__(
        self, url: str, *, busy_timeout_ms: int = 1000, limit_s: float = LIMIT_S, read_only: bool = False
    ) -> None:
        self._text = url
        self._url = make_url(url)
        self._path = Path(self._url.database) if self._is_sqlite and self._url.database else None
        self._busy_timeout_ms = busy_timeout_ms
        self.limit_s = limit_s
        self._read_only = read_only
        self._engine: AsyncEngine | None = None
        self._renewal: Renewal | None = None
        self._threads = SqliteThreads()
        self._lock: Lock = NoLock()
        self._place: tuple[int, int] | None = None
        self.name = self._url.render_as_string(hide_password=True)
        self._log = structlog.get_logger().bind(database=self.name)
        self._said_down = False
        self.is_open = False
        """Whether it may be asked: not before `open`, and not after its file or its lock went."""
        self.up = False
        self.cause = "it was not opened yet"

    async def open(self) -> None:
        """
        Connect, take the lock, and bring the schema up to date.

        Raises: StoreError, also while another process has the lock; NewerDatabase.
        """
        try:
            engine = self._prepare()
            async with asyncio.timeout(_OPENING * self.limit_s):
                await self._threads.wait()
                await self._lock.take()
                async with engine.begin() as connection:
                    if not self._read_only:
                        await connection.run_sync(migrate)
        except (StoreError, *_FOREIGN) as error:
            await self._lock.release()  # whoever can use it may have it
            raise self.fall(error) from error
        self._place = self._find()
        self.is_open = True

    @asynccontextmanager
    async def transaction(self, *, limited: bool = True) -> AsyncIterator[AsyncConnection]:
        """
        All or nothing, and durable at the end.

        ``limited``: whether it must end in time. Raises: StoreError; whether it was committed is then not known, and
        not decided before the next transaction begins: that waits for what was left behind.
        """
        engine = self._engine
        if engine is None or not self.is_open:
            raise StoreError(self.cause)
        try:
            async with asyncio.timeout(self.limit_s if limited else None):
                await self._threads.wait()
                self.look()  # as late as can be
                async with engine.begin() as connection:
                    yield connection
        except _FOREIGN as error:
            raise self.fall(error) from error
        self.look()

    def look(self) -> None:
        """
        See whether the file that we write is still the one that others find, and the lock ours.

        Without a name the file dies with us. Raises: StoreError; it is then to be opened anew.
        """
        lost = self._lock.lost()
        if self._find() != self._place:
            lost = "its file is gone, or another has taken its place"
        if self.is_open and lost:
            self.is_open = False
            raise self.fall(StoreError(lost))

    async def probe(self) -> None:
        """As `look`, but asks where a look shows nothing. Raises: StoreError."""
        try:
            async with asyncio.timeout(self.limit_s):
                await self._lock.probe()
        except _FOREIGN as error:
            raise self.fall(error) from error
        self.look()

    def require_up(self) -> None:
        """Raises: StoreError at once when it is known to be down."""
        if not self.up:
            raise StoreError(self.cause)

    def rise(self) -> None:
        """Take it for healed."""
        if self._said_down:
            self._log.warning("store_up")
        self._said_down, self.up, self.cause = False, True, ""

    def fall(self, error: Exception) -> StoreError:
        """The error as ours, said when it is news. Afterwards connections are made anew."""
        self.cause = _words(error)
        if not self._said_down:
            self._log.warning("store_down", cause=self.cause)
        self._said_down, self.up = True, False
        self.is_open = self.is_open and not self._lock.lost()
        if self._renewal and (self._path or not self._is_sqlite):  # a database in memory would go with its connection
            self._renewal.demand()
        return error if isinstance(error, StoreError) else StoreError(self.cause)

    async def close(self) -> None:
        """
        Let go of the database, soon.

        The lock stays taken while a thread may still write: until the process ends, or this is called again.
        """
        self.is_open = False
        engine, self._engine = self._engine, None
        with suppress(TimeoutError):
            async with asyncio.timeout(min(_CLOSING_S, self.limit_s)):
                if engine is not None:
                    await engine.dispose()
                await self._threads.wait()
                await self._lock.release()

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    def _prepare(self) -> AsyncEngine:
        """The engine, and a place for the file."""
        if self._path and not self._read_only:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._engine is None:
            self._engine = self._make_engine()
            self._renewal = Renewal(self._engine)
            self._lock = self._make_lock(self._engine)
        return self._engine

    def _make_engine(self) -> AsyncEngine:
        if not self._is_sqlite:
            return engines.make_postgres_engine(self._text, limit_s=self.limit_s)
        if self._path is None:
            return engines.make_memory_engine()
        make = engines.make_reading_engine if self._read_only else engines.make_file_engine
        return make(self._path, self._threads, busy_timeout_ms=self._busy_timeout_ms)

    def _make_lock(self, engine: AsyncEngine) -> Lock:
        if self._read_only or (self._is_sqlite and self._path is None):
            return NoLock()
        return FileLock(self._path) if self._path else ServerLock(engine)

    def _find(self) -> tuple[int, int] | None:
        """Device and inode of the file; None without one."""
        try:
            status = self._path.stat() if self._path else None
        except OSError:
            return None
        return (status.st_dev, status.st_ino) if status else None


def _words(error: Exception) -> str:
    """The database's own words, without the statement and its values."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0][:200]
