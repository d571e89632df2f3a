"""The upload history, in memory and on real databases."""

import pytest
from structlog.testing import capture_logs

from monitor.model.errors import StoreError
from monitor.polling.eta import UNKNOWN, CompletedUpload, TypicalDurations
from tests.support.stores import opened, run

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


@pytest.mark.parametrize("text", ["nonsense", '{"Extract": "long"}', "[]"])
async def test_an_invalid_row_is_ignored(database_url: str, text: str) -> None:
    async with opened(database_url) as store:
        store.upload_history.record("dc1", *image(1), upload(1))
        store.upload_history.record("dc2", *image(2), upload(2))
        await store.flush()
        await run(store, "UPDATE earlier_uploads SET tasks = :text WHERE controller = 'dc1'", text=text)
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
