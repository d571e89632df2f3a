"""
Which daemon writes to the database: the SQL statements of its one row, each on its caller's transaction.

With PostgreSQL, each daemon that becomes the writer begins a new term. A daemon that was stopped for a while may still
believe that it is the writer: every transaction that writes first asks whether its term is the present one, and keeps
it until the end. The lock of a SQLite file ends with the process alone, which then writes nothing any more.
"""

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.model.errors import StoreError
from monitor.store.tables import writer

# `keep_term` takes this lock on the table, and nothing else does
_END_TRANSACTIONS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE datname = current_database() AND database = datid AND relation = 'writer'::regclass"
    " AND mode = 'RowShareLock' AND usename = current_user AND pid <> pg_backend_pid()"
)


async def begin_term(connection: AsyncConnection) -> int:
    """
    Begin a new term, in which this daemon is the writer; its address is not known yet.

    The writer before has lost its lock. The transactions in which it writes are ended, as it may be stopped in one, and
    then this one waits until they have gone. Returns: the term. Raises: StoreError.
    """
    await connection.execute(_END_TRANSACTIONS)
    await connection.execute(update(writer).values(term=writer.c.term + 1, url=""))
    row = (await connection.execute(select(writer.c.term))).one_or_none()
    if row is None:
        raise StoreError("the row of the table writer is missing, so it cannot say which daemon writes")
    return int(row.term)


async def keep_term(connection: AsyncConnection, term: int) -> bool:
    """Return whether this is the present term; no other begins before the transaction ends."""
    query = select(writer.c.term).where(writer.c.term == term).with_for_update(read=True)
    return (await connection.execute(query)).one_or_none() is not None


async def set_url(connection: AsyncConnection, url: str, *, since: float) -> None:
    """Say where the writer is, and since when it writes."""
    await connection.execute(update(writer).values(url=url, since=since))


async def read_url(connection: AsyncConnection) -> str:
    """Return the address of the writer; empty when it is not known."""
    return (await connection.execute(select(writer.c.url))).scalar_one_or_none() or ""
