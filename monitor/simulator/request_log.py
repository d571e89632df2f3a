"""What came in: the last requests of one Controller, and a way to wait for the next without sleeping."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.simulator.http_types import Call


@dataclass(slots=True)
class Request:
    """One request as it came in. ``status`` is None until it is answered, 0 when it never got a whole answer."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float  # monotonic seconds
    status: int | None = None


class Journal:
    """Bounded: the oldest requests fall out."""

    def __init__(self, remember: int) -> None:
        self.requests: deque[Request] = deque(maxlen=remember)
        self._news = asyncio.Event()

    def came(self, call: Call, at: float) -> Request:
        """Note a request, before anything is done about it."""
        request = Request(call.method, call.path, dict(call.query), call.headers, call.body, at)
        self.requests.append(request)
        self._tell()
        return request

    def answered(self, request: Request, status: int) -> None:
        """Note what became of it."""
        request.status = status
        self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def requested(
        self, count: int, *, path: str = "", method: str = "", answered: bool = False, within_s: float = 10.0
    ) -> list[Request]:
        """
        Wait until ``count`` matching requests have come in since the start, and give all that match.

        ``path`` is a prefix. With ``answered`` they must have had their answer too. Raises: TimeoutError.
        """
        async with asyncio.timeout(within_s):
            while len(found := self._matching(path, method, answered=answered)) < count:
                await self._news.wait()
        return found

    async def next_request(self, *, path: str = "", method: str = "", within_s: float = 10.0) -> Request:
        """Wait for one more matching request, answered. Raises: TimeoutError."""
        already = {id(request) for request in self._matching(path, method, answered=True)}
        async with asyncio.timeout(within_s):
            while not (new := [r for r in self._matching(path, method, answered=True) if id(r) not in already]):
                await self._news.wait()
        return new[0]

    def _matching(self, path: str, method: str, *, answered: bool) -> list[Request]:
        return [
            request
            for request in self.requests
            if request.path.startswith(path)
            and method in {"", request.method}
            and (request.status is not None or not answered)
        ]
