"""A database that is locked, full, read-only, gone or stopped: nothing is promised then, and all is kept that was."""

import asyncio
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from monitor.model.errors import StoreError
from monitor.model.tracked import ProgressMark
from monitor.patching.annotations import AnnotationChange
from monitor.store import Store
from tests.support.postgres import Server, serving
from tests.support.store_failures import OF_FILES, OF_SERVERS, Failure, Place, read_only_file
from tests.support.stores import (
    DONE,
    NOT_BEGUN,
    NOW,
    TICKET,
    chain_faults,
    closing,
    intent,
    is_up,
    migrated_url,
    opened,
    recover,
)

EARLY = ProgressMark(b"e" * 16, changed_at=100.5, first_seen_at=90.25)


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server that these tests may stop."""
    with serving() as server:
        yield server


@pytest.fixture
def file_place(tmp_path: Path) -> Place:
    return Place(migrated_url(tmp_path), tmp_path)


@pytest.fixture
def server_place(tmp_path: Path, own_server: Server) -> Iterator[Place]:
    name = own_server.create()
    yield Place(own_server.url(name), tmp_path, own_server)
    own_server.drop(name)


def _id(kind: str, names: dict[str, Failure]) -> list[object]:
    return [pytest.param((kind, failure), id=f"{kind}-{name}") for name, failure in names.items()]


@pytest.fixture(params=[*_id("file", OF_FILES), *_id("server", OF_SERVERS)])
def failure(request: pytest.FixtureRequest) -> tuple[Place, Failure]:
    kind, failure = request.param
    return request.getfixturevalue(f"{kind}_place"), failure


# Every failure


async def test_an_intent_is_refused_and_not_written_later(failure: tuple[Place, Failure]) -> None:
    place, (words, inject) = failure
    async with opened(place.url, busy_timeout_ms=1) as store:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        async with inject(place):
            with pytest.raises(StoreError, match=words):
                await store.audit_log.begin(intent(), at=2)
            assert not is_up(store)
            await store.try_flush()
            assert not is_up(store)
            assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}
        await recover(store)
        assert len(await store.audit_log.entries()) == 1
        assert not await chain_faults(store)


async def test_an_ending_is_kept_and_written_with_its_annotations_when_the_database_is_back(
    failure: tuple[Place, Failure],
) -> None:
    place, (words, inject) = failure
    orders = [intent(), intent(), intent("image-2")]
    async with opened(place.url, busy_timeout_ms=1) as store:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        numbers = [await store.audit_log.begin(ordered, at=2) for ordered in orders]
        async with inject(place):
            for at, (number, ordered) in enumerate(zip(numbers, orders, strict=True), 3):
                with pytest.raises(StoreError, match=words):
                    await store.audit_log.finish(number, ordered, DONE, AnnotationChange({"at": str(at)}), at=at)
            await store.try_flush()
            assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}
        await recover(store)
        expected = {"image-1": {"ticket": "CHG-1", "at": "4"}, "image-2": {"at": "5"}}
        assert store.audit_log.annotations_of("dc1") == expected
    async with opened(place.url) as store:
        entries = await store.audit_log.entries()
        assert [(entry.ended_at, entry.outcome) for entry in entries] == [(5, DONE), (4, DONE), (3, DONE), (1, DONE)]
        assert store.audit_log.annotations_of("dc1") == expected
        assert not await chain_faults(store)


async def test_an_annotation_is_refused_and_not_written_later(failure: tuple[Place, Failure]) -> None:
    place, (words, inject) = failure
    async with opened(place.url, busy_timeout_ms=1) as store:
        await store.audit_log.record(intent(), DONE, None, at=1)
        async with inject(place):
            with pytest.raises(StoreError, match=words):
                await store.audit_log.record(intent(), DONE, TICKET, at=2)
        await recover(store)
        assert not store.audit_log.annotations_of("dc1")
        assert len(await store.audit_log.entries()) == 1


async def test_marks_are_written_when_the_database_is_back(failure: tuple[Place, Failure]) -> None:
    place, (_, inject) = failure
    async with opened(place.url, busy_timeout_ms=1) as store:
        async with inject(place):
            store.marks.set("dc1", "image", {"image-1": EARLY})
            await store.try_flush()
            await store.try_flush()
        await recover(store)
    async with opened(place.url) as store:
        assert store.marks.of("dc1", "image") == {"image-1": EARLY}


async def test_a_failure_is_logged_once_and_each_failed_write_is_counted(failure: tuple[Place, Failure]) -> None:
    place, (words, inject) = failure
    failures: list[None] = []
    ordered = intent()
    async with opened(place.url, busy_timeout_ms=1, on_audit_failure=lambda: failures.append(None)) as store:
        number = await store.audit_log.begin(ordered, at=1)
        with capture_logs() as logs:
            async with inject(place):
                for _ in range(2):
                    with suppress(StoreError):
                        await store.audit_log.begin(intent(), at=2)
                with suppress(StoreError):
                    await store.audit_log.finish(number, ordered, DONE, None, at=3)
                await store.try_flush()
            await recover(store)
    events = [line["event"] for line in logs]
    assert events == ["database_down", *["audit_write_failed"] * 3, "audit", "database_up"]
    assert [line.get("number") for line in logs[1:4]] == [None, None, number]
    assert all(re.search(words, line["cause"]) for line in logs[:4])
    assert len(failures) == 3


async def test_a_store_that_cannot_open_recovers(failure: tuple[Place, Failure]) -> None:
    place, (words, inject) = failure
    async with opened(place.url) as store:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        left = await store.audit_log.begin(intent(), at=2)
        store.marks.set("dc1", "image", {"image-1": EARLY})
        await store.flush()
        watcher = place.watch()
    async with closing(Store(place.url, busy_timeout_ms=1, now=lambda: NOW, transaction_timeout_s=30.0)) as late:
        async with inject(place):
            with pytest.raises(StoreError, match=words):
                await late.open()
            assert not is_up(late)
        await recover(late)
        assert late.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}
        assert late.marks.of("dc1", "image") == {"image-1": EARLY}
        newest, _ = await late.audit_log.entries()
        assert newest.number == left
        assert newest.outcome
        assert newest.outcome.kind == "unknown"
    watcher.close()


# Single failures


async def test_a_store_that_was_not_opened_is_an_error() -> None:
    audit_log = Store("sqlite://").audit_log
    with pytest.raises(StoreError, match="the database has not been opened yet"):
        await audit_log.entries()
    with pytest.raises(StoreError, match="the database has not been opened yet"):
        await audit_log.begin(intent(), at=1)


async def test_a_file_that_can_only_be_read_is_read_at_start(file_place: Place) -> None:
    async with opened(file_place.url) as store:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        store.marks.set("dc1", "image", {"image-1": EARLY})
        await store.flush()
    async with closing(Store(file_place.url)) as store:
        async with read_only_file(file_place):
            with pytest.raises(StoreError, match="attempt to write a readonly database"):
                await store.open()
            assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}
            assert store.marks.of("dc1", "image") == {"image-1": EARLY}
            assert len(await store.audit_log.entries()) == 1
            with pytest.raises(StoreError, match="attempt to write a readonly database"):
                await store.audit_log.record(intent(), DONE, None, at=2)
            await store.try_flush()
            assert not is_up(store)
        await recover(store)
        await store.audit_log.record(intent(), DONE, None, at=3)
        assert not await chain_faults(store)


async def test_a_server_that_is_stopped_answers_no_question_until_it_is_back(
    server_place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    words, inject = OF_SERVERS["stopped"]
    async with opened(server_place.url) as store:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        async with inject(server_place):
            with pytest.raises(StoreError, match=words):
                await store.audit_log.entries()
            assert not is_up(store)
        await recover(store)
        assert len(await store.audit_log.entries()) == 1
    assert not caplog.records, "the libraries log nothing beside our own event"


async def test_a_server_that_does_not_answer_in_time_is_taken_for_down(server_place: Place) -> None:
    ordered = intent()
    async with opened(server_place.url) as store:
        number = await store.audit_log.begin(ordered, at=1)
        locker = await asyncpg.connect(server_place.url)
        await locker.execute("BEGIN; LOCK TABLE audit_head")
        store.database.transaction_timeout_s = 0.05
        with pytest.raises(StoreError, match="no answer in time"):
            await store.audit_log.finish(number, ordered, DONE, TICKET, at=2)
        store.database.transaction_timeout_s = 30.0
        await locker.close()
        await recover(store)
        assert [entry.outcome for entry in await store.audit_log.entries()] == [DONE]
        assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}


async def test_no_call_waits_for_a_database_that_is_known_to_be_down(server_place: Place) -> None:
    """Each would wait for the limit, and for all calls before it."""
    async with opened(server_place.url) as store:
        locker = await asyncpg.connect(server_place.url)
        await locker.execute("BEGIN; LOCK TABLE audit_head")
        store.database.transaction_timeout_s = 0.05
        with pytest.raises(StoreError, match="no answer in time"):
            await store.audit_log.begin(intent(), at=1)
        store.database.transaction_timeout_s = 3_600.0  # far beyond what a test may take
        for _ in range(100):
            with pytest.raises(StoreError, match="no answer in time"):
                await store.audit_log.begin(intent(), at=1)
        await locker.close()


# A file that is gone


def delete(place: Place) -> None:
    for file in place.folder.glob("state.db*"):
        file.unlink()


def delete_the_file_alone(place: Place) -> None:
    place.file.unlink()


def delete_the_folder(place: Place) -> None:
    shutil.rmtree(place.folder)


def put_another_in_its_place(place: Place) -> None:
    other = place.folder / "other.db"
    sqlite3.connect(other).close()
    other.chmod(0o600)
    other.replace(place.file)


GONE = pytest.mark.parametrize("remove", [delete, delete_the_file_alone, delete_the_folder, put_another_in_its_place])


@GONE
async def test_what_goes_to_a_file_that_is_gone_is_not_taken_for_written(
    file_place: Place, remove: Callable[[Place], None]
) -> None:
    shown: list[object] = []
    ordered = intent()
    store = Store(
        file_place.url,
        now=lambda: NOW,
        transaction_timeout_s=30.0,
        on_annotations_read=lambda: shown.append(store.audit_log.annotations_of("dc1")),
    )
    async with closing(store):
        await store.open()
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        number = await store.audit_log.begin(ordered, at=2)
        store.marks.set("dc1", "image", {"image-1": EARLY})
        await store.flush()
        remove(file_place)
        with pytest.raises(StoreError, match="the database file was removed or replaced"):
            await store.audit_log.record(intent(), DONE, AnnotationChange({"lost": "1"}), at=3)
        with pytest.raises(StoreError, match="the database file was removed"):
            await store.audit_log.finish(number, ordered, DONE, AnnotationChange({"kept": "1"}), at=4)
        await recover(store)
        assert shown == [{}, {"image-1": {"kept": "1"}}]
    async with opened(file_place.url) as store:
        assert store.audit_log.annotations_of("dc1") == {"image-1": {"kept": "1"}}
        assert store.marks.of("dc1", "image") == {"image-1": EARLY}
        (entry,) = await store.audit_log.entries()
        assert (entry.intent, entry.outcome, entry.ended_at) == (ordered, DONE, 4)
        assert not await chain_faults(store)


@GONE
async def test_a_file_that_is_gone_is_noticed_when_there_is_nothing_to_write(
    file_place: Place, remove: Callable[[Place], None]
) -> None:
    async with opened(file_place.url) as store:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        remove(file_place)
        with capture_logs() as logs:
            await store.try_flush()
        assert [line["event"] for line in logs] == ["database_down", "database_up"]
        assert is_up(store)
        assert not store.audit_log.annotations_of("dc1")


async def test_an_intent_of_the_old_file_is_not_taken_for_one_of_the_new(file_place: Place) -> None:
    old, new = intent(), intent("image-2")
    async with opened(file_place.url) as store:
        number = await store.audit_log.begin(old, at=1)
        delete(file_place)
        await store.try_flush()
        await recover(store)
        assert await store.audit_log.begin(new, at=2) == number
        await store.audit_log.finish(number, old, DONE, None, at=3)
        await store.audit_log.finish(number, new, DONE, None, at=4)
        entries = await store.audit_log.entries()
        assert [(entry.intent, entry.ended_at) for entry in entries] == [(old, 3), (new, 4)]
        assert not await chain_faults(store)


# A caller that is gone


@pytest.mark.parametrize("after_s", [step / 1_500 for step in range(9)], ids=lambda after_s: f"{after_s * 1e6:.0f}us")
async def test_a_caller_that_goes_at_any_moment_leaves_all_or_nothing(database_url: str, after_s: float) -> None:
    """When it goes decides where it is interrupted, and on no machine at the same place; what holds, holds anywhere."""
    concluded, abandoned, recorded = intent(), intent(), intent("image-2")
    async with opened(database_url) as store:
        number = await store.audit_log.begin(concluded, at=1)
        for write in (
            store.audit_log.finish(number, concluded, DONE, TICKET, at=2),
            store.audit_log.begin(abandoned, at=3),
            store.audit_log.record(recorded, DONE, TICKET, at=4),
        ):
            with suppress(TimeoutError):
                async with asyncio.timeout(after_s):
                    await write
        await store.flush()
        entries = {entry.intent.request_id: entry for entry in await store.audit_log.entries()}
        assert entries[concluded.request_id].outcome == DONE
        assert store.audit_log.annotations_of("dc1")["image-1"] == {"ticket": "CHG-1"}
        assert (recorded.request_id in entries) == ("image-2" in store.audit_log.annotations_of("dc1"))
        if abandoned.request_id in entries:
            assert entries[abandoned.request_id].outcome in (NOT_BEGUN, None)
        assert not await chain_faults(store)
