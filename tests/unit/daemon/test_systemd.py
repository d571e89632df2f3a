"""What the service manager is sent, over a real datagram socket; and the fleet in one line."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from monitor.daemon.systemd import FleetSummary, StatusReporter, read_service_manager
from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.image import Image, ImageState, TrackedImage
from monitor.model.tracked import ProgressMark
from monitor.polling.fleet import Entry, Fleet
from tests.support.polling import entry_of
from tests.support.service_manager import ReceivingManager, manager_at

StallReason = Callable[[], Awaitable[str]]

QUICK_US = "20000"
"""A watchdog that is notified every hundredth of a second."""


def entry(name: str, *states: ImageState, up: bool = True, stale: bool = False) -> Entry:
    images = {
        f"{name}-{place}": TrackedImage(Image(uuid=f"{name}-{place}", state=state), ProgressMark(b"", 0.0, 0.0), 0.0)
        for place, state in enumerate(states)
    }
    return entry_of(name, images, session=SessionHealth(up=up), read=ReadHealth(stale=stale))


async def healthy() -> str:
    return ""


def reporter(
    address: str,
    *,
    stall_reason: StallReason = healthy,
    not_ready_reason: Callable[[], str] = str,
    entries: tuple[Entry, ...] = (),
) -> StatusReporter:
    fleet = Fleet()
    for each in entries:
        fleet.publish(each)
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": QUICK_US}
    manager = read_service_manager(environ, pid=1)
    return StatusReporter(manager, fleet, stall_reason=stall_reason, not_ready_reason=not_ready_reason)


@asynccontextmanager
async def reporting(
    folder: Path,
    *,
    stall_reason: StallReason = healthy,
    not_ready_reason: Callable[[], str] = str,
    entries: tuple[Entry, ...] = (),
) -> AsyncIterator[ReceivingManager]:
    with manager_at(str(folder / "notify")) as manager:
        ours = reporter(manager.address, stall_reason=stall_reason, not_ready_reason=not_ready_reason, entries=entries)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ours.run(), name="notify")
            yield manager
            task.cancel()


@pytest.mark.parametrize("kind", ["path", "abstract"])
async def test_start_reload_and_stop_are_sent(tmp_path: Path, kind: str) -> None:
    with manager_at(str(tmp_path / "notify") if kind == "path" else f"@{uuid4()}") as manager:
        ours = reporter(manager.address)
        ours.ready()
        assert await manager.receive() == ["READY=1"]
        before_us = time.monotonic_ns() // 1000
        ours.reloading()
        reloading, at = await manager.receive()
        assert (reloading, at.split("=")[0]) == ("RELOADING=1", "MONOTONIC_USEC")
        assert before_us <= int(at.split("=")[1]) <= time.monotonic_ns() // 1000
        ours.stopping()
        assert await manager.receive() == ["STOPPING=1"]


async def test_the_status_is_sent_when_it_changes_and_the_sign_of_life_every_time(tmp_path: Path) -> None:
    entries = (entry("dc1", "in_progress", "started", "completed"), entry("dc2", "failed", up=False))
    async with reporting(tmp_path, entries=entries) as manager:
        assert await manager.receive() == ["STATUS=1/2 controllers up, 2 uploads active", "WATCHDOG=1"]
        assert [await manager.receive() for _ in range(3)] == [["WATCHDOG=1"]] * 3


async def test_the_status_says_why_the_daemon_is_not_ready(tmp_path: Path) -> None:
    """The installer waits for the number of controllers: a status of an unready daemon with one would be an upgrade."""
    reasons = ["the database does not answer"]
    async with reporting(tmp_path, not_ready_reason=lambda: reasons[-1]) as manager:
        assert await manager.receive() == ["STATUS=not ready: the database does not answer", "WATCHDOG=1"]
        reasons.append("")
        assert (await manager.receive_until("STATUS="))[0] == "STATUS=0/0 controllers up, 0 uploads active"


async def test_while_a_poller_is_stuck_the_status_says_so_and_no_sign_of_life_is_sent(tmp_path: Path) -> None:
    reasons = [""]

    async def stall_reason() -> str:
        return reasons[-1]

    with capture_logs() as logs:
        async with reporting(tmp_path, stall_reason=stall_reason) as manager:
            await manager.receive_until("WATCHDOG=1")
            reasons.append("a poller is overdue by 31 s")
            assert (await manager.receive_until("STATUS=stuck"))[-1] == "STATUS=stuck: a poller is overdue by 31 s"
            with pytest.raises(TimeoutError):
                await manager.receive(within_s=0.2)  # twenty times the interval
            reasons.append("")
            assert await manager.receive() == ["STATUS=0/0 controllers up, 0 uploads active", "WATCHDOG=1"]
    assert [(log["event"], log.get("cause")) for log in logs] == [
        ("poller_stuck", "a poller is overdue by 31 s"),
        ("poller_recovered", None),
    ]


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "/" + "x" * 200, "@no-listener", "/\0"])
async def test_a_manager_that_does_not_listen_does_no_harm(address: str) -> None:
    ours = reporter(address)
    ours.ready()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(ours.run(), name="notify")
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()


async def test_a_manager_that_does_not_receive_for_long_does_not_block_the_daemon(tmp_path: Path) -> None:
    with manager_at(str(tmp_path / "notify")) as manager:
        ours = reporter(manager.address)
        for _ in range(1000):  # more than any queue of datagrams holds
            ours.ready()
        assert await manager.receive() == ["READY=1"]


def test_the_images_of_a_stale_controller_are_not_counted_and_one_is_one() -> None:
    entries = [entry("dc1", "in_progress"), entry("dc2", "in_progress", up=False, stale=True)]
    assert FleetSummary().line({each.name: each for each in entries}) == "1/2 controllers up, 1 upload active"


def test_the_count_follows_the_images() -> None:
    summary = FleetSummary()
    lines = [summary.line({"dc1": each}) for each in (entry("dc1", "started"), entry("dc1", "failed"))]
    lines.append(summary.line({}))
    assert lines == [
        "1/1 controllers up, 1 upload active",
        "1/1 controllers up, 0 uploads active",
        "0/0 controllers up, 0 uploads active",
    ]
