"""How many polls run at once, how long a poller waits after a failure, and when a poller is stuck."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager
from math import inf
from random import Random  # noqa: TID251  the type of an argument; the command makes the one rng
from typing import Final, Literal

from monitor.config.settings import Poll
from monitor.model.errors import UNREADABLE, LoginRefused, PollError, Reason
from monitor.model.health import SessionHealth
from monitor.model.snapshot import Snapshot
from monitor.model.tracked import Tracked

UNREADABLE_PAUSE_S: Final = 900.0
"""How soon a resource that the account may not read is asked for again."""

_NO_ANSWER: frozenset[Reason | None] = frozenset({"dns", "connect", "tls", "timeout", "upgrading"})
"""The reasons that mean: the Controller did not answer, or may not have."""
_PATIENT_AFTER_S = 3600.0  # an operator who has to act within minutes has done so by then
_PATIENT_INTERVAL_S = 30.0
_LOOK_S = 0.01  # how long to sleep to see whether the event loop is on time, and by how much it may be late
_MOST_LOOKS = 10


class Pool(asyncio.Semaphore):
    """Slots for polls. ``last_used_at``: when a slot was last taken or released, by the event loop's clock."""

    last_used_at = -inf

    async def acquire(self) -> Literal[True]:
        """Wait for a slot, and take it."""
        taken = await super().acquire()
        self.last_used_at = asyncio.get_running_loop().time()
        return taken

    def release(self) -> None:
        """Release a slot."""
        super().release()
        self.last_used_at = asyncio.get_running_loop().time()


class FirstPolls:
    """
    Whose turn it is to be polled for the first time: one after the other, each when the event loop is on time.

    A first poll decodes and renders everything, and takes much longer than all after it. Those of many controllers at
    once would make the polls of the others late.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def wait_for_turn(self) -> None:
        """Wait until it is the caller's turn. The wait is limited, in case the event loop is never on time."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            for _ in range(_MOST_LOOKS):
                due = loop.time() + _LOOK_S
                await asyncio.sleep(_LOOK_S)
                if loop.time() - due <= _LOOK_S:
                    return


