"""A database that does not answer: reads and metrics go on, a PATCH is refused, and the daemon recovers by itself."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Fault, SimulatedController, Simulator
from tests.support.conformance import require_conformance
from tests.support.daemons import polled, samples, scrape, until, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.operators import ROOT, TOKENS, ask, audit, patch


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Daemon, SimulatedController, str]]:
    async with (
        Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator,
        watching(simulator, folder, tokens=TOKENS) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.session.up)
        (uuid,) = daemon.fleet.entries["dc1"].objects("image")
        yield daemon, simulator.controllers["dc1"], uuid


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process holds the database, as a careless backup does."""
    other = sqlite3.connect(folder / "state.db", isolation_level=None, timeout=10.0)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def recovered(daemon: Daemon) -> None:
    """Wait until the daemon is ready again."""
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        while (await ask(daemon, "GET", "/-/ready")).status != 200:
            await polled(daemon, "dc1")


async def test_a_patch_is_refused_while_the_database_is_locked_and_done_after(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, dc1, uuid):
        with locked(tmp_path):
            for body in ({"annotations": {"a": "b"}}, {"name": "x"}):
                got = await patch(daemon, uuid, body)
                assert (got.status, got.kind) == (503, "database-down")
                assert got.json["detail"] == "nothing was changed: the database failed: database is locked"
            ready = await ask(daemon, "GET", "/-/ready")
            assert (ready.status, ready.body) == (503, b"not ready: the database does not answer\n")
            await polled(daemon, "dc1", 3)
            text = await scrape(daemon)
            assert samples(text, "avi_upgrade_monitor_store_up") == [0.0]
            assert samples(text, "avi_image_annotations", image_uuid=uuid) == [0.0]
            assert samples(text, "avi_upgrade_monitor_audit_write_failures_total")[0] >= 2.0
            assert (await ask(daemon, "GET", f"/api/image/{uuid}")).json["annotations"] == {}
        await recovered(daemon)
        assert not [request for request in dc1.requests if request.method == "PATCH"]
        assert (await patch(daemon, uuid, {"annotations": {"a": "b"}})).status == 200
        assert [entry["outcome"] for entry in await audit(daemon)] == ["done"]
        assert samples(await scrape(daemon), "avi_upgrade_monitor_store_up") == [1.0]


async def test_an_adjustment_that_the_controller_took_is_recorded_when_the_database_is_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, dc1, uuid):
        dc1.faults.add(Fault("hang", method="PATCH"))
        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(patch(daemon, uuid, {"name": "x", "annotations": {"a": "b"}}))
            await dc1.wait_for_requests(1, method="PATCH")
            with locked(tmp_path):
                dc1.faults.clear()
                got = await call
        assert (got.status, got.kind) == (500, "not-recorded")
        require_conformance("PATCH", f"/api/image/{uuid}", got.status, got.headers, got.body)
        assert got.json["detail"].startswith("the Controller made the change; the audit and annotations follow when ")
        assert dc1.image(uuid)["name"] == "x"
        await recovered(daemon)
        (entry,) = await audit(daemon)
        assert (entry["outcome"], entry["changes"]["annotations.a"]) == ("done", [None, "b"])
        shown = await ask(daemon, "GET", f"/api/image/{uuid}")
        assert shown.json["annotations"] == {"a": "b"}
        assert samples(await scrape(daemon), "avi_image_annotations", image_uuid=uuid) == [1.0]
        assert samples(await scrape(daemon), "avi_upgrade_monitor_patches_total", outcome="done") == [1.0]


async def test_an_audit_that_cannot_be_read_is_answered_with_the_reason(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, _, uuid):
        await patch(daemon, uuid, {"annotations": {"a": "b"}})
        (tmp_path / "state.db").rename(tmp_path / "elsewhere.db")
        got = await patch(daemon, uuid, {"annotations": {"a": "c"}})
        assert (got.status, got.kind) == (503, "database-down")
        read = await ask(daemon, "GET", "/api/audit", token=ROOT)
        assert (read.status, read.kind) == (503, "database-down")
        assert read.json["detail"].startswith("the audit cannot be read: the database failed: ")
        require_conformance("GET", "/api/audit", read.status, read.headers, read.body)


async def test_an_altered_record_is_not_taken_for_a_database_that_is_down(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, _, uuid):
        await patch(daemon, uuid, {"annotations": {"a": "b"}})
        with closing(sqlite3.connect(tmp_path / "state.db", timeout=WAIT_TIMEOUT_S)) as other, other:
            other.execute("UPDATE audit SET text = 'gone' WHERE number = 2")
        read = await ask(daemon, "GET", "/api/audit", token=ROOT)
        assert (read.status, read.kind) == (500, "altered-record")
        assert read.json["detail"] == (
            "record 2 of the audit was altered and cannot be read; "
            "`avi-upgrade-monitor audit verify` lists all that was altered"
        )
        require_conformance("GET", "/api/audit", read.status, read.headers, read.body)
        assert (await ask(daemon, "GET", "/-/ready")).status == 200
        assert (await patch(daemon, uuid, {"annotations": {"a": "c"}})).status == 200, "the audit goes on"


async def test_a_daemon_that_starts_beside_another_shows_what_that_writes_and_takes_over_when_it_has_ended(
    tmp_path: Path,
) -> None:
    database = f"sqlite:///{tmp_path}/state.db"
    (tmp_path / "new").mkdir()
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator, AsyncExitStack() as new:
        async with watching(simulator, tmp_path, database=database, tokens=TOKENS) as first:
            await until(first, "dc1", lambda entry: entry.session.up)
            (uuid,) = first.fleet.entries["dc1"].objects("image")
            assert (await patch(first, uuid, {"annotations": {"a": "b"}})).status == 200
            starting = watching(simulator, tmp_path / "new", database=database, tokens=TOKENS)
            second = await new.enter_async_context(starting)
            await until(second, "dc1", lambda entry: entry.session.up)
            assert (await ask(second, "GET", "/-/ready")).status == 200
            writer = await ask(second, "GET", "/-/writer")
            expected = b"not writer: a standby: another daemon writes to the database\n"
            assert (writer.status, writer.body) == (503, expected)
            assert (await ask(first, "GET", "/-/writer")).body == b"writer\n"
            text = await scrape(second)
            assert samples(text, "avi_image_annotations", image_uuid=uuid) == [1.0]
            assert samples(text, "avi_upgrade_monitor_store_up") == [1.0], "the database works, for the other daemon"
            assert samples(text, "avi_upgrade_monitor_writer") == [0.0]
            assert samples(text, "avi_upgrade_monitor_audit_write_failures_total") == [0.0]
            assert samples(await scrape(first), "avi_upgrade_monitor_writer") == [1.0]
            assert (await patch(second, uuid, {"annotations": {"a": "d"}})).status == 200, "it is passed on"
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            while (await ask(second, "GET", "/-/writer")).status != 200:
                await polled(second, "dc1")
        assert samples(await scrape(second), "avi_upgrade_monitor_writer") == [1.0]
        assert (await ask(second, "GET", f"/api/image/{uuid}")).json["annotations"] == {"a": "d"}
        assert (await patch(second, uuid, {"annotations": {"a": "c"}})).status == 200
        assert [entry["outcome"] for entry in await audit(second)] == ["done"] * 3
