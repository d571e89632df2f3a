"""A clock with timers, as an event loop has them, that stands still until a test advances it."""

import heapq
from collections.abc import Callable
from itertools import count


class Handle:
    """A timer that has been set."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class SteppedTimers:
    """Begins at ``start``, in seconds."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._order = count()
        self._due: list[tuple[float, int, Handle]] = []

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Handle:
        handle = Handle(callback)
        heapq.heappush(self._due, (self._now + delay, next(self._order), handle))
        return handle

    def advance(self, seconds: float) -> None:
        """Let so much time pass, and run what becomes due on the way."""
        end = self._now + seconds
        while self._due and self._due[0][0] <= end:
            self._now, _, handle = heapq.heappop(self._due)
            if not handle.is_cancelled:
                handle.callback()
        self._now = end