class PollLimiter:
    """
    How many polls run at once, so that no Controller that does not answer delays another one.

    Each group of controllers has slots of its own: those that answer; those that are polled for the first time; and, a
    small pool, those whose first poll got no answer, or that gave none twice in a row.

    ``silence_s``: a poll that receives nothing for so long returns its slot, and goes on without one. It costs an open
    connection, while the polls that wait for a slot may be of Controllers that answer.
    ``first_polls``: a controller that is polled for the first time waits there before it takes a slot.
    """

    def __init__(self, concurrency: int, *, silence_s: float = 0.25) -> None:
        self.first_polls = FirstPolls()
        self._answering = Pool(concurrency)
        self._new = Pool(concurrency)
        self._silent = Pool(max(1, concurrency // 8))
        self._silence_s = silence_s

    def pool_for(self, health: SessionHealth) -> Pool:
        """Return the pool from which a controller with this health takes its slots."""
        if not health.polls:
            return self._new
        silent = health.failed_in_a_row > 1 or health.failed_in_a_row == health.polls
        return self._silent if silent and health.reason in _NO_ANSWER else self._answering

    @asynccontextmanager
    async def slot(self, pool: Pool, received: Callable[[], int]) -> AsyncIterator[None]:
        """Wait for a slot of this pool, and hold it while ``received``, a count of what the Controller sent, grows."""
        await pool.acquire()
        held = ExitStack()
        held.callback(pool.release)
        before = received()

        def check_silence() -> None:
            nonlocal before
            if before == (now := received()):
                held.close()
            else:
                before = now
                silence.start(self._silence_s)

        silence = Timer(check_silence)
        silence.start(self._silence_s)
        try:
            yield
        finally:
            silence.cancel()
            held.close()


class PollWatchdog:
    """
    Detects a poller that is stuck. All times by the event loop's clock.

    A poller is overdue if it begins no poll when one is due, or if a poll lasts longer than ``limit_s``. A poller that
    waits for a slot is overdue only if no slot of its pool was taken or released for that long: no poll may hold a slot
    for longer than the limit.
    """

    def __init__(self) -> None:
        self._deadline = inf
        self._limit_s = inf
        self._pool: Pool | None = None
        """The pool that it waits for; None when it does not wait for a slot."""

    def set_idle(self, *, until: float) -> None:
        """Expect nothing before ``until``, when the next poll is due."""
        self._deadline, self._pool = until, None

    def set_queued(self, pool: Pool, *, limit_s: float) -> None:
        """Expect a slot of this pool. ``limit_s``: the longest that one poll can last."""
        self._deadline, self._limit_s, self._pool = asyncio.get_running_loop().time() + limit_s, limit_s, pool

    def set_polling(self) -> None:
        """Expect the end of the poll, which has its slot."""
        self._deadline, self._pool = asyncio.get_running_loop().time() + self._limit_s, None

    @property
    def overdue_s(self) -> float:
        """How long ago the deadline passed; 0 while the poller is on time."""
        deadline = max(self._deadline, self._pool.last_used_at + self._limit_s) if self._pool else self._deadline
        return max(0.0, asyncio.get_running_loop().time() - deadline)


class Timer:
    """Calls ``action`` once, ``after_s`` seconds after the last `start`, unless it is cancelled."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._at = inf
        self._handle: asyncio.TimerHandle | None = None

    def start(self, after_s: float) -> None:
        """Start or restart the timer. To postpone it costs next to nothing: it looks at the time when it wakes."""
        loop = asyncio.get_running_loop()
        self._at = loop.time() + after_s
        if self._handle is None or self._handle.when() > self._at:
            self.cancel()
            self._handle = loop.call_at(self._at, self._wake)

    def cancel(self) -> None:
        """Stop the timer."""
        if self._handle:
            self._handle.cancel()
            self._handle = None

    def _wake(self) -> None:
        self._handle = None
        left_s = self._at - asyncio.get_running_loop().time()
        if left_s > 0:
            self.start(left_s)
        else:
            self._action()


def backoff_s(failures: int, rng: Random, *, base_s: float, max_s: float) -> float:
    """Return the delay after so many failures in a row: exponential, with full jitter so that polls do not coincide."""
    return rng.uniform(0, min(max_s, base_s * 2 ** min(failures, 32)))


class ReadPause:
    """When a resource is read again that is not the first one, which is read at every poll."""

    def __init__(self) -> None:
        self._until = -inf
        self._version: str | None = None
        self._failures = 0

    def is_over(self, *, version: str) -> bool:
        """Whether it is to be read now. ``version``: of the Controller; another one may have other objects."""
        is_other = self._version not in {None, version}
        return is_other or asyncio.get_running_loop().time() >= self._until

    def end(self) -> None:
        """Read it at the next poll."""
        self._until = -inf

    def note(self, error: PollError | None, *, version: str, idle_interval_s: float) -> None:
        """
        Note the result of a read.

        What fails twice in a row is read again after ``idle_interval_s``: a reply that never comes would otherwise
        make every poll longer.
        """
        now = asyncio.get_running_loop().time()
        self._failures = self._failures + 1 if error else 0
        self._version = version if error and error.reason in UNREADABLE else None
        self._until = -inf
        if self._version is not None:
            self._until = now + UNREADABLE_PAUSE_S
        elif self._failures > 1:
            self._until = now + idle_interval_s


def pace_s(snapshots: Iterable[Snapshot[Tracked]], poll: Poll, *, at: float) -> float:
    """Return the interval of polls while all goes well. ``at``: Unix seconds."""
    snapshots = tuple(snapshots)
    suspended_s = at - max(snapshot.suspended_since for snapshot in snapshots)
    if any(snapshot.active for snapshot in snapshots) or suspended_s <= _PATIENT_AFTER_S:
        return poll.active_interval_s
    if suspended_s == inf:
        return poll.idle_interval_s
    return min(poll.idle_interval_s, max(poll.active_interval_s, _PATIENT_INTERVAL_S))


def interval_after(
    error: PollError | None, failures: int, poll: Poll, rng: Random, *, pace_s: float, max_backoff_s: float
) -> float:
    """
    Return the seconds until the next poll, from the start of a good poll or the end of a failed one.

    ``failures``: in a row. ``pace_s``: the interval while all goes well. ``max_backoff_s``: of a failure for which the
    Controller asked for no longer wait.
    """
    if error is None:
        return pace_s
    if isinstance(error, LoginRefused):  # nothing is sent until the secret changes: this is how soon that is noticed
        return max(poll.active_interval_s, error.retry_after_s)
    delay_s = backoff_s(failures, rng, base_s=poll.active_interval_s, max_s=max_backoff_s)
    least_s = pace_s if error.reason == "throttled" else 0.0  # not sooner than without a failure
    return max(delay_s, least_s, error.retry_after_s)
