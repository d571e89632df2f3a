"""``run``: the daemon until a signal ends it."""

import asyncio
import resource
import signal
import time
from random import Random  # noqa: TID251  the one rng of the process

from monitor.app import running
from monitor.config import Config


def stop_on_signals(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, and SIGHUP, which a terminal sends when it closes."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    return stop


async def run(config: Config) -> None:
    """Serve until a signal says stop, then end cleanly."""
    stop = stop_on_signals(asyncio.get_running_loop())
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the usual 1,024 are too few for a thousand controllers
    async with running(config, now=time.time, rng=Random()):  # noqa: TID251, S311  the one clock; jitter is no secret
        await stop.wait()
