"""The receiving end of a notification socket, as systemd has one."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.limits import WAIT_TIMEOUT_S


class ReceivingManager:
    """Receives what a service sends. ``address``: as the service has it in ``NOTIFY_SOCKET``."""

    def __init__(self, address: str, receiver: socket.socket) -> None:
        self.address = address
        self._receiver = receiver

    async def receive(self, *, within_s: float = WAIT_TIMEOUT_S) -> list[str]:
        """Return the lines of the next message. Raises: TimeoutError."""
        async with asyncio.timeout(within_s):
            return (await asyncio.get_running_loop().sock_recv(self._receiver, 4096)).decode().split("\n")

    async def receive_until(self, line: str) -> list[str]:
        """Return all lines up to the first that begins so."""
        lines: list[str] = []
        while not any(each.startswith(line) for each in lines):
            lines += await self.receive()
        return lines

    async def receive_for(self, *, within_s: float) -> list[str]:
        """Return all lines that come within this time."""
        lines: list[str] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    lines += await self.receive()
        return lines

    def discard(self) -> None:
        """Throw away the messages that were sent and not received."""
        while True:
            try:
                self._receiver.recv(4096)
            except BlockingIOError:
                return


@contextmanager
def manager_at(address: str) -> Iterator[ReceivingManager]:
    """Receive at a path, or at ``@name`` in the abstract space."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        receiver.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        yield ReceivingManager(address, receiver)
