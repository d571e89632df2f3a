"""One daemon a database: a second one waits, and goes on by itself when the first has ended, however it did."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from monitor.model.errors import NewerDatabase, StoreError
from monitor.model.tracked import ProgressMark
from monitor.patching.annotations import AnnotationChange
from monitor.store import Store
from tests.support.stores import (
    DONE,
    NOW,
    TICKET,
    UNKNOWN,
    chain_faults,
    closing,
    intent,
    is_up,
    lose_lock,
    opened,
    recover,
    run,
)

EARLY = ProgressMark(b"e" * 16, changed_at=100.5, first_seen_at=90.25)
TAKEN = "another daemon writes to the database"


def another(url: str) -> Store:
    return Store(url, now=lambda: NOW, transaction_timeout_s=30.0)


async def test_a_second_monitor_reads_and_neither_writes_nor_ends_what_is_under_way(database_url: str) -> None:
    ordered = intent()
    async with opened(database_url) as first, closing(another(database_url)) as second:
        await first.audit_log.record(intent("image-2"), DONE, TICKET, at=1)
        number = await first.audit_log.begin(ordered, at=1)
        with capture_logs() as logs:
            with pytest.raises(StoreError, match=TAKEN):
                await second.open()
            second.marks.set("dc1", "image", {"image-1": EARLY})
            await second.try_flush()
            with pytest.raises(StoreError, match=TAKEN):
                await second.audit_log.record(intent(), DONE, TICKET, at=2)
            assert [entry.outcome for entry in await second.audit_log.entries()] == [None, DONE]
            await second.try_flush()
        assert [line["event"] for line in logs] == ["became_standby"], "the other daemon writes the audit"
        assert second.audit_log.annotations_of("dc1") == {"image-2": {"ticket": "CHG-1"}}
        assert second.standby
        assert second.answers
        await first.audit_log.finish(number, ordered, DONE, TICKET, at=2)
        assert [entry.outcome for entry in await first.audit_log.entries()] == [DONE, DONE]
        assert is_up(first)
        assert not first.marks.of("dc1", "image")


async def test_it_goes_on_where_the_first_ended(database_url: str) -> None:
    async with closing(another(database_url)) as second:
        async with opened(database_url) as first:
            await first.audit_log.record(intent(), DONE, TICKET, at=1)
            await first.audit_log.begin(intent(), at=1)
            second.marks.set("dc1", "image", {"image-1": EARLY})
            await second.try_flush()
            assert not is_up(second)
        await second.try_flush()
        assert is_up(second)
        assert second.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}
        assert [entry.outcome for entry in await second.audit_log.entries()] == [UNKNOWN, DONE]
    async with opened(database_url) as third:
        assert third.marks.of("dc1", "image") == {"image-1": EARLY}


async def test_of_several_that_start_at_once_one_writes(database_url: str) -> None:
    stores = [another(database_url) for _ in range(4)]
    for left in range(4, 0, -1):
        async with asyncio.TaskGroup() as tasks:
            for store in stores:
                tasks.create_task(store.try_flush(), name="flush")
        (writer,) = (store for store in stores if store.up)
        await writer.close()
        stores.remove(writer)
        assert len(stores) == left - 1


async def test_a_lock_that_is_lost_is_taken_again_before_anything_is_written(database_url: str) -> None:
    async with opened(database_url) as store:
        await store.audit_log.record(intent(), DONE, None, at=1)
        await lose_lock(store, database_url)
        with pytest.raises(StoreError, match="the lock is lost"):
            await store.audit_log.record(intent(), DONE, TICKET, at=2)
        assert not is_up(store)
        await store.flush()
        assert is_up(store)
        assert len(await store.audit_log.entries()) == 1
        async with closing(another(database_url)) as second:
            with pytest.raises(StoreError, match=TAKEN):
                await second.open()


async def test_a_lock_that_is_lost_is_noticed_when_there_is_nothing_to_write(database_url: str) -> None:
    async with opened(database_url) as store:
        await lose_lock(store, database_url)
        async with opened(database_url) as second:
            await store.try_flush()
            assert not is_up(store)
            assert is_up(second)


async def test_what_another_did_in_between_is_read_and_what_was_under_way_is_written_beside_it(
    database_url: str,
) -> None:
    ordered = intent()
    shown: list[Mapping[str, Any]] = []
    first = Store(
        database_url,
        now=lambda: NOW,
        transaction_timeout_s=30.0,
        on_annotations_read=lambda: shown.append(first.audit_log.annotations_of("dc1")),
    )
    async with closing(first):
        await first.open()
        number = await first.audit_log.begin(ordered, at=1)
        await lose_lock(first, database_url)
        async with opened(database_url) as second:
            await second.audit_log.record(intent("image-2"), DONE, TICKET, at=2)
            with pytest.raises(StoreError):
                await first.audit_log.finish(number, ordered, DONE, AnnotationChange({"a": "b"}), at=3)
            await first.try_flush()
            assert not is_up(first)
        await recover(first)
        theirs = {"image-2": {"ticket": "CHG-1"}}
        assert shown == [{}, theirs, {"image-1": {"a": "b"}, **theirs}]
        entries = await first.audit_log.entries()
        assert [(entry.intent.request_id, entry.outcome) for entry in entries if entry.intent == ordered] == [
            (ordered.request_id, DONE),
            (ordered.request_id, UNKNOWN),
        ]
        assert not await chain_faults(first)


async def test_a_monitor_that_cannot_use_the_database_leaves_it_to_others(database_url: str) -> None:
    async with opened(database_url) as store:
        await run(store, "UPDATE alembic_version SET version_num = '9999'")
    async with closing(another(database_url)) as old, closing(another(database_url)) as too:
        for each in (old, too):
            with pytest.raises(NewerDatabase):
                await each.open()
