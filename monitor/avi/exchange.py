"""
One exchange with a Controller: a request, and its whole reply within the timeout and the size limit.

A firewall forgets a connection that was idle for long, and tells neither side: what is sent on it is lost, and nothing
ever comes back. So a GET for which nothing has come on such a connection is sent once more, on a new one. Knows nothing
of sessions and of the API.
"""

import asyncio
import io
from collections.abc import Callable
from typing import Final, TypeAlias

import aiohttp
from msgspec import Struct
from multidict import CIMultiDict
from yarl import URL

from monitor.avi.connection import Connector, as_poll_error
from monitor.avi.errors import Reply
from monitor.model.errors import BadAnswer, Phase, PollError

RESEND_AFTER: Final = 0.5
"""The share of the timeout after which a GET without a reply is sent again, which leaves the new connection as much."""

_Failure: TypeAlias = aiohttp.ClientError | OSError | UnicodeError | PollError


class Request(Struct, frozen=True):
    """``data``: the body, or the fields of a form."""

    method: str
    url: URL
    phase: Phase
    headers: CIMultiDict[str] | None = None
    data: dict[str, str] | bytes | None = None


class Exchange:
    """
    Sends requests to one Controller. Concurrent ones use connections of their own.

    ``http``: of :func:`monitor.avi.connection.open_session`, for this Controller alone. ``on_response``: is called with
    the status and the headers of each reply, before its body is read. ``timeout_s``: of one request.
    ``max_response``: bytes of a body, decompressed.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        on_response: Callable[[aiohttp.ClientResponse], None],
        *,
        timeout_s: float,
        max_response: int,
        resend_after: float = RESEND_AFTER,
    ) -> None:
        assert isinstance(http.connector, Connector)  # noqa: S101  for the type: open_session made it
        self.connector = http.connector
        self._http = http
        self._on_response = on_response
        self._resend_after = resend_after
        self.timeout_s = timeout_s
        self.max_response = max_response
        self.received = 0
        """How many pieces of replies have come."""

    async def send(self, request: Request) -> Reply:
        """
        Send a request and read the reply. A GET may be sent twice, all else is sent once.

        Raises: PollError.
        """
        with as_poll_error(request.phase):
            if request.method == "GET" and self.connector.has_idle:
                return await self._send_on_idle(request)
            async with asyncio.timeout(self.timeout_s):
                return await self._send(request, asyncio.Event())

    async def _send_on_idle(self, request: Request) -> Reply:
        """
        Send a GET on a connection that was idle, and again on a new one if nothing has come for a while.

        The first one is still waited for: a slow Controller replies on it. Returns: the reply that is complete first.
        """
        loop, answered = asyncio.get_running_loop(), asyncio.Event()
        resend_after_s = self.timeout_s * self._resend_after
        second: asyncio.Task[Reply | _Failure] | None = None

        def send_again() -> None:
            nonlocal second
            limit.reschedule(loop.time() + self.timeout_s - resend_after_s)
            if not answered.is_set():
                self.connector.drop_idle()
                second = loop.create_task(self._try(request, asyncio.Event()), name="get-again")
                second.add_done_callback(stop_waiting)

        def stop_waiting(done: asyncio.Task[Reply | _Failure]) -> None:
            if not timer.cancelled() and not done.cancelled() and isinstance(done.result(), Reply):
                limit.reschedule(loop.time())

        # The first one needs no task of its own, and no timer but this: almost always there is no second one.
        timer = loop.call_later(resend_after_s, send_again)
        try:
            async with asyncio.timeout(None) as limit:
                outcome = await self._try(request, answered)
                if second is not None and not isinstance(outcome, Reply):
                    outcome = await second
        except TimeoutError:
            if second is None or not second.done() or second.cancelled():
                raise
            outcome = second.result()
        finally:
            timer.cancel()  # also when the caller is cancelled
            if second is not None:
                second.cancel()
        if isinstance(outcome, Reply):
            return outcome
        raise outcome

    async def _try(self, request: Request, answered: asyncio.Event) -> Reply | _Failure:
        """As `_send`; returns its failures, because the other request may still get a reply."""
        try:
            return await self._send(request, answered)
        except (aiohttp.ClientError, OSError, UnicodeError, PollError) as failure:
            return failure

    async def _send(self, request: Request, answered: asyncio.Event) -> Reply:
        """Send a request once. ``answered``: is set when a reply begins."""
        async with self._http.request(
            request.method, request.url, headers=request.headers, data=request.data, allow_redirects=False
        ) as response:
            answered.set()
            self.received += 1
            self._on_response(response)
            return Reply(response.status, response.headers, await self._read_body(response, request.phase))

    async def _read_body(self, response: aiohttp.ClientResponse, phase: Phase) -> bytes:
        """Read the body, decompressed, up to the size limit; Content-Length is not relied on."""
        chunk = await response.content.readany()
        body = io.BytesIO()  # hands its buffer out without a copy of it
        while chunk:
            self.received += 1
            if body.tell() + len(chunk) > self.max_response:
                raise BadAnswer("oversize", f"more than {self.max_response} bytes", phase=phase)
            if not body.tell() and response.content.at_eof():
                return chunk  # a small body is almost always one piece, which needs no copy
            body.write(chunk)
            chunk = await response.content.readany()
        return body.getvalue()
