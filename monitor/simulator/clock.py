"""Simulated time: a start, a speed, and a push forward on demand. Everything about images is computed from it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Clock:
    """
    Seconds since the epoch, as the simulated Controllers see them.

    ``now = start + speed × (monotonic seconds since the start) + everything advanced``; with ``speed=0`` time stands
    still until it is advanced, which is what most tests want.
    """

    def __init__(self, *, start: float, speed: float, monotonic: Callable[[], float]) -> None:
        self.speed = speed
        self.monotonic = monotonic
        self._start = start
        self._began = monotonic()
        self._moved = asyncio.Event()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._start + self.speed * (self.monotonic() - self._began)

    def advance(self, seconds: float) -> None:
        """Raises ValueError for a negative number: time that runs backwards is a jump, and said so."""
        if seconds < 0:
            message = f"cannot advance by {seconds} s; use jump()"
            raise ValueError(message)
        self.jump(seconds)

    def jump(self, seconds: float) -> None:
        """Move the clock by any amount, backwards too, as a bad time server does."""
        self._start += seconds
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def until(self, moment: float) -> None:
        """Return when the clock has reached ``moment``, whether by running or by being advanced."""
        while (left := moment - self.now()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left / self.speed if self.speed else None):
                    await self._moved.wait()
