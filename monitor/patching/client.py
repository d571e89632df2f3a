"""
The client of one controller that knows whether a request of a PATCH is in flight, so that its session is not closed
meanwhile.

Owns the count; sends what `Client` sends, in the same way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from monitor.avi.client import Client
from monitor.avi.errors import Reply
from monitor.model.errors import PatchProblem
from monitor.patching.in_flight import InFlight

PATCH_TIMEOUT_FACTOR: Final = 5
"""
How long a reload and the shutdown wait for a PATCH in flight, as a multiple of the timeout of one request.

It makes at most so many requests until the image is changed: a log-in, a read, the change, and the log-in and the
change again when the session ended.
"""


class InFlightClient(Client):
    """
    A PATCH makes several requests. Each starts in the same step of the event loop in which the one before ended, so a
    task in `wait_idle` wakes up later and sees the next one.
    """

    _refusing = False

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  the signature is Client's
        super().__init__(*args, **options)
        self._in_flight = InFlight()

    @property
    def busy(self) -> bool:
        """Whether a request of a PATCH is in flight."""
        return bool(self._in_flight)

    async def wait_idle(self) -> None:
        """Wait until no PATCH is in flight."""
        await self._in_flight.wait_idle()

    def refuse_new(self) -> None:
        """Start no more requests for PATCHes: the session is about to end."""
        self._refusing = True

    async def get_image(self, uuid: str) -> bytes:
        """As :meth:`Client.get_image`. Raises: also PatchProblem after `refuse_new`."""
        with self._counting():
            return await super().get_image(uuid)

    async def patch_image(self, uuid: str, body: bytes, *, api_version: str) -> Reply:
        """As :meth:`Client.patch_image`. Raises: also PatchProblem after `refuse_new`."""
        with self._counting():
            return await super().patch_image(uuid, body, api_version=api_version)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        if self._refusing:
            detail = "nothing was changed: a reload has just changed the settings of the controller; retry"
            raise PatchProblem("controller-busy", detail, headers={"Retry-After": "1"})
        with self._in_flight.counting():
            yield
