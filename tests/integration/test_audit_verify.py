"""``audit verify`` beside an open database: on a whole chain and on altered ones."""

import json
import sys
from pathlib import Path

import pytest
import yaml
from sqlalchemy import text

from monitor.patching.annotations import AnnotationChange
from monitor.store import Store
from tests.support.command_line import call
from tests.support.programs import output_of
from tests.support.stores import DONE, intent, opened, run

pytestmark = pytest.mark.unmeasured  # tests/unit/patching/test_audit.py measures what finds the faults
COMMAND = (sys.executable, "-W", "error", "-m", "monitor")


@pytest.fixture
def config(database_url: str, tmp_path: Path) -> Path:
    return write_config(tmp_path, database_url)


def write_config(folder: Path, database: str) -> Path:
    path, password = folder / "config.yml", folder / "password"
    password.write_text("not needed here")
    controller = {"name": "dc1", "url": "https://127.0.0.1:1", "username": "svc", "password_file": str(password)}
    path.write_text(yaml.safe_dump({"database": database, "controllers": [controller]}))
    return path


async def verify(config: Path, *arguments: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error."""
    return await call("audit", "verify", "--config", str(config), *arguments)


async def test_a_whole_chain_is_reported_with_its_last_hash(config: Path, database_url: str) -> None:
    async with opened(database_url) as store:
        await store.audit_log.record(intent(), DONE, None, at=1)
        await store.audit_log.begin(intent(), at=1)
        last = await store.audit_log.read_chain(lambda _, head, __: head[1].hex())
        process = await output_of(*COMMAND, "audit", "verify", "--config", str(config))
        assert process == (0, f"3 records, whole; the last is 3, {last}\n", "")
        status, out, err = await verify(config, "--output", "json")
        assert (status, err) == (0, "")
        assert json.loads(out) == {"whole": True, "records": 3, "number": 3, "hash": last, "faults": []}
        assert [entry.outcome for entry in await store.audit_log.entries()] == [None, DONE]


async def test_every_fault_is_printed_and_the_exit_code_is_1(config: Path, database_url: str) -> None:
    async with opened(database_url) as store:
        for _ in range(3):
            await store.audit_log.record(intent(), DONE, None, at=1)
        async with store.database.transaction() as connection:
            await connection.execute(text("UPDATE audit SET actor = 'mallory' WHERE number = 2"))
            await connection.execute(text("DELETE FROM audit WHERE number = 6"))
    faults = [
        "record 2 was altered, or the one before it",
        "the chain ends with record 5, but record 6 was written, or the head was altered",
    ]
    message = "avi-upgrade-monitor: the audit is not whole\n"
    assert await verify(config) == (1, "\n".join(faults) + "\n", message)
    status, out, err = await verify(config, "--output", "json")
    assert (status, json.loads(out)["faults"], err) == (1, faults, message)


async def test_a_database_without_an_audit_is_reported_and_not_changed(
    config: Path, database_url: str, tmp_path: Path
) -> None:
    if database_url.startswith("sqlite"):
        (tmp_path / "state.db").write_bytes(b"")
    status, out, err = await verify(config)
    assert (status, out) == (1, "")
    assert err.endswith("cannot be read: it contains no audit; no daemon of this version has used it\n")
    async with opened(database_url) as store:
        assert await store.audit_log.entries() == ()


async def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    status, _, err = await verify(write_config(tmp_path, f"sqlite:///{tmp_path}/none.db"))
    assert (status, err.count("cannot be read: unable to open database file")) == (1, 1)
    assert not list(tmp_path.glob("none*"))  # noqa: ASYNC240  a local directory


async def test_a_path_may_contain_characters_with_a_meaning_in_a_url(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/100%20&more/state.db"
    async with opened(database) as store:
        await store.audit_log.record(intent(), DONE, None, at=1)
    status, out, _ = await verify(write_config(tmp_path, database))
    assert (status, out.startswith("2 records, whole;")) == (0, True)


async def test_the_daemon_does_not_start_with_the_database_of_a_newer_version(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/state.db"
    config = write_config(tmp_path, database)
    async with opened(database) as store, store.database.transaction() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    status, _, err = await output_of(*COMMAND, "run", "--config", str(config))
    assert status == 2, "with which the unit of systemd does not start it again and again"
    assert "cannot be used: its schema is 9999, which this version does not know" in err.splitlines()[-1]


async def test_a_record_of_an_anchor_must_exist(config: Path, database_url: str) -> None:
    async with opened(database_url) as store:
        await store.audit_log.record(intent(), DONE, None, at=1)
        last = await store.audit_log.read_chain(lambda _, head, __: head[1].hex())
    assert (await verify(config, "--anchor", f"2:{last}"))[0] == 0
    for anchor, fault in (
        (f"2:{'0' * 64}", "record 2 does not match its anchor"),
        (f"3:{last}", "record 3 has an anchor and is missing"),
    ):
        status, out, _ = await verify(config, "--anchor", anchor)
        assert (status, out) == (1, f"{fault}\n")
    status, _, err = await verify(config, "--anchor", "2:beef")
    assert status == 2
    assert "expected a number, a colon and 64 hexadecimal digits" in err


async def annotate(store: Store, uuid: str, *, replace: bool = False, **values: str | None) -> None:
    """As the patcher records it."""
    asked = intent(uuid, annotations=values, replace_annotations=replace)
    await store.audit_log.record(asked, DONE, AnnotationChange(values, replace), at=1)


async def test_annotations_that_were_changed_by_hand_are_reported(config: Path, database_url: str) -> None:
    async with opened(database_url) as store:
        await annotate(store, "image-1", ticket="CHG-1", owner="alice", acknowledged="true")
        await annotate(store, "image-2", ticket="CHG-2", note="x")
        await annotate(store, "image-2", note=None)
        status, out, _ = await verify(config)
        assert (status, out.startswith("6 records, whole; the last is 6")) == (0, True)
        await run(store, "UPDATE annotations SET value = 'mallory' WHERE key = 'owner'")
        await run(store, "DELETE FROM annotations WHERE key = 'acknowledged'")
        await run(store, "INSERT INTO annotations VALUES ('dc1', 'image-2', 'note', 'x')")
        await run(store, "INSERT INTO annotations VALUES ('dc2', 'image-1', 'acknowledged', 'true')")
        status, out, err = await verify(config)
    assert (status, out.splitlines()) == (
        1,
        [
            "the annotation owner of image-1 on dc1 was altered: record 2 has another value",
            "the annotation note of image-2 on dc1 was added: record 6 removed it",
            "the annotation acknowledged of image-1 on dc2 was added: no record has it",
            "the annotation acknowledged of image-1 on dc1 was removed: record 2 set it",
        ],
    )
    assert err == "avi-upgrade-monitor: the audit is not whole\n"


async def test_annotations_that_were_replaced_as_a_whole_are_as_the_chain_says(config: Path, database_url: str) -> None:
    async with opened(database_url) as store:
        await annotate(store, "image-1", ticket="CHG-1", owner="alice")
        await annotate(store, "image-1", replace=True, ticket="CHG-2")
    assert (await verify(config))[0] == 0
