"""A second daemon on one database shows what the first one writes, as soon as it knows it, and not before."""

import asyncio
import sqlite3
from contextlib import closing as closing_file
from pathlib import Path

import pytest

from monitor.model.errors import DatabaseTaken, NewerDatabase
from monitor.model.tracked import ProgressMark
from monitor.patching.annotations import AnnotationChange
from monitor.simulator import ControllerSpec, Simulator
from monitor.store import Store
from tests.support.daemons import polled, samples, scrape, until, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.operators import TOKENS, ask, patch
from tests.support.stores import DONE, NOW, TICKET, closing, intent, opened, run

MARK = ProgressMark(b"e" * 16, changed_at=100.5, first_seen_at=90.25)


def standby_of(url: str, shown: list[object]) -> Store:
    """A store that notes whenever its annotations were read."""
    return Store(url, now=lambda: NOW, transaction_timeout_s=30.0, on_annotations_read=lambda: shown.append(None))


def set_schema(file: Path, version: str) -> str:
    """Change the version of the schema. Returns: what it was."""
    with closing_file(sqlite3.connect(file, timeout=WAIT_TIMEOUT_S)) as connection, connection:
        ((before,),) = connection.execute("SELECT version_num FROM alembic_version")
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
        return str(before)


async def test_a_standby_knows_marks_and_annotations_and_follows_their_changes(database_url: str) -> None:
    """It would show the annotations of its start for ever, or render all of them again every second."""
    shown: list[object] = []
    async with opened(database_url) as writer, closing(standby_of(database_url, shown)) as standby:
        writer.marks.set("dc1", "image", {"image-1": MARK})
        await writer.flush()
        await writer.audit_log.record(intent(), DONE, TICKET, at=1)
        assert not standby.audit_log.annotations_known
        await standby.flush()
        assert standby.marks.of("dc1", "image") == {"image-1": MARK}
        assert standby.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}
        await standby.flush()
        assert len(shown) == 1
        await writer.audit_log.record(intent(), DONE, AnnotationChange({"a": "b"}), at=2)
        await standby.flush()
        assert standby.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1", "a": "b"}}
        assert len(shown) == 2


async def test_a_standby_cannot_write_by_mistake(postgres_url: str) -> None:
    """A statement that writes in the wrong place would be the writer's, without its lock."""
    async with opened(postgres_url), closing(standby_of(postgres_url, [])) as standby:
        await standby.flush()
        with pytest.raises(DatabaseTaken):
            await run(standby, "DELETE FROM annotations")
        with pytest.raises(Exception, match="read-only transaction"):
            async with standby.database.transaction(writes=False) as connection:
                await connection.exec_driver_sql("DELETE FROM annotations")


async def test_a_standby_of_a_database_that_cannot_be_read_is_down_until_it_can(database_url: str) -> None:
    """`store_up` would be 1 although nothing is known of the annotations."""
    async with opened(database_url) as writer, closing(standby_of(database_url, [])) as standby:
        await run(writer, "ALTER TABLE annotations RENAME TO elsewhere")
        for _ in range(2):
            await standby.try_flush()
            assert (standby.answers, standby.not_ready_reason) == (False, "the database does not answer")
        await run(writer, "ALTER TABLE elsewhere RENAME TO annotations")
        await standby.try_flush()
        assert (standby.answers, standby.not_ready_reason) == (True, "")


async def test_a_standby_waits_for_a_writer_of_an_earlier_version_and_gives_way_to_a_later_one(
    database_url: str,
) -> None:
    """It would read tables that it does not know, or keep a rolling update waiting for ever."""
    async with opened(database_url) as writer, closing(standby_of(database_url, [])) as standby:
        await run(writer, "UPDATE alembic_version SET version_num = '0007'")
        await standby.flush()
        assert (standby.standby, standby.audit_log.annotations_known) == (True, False)
        await run(writer, "UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(NewerDatabase):
            await standby.flush()
        assert not standby.answers


async def test_what_is_annotated_is_not_exported_before_it_is_known(tmp_path: Path) -> None:
    """`avi_image_acknowledged 0` would wake people at night for what they have acknowledged."""
    database = f"sqlite:///{tmp_path}/state.db"
    (tmp_path / "standby").mkdir()
    async with (
        Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator,
        watching(simulator, tmp_path, database=database, tokens=TOKENS) as writer,
    ):
        await until(writer, "dc1", lambda entry: entry.session.up)
        (uuid,) = writer.fleet.entries["dc1"].objects("image")
        assert (await patch(writer, uuid, {"annotations": {"acknowledged": "true"}})).status == 200
        present = set_schema(tmp_path / "state.db", "0007")  # as before the writer was updated
        async with watching(simulator, tmp_path / "standby", database=database, tokens=TOKENS) as standby:
            await until(standby, "dc1", lambda entry: entry.session.up)
            text = await scrape(standby)
            assert samples(text, "avi_image_info", image_uuid=uuid)
            assert not samples(text, "avi_image_annotations")
            assert not samples(text, "avi_image_acknowledged")
            assert (await ask(standby, "GET", "/-/ready")).status == 200
            set_schema(tmp_path / "state.db", present)
            async with asyncio.timeout(WAIT_TIMEOUT_S):
                while samples(await scrape(standby), "avi_image_acknowledged") != [1.0]:
                    await polled(standby, "dc1")
