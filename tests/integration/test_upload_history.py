"""The upload history, in memory and on real databases."""

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from monitor.model.errors import StoreError
from monitor.polling.eta import UNKNOWN, CompletedUpload, TypicalDurations
from monitor.store import Store
from tests.support.polling import ManualClock
from tests.support.stores import closing, opened, run

TASKS = {"Extract": 30.0, "Copy": 10.0}


def image(number: int = 1, *, kind: str = "system") -> tuple[str, str]:
    """Its kind and its uuid."""
    return kind, f"image-{number}"


def upload(number: int = 1, took_s: float | None = None, *, tasks: dict[str, float] = TASKS) -> CompletedUpload:
    return CompletedUpload(float(number), tasks, took_s)


async def test_typical_durations_survive_a_restart(database_url: str) -> None:
    async with opened(database_url) as store:
        assert store.upload_history.typical("dc1", "system") == UNKNOWN
        store.upload_history.record("dc1", *image(), upload(took_s=50.0))
        await store.flush()
    async with opened(database_url) as store:
        assert store.upload_history.typical("dc1", "system") == TypicalDurations(TASKS, 50.0)
        assert store.upload_history.typical("dc1", "patch") == UNKNOWN
        assert store.upload_history.typical("dc2", "system") == UNKNOWN


async def test_uploads_recorded_while_the_database_was_down_are_merged(database_url: str) -> None:
    async with opened(database_url) as store:
        store.upload_history.record("dc1", *image(1), upload(1, took_s=50.0))
        store.upload_history.record("dc2", *image(1), upload(1, took_s=50.0))
        await store.flush()
    async with opened(database_url) as store:
        store.upload_history.mark_unsynced()
        store.upload_history.record("dc1", *image(2), upload(2, took_s=70.0))
        await store.flush()
    async with opened(database_url) as store:
        assert store.upload_history.typical("dc1", "system").took_s == 60.0
        assert store.upload_history.typical("dc2", "system").took_s == 50.0


async def test_the_last_few_uploads_of_a_type_are_kept(database_url: str) -> None:
    async with opened(database_url) as store:
        for number in range(1, 9):
            store.upload_history.record("dc1", *image(number), upload(number, took_s=100.0 * number))
        store.upload_history.record("dc1", *image(1, kind="patch"), upload(1))
        await store.flush()
    async with opened(database_url) as store:
        assert store.upload_history.typical("dc1", "system").took_s == 600.0, "of 4 to 8"
        assert store.upload_history.typical("dc1", "patch") == TypicalDurations(TASKS)


async def test_the_kinds_of_a_controller_are_limited_to_those_that_completed_last(database_url: str) -> None:
    async with opened(database_url) as store:
        store.upload_history.record("dc2", *image(), upload())
        for number in range(100):
            store.upload_history.record("dc1", f"kind {number // 10}", f"image-{number}", upload(number))
        await store.flush()
        assert await count(store) == 8 * 5 + 1
    async with opened(database_url) as store:
        known = [number for number in range(10) if store.upload_history.typical("dc1", f"kind {number}") != UNKNOWN]
        assert known == [2, 3, 4, 5, 6, 7, 8, 9]
        assert store.upload_history.typical("dc2", "system") == TypicalDurations(TASKS)


async def test_a_kind_in_which_an_upload_completed_lately_is_kept() -> None:
    async with opened("sqlite://") as store:
        for number in range(100):
            store.upload_history.record("dc1", *image(number), upload(number))
            store.upload_history.record("dc1", f"kind {number}", f"other-{number}", upload(number))
        assert store.upload_history.typical("dc1", "system") == TypicalDurations(TASKS)


async def test_uploads_of_too_many_kinds_that_an_older_version_wrote_are_deleted(database_url: str) -> None:
    async with opened(database_url) as store:
        for number in range(60):
            await run(
                store,
                "INSERT INTO earlier_uploads VALUES ('dc1', :uuid, :kind, :ended_at, :tasks, NULL)",
                uuid=f"image-{number}",
                kind=f"kind {number}",
                ended_at=float(number),
                tasks='{"Extract": 30.0}',
            )
    async with opened(database_url) as store:
        await store.flush()
        assert await count(store) == 8
        assert store.upload_history.typical("dc1", "kind 59") == TypicalDurations({"Extract": 30.0})
        assert store.upload_history.typical("dc1", "kind 51") == UNKNOWN


async def test_an_upload_of_more_tasks_than_any_has_is_not_kept() -> None:
    async with opened("sqlite://") as store:
        store.upload_history.record("dc1", *image(1), upload(tasks={f"task {number}": 1.0 for number in range(101)}))
        assert store.upload_history.typical("dc1", "system") == UNKNOWN
        store.upload_history.record("dc1", *image(1), upload(tasks={f"task {number}": 1.0 for number in range(100)}))
        assert len(store.upload_history.typical("dc1", "system").tasks) == 100


