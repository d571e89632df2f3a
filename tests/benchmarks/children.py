"""Other processes, so that what is measured is alone in one: started, asked, ended with the context."""

import asyncio
import multiprocessing
import os
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any, TextIO

from monitor.daemon import logging as log

_TIMEOUT_S = 600.0  # the start of a fleet, on a machine that is busy
_FILES = 20_000  # a fleet of five thousand Controllers listens on as many sockets, and has as many connections
_FORKS = multiprocessing.get_context("forkserver")  # its server has imported everything, and measures nothing
_FORKS.set_forkserver_preload(["tests.benchmarks.__main__"])
_FRESH = multiprocessing.get_context("spawn")


class Child:
    """A process that runs one function; what the function sends is received here in order."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    async def receive(self) -> Any:  # noqa: ANN401  what the function sends; the caller knows
        """Wait for the next thing that it sends."""
        async with asyncio.timeout(_TIMEOUT_S):
            return await asyncio.to_thread(self._receive)

    def send(self, message: object) -> None:
        """Tell it something."""
        self._pipe.send(message)

    def _receive(self) -> object:
        if not self._pipe.poll(_TIMEOUT_S):
            raise TimeoutError
        return self._pipe.recv()


def child(function: Callable[..., None], *arguments: object) -> AbstractAsyncContextManager[Child]:
    """Run ``function(pipe, *arguments)`` in a process of its own; it ends when the context does."""
    return _started(_FORKS, function, *arguments)


def fresh_child(function: Callable[..., None], *arguments: object) -> AbstractAsyncContextManager[Child]:
    """
    Run it in a process that imports only what it needs, for measurements of memory.

    The memory of a fork has all that the benchmarks import, and pages that it shares with others.
    """
    return _started(_FRESH, function, *arguments)


@asynccontextmanager
async def _started(
    context: ForkServerContext | SpawnContext, function: Callable[..., None], *arguments: object
) -> AsyncIterator[Child]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_begin, args=(function, theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Child(ours)
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)
        ours.close()


def _begin(function: Callable[..., None], *arguments: object) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most if 0 < most < _FILES else _FILES, most))
    hush()
    function(*arguments)


def cpu_s() -> float:
    """What this process has cost so far, user and system, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident() -> int:
    """How much memory this process has, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def hush() -> None:
    """Log as the daemon does, to nowhere."""
    log.configure("info", "json", nowhere())


def nowhere() -> TextIO:
    """Discard all output. Stays open until the process ends."""
    return Path(os.devnull).open("w")
