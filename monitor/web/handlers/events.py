"""``GET /api/events``: the fleet as Server-Sent Events, to one reader, at his pace."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

from aiohttp import hdrs, web

from monitor.metrics import exposition
from monitor.metrics.pieces import CHUNK, Bundle, Gzip, Piece, chunks, piece
from monitor.web.context import ANSWERED_AT, CALLER, STATE
from monitor.web.problems import Problem
from monitor.web.stream.feed import MOST_READERS, EventStream

_HEARTBEAT_S = 10.0  # whoever hears nothing for three of them may take the connection for dead
_PATIENCE_S = 30.0  # for a reader that takes nothing; what he misses he gets as one state, when he comes again
_HEARTBEAT = piece(b": \n\n")
_RETRY_AFTER_S = "5"


async def stream_events(request: web.Request) -> web.StreamResponse:
    """
    First the state, or what came after ``Last-Event-ID``; then each change, until the reader or the daemon goes.

    Raises: Problem (too-many-readers).
    """
    feed = request.app[STATE].feed
    with feed.seat() as free:
        if not free:
            detail = f"{MOST_READERS} readers follow the events, which is the most"
            raise Problem("too-many-readers", detail, headers={hdrs.RETRY_AFTER: _RETRY_AFTER_S})
        response = _response(request)
        await response.prepare(request)
        request[ANSWERED_AT] = time.perf_counter()
        with suppress(ConnectionError):  # he goes when he likes
            if request.method != hdrs.METH_HEAD:
                await _follow(feed, request, response)
        return response


def _response(request: web.Request) -> web.StreamResponse:
    headers = {
        hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
        hdrs.CACHE_CONTROL: "no-store",
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
        "X-Accel-Buffering": "no",  # or a proxy in front would keep it all to itself
    }
    if _gzip(request):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.StreamResponse(headers=headers)


def _gzip(request: web.Request) -> bool:
    return exposition.wants_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))


async def _follow(feed: EventStream, request: web.Request, response: web.StreamResponse) -> None:
    """Send what is new for as long as there is somebody to send it to, and something to tell."""
    writer = _Writer(response, Gzip() if _gzip(request) else None, request)
    only, generation = request[CALLER].controllers, feed.generation
    number = feed.number_of(request.headers.get("Last-Event-ID", ""))
    while not feed.closed and generation == feed.generation:
        newer = None if number is None else feed.after(number, only)
        if newer is None:
            number, state = await feed.state(only)
            await writer.write(state)
        else:
            number = feed.number
            await writer.write_bundle(newer)
        try:
            async with asyncio.timeout(_HEARTBEAT_S):
                await feed.news(number, generation)
        except TimeoutError:
            await writer.write([_HEARTBEAT])
    await writer.end()


class _Writer:
    """Pieces to one reader, compressed if he wants it. ``gzip``: the stream that he is in the middle of."""

    def __init__(self, response: web.StreamResponse, gzip: Gzip | None, request: web.Request) -> None:
        self._response = response
        self._gzip = gzip
        self._request = request
        self._begun = False

    async def write(self, pieces: Iterable[Piece]) -> None:
        """Raises: ConnectionError when he is gone, or takes nothing for too long."""
        for chunk in chunks(self._parts(pieces)):
            await self._write(chunk)

    async def write_bundle(self, bundle: Bundle) -> None:
        """Raises: ConnectionError, as `write`."""
        await self._write(self._begin() + (self._gzip.add_bundle(bundle) if self._gzip else bundle.text))

    def _begin(self) -> bytes:
        """What stands before everything else, once."""
        begun, self._begun = self._begun, True
        return self._gzip.HEADER if self._gzip and not begun else b""

    def _parts(self, pieces: Iterable[Piece]) -> Iterator[bytes]:
        yield self._begin()
        yield from map(self._gzip.add, pieces) if self._gzip else (each.text for each in pieces)

    async def end(self) -> None:
        """The end of a compressed stream, so that nobody takes it for cut off."""
        if self._gzip and self._begun:
            await self._write(self._gzip.end())

    async def _write(self, chunk: bytes) -> None:
        """Bit by bit: what a reader does not take is not copied into his buffer."""
        try:
            for start in range(0, len(chunk), CHUNK):
                async with asyncio.timeout(_PATIENCE_S):
                    await self._response.write(chunk[start : start + CHUNK])
        except TimeoutError as error:
            if self._request.transport:
                self._request.transport.abort()
            raise ConnectionResetError("the reader takes nothing") from error
