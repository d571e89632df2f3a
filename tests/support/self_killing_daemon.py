"""A daemon that kills itself, as ``kill -9`` would, or stops, at a chosen point of the PATCH that it carries out."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from monitor.config.load import load
from monitor.daemon.app import running
from monitor.patching.patcher import Patcher
from monitor.web.context import Limits

T = TypeVar("T")

_PACKAGE = f"{os.sep}monitor{os.sep}"
_DRIVER = "sqlite_threads.py"  # every statement waits there; the lines of its callers tell statements apart


class KilledAt(Awaitable[T]):
    """
    Runs a coroutine, and sends the process a signal at the point with a number, counted from 1; 0: at none.

    Each wait has two points: the moment it begins (the work that it waits for was ordered and is under way) and the
    moment it ends (that work was done, and nothing after it). The last point comes after the whole coroutine: it is
    done, and the client was not told yet.

    ``places``: where our code was at each point so far.
    """

    def __init__(self, work: Coroutine[Any, Any, T], point: int, sent: int) -> None:
        self.places: list[str] = []
        self._work = work
        self._point = point
        self._sent = sent

    def __await__(self) -> Generator[Any, Any, T]:
        resume: Callable[[Any], Any] = self._work.send
        value: Any = None
        while True:
            try:
                awaited = resume(value)
            except StopIteration as end:
                self._reach("done")
                result: T = end.value
                return result
            place = " > ".join(_waiting_lines(self._work))
            self._reach(place)
            try:
                value, resume = (yield awaited), self._work.send
            except BaseException as error:  # noqa: BLE001  the coroutine handles it
                value, resume = error, self._work.throw
            self._reach(place)

    def _reach(self, place: str) -> None:
        self.places.append(place)
        if len(self.places) == self._point:
            os.kill(os.getpid(), self._sent)


def _waiting_lines(waiting: Any) -> Iterator[str]:  # noqa: ANN401  a coroutine, a generator or what they wait for
    """The lines of our own code that wait, the outermost first."""
    while waiting is not None:
        kind = next((each for each in ("cr", "gi", "ag") if hasattr(waiting, f"{each}_frame")), None)
        if kind is None:
            return
        frame = getattr(waiting, f"{kind}_frame")
        file = Path(frame.f_code.co_filename) if frame else Path()
        if _PACKAGE in str(file) and file.name != _DRIVER:
            yield f"{file.name}:{frame.f_lineno}"
        waiting = getattr(waiting, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")


def run(config: Path, pipe: Connection, point: int | None, sent: int = signal.SIGKILL) -> None:
    """
    Serve until killed.

    Into the pipe go the address, once every controller was polled, and the places of all points after each PATCH.
    ``sent``: the signal at the point. ``point``: None: they are neither counted nor sent, so that nobody has to read.
    """
    asyncio.run(_run(config, pipe, point, sent))


async def _run(config: Path, pipe: Connection, point: int | None, sent: int) -> None:
    async with running(load(config), now=time.time, rng=Random(7), limits=Limits(max_changes=1_000_000)) as daemon:
        if point is not None:
            _watch_points(daemon.context.patcher, pipe, point, sent)
        polled = asyncio.Event()
        daemon.fleet.subscribe(lambda _name, entry, _: polled.set() if entry and entry.session.up else None)
        if not all(entry.session.up for entry in daemon.fleet.entries.values()):
            await polled.wait()
        pipe.send(daemon.url)
        await asyncio.Event().wait()


def _watch_points(patcher: Patcher, pipe: Connection, point: int, sent: int) -> None:
    apply = patcher.apply

    async def apply_killed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as apply
        work = KilledAt(apply(*args, **kwargs), point, sent)
        result = await work
        pipe.send(work.places)
        return result

    patcher.apply = apply_killed  # type: ignore[method-assign]
