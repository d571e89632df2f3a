"""
One more connection to a SQLite file, used for nothing but its write-ahead log.

While it is open, SQLite neither removes the log nor makes another one when the connections of the pool are renewed.
And what was committed to a log that an operator has removed can still be written into the database through it.
"""

from contextlib import AsyncExitStack

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from monitor.model.errors import FilesLost


class LogKeeper:
    """Keeps the log of the file of ``engine``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._held: AsyncConnection | None = None

    @property
    def is_open(self) -> bool:
        """Whether it holds a connection."""
        return self._held is not None

    async def open(self) -> bool:
        """
        Connect. Returns: whether the file has a log; on a file system without shared memory it has none.

        Raises: OSError, SQLAlchemyError.
        """
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._engine.connect())
            mode = (await connection.execute(text("PRAGMA journal_mode"))).scalar_one()
            await connection.rollback()  # SQLAlchemy's transaction; SQLite began none
            self._held = connection
            stack.pop_all()
        return bool(mode == "wal")

    async def save(self) -> None:
        """
        Write all that is in the log into the database, and on the disk.

        Raises: FilesLost while a reader of an older state keeps it from that; OSError, SQLAlchemyError.
        """
        if self._held is None:
            return
        blocked, _, _ = (await self._held.execute(text("PRAGMA wal_checkpoint(FULL)"))).one()
        await self._held.rollback()
        if blocked:
            raise FilesLost("its log was removed, and cannot be saved while another program reads the database")

    async def close(self) -> None:
        """Give the connection back to the pool."""
        if self._held is not None:
            held, self._held = self._held, None
            await held.close()
