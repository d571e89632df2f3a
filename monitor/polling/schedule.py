"""How many polls run at once, how long one waits after failures, and how one tells that a poller stands still."""

import asyncio
from math import inf
from random import Random  # noqa: TID251  the type of an argument; app.py makes the one there is
from typing import Literal

from monitor.model.errors import Reason
from monitor.model.health import Health

_SILENT: frozenset[Reason | None] = frozenset({"dns", "connect", "tls", "timeout"})


class Pool(asyncio.Semaphore):
    """Places for polls. ``moved_at``: when one was last taken or given back, by the event loop's clock."""

    moved_at = -inf

    async def acquire(self) -> Literal[True]:
        """Wait for a place, and take it."""
        taken = await super().acquire()
        self.moved_at = asyncio.get_running_loop().time()
        return taken

    def release(self) -> None:
        """Give a place back."""
        super().release()
        self.moved_at = asyncio.get_running_loop().time()


class PollLimiter:
    """
    How many polls run at once.

    Controllers that gave no answer twice in a row share a small pool, so that they starve none; a refusal comes at once
    and holds no place, and who failed once has one fair try among the healthy.
    """

    def __init__(self, concurrency: int) -> None:
        self._healthy = Pool(concurrency)
        self._failing = Pool(max(1, concurrency // 8))

    def of(self, health: Health) -> Pool:
        """The pool that a controller of this health draws on."""
        silent = health.failed_in_a_row > 1 and health.reason in _SILENT
        return self._failing if silent else self._healthy


class PollWatchdog:
    """
    By when a poller must have moved on. All times by the event loop's clock; ``limit_s``: the longest a poll can last.

    A poller that rests moves when its poll is due, one that polls when the poll has to end. One that waits for its turn
    may wait for long, as long as its pool moves: whoever has a place there gives it back within the limit.
    """

    def __init__(self) -> None:
        self._by = inf
        self._limit_s = inf
        self._pool: Pool | None = None

    def rests(self, *, until: float) -> None:
        """Nothing is to happen before."""
        self._by, self._pool = until, None

    def queues(self, pool: Pool, *, limit_s: float) -> None:
        """It waits for a place."""
        self._by, self._limit_s, self._pool = asyncio.get_running_loop().time() + limit_s, limit_s, pool

    def polls(self) -> None:
        """It has one."""
        self._by, self._pool = asyncio.get_running_loop().time() + self._limit_s, None

    @property
    def overdue_s(self) -> float:
        """How long ago it should have moved on; 0 while it goes as it should."""
        by = max(self._by, self._pool.moved_at + self._limit_s) if self._pool else self._by
        return max(0.0, asyncio.get_running_loop().time() - by)


def backoff_s(failures: int, rng: Random, *, least_s: float, most_s: float) -> float:
    """How long to wait after so many failures in a row: exponential with full jitter, so that a fleet never marches."""
    return rng.uniform(0, min(most_s, least_s * 2 ** min(failures, 32)))
