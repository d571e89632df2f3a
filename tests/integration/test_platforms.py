"""The commands where a name of Linux does not exist: on macOS, for one."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from monitor.cli.commands.simulate import write_config
from monitor.simulator import ControllerSpec, Simulator
from tests.support.programs import line_with, output_of
from tests.support.service_manager import manager_at

WITHOUT_LINUX = """
import os, resource, select, signal, socket, time

LINUX_ONLY = {
    os: "memfd_create eventfd eventfd_read eventfd_write pidfd_open sched_getaffinity sched_setaffinity posix_fadvise"
        " posix_fallocate fdatasync O_TMPFILE O_PATH O_DIRECT O_NOATIME splice copy_file_range pipe2 setns unshare"
        " getxattr setxattr getresuid setresuid",
    resource: "prlimit RUSAGE_THREAD RLIMIT_OFILE RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_SIGPENDING RLIMIT_MSGQUEUE",
    select: "epoll",
    signal: "sigtimedwait sigwaitinfo SIGRTMIN SIGRTMAX SIGPOLL SIGPWR SIGSTKFLT pidfd_send_signal",
    socket: "SOCK_CLOEXEC SOCK_NONBLOCK TCP_KEEPIDLE TCP_USER_TIMEOUT TCP_QUICKACK TCP_CORK TCP_DEFER_ACCEPT"
            " TCP_LINGER2 TCP_SYNCNT TCP_WINDOW_CLAMP SO_PEERCRED SO_BINDTODEVICE SO_MARK SO_INCOMING_CPU SO_DOMAIN"
            " SO_PROTOCOL SO_PASSCRED SO_PRIORITY IP_BIND_ADDRESS_NO_PORT IP_TRANSPARENT AF_NETLINK AF_PACKET"
            " MSG_NOSIGNAL MSG_MORE MSG_CMSG_CLOEXEC MSG_ERRQUEUE",
    time: "CLOCK_BOOTTIME CLOCK_TAI",
}
for module, names in LINUX_ONLY.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

set_limit = resource.setrlimit

def setrlimit(kind, limits):
    if kind == resource.RLIMIT_NOFILE and not 0 <= limits[0] <= 10_240:
        raise ValueError("current limit exceeds maximum limit")
    set_limit(kind, limits)

resource.setrlimit = setrlimit
"""
"""
A sitecustomize that takes away what macOS lacks (https://docs.python.org/3/library/, «Availability: Linux»), and sets
a limit as macOS does.
"""

COMMAND = (sys.executable, "-m", "monitor")


@pytest.fixture
def _without_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_LINUX)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@asynccontextmanager
async def running(*arguments: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stdout=pipe, stderr=pipe, env={**os.environ, **environ}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.usefixtures("_without_linux")
async def test_the_daemon_runs_without_what_only_linux_has(tmp_path: Path) -> None:
    with manager_at(str(tmp_path / "notify")) as manager:
        async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
            settings = {"listen": "localhost:0", "database": f"sqlite:///{tmp_path}/s.db"}
            config = write_config(simulator, tmp_path, settings)
            async with running("run", "--config", str(config), NOTIFY_SOCKET=manager.address) as daemon:
                assert json.loads(await line_with(daemon.stderr, "objects_listed"))["objects"] == 1
                await manager.receive_until("WATCHDOG=1")
                daemon.send_signal(signal.SIGTERM)
                await line_with(daemon.stderr, '"stopped"')
                assert await daemon.wait() == 0


@pytest.mark.usefixtures("_without_linux")
async def test_the_demo_runs_without_what_only_linux_has() -> None:
    status, out, error = await output_of(*COMMAND, "demo", "--for", "1s", "--listen", "127.0.0.1:0")
    assert (status, error) == (0, "")
    assert "5 simulated Controllers; the daemon listens at" in out


@pytest.mark.usefixtures("_without_linux")
async def test_simulated_controllers_run_without_what_only_linux_has() -> None:
    async with running("simulate", "--scenario", "happy") as simulate:
        await line_with(simulate.stdout, "Watch them with")
        simulate.send_signal(signal.SIGTERM)
        assert await simulate.wait() == 0
