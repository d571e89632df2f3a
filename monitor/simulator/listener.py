"""The sockets of one Controller: HTTP or HTTPS, on a port that stays reserved while the Controller is down."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

SHUTDOWN_TIMEOUT_S = 0.01  # for open requests when the Controller goes down; requests that hang must not delay it

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


# asyncio hands a connection to the server some turns of the loop after it has accepted it. If the server is closed in
# between, the connection stays open, and Python 3.11 does not close its socket.
_TURNS_TO_ACCEPT = 3


class Listener:
    """Opens and closes any number of times, always on the port of the first time."""

    def __init__(self, handler: Handler, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self.port = port
        self._handler = handler
        self._host = host
        self._tls = _swappable(tls) if tls else None
        self._reserved: list[socket.socket] = []
        self._protocols: web.Server | None = None
        self._servers: list[asyncio.Server] = []
        self._lock = asyncio.Lock()  # opening and closing await, and must not overlap

    @property
    def url(self) -> str:
        """The address; complete as soon as the listener was open once."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def listening(self) -> bool:
        """Whether connections are accepted."""
        return bool(self._servers)

    async def open(self) -> None:
        """Accept connections on every address of the host. Raises: OSError when the port is in use, or none exists."""
        async with self._lock:
            if not self._servers:
                await self._open()

    async def _open(self) -> None:
        bound = self._reserved or _bind(self._host, self.port)
        self.port = bound[0].getsockname()[1]
        self._protocols = web.Server(self._handler, access_log=None)
        loop = asyncio.get_running_loop()
        self._reserved = []  # the servers own the sockets now
        self._servers = [
            await loop.create_server(self._protocols, sock=each, ssl=self._tls, backlog=512) for each in bound
        ]

    async def close(self) -> None:
        """Refuse connections, cut open ones, and reserve the port with sockets that are bound but do not listen."""
        async with self._lock:
            if self._servers and self._protocols:
                await self._close(self._servers, self._protocols)

    async def _close(self, servers: list[asyncio.Server], protocols: web.Server) -> None:
        self._servers = []
        for listening in (each for server in servers for each in server.sockets):
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(_TURNS_TO_ACCEPT):
            await asyncio.sleep(0)
        for server in servers:
            server.close()
        protocols.pre_shutdown()
        await protocols.shutdown(SHUTDOWN_TIMEOUT_S)
        self._reserved = _bind(self._host, self.port)

    async def release(self) -> None:
        """Close, and free the port."""
        await self.close()
        for each in self._reserved:
            each.close()
        self._reserved = []

    def swap_certificate(self, tls: ssl.SSLContext) -> None:
        """Use another certificate for new handshakes. Raises: ValueError without TLS."""
        if self._tls is None:
            message = "a Controller without TLS has no certificate"
            raise ValueError(message)
        self._tls.sni_callback = _present(tls)


def _bind(host: str, port: int) -> list[socket.socket]:
    """
    Bind sockets that do not listen: connections to them are refused, and no other program can bind the port.

    One for each address of the host that exists on this machine, all on the same port. Raises: OSError.
    """
    bound: list[socket.socket] = []
    missing: OSError | None = None
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # a local name: no server is asked
    try:
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in infos):
            chosen = bound[0].getsockname()[1] if bound else port
            try:
                bound.append(_bind_to(family, (address[0], chosen, *address[2:])))
            except OSError as error:
                if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                    raise
                missing = error
        if missing and not bound:
            raise missing
    except OSError:
        for each in bound:
            each.close()
        raise
    return bound


def _bind_to(family: socket.AddressFamily, address: tuple[str | int, ...]) -> socket.socket:
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _swappable(tls: ssl.SSLContext) -> ssl.SSLContext:
    """Return a context without a certificate, which chooses the real one at each handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = _present(tls)
    return context


def _present(tls: ssl.SSLContext) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]:
    def choose(handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        handshake.context = tls

    return choose
