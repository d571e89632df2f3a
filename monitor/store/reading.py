"""Reading a database that another daemon writes to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from monitor.store import engines
from monitor.store.sqlite_threads import SqliteThreads


@asynccontextmanager
async def reading_file(path: Path, threads: SqliteThreads, *, busy_timeout_ms: int) -> AsyncIterator[AsyncConnection]:
    """
    A transaction that only reads, on a connection of its own to the file.

    The writer may replace file and log at any time: no connection stays open, so none is to those before.
    """
    engine = engines.make_reading_engine(path, threads, busy_timeout_ms=busy_timeout_ms)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def reading_server(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction of PostgreSQL in which the server refuses to write."""
    async with engine.connect() as connection:
        reading = await connection.execution_options(postgresql_readonly=True)
        async with reading.begin():
            yield reading
