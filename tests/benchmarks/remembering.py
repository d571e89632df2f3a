"""What an image costs in memory, all in: its raw bytes, what is known of it, and its pieces."""

import asyncio
import gc
from collections.abc import AsyncIterator
from itertools import count, product
from multiprocessing.connection import Connection

from monitor.polling.fleet import Fleet
from tests.benchmarks.children import child, resident
from tests.benchmarks.controllers import BUSY_EVERY
from tests.benchmarks.measure import Row, Scale
from tests.benchmarks.mix import BUSY, IDLE, IMAGES, Canned, body, image, make_poller

_SIZE = 10_000  # bytes an image: some detail, and what upgrades leave in it


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """
    A row for each mix and age: a fresh process, its memory before and after it was told of all images.

    When every body has changed once, malloc keeps the holes that the old ones left.
    """
    mixes = ((f"one controller in {BUSY_EVERY} busy", BUSY_EVERY), ("all busy", 1))
    ages = (("first polls", 1), ("every image changed", 2))
    for (what, every), (age, polls) in product(mixes, ages):
        async with child(_remember, scale.remembered, every, polls) as process:
            grown = await process.receive()
        images = scale.remembered * IMAGES
        yield Row(
            what=f"memory of {images:,} images of {_SIZE // 1000} KB, {what}, {age}",
            ours=f"{grown / 2**20:.0f} MiB",
            figure=grown / images / 1024,
            unit=" KiB",
            limit=18.0,
        )


def _remember(pipe: Connection, controllers: int, every: int, polls: int) -> None:
    asyncio.run(_watch_all(2, every, polls))  # what is imported and cached is no image's
    before = resident()
    fleet = asyncio.run(_watch_all(controllers, every, polls))
    gc.collect()
    pipe.send(resident() - before)
    assert fleet.entries


async def _watch_all(controllers: int, every: int, polls: int) -> Fleet:
    fleet = Fleet()
    pollers = [make_poller(f"avi-{number:04}", _Turning(number, every), fleet) for number in range(controllers)]
    for _ in range(polls):
        for poller in pollers:
            await poller.poll_once(late_s=0.0)
    return fleet


class _Turning(Canned):
    """Images that all change at every poll, their bodies made as late as those that come from a socket."""

    def __init__(self, number: int, every: int) -> None:
        states = IDLE if number % every else BUSY
        super().__init__(
            body([image(f"avi-{number:04}", place, state, turn=turn, size=_SIZE) for place, state in enumerate(states)])
            for turn in count()
        )
