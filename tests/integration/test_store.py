"""Progress marks in real databases, and how a database is opened, or why it is not."""

import asyncio
import sqlite3
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from monitor.model.errors import NewerDatabase, StoreError
from monitor.model.tracked import ProgressMark
from monitor.store import Store
from tests.support.postgres import Server
from tests.support.stores import DONE, NOW, TICKET, closing, intent, is_up, opened, run

EARLY = ProgressMark(b"e" * 16, changed_at=100.5, first_seen_at=90.25)
LATE = ProgressMark(b"l" * 16, changed_at=200.5, first_seen_at=90.25)


async def kept(url: str, controller: str = "dc1") -> dict[str, ProgressMark]:
    """The marks that a new process reads."""
    async with opened(url) as store:
        return dict(store.marks.of(controller, "image"))


async def test_marks_survive_a_restart_exactly(database_url: str) -> None:
    async with opened(database_url) as store:
        store.marks.set("dc1", "image", {"image-1": EARLY, "image-2": EARLY})
        store.marks.set("dc2", "image", {"image-1": LATE})
        await store.flush()
        store.marks.set("dc1", "image", {"image-2": LATE})
        await store.flush()
    assert await kept(database_url, "dc1") == {"image-2": LATE}
    assert await kept(database_url, "dc2") == {"image-1": LATE}


async def test_more_marks_than_one_statement_takes_are_all_written(database_url: str) -> None:
    async with opened(database_url) as store:
        store.marks.set("dc1", "image", {f"image-{number}": EARLY for number in range(1_001)})
        await store.flush()
    assert len(await kept(database_url)) == 1_001


async def test_marks_that_were_set_before_the_database_opened_replace_those_in_it(database_url: str) -> None:
    async with opened(database_url) as store:
        store.marks.set("dc1", "image", {"image-1": EARLY, "image-2": EARLY})
        await store.flush()
    late = Store(database_url)
    late.marks.set("dc1", "image", {"image-1": LATE})
    await late.flush()
    await late.close()
    assert await kept(database_url) == {"image-1": LATE, "image-2": EARLY}


async def test_moments_in_the_future_are_the_present_ones_when_they_are_read_and_the_log_says_so(
    database_url: str,
) -> None:
    ahead = ProgressMark(b"a" * 16, changed_at=NOW + 7200.0, first_seen_at=NOW + 7100.0)
    async with opened(database_url) as store:
        store.marks.set("dc1", "image", {"image-1": ahead, "image-2": EARLY})
        await store.flush()
    with capture_logs() as logs:
        async with opened(database_url) as store:
            marks = dict(store.marks.of("dc1", "image"))
            await store.flush()
    assert marks == {"image-1": ProgressMark(b"a" * 16, NOW, NOW), "image-2": EARLY}
    assert [(line["event"], line["by_s"]) for line in logs] == [("clock_stepped", -7200.0)]
    with capture_logs() as logs:
        assert await kept(database_url) == marks
    assert not logs


async def test_the_marks_of_a_controller_are_forgotten_with_it(database_url: str) -> None:
    async with opened(database_url) as store:
        for controller in ("dc1", "dc2"):
            store.marks.set(controller, "image", {"image-1": EARLY})
        await store.flush()
        store.keep_only({"dc1"})
        assert not store.marks.of("dc2", "image")
        await store.flush()
    assert await kept(database_url, "dc1") == {"image-1": EARLY}
    assert not await kept(database_url, "dc2")


async def test_the_marks_of_a_controller_that_was_removed_while_the_daemon_was_down_are_forgotten(
    database_url: str,
) -> None:
    async with opened(database_url) as store:
        for controller in ("dc1", "dc2"):
            store.marks.set(controller, "image", {"image-1": EARLY})
        await store.flush()
    async with closing(Store(database_url)) as late:
        late.keep_only({"dc1"})
        await late.open()
        assert not late.marks.of("dc2", "image")
        await late.flush()
    assert await kept(database_url, "dc1") == {"image-1": EARLY}
    assert not await kept(database_url, "dc2")


async def test_marks_that_come_and_go_while_the_database_is_down_are_not_kept() -> None:
    marks = Store("sqlite://").marks
    in_use: list[int] = []
    tracemalloc.start()
    try:
        for poll in range(100):
            marks.set("dc1", "image", {f"image-{poll}-{number}": EARLY for number in range(1_000)})
            in_use.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert in_use[-1] < 2 * in_use[4]


async def test_a_flush_that_is_cancelled_leaves_nothing_unwritten(database_url: str) -> None:
    async with opened(database_url) as store:
        store.marks.set("dc1", "image", {f"image-{number}": EARLY for number in range(5_000)})
        async with asyncio.TaskGroup() as tasks:
            flush = tasks.create_task(store.flush(), name="flush")
            await asyncio.sleep(0)
            flush.cancel()
        await store.flush()
    assert len(await kept(database_url)) == 5_000


async def test_the_writers_of_one_daemon_wait_for_each_other(tmp_path: Path) -> None:
    """However long one takes, and however short SQLite's own wait for a lock is."""
    async with opened(f"sqlite:///{tmp_path}/state.db", busy_timeout_ms=1) as store, asyncio.TaskGroup() as tasks:
        async with store.database.transaction() as connection:
            await connection.execute(text("DELETE FROM progress_marks"))
            store.marks.set("dc1", "image", {"image-1": EARLY})
            flush = tasks.create_task(store.flush(), name="flush")
            begin = tasks.create_task(store.audit_log.begin(intent(), at=1), name="begin")
            done, _ = await asyncio.wait({flush, begin}, timeout=0.3)  # many times what SQLite waits
            assert not done
            assert not await store.audit_log.entries()  # a reader does not wait
        assert await begin == 1


