"""A real daemon on simulated Controllers, over loopback, and a way to wait for what it learns without sleeping."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import aiohttp

from monitor.app import Daemon, running
from monitor.cli.simulate import write_config
from monitor.config import load
from monitor.fleet import Entry
from monitor.simulator import Simulator

QUICK: Mapping[str, object] = {
    "active_interval": "50ms",
    "idle_interval": "100ms",
    "timeout": "5s",
    "max_backoff": "100ms",
}
"""Intervals at which a test sees many polls; nothing in a test depends on how long they really take."""

PATIENCE_S = 20.0


@asynccontextmanager
async def watching(
    simulator: Simulator,
    folder: Path,
    *,
    poll: Mapping[str, object] = QUICK,
    wall: Callable[[], float] = time.time,
    **settings: object,
) -> AsyncIterator[Daemon]:
    """The daemon on all Controllers of a listening simulator; its files are in ``folder``, which a restart may share."""
    every = {"listen": "127.0.0.1:0", "database": f"sqlite:///{folder}/state.db", "poll": dict(poll), **settings}
    config = load(write_config(simulator, folder, every))
    async with running(config, now=wall, rng=Random(7)) as daemon:
        yield daemon


async def until(daemon: Daemon, controller: str, what: Callable[[Entry], bool]) -> Entry:
    """Wait until the published entry of a controller is so; return it."""
    happened = asyncio.Event()
    unsubscribe = daemon.fleet.subscribe(lambda entry, _: happened.set() if entry.name == controller else None)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while controller not in daemon.fleet.entries or not what(daemon.fleet.entries[controller]):
                happened.clear()
                await happened.wait()
            return daemon.fleet.entries[controller]
    finally:
        unsubscribe()


async def polled(daemon: Daemon, controller: str, times: int = 1) -> Entry:
    """Wait for so many good polls more."""
    good = _good_polls(daemon, controller)
    return await until(
        daemon, controller, lambda entry: entry.health.up and _good_polls(daemon, controller) >= good + times
    )


def _good_polls(daemon: Daemon, controller: str) -> int:
    health = daemon.fleet.entries[controller].health
    return health.polls - sum(health.failures.values())


async def scrape(daemon: Daemon, path: str = "/metrics", **headers: str) -> str:
    """The text of one route."""
    async with aiohttp.ClientSession() as session, session.get(daemon.url + path, headers=headers) as response:
        return await response.text()


def samples(text: str, name: str, **labels: str) -> list[float]:
    """The values of the samples of this name that carry these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    lines = (line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    return [float(line.rpartition(" ")[2]) for line in lines if all(pair in line for pair in wanted)]
