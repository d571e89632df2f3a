"""The lock on a schema of PostgreSQL: which daemons it keeps out, of this version and of the one before."""

import pytest

from monitor.model.errors import DatabaseTaken
from monitor.store import Store
from tests.support.postgres import session
from tests.support.stores import DONE, TICKET, closing, intent, opened

_LOCK_OF_THE_VERSION_BEFORE = "pg_try_advisory_lock(4708032)"


async def test_monitors_with_a_schema_each_share_a_database(postgres_url: str) -> None:
    """One lock on the whole database would make the second one wait for the first, for ever."""
    async with session(postgres_url) as connection:
        await connection.execute("CREATE SCHEMA east; CREATE SCHEMA west")
    try:
        urls = [f"{postgres_url}&search_path={schema}" for schema in ("east", "west")]
        async with opened(urls[0]) as east, opened(urls[1]) as west:
            await east.audit_log.record(intent(), DONE, TICKET, at=1)
            assert not await west.audit_log.entries()
            async with closing(Store(urls[0], transaction_timeout_s=30.0)) as second:
                with pytest.raises(DatabaseTaken):
                    await second.open()
    finally:
        async with session(postgres_url) as connection:
            await connection.execute("DROP SCHEMA east CASCADE; DROP SCHEMA west CASCADE")


async def test_a_daemon_of_the_version_before_and_one_of_this_version_keep_each_other_out(postgres_url: str) -> None:
    """While a site is updated, both run: with two different locks, both would write."""
    async with session(postgres_url) as before:
        assert await before.fetchval(f"SELECT {_LOCK_OF_THE_VERSION_BEFORE}")
        async with closing(Store(postgres_url, transaction_timeout_s=30.0)) as store:
            with pytest.raises(DatabaseTaken):
                await store.open()
    async with opened(postgres_url), session(postgres_url) as before:
        assert not await before.fetchval(f"SELECT {_LOCK_OF_THE_VERSION_BEFORE}")
