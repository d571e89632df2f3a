"""
Name resolution that can be abandoned.

``getaddrinfo`` cannot be interrupted. In the thread pool of the event loop, a few names that hang would block all other
look-ups, and the end of the process. Here every look-up has a daemon thread of its own, and each host at most one.
"""

import asyncio
import socket
from concurrent.futures import Future
from threading import Thread

from aiohttp.abc import AbstractResolver, ResolveResult

_Found = list[tuple[socket.AddressFamily, str, int]]


class Resolver(AbstractResolver):
    """The system's resolver, with one look-up at a time for each host and port."""

    def __init__(self) -> None:
        self._lookups: dict[tuple[str, int, int], Future[_Found]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises: OSError when there are none."""
        key = host, port, family
        if key not in self._lookups:
            self._lookups[key] = Future()
            Thread(target=_look_up, args=(self._lookups[key], *key), name=f"resolve:{host}", daemon=True).start()
        answer = self._lookups[key]
        try:
            found = await asyncio.shield(asyncio.wrap_future(answer))
        finally:
            if answer.done():
                self._lookups.pop(key, None)
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=address, port=at, family=kind, proto=0, flags=flags)
            for kind, address, at in found
        ]

    async def close(self) -> None:
        """Do nothing: threads end by themselves."""


def _look_up(answer: Future[_Found], host: str, port: int, family: int) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
        answer.set_result([(kind, str(address[0]), int(address[1])) for kind, _, _, _, address in found])
    except (OSError, UnicodeError) as error:
        answer.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
