"""
PATCHes of one object run one after the other; when the daemon shuts down, no new one starts.

Owns the locks of objects and the count of PATCHes in flight. Knows neither annotations nor Controllers.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final
from weakref import WeakValueDictionary

from monitor.model.errors import PatchProblem
from monitor.patching.failures import DEFAULT_RETRY_AFTER_S

LOCK_TIMEOUT_S: Final = 30.0


class PatchQueue:
    """``lock_timeout_s``: how long a PATCH waits for earlier ones of the same object."""

    def __init__(self, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self._lock_timeout_s = lock_timeout_s
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False

    @asynccontextmanager
    async def turn(self, controller: str, uuid: str, *, client_connected: Callable[[], bool]) -> AsyncIterator[None]:
        """
        Hold the lock of an object; it is given in the order of the calls.

        Raises: PatchProblem when the wait is too long, when the daemon is shutting down, and when the client
        disconnected while it waited: a client that retries after a timeout would otherwise have the change made twice.
        """
        lock = self._locks.setdefault((controller, uuid), asyncio.Lock())
        try:
            async with asyncio.timeout(self._lock_timeout_s):
                await lock.acquire()
        except TimeoutError as error:
            detail = "nothing was changed: other changes of the same object are in progress"
            raise PatchProblem("image-busy", detail, headers={"Retry-After": str(DEFAULT_RETRY_AFTER_S)}) from error
        self._in_flight += 1
        self._idle.clear()
        try:
            if self._closing:
                detail = "nothing was changed: the daemon is shutting down"
                raise PatchProblem("shutting-down", detail, headers={"Retry-After": "5"})
            if not client_connected():
                raise PatchProblem("client-closed-request", "nothing was changed: the client disconnected")
            yield
        finally:
            lock.release()
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def drain(self, *, timeout_s: float) -> None:
        """Refuse new PATCHes, and wait until those in flight have ended or the timeout has passed."""
        self._closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
