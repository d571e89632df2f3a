"""The daemon under a service manager: what it sends, what makes it fall silent, and the socket that is passed to it."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from monitor.cli.commands.simulate import write_config
from monitor.simulator import ControllerSpec, Simulator, UploadSpec
from tests.support.programs import line_with
from tests.support.service_manager import ReceivingManager, manager_at
from tests.support.stores import opened, run

SPEC = ControllerSpec(name="dc1", images=1, uploads=(UploadSpec(duration=600.0, started_ago=300.0),))
QUICK_US = 200_000
"""A watchdog that is notified ten times a second."""

AS_SERVICE = """
import asyncio, os, signal, sys, threading

def cripple(how):
    if how == "loop":
        print("crippled", flush=True)
        threading.Event().wait()
    for task in asyncio.all_tasks():
        if task.get_name() == how:
            task.cancel()
            print("crippled", flush=True)

def main():
    os.environ["LISTEN_PID"] = str(os.getpid())  # a service manager sets it between fork and exec
    if os.environ["PASSED"]:
        os.dup2(int(os.environ["PASSED"]), 3)  # and this, too
    import monitor.cli, monitor.cli.commands.run as daemon
    from monitor.daemon.heartbeat import StallLimits
    serve, limits = daemon.serve, StallLimits(tick_age_s=1.5, overdue_s=0.5)  # no test waits for half a minute
    async def run_and_be_crippled(*given, **named):
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, cripple, os.environ.get("CRIPPLE"))
        await serve(*given, **named, stall_limits=limits)
    daemon.serve = run_and_be_crippled
    monitor.cli.main()

main()
"""
"""The command, in which SIGUSR1 ends a task or blocks the event loop; ``LISTEN_PID`` is its own."""


@asynccontextmanager
async def service(
    config: Path, environ: Mapping[str, str], *, passed: socket.socket | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The daemon with this environment; descriptor 3 is ``passed``. Killed if the test does not end it."""
    command = (sys.executable, "-W", "error", "-c", AS_SERVICE, "run", "--config", str(config))
    numbers = [passed.fileno()] if passed else []
    environ = {**os.environ, **environ, "PASSED": " ".join(map(str, numbers))}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environ, pass_fds=numbers)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def notifying(manager: ReceivingManager, **more: str) -> dict[str, str]:
    """The environment of a service of this manager."""
    return {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(QUICK_US), **more}


