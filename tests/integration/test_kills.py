"""
kill -9 at every point of a PATCH, on both databases: what was acknowledged is there, nothing is done twice, and every
intent has exactly one outcome after the restart.
"""

import asyncio
import multiprocessing
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from monitor.cli.commands.audit import verify
from monitor.cli.commands.simulate import write_config
from monitor.config.load import load
from monitor.simulator import ControllerSpec, SimulatedController, Simulator
from tests.support import self_killing_daemon as doomed
from tests.support.daemons import QUICK
from tests.support.operators import BOB, ROOT, TOKENS

RARE = {**QUICK, "active_interval": "1h", "idle_interval": "1h", "stale_after": "3h"}

forks = multiprocessing.get_context("forkserver")  # a process that has imported everything, and no loop yet
forks.set_forkserver_preload(["tests.support.self_killing_daemon"])


class Life:
    """One daemon, from its start to its end by its own hand or ours."""

    def __init__(self, process: BaseProcess, url: str, uuid: str) -> None:
        self._process = process
        self._url = url
        self._uuid = uuid

    async def patch(self, body: object) -> int:
        """The status of the answer; 0 when the daemon died instead."""
        headers = {"Authorization": f"Bearer {BOB}", "X-Avi-Version": "30.2.1"}
        try:
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.patch(f"{self._url}/api/image/{self._uuid}", json=body) as response,
            ):
                await response.read()
                return response.status
        except aiohttp.ClientError:
            return 0

    async def get(self, path: str) -> Any:  # noqa: ANN401  whatever it is
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {ROOT}"}) as session,
            session.get(self._url + path) as response,
        ):
            return await response.json()

    async def kill(self) -> int:
        """End it, if it did not end itself; how it ended."""
        self._process.kill()
        await asyncio.to_thread(self._process.join)
        return self._process.exitcode or 0


@asynccontextmanager
async def alive(config: Path, uuid: str, *, kill_at: int = 0) -> AsyncIterator[Life]:
    ours, theirs = forks.Pipe(duplex=False)
    process = forks.Process(target=doomed.run, args=(config, theirs, kill_at))
    process.start()
    theirs.close()
    life = Life(process, await asyncio.to_thread(ours.recv), uuid)
    try:
        yield life
    finally:
        assert await life.kill() == -signal.SIGKILL


async def verdict(life: Life, controller: SimulatedController, uuid: str, number: int, status: int) -> None:
    """After the restart: what must hold of the attempt with this number."""
    (image, listing) = await life.get(f"/api/image/{uuid}"), await life.get(f"/api/audit?image={uuid}&page_size=1")
    (entry,) = listing["results"] or [None]
    key = f"attempt-{number}"
    mine = entry if entry and key in entry["asked"]["annotations"] else None
    sent = [request for request in controller.requests if request.method == "PATCH" and key in request.body.decode()]
    assert len(sent) <= 1, "nothing is done twice"
    assert mine is None or mine["outcome"] in {"done", "unknown"}, "every intent has an outcome"
    assert (key in image["annotations"]) is (mine is not None and mine["outcome"] == "done"), "all or nothing"
    assert not sent or mine is not None, "nothing leaves without an intent"
    assert status in {0, 200}
    if status == 200:
        assert mine is not None, "what was acknowledged is recorded"
        assert mine["outcome"] == "done", "what was acknowledged is there"
        adjusted = mine["asked"].get("fields", {})
        assert {field: controller.image(uuid)[field] for field in adjusted} == adjusted, "and on the Controller"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", ["annotation", "adjustment"])
async def test_a_kill_at_any_point_loses_nothing_acknowledged_and_does_nothing_twice(
    database_url: str, tmp_path: Path, kind: str
) -> None:
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        controller = simulator.controllers["dc1"]
        (uuid,) = controller.images.names(controller.clock.now())
        settings = {"listen": "127.0.0.1:0", "database": database_url, "poll": RARE, "tokens": TOKENS}
        config = write_config(simulator, tmp_path, settings)
        number, status, kills = 0, -1, 0
        while status != 200:
            async with alive(config, uuid, kill_at=number + 1) as life:
                if number:
                    await verdict(life, controller, uuid, number, status)
                number += 1
                change = {"annotations": {f"attempt-{number}": "x"}}
                more = {"name": f"attempt-{number}"} if kind == "adjustment" else {}
                status = await life.patch(change | more)
                kills += status == 0
        async with alive(config, uuid) as life:  # the last was killed by us, as soon as it had said yes
            await verdict(life, controller, uuid, number, status)
            entries = (await life.get("/api/audit?page_size=500"))["results"]
        assert all(entry["outcome"] for entry in entries)
        await verify(load(config), "text", {})  # raises when the chain is not whole
    assert kills >= (30 if kind == "annotation" else 60), "so many points has a PATCH at least"
