"""The socket of one Controller: HTTP or HTTPS, on a port that stays its own while nobody listens."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

CUT_AFTER_S = 0.01  # what a request gets to end in when the Controller goes down; hanging ones must not hold it up

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listener:
    """Opens and closes as often as asked, always on the port that it got the first time."""

    def __init__(self, handler: Handler, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self.port = port
        self._handler = handler
        self._host = host
        self._front = _front(tls) if tls else None
        self._held: socket.socket | None = None
        self._protocols: web.Server | None = None
        self._server: asyncio.Server | None = None
        self._turn = asyncio.Lock()  # opening and closing take turns of the loop, and must not meet on the port

    @property
    def url(self) -> str:
        """Where it listens, or will listen again; known once it has listened."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._front else 'http'}://{host}:{self.port}"

    @property
    def listening(self) -> bool:
        """Whether connections are accepted."""
        return self._server is not None

    async def open(self) -> None:
        """Accept connections. Raises: OSError where the port is taken."""
        async with self._turn:
            if self._server is None:
                await self._open()

    async def _open(self) -> None:
        held = self._held or _bound(self._host, self.port)
        self.port = held.getsockname()[1]
        self._protocols = web.Server(self._handler, access_log=None)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocols, sock=held, ssl=self._front, backlog=512)
        self._held = None  # the server's own from here on

    async def close(self) -> None:
        """Refuse connections, cut those that are open, and keep the port: a bound socket that does not listen."""
        async with self._turn:
            if self._server and self._protocols:
                await self._close(self._server, self._protocols)

    async def _close(self, server: asyncio.Server, protocols: web.Server) -> None:
        self._server = None
        server.close()
        protocols.pre_shutdown()
        await protocols.shutdown(CUT_AFTER_S)
        self._held = _bound(self._host, self.port)

    async def release(self) -> None:
        """Close for good and give the port back."""
        await self.close()
        if self._held:
            self._held.close()
            self._held = None

    def swap_certificate(self, tls: ssl.SSLContext) -> None:
        """New handshakes see another certificate. Raises: ValueError without TLS."""
        if self._front is None:
            message = "a Controller without TLS has no certificate"
            raise ValueError(message)
        self._front.sni_callback = _presenting(tls)


def _bound(host: str, port: int) -> socket.socket:
    """A socket that has the port but does not listen: to clients the connection is refused, to others it is taken."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _front(tls: ssl.SSLContext) -> ssl.SSLContext:
    """A context that has no certificate itself and asks anew at each handshake, so that it can be swapped."""
    front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    front.sni_callback = _presenting(tls)
    return front


def _presenting(tls: ssl.SSLContext) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]:
    def present(handshake: ssl.SSLObject, _name: str | None, _front: ssl.SSLContext) -> None:
        handshake.context = tls

    return present
