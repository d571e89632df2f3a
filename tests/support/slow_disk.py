"""
A disk that stalls, and a limit that passes at once.

The driver's own threads are held: in a statement, or on the way back from a commit. A test that waited for a real limit
would have to choose: a short one passes on a busy machine before the call has come to the stall, a long one makes the
test slow. So the clock of the event loop jumps ahead when the disk holds a call.
"""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import pytest

from monitor.store import Store
from monitor.store.time_limit import TICKS
from tests.support.limits import WAIT_TIMEOUT_S

SHORT_S = 0.05
"""A limit for calls that cannot end before it."""


class SlowDisk:
    """Holds the threads that call it while it stalls. ``on_hold``: called, in the thread, for each of them."""

    def __init__(self) -> None:
        self.on_hold: Callable[[], object] = lambda: None
        self._running = threading.Event()
        self._running.set()
        self._at = ""
        self._held = 0

    @property
    def holds(self) -> int:
        """How many threads it holds."""
        return self._held

    @contextmanager
    def stalls(self, at: str) -> Iterator[None]:
        """``at``: how the statements begin that do not come back; ``committed``: each commit, when it is done."""
        self._at = at
        self._running.clear()
        try:
            yield
        finally:
            self._running.set()

    def reach(self, point: str) -> None:
        """Called by the driver's threads at each statement, and after each commit."""
        if not self._running.is_set() and point.startswith(self._at):
            self._held += 1
            self.on_hold()
            self._running.wait()
            self._held -= 1


class _Connection(sqlite3.Connection):
    def __init__(self, disk: SlowDisk, *args: Any, **options: Any) -> None:  # noqa: ANN401  sqlite3's
        super().__init__(*args, **options)
        self._disk = disk
        self.set_trace_callback(disk.reach)

    def commit(self) -> None:
        super().commit()
        self._disk.reach("committed")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    """The disk of all databases that the test opens."""
    disk = SlowDisk()
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=partial(_Connection, disk)))
    return disk


@asynccontextmanager
async def limit_passes(store: Store, disk: SlowDisk, *, jump_s: float) -> AsyncIterator[None]:
    """
    Let the limit of the store's call pass as soon as the disk holds this call, by jumps of the event loop's clock.

    One jump would be a pause of the process, which does not count as time of the database.

    Calls after that wait for the held one and for nothing else, so they have a short limit. ``jump_s``: the limit of
    the call that is held; everything else that waits in this event loop must have a longer one.
    """
    loop = asyncio.get_running_loop()
    transaction_timeout_s = store.database.transaction_timeout_s

    def jump(left: int = TICKS) -> None:
        store.database.transaction_timeout_s = SHORT_S
        if left:
            before = loop.time
            loop.time = lambda: before() + jump_s / TICKS  # type: ignore[method-assign]
            loop.call_later(0.001, jump, left - 1)

    disk.on_hold = partial(loop.call_soon_threadsafe, jump)
    try:
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            yield
    finally:
        disk.on_hold = lambda: None
        store.database.transaction_timeout_s = transaction_timeout_s
