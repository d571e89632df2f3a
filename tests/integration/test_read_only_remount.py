"""
A file system that is read-only when the daemon starts, and writable later.

Linux remounts a file system read-only only while no file on it is open for writing. A daemon that has its database open
sees write errors instead: those are in ``test_store_failures.py``.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import aiohttp
import pytest

from monitor.cli.commands.simulate import write_config
from monitor.simulator import ControllerSpec, Simulator
from tests.support.operators import BOB, TOKENS
from tests.support.programs import line_with, output_of, program
from tests.support.stores import DONE, TICKET, intent, opened

MOUNT = """
mount -t tmpfs none "$1"
cp -a "$2"/. "$1"
mount -o remount,ro "$1"
shift 2
exec "$@"
"""


async def test_a_daemon_on_a_read_only_file_system_watches_and_works_when_it_is_writable(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    seed, mounted = tmp_path / "seed", tmp_path / "mounted"
    mounted.mkdir()
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        controller = simulator.controllers["dc1"]
        (uuid,) = controller.images.names(controller.clock.now())
        async with opened(f"sqlite:///{seed}/state.db") as store:
            await store.audit_log.record(intent(uuid), DONE, TICKET, at=1)
        (seed / "state.db").chmod(0o644)
        settings = {
            "listen": "127.0.0.1:0",
            "database": f"sqlite:///{mounted}/state.db",
            "tokens": TOKENS,
            "log": {"level": "info", "format": "json"},
        }
        config = write_config(simulator, tmp_path, settings)
        command = (sys.executable, "-m", "monitor", "run", "--config", str(config))
        process = await asyncio.create_subprocess_exec(
            *(program("unshare"), "--mount", "--propagation", "private"),
            *("sh", "-eu", "-c", MOUNT, "sh", str(mounted), str(seed), *command),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert "Read-only file system" in await line_with(process.stderr, "database_file_not_private")
            assert "Read-only file system" in json.loads(await line_with(process.stderr, "database_down"))["cause"]
            address = json.loads(await line_with(process.stderr, '"started"'))["address"]
            await line_with(process.stderr, "controller_up")
            async with aiohttp.ClientSession(
                f"http://{address}", headers={"Authorization": f"Bearer {BOB}", "X-Avi-Version": "30.2.1"}
            ) as session:
                assert await patch(session, uuid) == 503
                namespace = ("nsenter", f"--mount=/proc/{process.pid}/ns/mnt")
                assert (await output_of(*namespace, "mount", "-o", "remount,rw", str(mounted)))[0] == 0
                await line_with(process.stderr, "database_file_made_private")
                await line_with(process.stderr, "database_up")
                assert await patch(session, uuid) == 200
                async with session.get(f"/api/image/{uuid}") as response:
                    assert (await response.json())["annotations"] == {"ticket": "CHG-1", "a": "b"}
        finally:
            process.terminate()
            await process.communicate()


async def patch(session: aiohttp.ClientSession, uuid: str) -> int:
    """Annotate the image. Returns: the status."""
    async with session.patch(f"/api/image/{uuid}", json={"annotations": {"a": "b"}}) as response:
        return response.status
