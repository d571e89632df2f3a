"""Keys that changed in memory and are not in the database yet."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.database import Database

K = TypeVar("K")


@asynccontextmanager
async def writing(database: Database, dirty: set[K], keys: Collection[K]) -> AsyncIterator[AsyncConnection]:
    """
    One transaction that writes ``keys``: they leave ``dirty``, and return to it unless the transaction is committed.

    A key that changes in the meantime becomes dirty again, and waits for the next transaction.
    Raises: StoreError.
    """
    dirty.difference_update(keys)
    try:
        async with database.transaction() as connection:
            yield connection
    except BaseException:  # cancelled, too: the last flush of the daemon comes after that
        dirty.update(keys)
        raise
