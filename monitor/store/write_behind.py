"""
What is kept in memory, and written to the database later.

Names that those who do it share: ``dirty`` is the set of keys in which memory and database may differ; ``unsynced``
means that the database must be read before it is written, because it may be another one now; ``reconcile`` reads it.
"""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.database import Database

K = TypeVar("K")


@contextmanager
def taken_from(dirty: set[K], keys: Collection[K]) -> Iterator[None]:
    """
    Take ``keys`` out of ``dirty`` to write them; they return to it when the block raises.

    A key that changes in the meantime becomes dirty again, and waits for the next flush.
    """
    dirty.difference_update(keys)
    try:
        yield
    except BaseException:  # cancelled, too: the last flush of the daemon comes after that
        dirty.update(keys)
        raise


@asynccontextmanager
async def writing(database: Database, dirty: set[K], keys: Collection[K]) -> AsyncIterator[AsyncConnection]:
    """
    One transaction that writes ``keys``, which are `taken_from` ``dirty`` unless it is not committed.

    Raises: StoreError.
    """
    with taken_from(dirty, keys):
        async with database.transaction() as connection:
            yield connection
