"""The logs of upgrades, in memory and on real databases."""

from msgspec.structs import replace

from monitor.model.upgrade import Upgrade
from monitor.model.upgrade_log import UpgradeEvent, UpgradeLog
from tests.support.stores import opened, run

LOG = UpgradeLog(
    began_at=1_740_000_000.125,
    phase="controllers",
    units={"c1": Upgrade(uuid="c1", kind="controller", name="cluster \x00 \U0001f600", state="running")},
    events=(UpgradeEvent(at=1_740_000_000.125, what="phase", before="none", after="controllers"),),
)
ENDED = replace(LOG, phase="none", ended_at=1_740_000_900.0)
NEXT = UpgradeLog(began_at=1_740_100_000.0)


async def test_logs_survive_a_restart_as_they_were_flushed_last(database_url: str) -> None:
    async with opened(database_url) as store:
        store.upgrade_logs.set("dc1", (LOG,))
        await store.flush()
        store.upgrade_logs.set("dc1", (ENDED, NEXT))
        await store.flush()
    async with opened(database_url) as store:
        assert store.upgrade_logs.of("dc1") == (ENDED, NEXT)
        assert store.upgrade_logs.of("dc2") == ()


async def test_what_was_seen_before_the_database_opened_is_kept_beside_what_is_in_it(database_url: str) -> None:
    async with opened(database_url) as store:
        store.upgrade_logs.set("dc1", (LOG,))
        await store.flush()
        store.upgrade_logs.set("dc1", (ENDED, NEXT))
        store.upgrade_logs.set("dc2", (NEXT,))
        await run(store, "DELETE FROM upgrade_logs WHERE controller = 'dc2'")
        store.upgrade_logs.mark_unsynced()
        await store.flush()
    async with opened(database_url) as store:
        assert store.upgrade_logs.of("dc1") == (ENDED, NEXT)
        assert store.upgrade_logs.of("dc2") == (NEXT,)


async def test_logs_of_a_controller_that_was_removed_are_forgotten(database_url: str) -> None:
    async with opened(database_url) as store:
        store.upgrade_logs.set("dc1", (LOG,))
        store.upgrade_logs.set("dc2", (LOG,))
        await store.flush()
        store.keep_only(["dc2"])
        assert store.upgrade_logs.of("dc1") == ()
        await store.flush()
    async with opened(database_url) as store:
        assert (store.upgrade_logs.of("dc1"), store.upgrade_logs.of("dc2")) == ((), (LOG,))
    async with opened(database_url) as store:
        store.keep_only([])
        store.upgrade_logs.mark_unsynced()
        await store.flush()
    async with opened(database_url) as store:
        assert store.upgrade_logs.of("dc2") == ()


async def test_a_log_that_cannot_be_read_is_dropped_and_the_others_are_kept(database_url: str) -> None:
    async with opened(database_url) as store:
        store.upgrade_logs.set("dc1", (LOG, NEXT))
        await store.flush()
        await run(store, "UPDATE upgrade_logs SET log = '[]' WHERE began_at < 1740000001")
    async with opened(database_url) as store:
        assert store.upgrade_logs.of("dc1") == (NEXT,)
    async with opened(database_url) as store:
        await store.flush()
        assert store.upgrade_logs.of("dc1") == (NEXT,)
