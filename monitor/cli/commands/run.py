"""``run``: the daemon until a signal ends it."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import Callable
from random import Random  # noqa: TID251  the one rng of the process
from socket import socket

from monitor.config.types import Config
from monitor.daemon.app import running
from monitor.daemon.systemd import Supervisor, inherited, supervisor_of


def stop_on_signals(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, and SIGHUP, which a terminal sends when it closes."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    return stop


def inherit() -> socket | None:
    """
    Take the socket that a service manager opened for us, if one did.

    From here on a SIGHUP waits until ``run`` is ready.
    Raises: MonitorError.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # it would end us, and may only ask for a reload
    return inherited(_supervisor().sockets)


async def run(config: Config, load: Callable[[], Config], passed: socket | None = None) -> None:
    """Serve until a signal says stop, then end cleanly; read the configuration again at SIGHUP."""
    loop = asyncio.get_running_loop()
    stop = stop_on_signals(loop)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the usual 1,024 are too few for a thousand controllers
    now, rng = time.time, Random()  # noqa: TID251, S311  the one clock; jitter is no secret
    everything = running(config, now=now, rng=rng, load=load, supervisor=_supervisor(), passed=passed)
    async with everything as daemon:
        loop.add_signal_handler(signal.SIGHUP, daemon.reloading.soon)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        await stop.wait()


def _supervisor() -> Supervisor:
    return supervisor_of(os.environ, pid=os.getpid())  # noqa: TID251  config.load reads the rest of it