async def test_uploads_that_ended_in_the_future_are_displaced_like_others(database_url: str) -> None:
    """The Controller's clock says when they ended; one that is far ahead would be learned from for ever."""
    async with opened(database_url) as store:
        for number in range(5):
            await run(
                store,
                "INSERT INTO earlier_uploads VALUES ('dc1', :uuid, 'system', 9e9, :tasks, 10.0)",
                uuid=f"a-{number}",
                tasks='{"Extract": 10.0}',
            )
    clock = ManualClock()
    async with opened(database_url, now=clock) as store:
        assert store.upload_history.typical("dc1", "system").took_s == 10.0
        store.upload_history.record("dc1", "system", "c", CompletedUpload(9e9, {"Extract": 20.0}, 20.0))
        for number in range(5):
            clock.now += 100.0
            upload = CompletedUpload(clock.now, {"Extract": 30.0}, 30.0)
            store.upload_history.record("dc1", "system", f"b-{number}", upload)
        assert store.upload_history.typical("dc1", "system").took_s == 30.0


async def test_the_uploads_of_a_controller_are_forgotten_with_it(database_url: str) -> None:
    async with opened(database_url) as store:
        for controller in ("dc1", "dc2", "dc3"):
            store.upload_history.record(controller, *image(), upload())
        await store.flush()
        store.keep_only({"dc1", "dc3"})
        assert store.upload_history.typical("dc2", "system") == UNKNOWN
        await store.flush()
        assert await count(store) == 2
    async with closing(Store(database_url)) as late:
        late.keep_only({"dc1"})
        await late.open()
        assert late.upload_history.typical("dc1", "system") == TypicalDurations(TASKS)
        assert late.upload_history.typical("dc3", "system") == UNKNOWN
        assert await count(late) == 1


async def count(store: Store) -> int:
    """How many rows the database has."""
    async with store.database.transaction() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM earlier_uploads"))).scalar_one())


async def test_the_duration_of_an_upload_is_kept_when_it_is_recorded_again(database_url: str) -> None:
    async with opened(database_url) as store:
        store.upload_history.record("dc1", *image(), upload(took_s=50.0))
        store.upload_history.record("dc1", *image(), upload())
        assert store.upload_history.typical("dc1", "system").took_s == 50.0


async def test_an_image_whose_type_changes_is_kept_once(database_url: str) -> None:
    async with opened(database_url) as store:
        store.upload_history.record("dc1", *image(kind="patch"), upload())
        await store.flush()
        store.upload_history.record("dc1", *image(), upload())
        await store.flush()
    async with opened(database_url) as store:
        assert store.upload_history.typical("dc1", "system") == TypicalDurations(TASKS)
        assert store.upload_history.typical("dc1", "patch") == UNKNOWN


@pytest.mark.parametrize("tasks", [{}, {"a\x00b": 1.0}, {"a\ud800": 1.0}])
async def test_an_upload_without_tasks_or_not_storable_is_ignored(tasks: dict[str, float]) -> None:
    async with opened("sqlite://") as store:
        store.upload_history.record("dc1", *image(), upload(tasks=tasks))
        await store.flush()
        assert store.upload_history.typical("dc1", "system") == UNKNOWN


@pytest.mark.parametrize("tasks", ["nonsense", '{"Extract": "long"}', "[]"])
async def test_an_invalid_row_is_ignored(database_url: str, tasks: str) -> None:
    async with opened(database_url) as store:
        store.upload_history.record("dc1", *image(1), upload(1))
        store.upload_history.record("dc2", *image(2), upload(2))
        await store.flush()
        await run(store, "UPDATE earlier_uploads SET tasks = :tasks WHERE controller = 'dc1'", tasks=tasks)
    async with opened(database_url) as store:
        assert store.up
        assert store.upload_history.typical("dc1", "system") == UNKNOWN
        assert store.upload_history.typical("dc2", "system") == TypicalDurations(TASKS)


async def test_uploads_that_could_not_be_written_are_written_later(database_url: str) -> None:
    async with opened(database_url) as store:
        await run(store, "ALTER TABLE earlier_uploads RENAME TO gone")
        store.upload_history.record("dc1", *image(), upload())
        with capture_logs(), pytest.raises(StoreError):
            await store.flush()
        await run(store, "ALTER TABLE gone RENAME TO earlier_uploads")
        await store.flush()
    async with opened(database_url) as store:
        assert store.upload_history.typical("dc1", "system") == TypicalDurations(TASKS)
