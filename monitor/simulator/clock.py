"""Simulated time: a start, a speed, and jumps on demand. Images, events and timelines follow it; sessions do not."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from math import inf


class Clock:
    """
    The time of the simulated Controllers, in seconds since the epoch.

    ``now = start + speed × (monotonic seconds since the start) + all jumps``. With ``speed=0`` time stands still until
    it is advanced, as in most tests.
    """

    def __init__(self, *, start: float, speed: float, monotonic: Callable[[], float]) -> None:
        self.speed = speed
        self.monotonic = monotonic
        self._start = start
        self._created_at = monotonic()
        self._jumped = asyncio.Event()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._start + self.speed * (self.monotonic() - self._created_at)

    def advance(self, seconds: float) -> None:
        """Move the clock forward. Raises: ValueError for a negative number; use ``jump`` to go back."""
        if seconds < 0:
            message = f"cannot advance by {seconds} s; use jump()"
            raise ValueError(message)
        self.jump(seconds)

    def jump(self, seconds: float) -> None:
        """Move the clock by any amount, also backwards, as after a correction by NTP."""
        self._start += seconds
        jumped, self._jumped = self._jumped, asyncio.Event()
        jumped.set()

    async def wait_until(self, time: float) -> None:
        """Return when the clock has reached ``time``, by running or by a jump."""
        while self.now() < time:
            await self.wait_for_jump(until=time)

    async def wait_for_jump(self, *, until: float) -> None:
        """Return at the next jump, or when the clock has reached ``until``; that may be infinite."""
        left_s = (until - self.now()) / self.speed if self.speed else inf
        with suppress(TimeoutError):
            async with asyncio.timeout(left_s if left_s < inf else None):
                await self._jumped.wait()
