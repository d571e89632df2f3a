"""A daemon that kills itself, as kill -9 would, at a chosen point of the PATCH that it carries out."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from monitor.config.load import load
from monitor.daemon.app import running

T = TypeVar("T")


class Steps(Awaitable[T]):
    """
    Carries out a coroutine, and kills the process at one of its points.

    Each wait has two points: the moment it begins to wait (what it waits for was ordered and is under way) and the
    moment it goes on (that was done, and nothing after it). The last point is after all of it: done, and not yet told.
    """

    def __init__(self, work: Coroutine[Any, Any, T], kill_at: int) -> None:
        self._work = work
        self._left = kill_at

    def __await__(self) -> Generator[Any, Any, T]:
        go_on: Callable[[Any], Any] = self._work.send
        value: Any = None
        while True:
            try:
                waited = go_on(value)
            except StopIteration as end:
                self._point()
                result: T = end.value
                return result
            self._point()
            try:
                value, go_on = (yield waited), self._work.send
            except BaseException as error:  # noqa: BLE001  it is the work's to deal with
                value, go_on = error, self._work.throw
            self._point()

    def _point(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def run(config: Path, pipe: Connection, kill_at: int) -> None:
    """Serve until killed. The address goes into the pipe once every controller was polled."""
    asyncio.run(_run(config, pipe, kill_at))


async def _run(config: Path, pipe: Connection, kill_at: int) -> None:
    async with running(load(config), now=time.time, rng=Random(7)) as daemon:
        patcher = daemon.context.patcher
        apply = patcher.apply

        async def doomed(order: Any) -> Any:  # noqa: ANN401  as apply
            return await Steps(apply(order), kill_at)

        patcher.apply = doomed  # type: ignore[method-assign]
        polled = asyncio.Event()
        daemon.fleet.subscribe(lambda entry, _: polled.set() if entry.health.up else None)
        if not all(entry.health.up for entry in daemon.fleet.entries.values()):
            await polled.wait()
        pipe.send(daemon.url)
        await asyncio.Event().wait()
