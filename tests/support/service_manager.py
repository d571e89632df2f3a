"""The near end of a service manager: its notification socket, as systemd has one."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.limits import WAIT_TIMEOUT_S


class Manager:
    """Hears what a service says. ``address``: as the service has it in ``NOTIFY_SOCKET``."""

    def __init__(self, address: str, ear: socket.socket) -> None:
        self.address = address
        self._ear = ear

    async def hears(self, *, within_s: float = WAIT_TIMEOUT_S) -> list[str]:
        """The lines of the next message. Raises: TimeoutError."""
        async with asyncio.timeout(within_s):
            return (await asyncio.get_running_loop().sock_recv(self._ear, 4096)).decode().split("\n")

    async def until(self, line: str) -> list[str]:
        """All lines that it hears, to the first that begins so."""
        heard: list[str] = []
        while not any(each.startswith(line) for each in heard):
            heard += await self.hears()
        return heard

    async def rest(self, *, within_s: float) -> list[str]:
        """All lines that it hears within this time."""
        heard: list[str] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    heard += await self.hears()
        return heard

    def forgets(self) -> None:
        """Throw away what was said and not heard."""
        while True:
            try:
                self._ear.recv(4096)
            except BlockingIOError:
                return


@contextmanager
def manager_at(address: str) -> Iterator[Manager]:
    """A manager that listens at a path, or at ``@name`` in the abstract space."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as ear:
        ear.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        yield Manager(address, ear)
