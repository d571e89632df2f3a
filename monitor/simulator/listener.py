"""The socket of one Controller: HTTP or HTTPS, on a port that stays reserved while the Controller is down."""

import asyncio
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
        self._reserved: socket.socket | None = None
        self._protocols: web.Server | None = None
        self._server: asyncio.Server | None = None
        self._lock = asyncio.Lock()  # opening and closing await, and must not overlap

    @property
    def url(self) -> str:
        """The address; complete as soon as the listener was open once."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def listening(self) -> bool:
        """Whether connections are accepted."""
        return self._server is not None

    async def open(self) -> None:
        """Accept connections. Raises: OSError where the port is in use."""
        async with self._lock:
            if self._server is None:
                await self._open()

    async def _open(self) -> None:
        bound = self._reserved or _bind(self._host, self.port)
        self.port = bound.getsockname()[1]
        self._protocols = web.Server(self._handler, access_log=None)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocols, sock=bound, ssl=self._tls, backlog=512)
        self._reserved = None  # the server owns the socket now

    async def close(self) -> None:
        """Refuse connections, cut open ones, and reserve the port with a socket that is bound but does not listen."""
        async with self._lock:
            if self._server and self._protocols:
                await self._close(self._server, self._protocols)

    async def _close(self, server: asyncio.Server, protocols: web.Server) -> None:
        self._server = None
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(_TURNS_TO_ACCEPT):
            await asyncio.sleep(0)
        server.close()
        protocols.pre_shutdown()
        await protocols.shutdown(SHUTDOWN_TIMEOUT_S)
        self._reserved = _bind(self._host, self.port)

    async def release(self) -> None:
        """Close, and free the port."""
        await self.close()
        if self._reserved:
            self._reserved.close()
            self._reserved = None

    def swap_certificate(self, tls: ssl.SSLContext) -> None:
        """Use another certificate for new handshakes. Raises: ValueError without TLS."""
        if self._tls is None:
            message = "a Controller without TLS has no certificate"
            raise ValueError(message)
        self._tls.sni_callback = _present(tls)


def _bind(host: str, port: int) -> socket.socket:
    """Bind a socket that does not listen: connections to it are refused, and no other program can bind the port."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
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
