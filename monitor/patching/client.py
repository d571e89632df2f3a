"""
The client of one controller that knows whether an order is under way, so that no session is closed beneath it.

Owns the count; sends what `Client` sends, and in its way.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from monitor.avi.client import Client
from monitor.model.errors import Refusal


class InFlightClient(Client):
    """
    An order makes several requests, each in the very step in which the one before is answered: whoever waits for
    ``idle`` wakes up later, and sees the next one.
    """

    _under_way = 0
    _left = False

    @property
    def busy(self) -> bool:
        """Whether a request of an order is under way."""
        return self._under_way > 0

    async def idle(self) -> None:
        """Wait until no order is under way any more."""
        while self._under_way:
            await self._ended.wait()

    def leave(self) -> None:
        """Begin nothing more for orders: the session ends."""
        self._left = True

    async def get_image(self, uuid: str) -> bytes:
        """As :meth:`Client.get_image`. Raises: Refusal, too, after ``leave``."""
        with self._order():
            return await super().get_image(uuid)

    async def patch_image(self, uuid: str, body: bytes, *, api_version: str) -> bytes:
        """As :meth:`Client.patch_image`. Raises: Refusal, too, after ``leave``."""
        with self._order():
            return await super().patch_image(uuid, body, api_version=api_version)

    @contextmanager
    def _order(self) -> Iterator[None]:
        if self._left:
            detail = "nothing was changed: a reload has just changed how the controller is watched; come again"
            raise Refusal("controller-busy", detail, headers={"Retry-After": "1"})
        if not self._under_way:
            self._ended = asyncio.Event()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._ended.set()
