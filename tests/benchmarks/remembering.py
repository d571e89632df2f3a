"""What an image costs in memory, all in: its raw bytes, what is known of it, and its pieces."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from itertools import count
from multiprocessing.connection import Connection

from monitor.polling.fleet import Fleet
from tests.benchmarks.children import fresh_child, resident
from tests.benchmarks.controllers import BUSY_EVERY
from tests.benchmarks.measure import Row, Scale
from tests.benchmarks.mix import BUSY, IDLE, IMAGES, Canned, body, image, make_poller

_SIZE = 10_000  # bytes an image: some detail, and what upgrades leave in it


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """
    A row for each mix and age: how much a process has grown after it was told of all images.

    When every body has changed once, malloc keeps the holes that the old ones left.
    """
    mixes = ((f"one controller in {BUSY_EVERY} busy", BUSY_EVERY), ("all busy", 1))
    images = scale.remembered * IMAGES
    for what, every in mixes:
        async with fresh_child(_remember, scale.remembered, every) as process:
            for age in ("first polls", "every image changed"):
                grown = await process.receive()
                yield Row(
                    what=f"memory of {images:,} images of {_SIZE // 1000} KB, {what}, {age}",
                    ours=f"{grown / 2**20:.0f} MiB",
                    figure=grown / images / 1024,
                    unit=" KiB",
                    limit=18.0,
                )


def _remember(pipe: Connection, controllers: int, every: int) -> None:
    asyncio.run(_poll_twice(2, every, lambda: None))  # what is imported and cached is no image's
    before = resident()
    asyncio.run(_poll_twice(controllers, every, lambda: pipe.send(resident() - before)))


async def _poll_twice(controllers: int, every: int, polled: Callable[[], None]) -> None:
    """Call ``polled`` each time that all were polled, while all that is known of them is there."""
    fleet = Fleet()
    pollers = [make_poller(f"avi-{number:04}", _Turning(number, every), fleet) for number in range(controllers)]
    for _ in range(2):
        for poller in pollers:
            await poller.poll_once(late_s=0.0)
        gc.collect()
        polled()


class _Turning(Canned):
    """Images that all change at every poll, their bodies made as late as those that come from a socket."""

    def __init__(self, number: int, every: int) -> None:
        states = IDLE if number % every else BUSY
        super().__init__(
            body([image(f"avi-{number:04}", place, state, turn=turn, size=_SIZE) for place, state in enumerate(states)])
            for turn in count()
        )
