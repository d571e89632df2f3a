"""Reading a database that another daemon writes to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from monitor.store import engines
from monitor.store.sqlite_threads import SqliteThreads


@asynccontextmanager
async def reading(
    path: Path | None, engine: AsyncEngine, threads: SqliteThreads, *, busy_timeout_ms: int
) -> AsyncIterator[AsyncConnection]:
    """A transaction that only reads: the file at the path, else the server of the engine."""
    async with (
        _reading_file(path, threads, busy_timeout_ms=busy_timeout_ms) if path else _reading_server(engine)
    ) as connection:
        yield connection


@asynccontextmanager
async def _reading_file(path: Path, threads: SqliteThreads, *, busy_timeout_ms: int) -> AsyncIterator[AsyncConnection]:
    """The writer may replace file and log at any time: no connection stays open, so none is to those before."""
    engine = engines.make_reading_engine(path, threads, busy_timeout_ms=busy_timeout_ms)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def _reading_server(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """The server itself refuses to write in this transaction."""
    async with engine.connect() as connection:
        read_only = await connection.execution_options(postgresql_readonly=True)
        async with read_only.begin():
            yield read_only
