"""
Name resolution that can be abandoned.

``getaddrinfo`` cannot be interrupted. In the event loop's thread pool a handful of names that hang would keep all
others from being looked up, and the process from ending; here every look-up has a daemon thread of its own, and one
host at most one look-up.
"""

import asyncio
import socket
from concurrent.futures import Future
from threading import Thread

from aiohttp.abc import AbstractResolver, ResolveResult

_Found = list[tuple[socket.AddressFamily, str, int]]


class Resolver(AbstractResolver):
    """The system's resolver, one look-up a host and port at a time."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, int, int], Future[_Found]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Give the addresses of a host. Raises: OSError when there are none."""
        key = host, port, family
        if key not in self._asked:
            self._asked[key] = Future()
            Thread(target=_look_up, args=(self._asked[key], *key), name=f"resolve:{host}", daemon=True).start()
        answer = self._asked[key]
        try:
            found = await asyncio.shield(asyncio.wrap_future(answer))
        finally:
            if answer.done():
                self._asked.pop(key, None)
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=address, port=at, family=kind, proto=0, flags=flags)
            for kind, address, at in found
        ]

    async def close(self) -> None:
        """Nothing is held but threads that end by themselves."""


def _look_up(answer: Future[_Found], host: str, port: int, family: int) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
        answer.set_result([(kind, str(address[0]), int(address[1])) for kind, _, _, _, address in found])
    except (OSError, UnicodeError) as error:
        answer.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
