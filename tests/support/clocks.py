"""The monotonic clock of this process, by which the event loop sets its timers, and a hand that sets it forward."""

import asyncio
import time

import pytest

from monitor.daemon.app import Daemon
from monitor.polling.fleet import Entry


class MonotonicClock:
    """
    What a daemon does after minutes or hours, it does at once when a test sets this clock forward.

    Every timer of the process that is due by then fires, also the time limit of a test that waits in another task.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead_s = 0.0
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + self._ahead_s)

    def set_forward(self, seconds: float) -> None:
        """Set it forward. A request that is in flight fails by its timeout, if that is shorter."""
        self._ahead_s += seconds

    async def set_forward_between_polls(self, daemon: Daemon, controller: str, seconds: float) -> None:
        """Set it forward at the end of the next poll of a controller, when none of its requests is in flight."""
        polls, done = daemon.fleet.entries[controller].session.polls, asyncio.Event()

        def at_end(name: str, entry: Entry | None, _changes: object) -> None:
            if name == controller and entry and entry.session.polls > polls and not done.is_set():
                self.set_forward(seconds)
                done.set()

        unsubscribe = daemon.fleet.subscribe(at_end)
        try:
            await done.wait()  # without a time limit, which would pass at once
        finally:
            unsubscribe()
