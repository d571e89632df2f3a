"""
The connections of clients: how many there may be, and how long the daemon waits for each of them.

aiohttp 3.14 waits for ever for a request, for the rest of a header, and for a client that does not read, and calls no
middleware for bytes that are not HTTP; so three of its classes are subclassed here. Knows no route.
"""

import asyncio
import os
import resource
import sys
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

import structlog
from aiohttp import web

from monitor.web.context import Limits

ErrorResponse = Callable[[int], web.Response]

_LOG_INTERVAL_S: Final = 60.0

log = structlog.get_logger()


def descriptor_ceiling() -> int:
    """Return the first of the descriptors that no client gets: a sixteenth of them is for polls and the database."""
    most = _descriptors()
    return most - most // 16


def lowest_free_descriptor() -> int:
    """Return the descriptor that the next file would have: all below it are in use."""
    try:
        descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # all are
        return _descriptors()
    os.close(descriptor)
    return descriptor


def _descriptors() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


class Runner(web.AppRunner):
    """Runs an application. ``error_response``: makes the response, by status, to what is not an HTTP request."""

    def __init__(
        self,
        app: web.Application,
        error_response: ErrorResponse,
        limits: Limits = Limits(),  # noqa: B008  frozen
        **kwargs: Any,  # noqa: ANN401  as AppRunner's
    ) -> None:
        super().__init__(app, keepalive_timeout=limits.keepalive_s, **kwargs)
        self._error_response = error_response
        self._limits = limits

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        ours = _Server(server.request_handler, request_factory=server.request_factory, **server._kwargs)  # noqa: SLF001
        ours.error_response = self._error_response
        ours.limits = self._limits
        ours.moments = count()
        return ours


class _Server(web.Server):
    error_response: ErrorResponse
    limits: Limits
    moments: Iterator[int]
    _logged_at = float("-inf")

    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)

    def make_room(self, newest: "Connection", descriptor: int) -> None:
        """
        Drop the connection that has been idle for longest when there are too many; the newest when none is idle.

        So slow and silent clients cannot keep out others, and all of them together leave descriptors for the work.
        """
        most = min(self.limits.max_connections, _descriptors() // 2)
        if len(self._connections) <= most and descriptor < descriptor_ceiling():
            return
        # An aborted connection is lost in the next turn of the event loop.
        there = [each for each in self._connections if isinstance(each, Connection) and not each.aborted]
        if len(there) <= most and descriptor < descriptor_ceiling():
            return
        longest = min((each for each in there if each.idle), key=lambda each: each.idle_since, default=newest)
        longest.abort()
        if longest is newest:
            self._log_refused(len(there) - 1)

    def _log_refused(self, connections: int) -> None:
        if self._loop.time() >= self._logged_at + _LOG_INTERVAL_S:  # a flood must not fill the log
            self._logged_at = self._loop.time()
            log.warning("connection_refused", connections=connections)


class Connection(web.RequestHandler):
    """One connection of a client."""

    __slots__ = ("_close_timer", "_header_timer", "_server", "aborted", "idle_since")

    def __init__(self, server: _Server, **kwargs: Any) -> None:  # noqa: ANN401  as RequestHandler's
        super().__init__(server, **kwargs)
        self._server = server
        self.aborted = False
        self.idle_since = next(server.moments)
        """In the order of the moments: the clock of an event loop may stand still for a millisecond."""
        self._header_timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether it waits for a request, or for the rest of a header."""
        return not self._request_count or (self._waiter is not None and not self._waiter.done())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request, if there is room for one more connection."""
        super().connection_made(transport)
        self._expect_header()
        self._server.make_room(self, transport.get_extra_info("socket").fileno())

    def data_received(self, data: bytes) -> None:
        """Limit the time from the first byte of a header to its last one."""
        super().data_received(data)
        if not self.idle:
            self._cancel_header_timer()
        elif data and self._header_timer is None:
            self._expect_header()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nothing is waited for any more."""
        self._cancel_header_timer()
        if self._close_timer:
            self._close_timer.cancel()
        super().connection_lost(exc)

    async def start(self) -> None:
        """Serve the requests of the connection; then let the client read what was sent, but not for ever."""
        transport = self.transport
        try:
            await super().start()
        finally:
            if transport and self._manager:  # it is not lost yet
                self._close_timer = self._loop.call_later(self._server.limits.response_timeout_s, transport.abort)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send what the handler returned. A client that does not read it in time is disconnected."""
        try:
            async with asyncio.timeout(self._server.limits.response_timeout_s):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self.abort()
            return resp, True
        finally:
            self.idle_since = next(self._server.moments)

    def abort(self) -> None:
        """Close it now, without sending the rest of a response."""
        self.aborted = True
        if self.transport:
            self.transport.abort()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Log as aiohttp does, or raise if a response has begun; but send our own text: aiohttp's repeats headers."""
        super().handle_error(request, status, exc, message)
        response = self._server.error_response(status)
        response.force_close()
        return response

    def _expect_header(self) -> None:
        self._header_timer = self._loop.call_later(self._server.limits.header_timeout_s, self.abort)

    def _cancel_header_timer(self) -> None:
        if self._header_timer:
            self._header_timer.cancel()
        self._header_timer = None
