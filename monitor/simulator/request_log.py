"""The last requests of one Controller, and a way to wait for the next one without sleeping."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.simulator.http_types import HttpRequest


@dataclass(slots=True)
class LoggedRequest:
    """A request that was received. ``status``: None until the response is sent, 0 if no complete one was sent."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float  # monotonic seconds
    status: int | None = None


class RequestLog:
    """Keeps the last ``max_requests`` requests; the oldest are dropped."""

    def __init__(self, max_requests: int) -> None:
        self.requests: deque[LoggedRequest] = deque(maxlen=max_requests)
        self._changed = asyncio.Event()

    def add(self, request: HttpRequest, at: float) -> LoggedRequest:
        """Log a request before it is handled. ``at`` is in monotonic seconds."""
        logged = LoggedRequest(request.method, request.path, dict(request.query), request.headers, request.body, at)
        self.requests.append(logged)
        self._notify()
        return logged

    def set_status(self, request: LoggedRequest, status: int) -> None:
        """Log the status of the response."""
        request.status = status
        self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait_for_requests(
        self, count: int, *, path: str = "", method: str = "", answered: bool = False, within_s: float = 120.0
    ) -> list[LoggedRequest]:
        """
        Wait until ``count`` matching requests have been received since the start; return all that match.

        ``path`` is a prefix. ``answered``: count only requests that have a response. Raises: TimeoutError.
        """
        async with asyncio.timeout(within_s):
            while len(found := self._matching(path, method, answered=answered)) < count:
                await self._changed.wait()
        return found

    async def next_request(self, *, path: str = "", method: str = "", within_s: float = 120.0) -> LoggedRequest:
        """Wait for one more matching request and its response. Raises: TimeoutError."""
        known = {id(request) for request in self._matching(path, method, answered=True)}
        async with asyncio.timeout(within_s):
            while not (new := [r for r in self._matching(path, method, answered=True) if id(r) not in known]):
                await self._changed.wait()
        return new[0]

    def _matching(self, path: str, method: str, *, answered: bool) -> list[LoggedRequest]:
        return [
            request
            for request in self.requests
            if request.path.startswith(path)
            and method in {"", request.method}
            and (request.status is not None or not answered)
        ]
