"""Marks in a real SQLite file: kept, forgotten, and healed when the database was away."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.model import Mark, StoreError
from monitor.store import Store

EARLY = Mark(b"e" * 16, changed_at=100.5, first_seen_at=90.25)
LATE = Mark(b"l" * 16, changed_at=200.5, first_seen_at=90.25)


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/deeper/state.db"


async def kept(folder: Path, controller: str = "dc1") -> dict[str, Mark]:
    """What a new process finds."""
    store = Store(url(folder))
    await store.open()
    marks = dict(store.of(controller))
    await store.close()
    return marks


async def test_marks_survive_a_restart_exactly(tmp_path: Path) -> None:
    store = Store(url(tmp_path))
    await store.open()
    store.settle("dc1", {"image-1": EARLY, "image-2": EARLY})
    store.settle("dc2", {"image-1": LATE})
    await store.flush()
    store.settle("dc1", {"image-2": LATE})
    await store.flush()
    await store.close()
    assert await kept(tmp_path, "dc1") == {"image-2": LATE}
    assert await kept(tmp_path, "dc2") == {"image-1": LATE}


async def test_more_marks_than_one_statement_takes_are_all_written(tmp_path: Path) -> None:
    store = Store(url(tmp_path))
    await store.open()
    store.settle("dc1", {f"image-{number}": EARLY for number in range(1_001)})
    await store.flush()
    await store.close()
    assert len(await kept(tmp_path)) == 1_001


async def test_what_was_settled_before_the_database_came_is_kept_over_what_it_knew(tmp_path: Path) -> None:
    store = Store(url(tmp_path))
    await store.open()
    store.settle("dc1", {"image-1": EARLY, "image-2": EARLY})
    await store.flush()
    await store.close()
    late = Store(url(tmp_path))
    late.settle("dc1", {"image-1": LATE})
    await late.flush()
    await late.close()
    assert await kept(tmp_path) == {"image-1": LATE, "image-2": EARLY}


async def test_a_database_that_is_locked_is_said_once_and_written_when_it_is_free(tmp_path: Path) -> None:
    store = Store(url(tmp_path), busy_timeout_ms=1)
    await store.open()
    store.settle("dc1", {"image-1": EARLY})
    locker = sqlite3.connect(tmp_path / "deeper" / "state.db", isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    with capture_logs() as logs:
        await store.try_flush()
        await store.try_flush()
        assert [line["event"] for line in logs] == ["store_down"]
        locker.execute("ROLLBACK")
        locker.close()
        await store.try_flush()
    assert store.up
    assert [(line["event"], line.get("cause")) for line in logs] == [
        ("store_down", "database is locked"),
        ("store_up", None),
    ]
    await store.close()
    assert await kept(tmp_path) == {"image-1": EARLY}


def a_file_in_the_way(folder: Path) -> None:
    (folder / "deeper").write_text("not a folder")


def no_database(folder: Path) -> None:
    (folder / "deeper").mkdir()
    (folder / "deeper" / "state.db").write_bytes(b"this is no database, however long one looks at it" * 100)


def a_newer_schema(folder: Path) -> None:
    (folder / "deeper").mkdir()
    with sqlite3.connect(folder / "deeper" / "state.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        pytest.param(a_file_in_the_way, "Not a directory|File exists", id="file-in-the-way"),
        pytest.param(no_database, "file is not a database", id="no-database"),
        pytest.param(a_newer_schema, "schema is 9999, .* a newer version wrote it", id="newer-schema"),
    ],
)
async def test_a_database_that_cannot_be_opened_says_why(
    tmp_path: Path, prepare: Callable[[Path], None], words: str
) -> None:
    prepare(tmp_path)
    store = Store(url(tmp_path))
    with pytest.raises(StoreError, match=words):
        await store.open()
    assert not store.up


async def test_a_database_in_memory_works_and_leaves_nothing(tmp_path: Path) -> None:
    store = Store("sqlite://")
    await store.open()
    store.settle("dc1", {"image-1": EARLY})
    await store.flush()
    assert store.up
    await store.close()
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240  a look at an empty folder blocks nobody


async def test_without_its_driver_a_postgresql_url_says_what_is_missing() -> None:
    with pytest.raises(StoreError, match="asyncpg"):
        await Store("postgresql://user:hidden@127.0.0.1/db").open()


def test_the_name_of_a_store_hides_its_password() -> None:
    assert Store("postgresql://user:hidden@db/monitor").name == "postgresql://user:***@db/monitor"


async def test_a_flush_that_is_cancelled_leaves_nothing_unwritten(tmp_path: Path) -> None:
    store = Store(url(tmp_path))
    await store.open()
    store.settle("dc1", {f"image-{number}": EARLY for number in range(5_000)})
    async with asyncio.TaskGroup() as tasks:
        flush = tasks.create_task(store.flush(), name="flush")
        await asyncio.sleep(0)
        flush.cancel()
    await store.flush()
    await store.close()
    assert len(await kept(tmp_path)) == 5_000
