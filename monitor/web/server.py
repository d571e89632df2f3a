"""
Where the daemon listens, be it handed to us, and TLS there: exchanged while it runs, for all who come after.

And that whoever speaks no HTTP there is answered in words of ours.
"""

import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, Self

from aiohttp import web

from monitor.config.values import write_address
from monitor.model.errors import MonitorError

Answer = Callable[[int], web.Response]


class Runner(web.AppRunner):
    """
    Runs a site. ``answer``: what is answered instead of aiohttp's own words, by status, where no handler is asked.

    aiohttp 3.14 has no other way than these three: it tells of what is no HTTP to no middleware and no signal.
    """

    def __init__(self, site: web.Application, answer: Answer, **how: Any) -> None:  # noqa: ANN401  as AppRunner's
        super().__init__(site, **how)
        self._answer = answer

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        made = _Server(server.request_handler, request_factory=server.request_factory, **server._kwargs)  # noqa: SLF001
        made.answer = self._answer
        return made


class _Server(web.Server):
    answer: Answer

    def __call__(self) -> web.RequestHandler:
        connection = _Connection(self, loop=self._loop, **self._kwargs)
        connection.answer = self.answer
        return connection


class _Connection(web.RequestHandler):
    __slots__ = ("answer",)

    answer: Answer

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """As aiohttp's, which logs it and raises when an answer has begun; but for its text, which tells of headers."""
        super().handle_error(request, status, exc, message)
        response = self.answer(status)
        response.force_close()
        return response


class Listener:
    """
    One address for one runner.

    ``context``: None for plain HTTP, which only a restart changes. ``passed``: listens already, or will; else we bind.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        passed: socket.socket | None = None,
    ) -> None:
        self._runner = runner
        self._wanted = host, port
        self._passed = passed
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
            if self._passed:
                await web.SockSite(self._runner, self._passed, ssl_context=self._context).start()
            else:
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
