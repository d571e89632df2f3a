"""The daemon as a service manager runs it: what it hears, what silences it, and the socket that it passes."""

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
from tests.support.daemons import PATIENCE_S
from tests.support.service_manager import Manager, manager_at

SPEC = ControllerSpec(name="dc1", images=1, uploads=(UploadSpec(duration=600.0, started_ago=300.0),))
QUICK_US = 200_000
"""A watchdog that is told ten times a second."""

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
    os.environ["LISTEN_PID"] = str(os.getpid())  # as whoever forks and executes sets it
    if os.environ["PASSED"]:
        os.dup2(int(os.environ["PASSED"]), 3)  # and this, too
    import monitor.daemon.app, monitor.cli, monitor.cli.commands.run as daemon
    monitor.daemon.app._BEAT_OLD_S, monitor.daemon.app._OVERDUE_S = 1.5, 0.5  # no test waits for half a minute
    serve = daemon.serve
    async def run_and_be_crippled(*given):
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, cripple, os.environ.get("CRIPPLE"))
        await serve(*given)
    daemon.serve = run_and_be_crippled
    monitor.cli.main()

main()
"""
"""The command, which SIGUSR1 cripples; ``LISTEN_PID`` is its own."""


@asynccontextmanager
async def service(
    config: Path, environ: Mapping[str, str], *, passed: socket.socket | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The daemon with this environment; descriptor 3 is ``passed``. Killed if the test did not end it."""
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


async def line_with(stream: asyncio.StreamReader | None, text: str) -> str:
    """Read until a line holds the text."""
    assert stream is not None
    async with asyncio.timeout(PATIENCE_S):
        while line := (await stream.readline()).decode():
            if text in line:
                return line
    pytest.fail(f"{text!r} did not come")


def told(manager: Manager, **more: str) -> dict[str, str]:
    """The environment of a service of this manager."""
    return {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(QUICK_US), **more}


async def test_a_service_says_that_it_is_ready_how_it_goes_and_that_it_stops(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db"})
        with manager_at(str(tmp_path / "notify")) as manager:
            async with service(config, told(manager)) as daemon:
                assert await manager.hears() == ["READY=1"]
                address = json.loads(await line_with(daemon.stderr, '"started"'))["address"]
                async with aiohttp.ClientSession() as http, http.get(f"http://{address}/-/healthy") as response:
                    assert response.status == 200, "it listens before it says that it is ready"
                await manager.until("STATUS=1/1 controllers up, 1 upload active")
                await manager.until("WATCHDOG=1")
                daemon.send_signal(signal.SIGTERM)
                assert (await manager.until("STOPPING=1"))[-1] == "STOPPING=1"
                assert await daemon.wait() == 0


@pytest.mark.parametrize(
    ("part", "says"),
    [("heart", "STATUS=stuck: no heartbeat for"), ("poll:dc1", "STATUS=stuck: a poller is overdue by")],
    ids=["heart", "poller"],
)
async def test_a_service_falls_silent_when_a_part_of_its_scheduler_ends(tmp_path: Path, part: str, says: str) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        poll = {"active_interval": "100ms", "idle_interval": "100ms", "timeout": "1s"}
        settings = {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db", "poll": poll}
        config = write_config(simulator, tmp_path, settings)
        with manager_at(str(tmp_path / "notify")) as manager:
            async with service(config, told(manager, CRIPPLE=part)) as daemon:
                await manager.until("WATCHDOG=1")
                address = json.loads(await line_with(daemon.stderr, '"started"'))["address"]
                daemon.send_signal(signal.SIGUSR1)
                await line_with(daemon.stdout, "crippled")
                manager.forgets()  # a busy machine may have been late before, and have recovered
                await manager.until(says)
                assert "WATCHDOG=1" not in await manager.rest(within_s=5 * QUICK_US / 1e6)
                async with aiohttp.ClientSession() as http, http.get(f"http://{address}/-/healthy") as response:
                    assert response.status == 503, "the loop runs and answers, and that is no sign of life"


async def test_a_service_falls_silent_when_its_event_loop_is_blocked(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db"})
        with manager_at(str(tmp_path / "notify")) as manager:
            async with service(config, told(manager, CRIPPLE="loop")) as daemon:
                await manager.until("WATCHDOG=1")
                daemon.send_signal(signal.SIGUSR1)
                await line_with(daemon.stdout, "crippled")
                manager.forgets()
                with pytest.raises(TimeoutError):
                    await manager.hears(within_s=5 * QUICK_US / 1e6)
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
                    assert (await early).status == 200, "on loopback anybody may scrape"
                    daemon.send_signal(signal.SIGTERM)
                    assert await daemon.wait() == 0
                async with service(config, {"LISTEN_FDS": "1"}, passed=passed) as daemon:
                    await line_with(daemon.stderr, '"started"')
                    async with http.get(f"{url}/-/healthy") as response:
                        assert response.status == 200, "the socket outlives the service"


async def test_the_rule_for_open_addresses_is_that_of_the_passed_socket(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db"})
        with bound("0.0.0.0") as passed:  # noqa: S104  what it is about
            async with service(config, {"LISTEN_FDS": "1"}, passed=passed) as daemon:
                _, errors = await daemon.communicate()
            assert daemon.returncode == 2
            assert f'anonymous: found nothing while listen is "0.0.0.0:{passed.getsockname()[1]}"' in errors.decode()


async def test_on_an_open_passed_socket_only_those_come_in_whom_the_config_names(tmp_path: Path) -> None:
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
    ("number", "kind", "complaint"),
    [
        pytest.param("2", socket.SOCK_STREAM, "found 2 sockets from the service manager, expected one", id="two"),
        pytest.param("1", socket.SOCK_DGRAM, "what the service manager passed is no TCP socket", id="udp"),
    ],
)
async def test_what_cannot_be_listened_on_is_said_in_one_line(
    tmp_path: Path, number: str, kind: int, complaint: str
) -> None:
    with bound(kind=kind) as passed:
        async with service(tmp_path / "none.yml", {"LISTEN_FDS": number}, passed=passed) as daemon:
            _, errors = await daemon.communicate()
    assert daemon.returncode == 1
    assert errors.decode().startswith(f"avi-upgrade-monitor: {complaint}")
    assert len(errors.decode().splitlines()) == 1


async def test_a_descriptor_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    async with service(tmp_path / "none.yml", {"LISTEN_FDS": "1"}) as daemon:
        _, errors = await daemon.communicate()
    assert daemon.returncode == 1
    assert "what the service manager passed is no TCP socket" in errors.decode()
