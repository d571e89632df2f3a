"""Which Controllers are being upgraded, in memory and on real databases."""

from monitor.store.upgrades import MAX_AGE_S
from tests.support.stores import opened, run


async def test_an_upgrade_survives_a_restart_and_ends_once(database_url: str) -> None:
    async with opened(database_url) as store:
        store.upgrades.set("dc1", in_progress=True)
        store.upgrades.set("dc2", in_progress=False)
        await store.flush()
    async with opened(database_url) as store:
        assert store.upgrades.in_progress("dc1")
        assert not store.upgrades.in_progress("dc2")
        store.upgrades.set("dc1", in_progress=False)
        await store.flush()
    async with opened(database_url) as store:
        assert not store.upgrades.in_progress("dc1")


async def test_an_upgrade_is_forgotten_when_it_is_too_old(database_url: str) -> None:
    clock = [0.0]
    async with opened(database_url, now=lambda: clock[0]) as store:
        store.upgrades.set("dc1", in_progress=True)
        clock[0] = MAX_AGE_S / 2
        store.upgrades.set("dc1", in_progress=True)
        await store.flush()
    clock[0] = MAX_AGE_S
    async with opened(database_url, now=lambda: clock[0]) as store:
        assert store.upgrades.in_progress("dc1")
        clock[0] += 1.0
        assert not store.upgrades.in_progress("dc1")
    async with opened(database_url, now=lambda: clock[0]) as store:
        assert not store.upgrades.in_progress("dc1")
    async with opened(database_url, now=lambda: 0.0) as store:
        assert not store.upgrades.in_progress("dc1"), "the row is gone"


async def test_an_upgrade_that_began_in_the_future_began_now(database_url: str) -> None:
    """The clock was ahead when it was noted."""
    clock = [1_000_000.0]
    async with opened(database_url, now=lambda: clock[0]) as store:
        store.upgrades.set("dc1", in_progress=True)
        await store.flush()
    clock[0] = 0.0
    async with opened(database_url, now=lambda: clock[0]) as store:
        assert store.upgrades.in_progress("dc1")
        clock[0] = MAX_AGE_S + 1.0
        assert not store.upgrades.in_progress("dc1")


async def test_what_was_heard_before_the_database_opened_replaces_what_is_in_it(database_url: str) -> None:
    async with opened(database_url) as store:
        store.upgrades.set("dc1", in_progress=True)
        store.upgrades.set("dc2", in_progress=True)
        await store.flush()
        store.upgrades.set("dc1", in_progress=False)
        await run(store, "DELETE FROM upgrades_in_progress WHERE controller = 'dc2'")
        store.upgrades.mark_unsynced()
        await store.flush()
    async with opened(database_url) as store:
        assert not store.upgrades.in_progress("dc1")
        assert store.upgrades.in_progress("dc2")
