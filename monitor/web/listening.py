"""Where the daemon listens, and TLS there: exchanged while it runs, for every connection that comes after."""

import os
import socket
import ssl
from typing import Self

from aiohttp import web

from monitor.kinds import write_address
from monitor.model import MonitorError


class Listener:
    """One address for one runner. ``context``: None for plain HTTP, which only a restart changes."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self._runner = runner
        self._wanted = host, port
        self._context = _Turning(context) if context else None

    @property
    def scheme(self) -> str:
        """What stands before its address in a URL."""
        return "https" if self._context else "http"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first socket; the free port, where port 0 was asked for. Known once it listens."""
        host, port = self._runner.addresses[0][:2]
        return host, port

    async def start(self) -> None:
        """Take connections. Raises: MonitorError."""
        try:
            await web.TCPSite(self._runner, *self._wanted, ssl_context=self._context).start()
        except OSError as error:
            words = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
            raise MonitorError(f"cannot listen on {write_address(self._wanted)}: {words}") from error

    def renew(self, context: ssl.SSLContext | None) -> None:
        """Speak so with whoever comes from now on; those who are connected go on as they are."""
        if self._context and context:
            self._context.current = context


class _Turning(ssl.SSLContext):
    """
    What the event loop is given for good: each connection is set up by the context of the moment.

    Loops ask it nothing but ``wrap_bio``. To exchange the listening socket's server instead would lose a connection
    that was accepted but not set up yet.
    """

    current: ssl.SSLContext

    def __new__(cls, _current: ssl.SSLContext) -> Self:
        """Make an empty one; it is never used itself."""
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
        """Begin one connection."""
        return self.current.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
