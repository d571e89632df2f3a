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

PATIENCE: Final = 0.5
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
        patience: float = PATIENCE,
    ) -> None:
        assert isinstance(http.connector, Connector)  # noqa: S101  for the type: open_session made it
        self.connector = http.connector
        self._http = http
        self._on_response = on_response
        self._patience = patience
        self.timeout_s = timeout_s
        self.max_response = max_response

    async def send(self, request: Request) -> Reply:
        """
        Send a request and read the reply. A GET may be sent twice, all else is sent once.

        Raises: PollError.
        """
        async with as_poll_error(request.phase), asyncio.timeout(self.timeout_s):
            if request.method == "GET" and self.connector.has_idle:
                return await self._send_on_idle(request)
            return await self._send(request, asyncio.Event())

    async def _send_on_idle(self, request: Request) -> Reply:
        """
        Send a GET on a connection that was idle, and again on a new one if nothing has come for a while.

        The first one is still waited for: a slow Controller replies on it. Returns: the reply that is complete first.
        """
        answered = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            waiting = {tasks.create_task(self._try(request, answered), name="get")}
            done, _ = await asyncio.wait(waiting, timeout=self.timeout_s * self._patience)
            if not done and not answered.is_set():
                self.connector.drop_idle()
                waiting.add(tasks.create_task(self._try(request, asyncio.Event()), name="get-again"))
            outcome: Reply | _Failure | None = None
            while waiting and not isinstance(outcome, Reply):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                outcome = min((task.result() for task in done), key=lambda each: not isinstance(each, Reply))
            for task in waiting:
                task.cancel()
        assert outcome is not None  # noqa: S101  for the type: one task was waited for
        if isinstance(outcome, Reply):
            return outcome
        raise outcome

    async def _try(self, request: Request, answered: asyncio.Event) -> Reply | _Failure:
        """As `_send`; returns its failures, because a task group would cancel the other request for one of them."""
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
            self._on_response(response)
            return Reply(response.status, response.headers, await self._read_body(response, request.phase))

    async def _read_body(self, response: aiohttp.ClientResponse, phase: Phase) -> bytes:
        """Read the body, decompressed, up to the size limit; Content-Length is not relied on."""
        body = io.BytesIO()  # hands its buffer out without a copy of it
        async for chunk in response.content.iter_any():
            if body.tell() + len(chunk) > self.max_response:
                raise BadAnswer("oversize", f"more than {self.max_response} bytes", phase=phase)
            body.write(chunk)
        return body.getvalue()
