"""The files of a SQLite database that are removed, replaced or open to other users while a daemon has them open."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE

import pytest
from structlog.testing import capture_logs

from monitor.cli.commands.simulate import write_config
from monitor.model.errors import DatabaseTaken, FilesLost
from monitor.simulator import ControllerSpec, Simulator
from monitor.store import Store
from tests.support.daemon_processes import RARE, DaemonProcess, started
from tests.support.operators import TOKENS
from tests.support.stores import DONE, TICKET, chain_faults, closing, intent, is_up, opened, recover

MODES = {"state.db": 0o600, "state.db-lock": 0o600, "state.db-shm": 0o600, "state.db-wal": 0o600}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state.db"


def left_by_a_kill(folder: Path) -> str:
    """A copy of the files as they are now, with all that no process has open."""
    copy = folder / "copy"
    copy.mkdir()
    for name in ("state.db", "state.db-wal"):
        if (folder / name).exists():
            shutil.copy(folder / name, copy)
    return f"sqlite:///{copy}/state.db"


def remove_the_log(folder: Path) -> None:
    (folder / "state.db-wal").unlink()


def remove_its_index(folder: Path) -> None:
    (folder / "state.db-shm").unlink()


def remove_both(folder: Path) -> None:
    remove_the_log(folder)
    remove_its_index(folder)


def put_an_older_log_in_its_place(folder: Path) -> None:
    (folder / "older-wal").replace(folder / "state.db-wal")


LOST = pytest.mark.parametrize("lose", [remove_the_log, remove_its_index, remove_both, put_an_older_log_in_its_place])


@LOST
async def test_what_is_only_in_a_log_that_was_removed_is_saved_before_anything_else_is_written(
    tmp_path: Path, url: str, lose: Callable[[Path], None]
) -> None:
    async with opened(url) as store:
        await store.audit_log.record(intent("image-1"), DONE, TICKET, at=1)
        shutil.copy(tmp_path / "state.db-wal", tmp_path / "older-wal")
        await store.audit_log.record(intent("image-2"), DONE, TICKET, at=2)
        lose(tmp_path)
        with pytest.raises(FilesLost, match=r"state\.db-(wal|shm) was removed or replaced"):
            await store.audit_log.record(intent("image-3"), DONE, TICKET, at=3)
        assert store.not_ready_reason == "a file of the database was removed or replaced"
        await store.flush()
        assert is_up(store)
        await store.audit_log.record(intent("image-4"), DONE, TICKET, at=4)
        left = left_by_a_kill(tmp_path)
    async with opened(left) as store:
        assert set(store.audit_log.annotations_of("dc1")) == {"image-1", "image-2", "image-4"}
        assert [entry.at for entry in await store.audit_log.entries()] == [4, 2, 1]
        assert not await chain_faults(store)


async def test_a_log_that_was_removed_is_noticed_and_saved_when_there_is_nothing_to_write(
    tmp_path: Path, url: str
) -> None:
    async with opened(url) as store:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        remove_the_log(tmp_path)
        with capture_logs() as logs:
            await store.try_flush()
        assert [(line["event"], line.get("cause")) for line in logs] == [
            ("database_down", "state.db-wal was removed or replaced"),
            ("database_up", None),
        ]
        left = left_by_a_kill(tmp_path)
    async with opened(left) as store:
        assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}


async def test_changes_are_refused_for_as_long_as_a_removed_log_cannot_be_saved(tmp_path: Path, url: str) -> None:
    """A reader of an older state, as a backup is, keeps SQLite from writing newer pages into the database."""
    async with opened(url, busy_timeout_ms=1) as store, closing(Store(url, transaction_timeout_s=30.0)) as second:
        await store.audit_log.record(intent("image-1"), DONE, TICKET, at=1)
        reader = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM audit_head").fetchall()
        await store.audit_log.record(intent("image-2"), DONE, TICKET, at=2)
        remove_the_log(tmp_path)
        for _ in range(2):
            await store.try_flush()
            assert store.not_ready_reason == "a file of the database was removed or replaced"
            with pytest.raises(FilesLost, match="its log was removed, and cannot be saved while another program reads"):
                raise store.database.error
        with pytest.raises(DatabaseTaken):
            await second.open()
        reader.close()
        await recover(store)
        left = left_by_a_kill(tmp_path)
    async with opened(left) as store:
        assert set(store.audit_log.annotations_of("dc1")) == {"image-1", "image-2"}


async def test_a_database_put_in_the_place_of_another_is_not_mixed_with_the_log_of_that(
    tmp_path: Path, url: str
) -> None:
    async with opened(url) as store:
        await store.audit_log.record(intent("image-1"), DONE, TICKET, at=1)
        source, backup = sqlite3.connect(tmp_path / "state.db"), sqlite3.connect(tmp_path / "backup.db")
        source.backup(backup)
        source.close()
        backup.close()
        await store.audit_log.record(intent("image-2"), DONE, TICKET, at=2)
        (tmp_path / "backup.db").replace(tmp_path / "state.db")
        await store.try_flush()
        await recover(store)
        assert set(store.audit_log.annotations_of("dc1")) == {"image-1"}
        assert not await chain_faults(store)


async def change(daemon: DaemonProcess, key: str) -> None:
    """Annotate the image; where that is refused, once more when the daemon is ready again."""
    while await daemon.patch({"annotations": {key: "x"}}) != 200:
        await daemon.ready()
    await daemon.places()


async def test_no_acknowledged_change_is_lost_when_the_log_is_removed_and_the_daemon_is_killed(
    tmp_path: Path, url: str
) -> None:
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        controller = simulator.controllers["dc1"]
        (uuid,) = controller.images.names(controller.clock.now())
        settings = {"listen": "127.0.0.1:0", "database": url, "poll": RARE, "tokens": TOKENS}
        config = write_config(simulator, tmp_path, settings)
        async with started(config, uuid) as daemon:
            await change(daemon, "before")
            remove_the_log(tmp_path)
            for number in range(20):
                await change(daemon, f"after-{number}")
        async with started(config, uuid) as daemon:
            image = await daemon.get(f"/api/image/{uuid}")
            assert set(image["annotations"]) == {"before", *(f"after-{number}" for number in range(20))}


async def test_a_removed_log_is_not_saved_over_what_another_daemon_wrote_in_the_meantime(
    tmp_path: Path, url: str
) -> None:
    """Whoever removes the lock, too, lets the other one in: the log belongs to a database that is no more."""
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator, opened(url) as store:
        controller = simulator.controllers["dc1"]
        (uuid,) = controller.images.names(controller.clock.now())
        settings = {"listen": "127.0.0.1:0", "database": url, "poll": RARE, "tokens": TOKENS}
        config = write_config(simulator, tmp_path, settings)
        for number in range(20):
            await store.audit_log.record(intent(f"image-{number}"), DONE, TICKET, at=number)
        for name in ("state.db-wal", "state.db-shm", "state.db-lock"):
            (tmp_path / name).unlink()
        async with started(config, uuid) as other:
            await change(other, "theirs")
            await store.try_flush()
            await store.try_flush()
            assert store.not_writer_reason == "a standby: another daemon writes to the database"
            await change(other, "theirs-too")
        await recover(store)
        assert store.audit_log.annotations_of("dc1") == {uuid: {"theirs": "x", "theirs-too": "x"}}
        assert not await chain_faults(store)


# Who may use them


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def no_umask() -> Iterator[None]:
    with umask(0):
        yield


def modes(folder: Path) -> dict[str, int]:
    return {file.name: S_IMODE(file.stat().st_mode) for file in sorted(folder.glob("state.db*"))}


@pytest.mark.usefixtures("no_umask")
async def test_folder_and_files_that_the_daemon_makes_are_for_its_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "too"
    async with opened(f"sqlite:///{folder}/state.db") as store:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        assert modes(folder) == MODES
        assert S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o277])
async def test_the_files_have_these_rights_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    """Would find a database that every user may read, or that the daemon itself may not write when it starts again."""
    with umask(mask):
        async with opened(f"sqlite:///{tmp_path}/state.db") as store:
            await store.audit_log.record(intent(), DONE, TICKET, at=1)
            assert modes(tmp_path) == MODES


@pytest.mark.usefixtures("no_umask")
async def test_files_that_others_may_use_lose_these_rights_and_the_log_says_so_once(tmp_path: Path, url: str) -> None:
    async with opened(url) as store:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
    for name in ("state.db", "state.db-lock"):
        (tmp_path / name).chmod(0o664)
    folder = S_IMODE(tmp_path.stat().st_mode)  # noqa: ASYNC240  it takes no time
    with capture_logs() as logs:
        async with opened(url) as store:
            assert modes(tmp_path) == MODES
            assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}
    assert [(line["event"], Path(line["file"]).name, line["mode"]) for line in logs] == [
        ("database_file_made_private", "state.db", "0664"),
        ("database_file_made_private", "state.db-lock", "0664"),
    ]
    assert S_IMODE(tmp_path.stat().st_mode) == folder, "other files may be in a folder that was there"  # noqa: ASYNC240
