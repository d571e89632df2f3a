"""A disk that stalls: no call waits for it beyond the limit, and memory and file agree when it has come back."""

from pathlib import Path

import pytest
from sqlalchemy import text

from monitor.model.errors import StoreError
from monitor.model.tracked import ProgressMark
from monitor.store import Store
from tests.support.slow_disk import SlowDisk, disk, limit_passes
from tests.support.stores import DONE, NOT_BEGUN, TICKET, chain_faults, closing, intent, is_up, opened, recover

__all__ = ["disk"]

EARLY = ProgressMark(b"e" * 16, changed_at=100.5, first_seen_at=90.25)
TIMEOUT_S = 20.0
ANYWHERE = pytest.mark.parametrize("at", ["UPDATE audit_head", "INSERT", "COMMIT", "committed"])


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state.db"


@ANYWHERE
async def test_a_caller_is_told_at_the_limit_and_the_next_at_once(url: str, disk: SlowDisk, at: str) -> None:
    async with opened(url, transaction_timeout_s=TIMEOUT_S) as store:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        with disk.stalls(at):
            async with limit_passes(store, disk, jump_s=TIMEOUT_S):
                with pytest.raises(StoreError, match="no answer in time"):
                    await store.audit_log.begin(intent("image-2"), at=2)
            assert disk.holds == 1
            for _ in range(100):
                with pytest.raises(StoreError, match="no answer in time"):
                    await store.audit_log.begin(intent("image-2"), at=2)
            assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}
        await recover(store)
        assert {entry.intent.image_uuid: entry.outcome for entry in await store.audit_log.entries()} in (
            {"image-1": DONE},
            {"image-1": DONE, "image-2": NOT_BEGUN},
        )
        assert not await chain_faults(store)


@ANYWHERE
async def test_nothing_is_written_after_the_database_has_recovered(url: str, disk: SlowDisk, at: str) -> None:
    async with opened(url, transaction_timeout_s=TIMEOUT_S) as store:
        with disk.stalls(at):
            async with limit_passes(store, disk, jump_s=TIMEOUT_S):
                with pytest.raises(StoreError, match="no answer in time"):
                    await store.audit_log.record(intent(), DONE, TICKET, at=1)
                for _ in range(3):
                    await store.try_flush()
            assert disk.holds == 1, "no other call was sent after it"
            assert not is_up(store)
        await recover(store)
        shown = dict(store.audit_log.annotations_of("dc1"))
        if at != "COMMIT":  # which SQLite may finish or roll back
            assert shown == ({"image-1": {"ticket": "CHG-1"}} if at == "committed" else {})
        assert len(await store.audit_log.entries()) == len(shown)
    async with opened(url, transaction_timeout_s=TIMEOUT_S) as store:
        assert store.audit_log.annotations_of("dc1") == shown


@ANYWHERE
async def test_an_ending_is_written_once(url: str, disk: SlowDisk, at: str) -> None:
    ordered = intent()
    async with opened(url, transaction_timeout_s=TIMEOUT_S) as store:
        number = await store.audit_log.begin(ordered, at=1)
        with disk.stalls(at):
            async with limit_passes(store, disk, jump_s=TIMEOUT_S):
                with pytest.raises(StoreError, match="no answer in time"):
                    await store.audit_log.finish(number, ordered, DONE, TICKET, at=2)
        await recover(store)
        (entry,) = await store.audit_log.entries()
        assert (entry.number, entry.outcome, entry.ended_at) == (number, DONE, 2)
        assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}


async def test_marks_wait_for_the_disk(url: str, disk: SlowDisk) -> None:
    async with opened(url, transaction_timeout_s=TIMEOUT_S) as store:
        store.marks.set("dc1", "image", {"image-1": EARLY})
        with disk.stalls("INSERT"):
            async with limit_passes(store, disk, jump_s=TIMEOUT_S):
                await store.try_flush()
            assert not is_up(store)
        await recover(store)
    async with opened(url, transaction_timeout_s=TIMEOUT_S) as store:
        assert store.marks.of("dc1", "image") == {"image-1": EARLY}


async def test_closing_does_not_wait_and_keeps_the_lock_while_a_thread_may_write(url: str, disk: SlowDisk) -> None:
    async with (
        opened(url, transaction_timeout_s=TIMEOUT_S) as store,
        closing(Store(url, transaction_timeout_s=TIMEOUT_S)) as second,
    ):
        with disk.stalls("COMMIT"):
            async with limit_passes(store, disk, jump_s=TIMEOUT_S):
                with pytest.raises(StoreError, match="no answer in time"):
                    await store.audit_log.record(intent(), DONE, TICKET, at=1)
                await store.close()
            assert disk.holds == 1
            with pytest.raises(StoreError, match="another daemon writes to the database"):
                await second.open()
        await store.close()
        await second.flush()
        assert is_up(second)


async def test_a_start_on_a_disk_that_stalls_gives_up_in_time(url: str, disk: SlowDisk) -> None:
    async with closing(Store(url, transaction_timeout_s=TIMEOUT_S)) as store:
        with disk.stalls("PRAGMA"):
            async with limit_passes(store, disk, jump_s=4 * TIMEOUT_S):  # of an opening
                with pytest.raises(StoreError, match="no answer in time"):
                    await store.open()
                await store.try_flush()
            assert disk.holds == 1
        await recover(store)


async def test_a_query_that_takes_too_long_is_interrupted(url: str) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    async with opened(url, transaction_timeout_s=TIMEOUT_S) as store:
        store.database.transaction_timeout_s = 0.5
        with pytest.raises(StoreError, match="no answer in time"):
            async with store.database.transaction() as connection:
                await connection.execute(text(endless))
        store.database.transaction_timeout_s = TIMEOUT_S
        await recover(store)


async def test_the_libraries_log_nothing_about_a_connection_that_was_left_behind(
    url: str, disk: SlowDisk, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(url, transaction_timeout_s=TIMEOUT_S) as store:
        for at in ("UPDATE audit_head", "SELECT audit_head", "INSERT", "COMMIT", "committed"):
            with disk.stalls(at):
                async with limit_passes(store, disk, jump_s=TIMEOUT_S):
                    with pytest.raises(StoreError, match="no answer in time"):
                        await store.audit_log.record(intent(), DONE, TICKET, at=1)
            await recover(store)
    assert not caplog.records