async def test_a_service_sends_that_it_is_ready_its_status_and_that_it_stops(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db"})
        with manager_at(str(tmp_path / "notify")) as manager:
            async with service(config, notifying(manager)) as daemon:
                assert await manager.receive() == ["READY=1"]
                address = json.loads(await line_with(daemon.stderr, '"started"'))["address"]
                async with aiohttp.ClientSession() as http, http.get(f"http://{address}/metrics") as response:
                    assert response.status == 200, "it listens before it sends that it is ready"
                await manager.receive_until("STATUS=1/1 controllers up, 1 upload active")
                await manager.receive_until("WATCHDOG=1")
                daemon.send_signal(signal.SIGTERM)
                assert (await manager.receive_until("STOPPING=1"))[-1] == "STOPPING=1"
                assert await daemon.wait() == 0


@pytest.mark.parametrize(
    ("part", "says"),
    [("heartbeat", "STATUS=stuck: no heartbeat for"), ("poll:dc1", "STATUS=stuck: a poller is overdue by")],
    ids=["heartbeat", "poller"],
)
async def test_no_sign_of_life_is_sent_when_the_heartbeat_or_a_poller_has_ended(
    tmp_path: Path, part: str, says: str
) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        poll = {"active_interval": "100ms", "idle_interval": "100ms", "timeout": "1s"}
        settings = {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db", "poll": poll}
        config = write_config(simulator, tmp_path, settings)
        with manager_at(str(tmp_path / "notify")) as manager:
            async with service(config, notifying(manager, CRIPPLE=part)) as daemon:
                await manager.receive_until("WATCHDOG=1")
                address = json.loads(await line_with(daemon.stderr, '"started"'))["address"]
                daemon.send_signal(signal.SIGUSR1)
                await line_with(daemon.stdout, "crippled")
                manager.discard()  # a busy machine may have been late before, and have recovered
                await manager.receive_until(says)
                assert "WATCHDOG=1" not in await manager.receive_for(within_s=5 * QUICK_US / 1e6)
                async with aiohttp.ClientSession() as http, http.get(f"http://{address}/-/healthy") as response:
                    assert response.status == 503, "the loop runs and answers, and that is no sign of life"


async def test_no_sign_of_life_is_sent_while_the_event_loop_is_blocked(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db"})
        with manager_at(str(tmp_path / "notify")) as manager:
            async with service(config, notifying(manager, CRIPPLE="loop")) as daemon:
                await manager.receive_until("WATCHDOG=1")
                daemon.send_signal(signal.SIGUSR1)
                await line_with(daemon.stdout, "crippled")
                manager.discard()
                with pytest.raises(TimeoutError):
                    await manager.receive(within_s=5 * QUICK_US / 1e6)
                daemon.send_signal(signal.SIGABRT)  # as systemd does when WatchdogSec= is over
                assert await daemon.wait() == -signal.SIGABRT


# -- the socket that is passed


def bound(host: str = "127.0.0.1", kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A socket as a socket unit makes it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, kind)
    made.bind((host, 0))
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


async def test_a_passed_socket_is_served_in_place_of_the_configured_address(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        with bound() as taken, bound() as passed:
            elsewhere = f"127.0.0.1:{taken.getsockname()[1]}"
            config = write_config(simulator, tmp_path, {"listen": elsewhere, "database": f"sqlite:///{tmp_path}/s.db"})
            url = f"http://127.0.0.1:{passed.getsockname()[1]}"
            async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as tasks:
                early = tasks.create_task(http.get(f"{url}/metrics"), name="early")  # it waits in the socket's queue
                async with service(config, {"LISTEN_FDS": "1"}, passed=passed) as daemon:
                    started = json.loads(await line_with(daemon.stderr, '"started"'))
                    assert f"http://{started['address']}" == url
                    assert (await early).status == 200, "on loopback a scrape needs no credentials"
                    daemon.send_signal(signal.SIGTERM)
                    assert await daemon.wait() == 0
                async with service(config, {"LISTEN_FDS": "1"}, passed=passed) as daemon:
                    await line_with(daemon.stderr, '"started"')
                    async with http.get(f"{url}/metrics") as response:
                        assert response.status == 200, "the socket outlives the service"


async def test_the_address_of_the_passed_socket_decides_whether_the_config_must_say_who_has_access(
    tmp_path: Path,
) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db"})
        with bound("0.0.0.0") as passed:  # noqa: S104  what it is about
            async with service(config, {"LISTEN_FDS": "1"}, passed=passed) as daemon:
                _, errors = await daemon.communicate()
            assert daemon.returncode == 2
            assert f'listen: "0.0.0.0:{passed.getsockname()[1]}" is not loopback, so' in errors.decode()


async def test_on_a_passed_socket_that_is_not_loopback_the_config_gives_access(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        settings = {"database": f"sqlite:///{tmp_path}/s.db", "anonymous": ["metrics"]}
        config = write_config(simulator, tmp_path, {"listen": "127.0.0.1:0", **settings})
        with bound("::") as passed:
            url = f"http://[::1]:{passed.getsockname()[1]}"
            async with aiohttp.ClientSession() as http, service(config, {"LISTEN_FDS": "1"}, passed=passed) as daemon:
                await line_with(daemon.stderr, '"started"')
                async with http.get(f"{url}/metrics") as metrics, http.get(f"{url}/api/image") as images:
                    assert (metrics.status, images.status) == (200, 401)


@pytest.mark.parametrize(
    ("number", "kind", "problem"),
    [
        pytest.param("2", socket.SOCK_STREAM, "found 2 sockets from the service manager, expected one", id="two"),
        pytest.param("1", socket.SOCK_DGRAM, "the service manager passed something other than a TCP socket", id="udp"),
    ],
)
async def test_a_passed_socket_that_cannot_be_used_is_one_line(
    tmp_path: Path, number: str, kind: int, problem: str
) -> None:
    with bound(kind=kind) as passed:
        async with service(tmp_path / "none.yml", {"LISTEN_FDS": number}, passed=passed) as daemon:
            _, errors = await daemon.communicate()
    assert daemon.returncode == 1
    assert errors.decode().startswith(f"avi-upgrade-monitor: {problem}")
    assert len(errors.decode().splitlines()) == 1


async def test_a_descriptor_that_is_not_open_is_one_line(tmp_path: Path) -> None:
    async with service(tmp_path / "none.yml", {"LISTEN_FDS": "1"}) as daemon:
        _, errors = await daemon.communicate()
    assert daemon.returncode == 1
    assert "the service manager passed something other than a TCP socket" in errors.decode()


async def test_what_the_journal_reads_has_priorities_and_a_newer_database_is_not_tried_again(tmp_path: Path) -> None:
    """Without priorities, `journalctl --priority warning` shows nothing; 2 is RestartPreventExitStatus= of the unit."""
    database = f"sqlite:///{tmp_path}/s.db"
    async with opened(database) as store:
        await run(store, "UPDATE alembic_version SET version_num = '9999'")
    config, log = tmp_path / "config.yml", tmp_path / "log"
    config.write_text(f"database: {database}\ncontrollers: []\n")
    with log.open("wb") as sink:
        file = os.fstat(sink.fileno())
        environ = {**os.environ, "JOURNAL_STREAM": f"{file.st_dev}:{file.st_ino}"}
        command = (sys.executable, "-W", "error", "-m", "monitor", "run", "--config", str(config))
        process = await asyncio.create_subprocess_exec(*command, stderr=sink, env=environ)
        assert await process.wait() == 2
    warning, error = log.read_text().splitlines()
    assert (warning[:4], json.loads(warning[3:])["event"]) == ("<4>{", "database_down")
    assert error.startswith(f"<3>the database {database} cannot be used: its schema is 9999")