async def test_a_store_that_opens_logs_nothing(database_url: str) -> None:
    with capture_logs() as logs:
        async with opened(database_url) as store:
            await store.flush()
            assert is_up(store)
    assert not logs


async def test_a_database_in_memory_works_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened("sqlite://") as store:
        store.marks.set("dc1", "image", {"image-1": EARLY})
        await store.flush()
        assert is_up(store)
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240  the folder is empty


def a_file_in_the_way(folder: Path) -> None:
    (folder / "deeper").write_text("not a folder")


def no_database(folder: Path) -> None:
    (folder / "deeper").mkdir()
    (folder / "deeper" / "state.db").write_bytes(b"this is no database" * 300)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        pytest.param(a_file_in_the_way, "Not a directory|File exists", id="file-in-the-way"),
        pytest.param(no_database, "file is not a database", id="no-database"),
    ],
)
async def test_a_file_that_cannot_be_opened_is_an_error_with_its_cause_and_is_tried_again(
    tmp_path: Path, prepare: Callable[[Path], None], words: str
) -> None:
    prepare(tmp_path)
    store = Store(f"sqlite:///{tmp_path}/deeper/state.db")
    with pytest.raises(StoreError, match=words):
        await store.open()
    assert not is_up(store)
    (tmp_path / "deeper").rename(tmp_path / "out-of-the-way")
    await store.flush()
    assert is_up(store)
    await store.close()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        pytest.param("/no-such-database?host={folder}", 'database "no-such-database" does not exist', id="database"),
        pytest.param("/postgres?host={folder}&port=1", "No such file or directory", id="port"),
        pytest.param("/postgres?host={folder}&sslmode=sometimes", "sslmode", id="option"),
    ],
)
async def test_a_server_that_refuses_the_connection_is_an_error_with_its_cause(
    postgres_server: Server, address: str, words: str
) -> None:
    store = Store("postgresql://postgres:hidden@" + address.format(folder=postgres_server.folder))
    with pytest.raises(StoreError, match=words) as raised:
        await store.open()
    assert "hidden" not in str(raised.value)
    await store.close()


async def test_without_its_driver_a_postgresql_url_is_an_error_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(StoreError, match="asyncpg is not installed; it comes with the extra `postgres`"):
        await Store("postgresql://user:hidden@127.0.0.1/db").open()


@pytest.mark.parametrize(
    "url", ["postgresql://user:hidden@db/monitor", "postgresql://user:x@db/monitor?password=hidden"]
)
def test_the_name_of_a_store_hides_its_password(url: str) -> None:
    assert Store(url).name == "postgresql://user:***@db/monitor"


async def test_a_database_that_a_newer_version_wrote_is_refused(database_url: str) -> None:
    async with opened(database_url) as store, store.database.transaction() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store = Store(database_url)
    with pytest.raises(NewerDatabase, match=r"its schema is 9999, .* a newer version wrote it"):
        await store.open()
    assert not is_up(store)
    await store.close()


async def test_a_database_with_two_schema_versions_is_refused(database_url: str) -> None:
    async with opened(database_url) as store:
        await run(store, "INSERT INTO alembic_version VALUES ('0001')")
    async with closing(Store(database_url)) as store:
        with pytest.raises(StoreError, match="the table alembic_version is inconsistent"):
            await store.open()
        assert not is_up(store)


_SCHEMA_0003 = (
    "DROP TABLE upgrade_logs",
    "DROP TABLE upgrades_in_progress",
    "DROP TABLE progress_marks",
    "CREATE TABLE progress_marks (controller TEXT, image_uuid TEXT, fingerprint {bytes} NOT NULL,\
 changed_at DOUBLE PRECISION NOT NULL, first_seen_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (controller, image_uuid))",
    "INSERT INTO progress_marks VALUES ('dc1', 'image-1', {e16}, 100.5, 90.25)",
    "UPDATE alembic_version SET version_num = '0003'",
    "DROP TABLE writer",
)
"""What the version before wrote, when marks were of images alone."""


async def test_a_database_of_the_version_before_keeps_its_marks_annotations_and_audit(database_url: str) -> None:
    postgres = database_url.startswith("postgresql")
    values = {"bytes": "BYTEA", "e16": f"'\\x{b'e'.hex() * 16}'::bytea"} if postgres else {}
    values = values or {"bytes": "BLOB", "e16": f"X'{b'e'.hex() * 16}'"}
    change = intent("image-1")
    async with opened(database_url) as store:
        await store.audit_log.record(change, DONE, TICKET, at=NOW)
        for statement in _SCHEMA_0003:
            await run(store, statement.format(**values))
    async with opened(database_url) as store:
        assert store.marks.of("dc1", "image") == {"image-1": EARLY}
        assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}
        assert [entry.intent for entry in await store.audit_log.entries()] == [change]
        store.marks.set("dc1", "toy", {"image-1": LATE})
        await store.flush()
    async with opened(database_url) as store:
        assert (store.marks.of("dc1", "image"), store.marks.of("dc1", "toy")) == (
            {"image-1": EARLY},
            {"image-1": LATE},
        ), "one kind of object does not wipe the marks of another"


async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """SQLite's driver begins no transaction for DDL by itself."""
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute("CREATE TABLE audit_head (anything TEXT)")  # in the way of the last table
    store = Store(f"sqlite:///{tmp_path}/state.db")
    with pytest.raises(StoreError, match="table audit_head already exists"):
        await store.open()
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert tables == [("audit_head",)]
    connection.execute("DROP TABLE audit_head")
    connection.close()
    await store.flush()
    assert is_up(store)
    await store.close()
