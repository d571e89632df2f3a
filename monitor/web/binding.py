"""Binds sockets for the addresses that a host means; those that this machine does not have are left out."""

import asyncio
import errno
import os
import socket
from collections.abc import Iterable
from typing import Final, cast

from msgspec import Struct

from monitor.config.values import write_address
from monitor.model.errors import CannotListen

_BACKLOG: Final = 128  # as aiohttp's
_MISSING: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""This machine does not have the address, or no IPv6 at all, though a name means it."""
_ATTEMPTS: Final = 10  # to find a port that is free on every address

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""As the operating system takes it: of IPv4, or of IPv6."""


class Unusable(Struct, frozen=True):
    """An address that cannot be bound. ``cause``: in the words of the operating system."""

    address: str
    cause: str


class Bound(Struct, frozen=True):
    """``sockets``: at least one; they listen. ``missing``: addresses that this machine does not have."""

    sockets: tuple[socket.socket, ...]
    missing: tuple[Unusable, ...]


async def bind(host: str, port: int) -> Bound:
    """
    Listen on every address of a host, all on the same port. ``host``: empty: all addresses, of IPv4 and of IPv6.

    Only an address that this machine does not have is left out. One that is in use is an error, although others are
    free: a client would reach another program there.
    Raises: CannotListen, when an address cannot be bound, or none exists.
    """
    requested = write_address((host, port))
    addresses = await _resolve(host, port, requested)
    attempts = 1 if port else _ATTEMPTS
    while True:
        sockets, unusable = _listen_on(addresses)
        attempts -= 1
        failures = {number for number, _ in unusable} - _MISSING
        if sockets and not failures:
            return Bound(tuple(sockets), tuple(each for _, each in unusable))
        for each in sockets:
            each.close()
        # For port 0: another program may have the port, which was free on the first address, on a later one.
        if not attempts or failures != {errno.EADDRINUSE}:
            raise CannotListen(f"cannot listen on {requested}: {_reasons(requested, [each for _, each in unusable])}")


async def _resolve(host: str, port: int, requested: str) -> list[tuple[socket.AddressFamily, SocketAddress]]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a host name"
        raise CannotListen(f"cannot listen on {requested}: {reason}") from error
    # Of TCP, an address begins with host and port; a name may be listed twice.
    return list(dict.fromkeys((family, cast("SocketAddress", address)) for family, _, _, _, address in found))


def _listen_on(
    addresses: Iterable[tuple[socket.AddressFamily, SocketAddress]],
) -> tuple[list[socket.socket], list[tuple[int, Unusable]]]:
    """Return the sockets that listen, and the others with their errno. For port 0 all take the port of the first."""
    sockets: list[socket.socket] = []
    unusable: list[tuple[int, Unusable]] = []
    for family, (host, port, *scope) in addresses:
        port = port or (sockets[0].getsockname()[1] if sockets else 0)  # noqa: PLW2901
        try:
            sockets.append(_listen_at(family, (host, port, *scope)))
        except OSError as error:
            number = error.errno or 0
            unusable.append((number, Unusable(write_address((host, port)), os.strerror(number))))
    return sockets, unusable


def _listen_at(family: socket.AddressFamily, address: tuple[str | int, ...]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _reasons(requested: str, unusable: list[Unusable]) -> str:
    """Name the address with its cause, unless it is the one that was requested."""
    if [each.address for each in unusable] == [requested]:
        return unusable[0].cause
    return "; ".join(f"{each.address}: {each.cause}" for each in unusable)
