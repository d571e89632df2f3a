"""How many polls run at once, how long a poller waits after failures, and how to tell that it is stuck."""

import asyncio
from collections.abc import Callable
from math import inf
from random import Random  # noqa: TID251  the type of an argument; app.py makes the one there is
from typing import Literal

from monitor.config.settings import Poll
from monitor.model.errors import PollError, Reason
from monitor.model.health import SessionHealth

_SILENT: frozenset[Reason | None] = frozenset({"dns", "connect", "tls", "timeout"})


class Pool(asyncio.Semaphore):
    """Slots for polls. ``moved_at``: when one was last taken or given back, by the event loop's clock."""

    moved_at = -inf

    async def acquire(self) -> Literal[True]:
        """Wait for a slot, and take it."""
        taken = await super().acquire()
        self.moved_at = asyncio.get_running_loop().time()
        return taken

    def release(self) -> None:
        """Give a slot back."""
        super().release()
        self.moved_at = asyncio.get_running_loop().time()


class PollLimiter:
    """
    How many polls run at once.

    Controllers that gave no answer twice in a row share a small pool, so that they do not starve the others. A refused
    connection fails at once and holds no slot, and a controller that failed once has one try among the healthy.
    """

    def __init__(self, concurrency: int) -> None:
        self._healthy = Pool(concurrency)
        self._failing = Pool(max(1, concurrency // 8))

    def of(self, health: SessionHealth) -> Pool:
        """The pool that a controller of this health draws on."""
        silent = health.failed_in_a_row > 1 and health.reason in _SILENT
        return self._failing if silent else self._healthy


class PollWatchdog:
    """
    By when a poller must have moved on. All times by the event loop's clock; ``limit_s``: the longest a poll can last.

    A poller that rests moves when its poll is due, one that polls when the poll has to end. One that waits for a slot
    may wait for long, as long as its pool moves: every poll in the pool ends within the limit.
    """

    def __init__(self) -> None:
        self._by = inf
        self._limit_s = inf
        self._pool: Pool | None = None

    def rests(self, *, until: float) -> None:
        """Nothing is to happen before ``until``."""
        self._by, self._pool = until, None

    def queues(self, pool: Pool, *, limit_s: float) -> None:
        """It waits for a slot."""
        self._by, self._limit_s, self._pool = asyncio.get_running_loop().time() + limit_s, limit_s, pool

    def polls(self) -> None:
        """It has a slot."""
        self._by, self._pool = asyncio.get_running_loop().time() + self._limit_s, None

    @property
    def overdue_s(self) -> float:
        """How long ago it should have moved on; 0 while it is on time."""
        by = max(self._by, self._pool.moved_at + self._limit_s) if self._pool else self._by
        return max(0.0, asyncio.get_running_loop().time() - by)


class Timer:
    """Calls ``action`` once, so long after it was started last."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._handle: asyncio.TimerHandle | None = None

    def start(self, after_s: float) -> None:
        """Begin to wait, or begin anew."""
        self.cancel()
        self._handle = asyncio.get_running_loop().call_later(after_s, self._action)

    def cancel(self) -> None:
        """Wait no more."""
        if self._handle:
            self._handle.cancel()


def backoff_s(failures: int, rng: Random, *, least_s: float, most_s: float) -> float:
    """The wait after so many failures in a row: exponential with full jitter, so that a fleet never polls in step."""
    return rng.uniform(0, min(most_s, least_s * 2 ** min(failures, 32)))


def interval_after(error: PollError | None, failures: int, poll: Poll, rng: Random, *, active: bool) -> float:
    """
    In how many seconds the next poll is due: after a good one from its start, after a failed one from its end.

    ``failures``: in a row. ``active``: whether any object is being worked on.
    """
    interval_s = poll.active_interval_s if active else poll.idle_interval_s
    if error is None:
        return interval_s
    delay_s = backoff_s(failures, rng, least_s=poll.active_interval_s, most_s=poll.max_backoff_s)
    least_s = interval_s if error.reason == "throttled" else 0.0  # not more often than in good times
    return max(delay_s, least_s, error.retry_after_s)
