"""What it costs to begin with a controller, from its first connection to its first publication."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from random import Random

from monitor.config.settings import Events, Log, Poll
from monitor.config.types import Config
from monitor.daemon.controllers import Controllers
from monitor.polling.fleet import Fleet
from monitor.store import Store
from tests.benchmarks.children import child
from tests.benchmarks.controllers import serve_fleet
from tests.benchmarks.daemon_child import all_polled, controllers_at
from tests.benchmarks.measure import Row, Scale, in_turn, spoken
from tests.benchmarks.mix import IMAGES
from tests.benchmarks.polling import bare_session, gets

_SIZE = 200_000


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """One row: the log-in, the first lists of images and units, and their text. One controller in ten is busy."""
    async with child(serve_fleet, scale.started, _SIZE) as server, bare_session() as bare:
        origins: list[str] = await server.receive()
        urls = [f"{origin}/api/image?page_size=200" for origin in origins]
        mine, other = await in_turn(scale.slow_rounds, partial(_start, origins), gets(bare, urls, 1))
    yield Row(
        what=f"start of a controller of {IMAGES} images in {_SIZE // 1000} KB: CPU, ours : bare GET of them",
        ours=spoken(mine / len(origins)),
        theirs=spoken(other / len(origins)),
        figure=mine / other,
        limit=30.0,
    )


async def _start(origins: list[str]) -> float:
    """The processor time until all were polled once."""
    fleet, store = Fleet(), Store("sqlite://")
    config = Config(
        listen_host="127.0.0.1",
        listen_port=0,
        database="sqlite://",
        poll=Poll(),
        log=Log(),
        events=Events(),
        controllers=controllers_at(origins),
        files=(),
    )
    started = time.process_time()
    controllers = Controllers(fleet, store, now=time.time, rng=Random(7))
    await controllers.apply_config(config)
    async with asyncio.TaskGroup() as tasks:
        controllers.start(tasks)
        await all_polled(fleet)
        cost = time.process_time() - started
        controllers.stop()
    await controllers.close()
    return cost
