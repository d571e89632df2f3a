"""Daemons as processes of their own, which end by ``kill -9``."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import aiohttp

from tests.support import self_killing_daemon
from tests.support.daemons import QUICK
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.operators import BOB, ROOT
from tests.support.programs import eventually

RARE = {**QUICK, "active_interval": "1h", "idle_interval": "1h", "stale_after": "2h"}
"""One poll, at the start."""

forks = multiprocessing.get_context("forkserver")  # its server has imported everything, and runs no event loop
forks.set_forkserver_preload(
    [
        "tests.support.self_killing_daemon",
        # what the daemon imports only when it has a database
        "monitor.store.migrate",
        "sqlalchemy.dialects.sqlite.aiosqlite",
        "asyncpg",
    ]
)


async def patch_status(url: str, uuid: str, body: object, *, timeout_s: float = WAIT_TIMEOUT_S) -> int:
    """The status of the answer; 0 when the daemon died instead, or did not answer; -1 when it was not there."""
    headers = {"Authorization": f"Bearer {BOB}", "X-Avi-Version": "30.2.1"}
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.patch(f"{url}/api/image/{uuid}", json=body) as response,
        ):
            await response.read()
            return response.status
    except aiohttp.ClientConnectorError:
        return -1
    except (aiohttp.ClientError, TimeoutError):
        return 0


async def get_json(url: str, path: str) -> Any:  # noqa: ANN401  JSON
    """What a daemon answers to an administrator."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {ROOT}"}) as session,
        session.get(url + path) as response,
    ):
        return await response.json()


class DaemonProcess:
    """One daemon process, from its start until it was killed."""

    def __init__(self, process: BaseProcess, pipe: Connection, url: str, uuid: str) -> None:
        self._process = process
        self._pipe = pipe
        self.url = url
        self._uuid = uuid

    async def patch(self, body: object) -> int:
        """As `patch_status`."""
        return await patch_status(self.url, self._uuid, body)

    async def places(self) -> list[str]:
        """Where the daemon was at each point of the PATCH that it has answered."""
        places: list[str] = await asyncio.to_thread(self._pipe.recv)
        return places

    async def get(self, path: str) -> Any:  # noqa: ANN401  JSON
        return await get_json(self.url, path)

    async def ready(self) -> None:
        """Wait until it is ready."""
        async with asyncio.timeout(WAIT_TIMEOUT_S), aiohttp.ClientSession() as session:
            while True:
                async with session.get(f"{self.url}/-/ready") as response:
                    if response.status == 200:
                        return

    async def becomes(self, role: Literal["writer", "standby"]) -> None:
        """Wait until it has this role."""
        said = {"writer": "writer\n", "standby": "not writer: a standby: another daemon writes to the database\n"}
        await eventually(self._role, lambda text: text == said[role])

    async def _role(self) -> str:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/-/writer") as response:
            return await response.text()

    def send_signal(self, number: int) -> None:
        """Stop it, or let it go on."""
        assert self._process.pid
        os.kill(self._process.pid, number)

    async def kill(self) -> int:
        """Kill the process if it lives; its exit code."""
        self._process.kill()
        await asyncio.to_thread(self._process.join)
        return self._process.exitcode or 0


@asynccontextmanager
async def started(
    config: Path, uuid: str, *, kill_at: int | None = 0, sent: int = signal.SIGKILL
) -> AsyncIterator[DaemonProcess]:
    """
    A daemon that has polled once.

    ``kill_at``: it kills itself at this point of each PATCH; 0: at none; None: it does not even count them.
    ``sent``: the signal with which it kills itself; with SIGSTOP it can go on.
    """
    ours, theirs = forks.Pipe(duplex=False)
    process = forks.Process(target=self_killing_daemon.run, args=(config, theirs, kill_at, sent))
    process.start()
    theirs.close()
    daemon = DaemonProcess(process, ours, await asyncio.to_thread(ours.recv), uuid)
    try:
        yield daemon
    finally:
        assert await daemon.kill() == -signal.SIGKILL
        ours.close()
