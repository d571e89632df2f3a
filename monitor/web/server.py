"""The listening socket, bound here or inherited, with a TLS context that can be replaced while the daemon runs."""

import os
import socket
import ssl
from typing import Self

from aiohttp import web

from monitor.config.values import write_address
from monitor.model.errors import MonitorError
from monitor.web.connections import descriptor_ceiling, lowest_free_descriptor


class Listener:
    """
    One address for one runner.

    ``context``: None for plain HTTP, which only a restart changes. ``inherited``: a socket
    to listen on; None: bind one.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        inherited: socket.socket | None = None,
    ) -> None:
        self._runner = runner
        self._requested = host, port
        self._inherited = inherited
        self._context = _ReplaceableContext(context) if context else None

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "https" if self._context else "http"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first socket, once it listens; for port 0 the free port that was chosen."""
        host, port = self._runner.addresses[0][:2]
        return host, port

    async def start(self) -> None:
        """Accept connections. Raises: MonitorError."""
        try:
            if self._inherited:
                await web.SockSite(self._runner, self._inherited, ssl_context=self._context).start()
            else:
                await web.TCPSite(self._runner, *self._requested, ssl_context=self._context).start()
        except OSError as error:
            reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
            raise MonitorError(f"cannot listen on {write_address(self._requested)}: {reason}") from error

    def set_tls_context(self, context: ssl.SSLContext | None) -> None:
        """Use it for new connections; open ones are not affected. Ignored for plain HTTP, as is None for TLS."""
        if self._context and context:
            self._context.current = context


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
