"""The ways in which a database can fail, each done to a real one and undone again."""

import resource
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg

from tests.support.postgres import Server


class Place(NamedTuple):
    """Where a database is: a file in a folder, or a name at a server."""

    url: str
    folder: Path
    at: Server | None = None

    @property
    def server(self) -> Server:
        assert self.at
        return self.at

    @property
    def file(self) -> Path:
        return self.folder / "state.db"

    @property
    def name(self) -> str:
        return self.url.partition("@/")[2].partition("?")[0]

    def watch(self) -> sqlite3.Connection:
        """A connection that keeps the write-ahead log of the file when the last store closes."""
        watcher = sqlite3.connect(self.file if self.at is None else ":memory:")
        watcher.execute("SELECT count(*) FROM sqlite_master").fetchall()
        return watcher

    def disconnect(self) -> None:
        """End all sessions but the one with the lock; settings of the database hold for new ones."""
        ours = f"datname = '{self.name}'"
        but = "pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        self.server.execute(f"{end} WHERE {ours} AND {but}")


class Failure(NamedTuple):
    """``words``: a pattern of the cause that the store reports. ``inject``: makes the database fail for a while."""

    words: str
    inject: Callable[[Place], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def locked_file(place: Place) -> AsyncIterator[None]:
    locker = sqlite3.connect(place.file, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        locker.close()


@asynccontextmanager
async def full_disk(place: Place) -> AsyncIterator[None]:
    """No file may grow beyond the size of the write-ahead log, which a reader keeps from beginning anew."""
    reader = sqlite3.connect(place.file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM audit_head").fetchall()
    size = Path(f"{place.file}-wal").stat().st_size  # noqa: ASYNC240  the file is in the cache
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        reader.close()


@asynccontextmanager
async def locked_table(place: Place) -> AsyncIterator[None]:
    """As by an operator who leaves a transaction open in psql."""
    place.server.execute(f"ALTER DATABASE {place.name} SET lock_timeout = '100ms'")
    place.disconnect()
    locker = await asyncpg.connect(place.url)
    try:
        await locker.execute("BEGIN; LOCK TABLE audit_head")
        yield
    finally:
        await locker.close()


@asynccontextmanager
async def standby(place: Place) -> AsyncIterator[None]:
    """As after a fail-over to a server that can only be read."""
    place.server.execute(f"ALTER DATABASE {place.name} SET default_transaction_read_only = on")
    place.disconnect()
    try:
        yield
    finally:
        place.server.execute(f"ALTER DATABASE {place.name} RESET default_transaction_read_only")


@asynccontextmanager
async def stopped(place: Place) -> AsyncIterator[None]:
    place.server.stop()
    try:
        yield
    finally:
        place.server.start()


@asynccontextmanager
async def read_only_file(place: Place) -> AsyncIterator[None]:
    """
    A file of a format that SQLite may read and not write.

    Modes would not stop root. Connections that are open already are not affected.
    """
    _set_write_version(place.file, 3)
    try:
        yield
    finally:
        _set_write_version(place.file, 2)


def _set_write_version(file: Path, version: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(18)  # https://www.sqlite.org/fileformat2.html#file_format_version_numbers
        opened.write(bytes([version]))


OF_FILES = {
    "locked": Failure("database is locked", locked_file),
    "full": Failure("disk I/O error|database or disk is full", full_disk),
}
OF_SERVERS = {
    "locked": Failure("lock timeout", locked_table),
    "standby": Failure("cannot execute (UPDATE|SELECT FOR SHARE) in a read-only transaction", standby),
    "stopped": Failure("No such file or directory|Connection refused|connection was closed|terminating", stopped),
}
