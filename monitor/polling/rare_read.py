"""A read that is made beside the polls, minutes apart, and whose failure fails nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Generic, TypeVar

from structlog.typing import FilteringBoundLogger

from monitor.model.errors import PollError, Reason
from monitor.polling import poll_log

T = TypeVar("T")


class RareRead(Generic[T]):
    """``name``: what is read, in the log. ``value``: as read last; None while it is not wanted, or cannot be read."""

    def __init__(self, name: str, read: Callable[[], Awaitable[T]], log: FilteringBoundLogger) -> None:
        self._name = name
        self._read = read
        self._log = log
        self._due = -inf
        self._reason: Reason | None = None
        """Why the last read failed."""
        self.value: T | None = None

    async def update(self, *, wanted: bool, interval_s: float) -> None:
        """Read it, if it is wanted and the last read was so long ago. A failure is logged."""
        if not wanted:
            self.value, self._reason, self._due = None, None, -inf
            return
        now = asyncio.get_running_loop().time()
        if now < self._due:
            return
        self._due = now + interval_s
        try:
            self.value, self._reason = await self._read(), None
        except PollError as error:
            poll_log.read_failed(self._log, self._name, error, before=self._reason)
            self.value, self._reason = None, error.reason
