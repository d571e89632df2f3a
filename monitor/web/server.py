"""The listening sockets, bound here or passed to us, with a TLS context that can be replaced while the daemon runs."""

import asyncio
import socket
import ssl
from typing import Final, Self

import structlog
from aiohttp import web

from monitor.config.values import write_address
from monitor.web.binding import Bound, bind
from monitor.web.connections import descriptor_ceiling, lowest_free_descriptor

_TURNS_TO_ACCEPT: Final = 3
"""
asyncio gives a connection to the server some turns of the loop after it has accepted it. If the server is closed in
between, the connection stays open, and Python 3.11 does not close its socket.
"""

log = structlog.get_logger()


class Listener:
    """
    The addresses of one host and port, for one runner.

    ``tls_context``: None for plain HTTP, which only a restart changes. ``passed_socket``: one to listen on; None: bind
    one for each address of the host.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        tls_context: ssl.SSLContext | None,
        passed_socket: socket.socket | None = None,
    ) -> None:
        self._runner = runner
        self._requested = host, port
        self._passed_socket = passed_socket
        self._sockets: tuple[socket.socket, ...] = ()
        self._tls_context = _ReplaceableContext(tls_context) if tls_context else None

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "https" if self._tls_context else "http"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first socket, once it listens; for port 0 the free port that was chosen."""
        host, port = self._runner.addresses[0][:2]
        return host, port

    async def start(self) -> None:
        """Accept connections, and log the addresses. Raises: MonitorError."""
        bound = Bound((self._passed_socket,), ()) if self._passed_socket else await bind(*self._requested)
        for each in bound.missing:
            log.warning("listen_address_missing", address=each.address, cause=each.cause)
        self._sockets = bound.sockets
        for listening in self._sockets:
            await web.SockSite(self._runner, listening, ssl_context=self._tls_context).start()
            log.info("listening", address=write_address(listening.getsockname()[:2]))

    async def stop_accepting(self) -> None:
        """Accept no more connections, so that the runner that is cleaned up next knows all there are."""
        for listening in self._sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(_TURNS_TO_ACCEPT):
            await asyncio.sleep(0)

    def set_tls_context(self, tls_context: ssl.SSLContext | None) -> None:
        """Use it for new connections; open ones are not affected. Ignored for plain HTTP, as is None for TLS."""
        if self._tls_context and tls_context:
            self._tls_context.current = tls_context


class _ReplaceableContext(ssl.SSLContext):
    """
    The event loop keeps this one; each connection is made by the context that is current.

    Event loops use only ``wrap_bio``. To replace the server of the listening socket instead would lose connections that
    are accepted but have no protocol yet.
    """

    current: ssl.SSLContext

    def __new__(cls, _current: ssl.SSLContext) -> Self:
        """Make an empty context; it is never used itself."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, current: ssl.SSLContext) -> None:
        self.current = current

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """
        Begin one connection with the current context.

        A connection counts as one of a client only after the handshake, so those that never end it are limited here.
        """
        context = _REFUSING if lowest_free_descriptor() >= descriptor_ceiling() else self.current
        return context.wrap_bio(incoming, outgoing, server_side, server_hostname, session)


class _Refused(ssl.SSLObject):
    """A handshake that fails before its first byte, whereupon the event loop closes the connection."""

    def do_handshake(self) -> None:
        raise ssl.SSLError("the last descriptors are for polls and the database")


_REFUSING = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
_REFUSING.sslobject_class = _Refused
