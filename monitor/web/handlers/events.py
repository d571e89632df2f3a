"""``GET /api/events``: the event stream (Server-Sent Events) to one reader, as fast as it reads."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

from aiohttp import hdrs, web

from monitor.metrics import exposition
from monitor.metrics.exposition import CHUNK, chunks
from monitor.web.auth.throttle import source_of
from monitor.web.context import CALLER, CONTEXT, RESPONSE_STARTED_AT
from monitor.web.problems import Problem
from monitor.web.stream.pieces import Bundle, Gzip, Piece, piece

_HEARTBEAT = piece(b": \n\n")
_RETRY_AFTER_S = "5"


async def stream_events(request: web.Request) -> web.StreamResponse:
    """
    Send the full state, or what came after ``Last-Event-ID``; then each change, until the reader or the daemon ends.

    Raises: Problem (too-many-readers).
    """
    stream = request.app[CONTEXT].event_stream
    name = request[CALLER].name
    source = source_of(request.app[CONTEXT].authenticator.client_address(request))
    with stream.slot((name, source)) as free:
        if not free:
            most, each = stream.max_readers, stream.max_readers_each
            detail = f"the event stream has {most} readers already, or {each} of {name} at {source}"
            raise Problem("too-many-readers", detail, headers={hdrs.RETRY_AFTER: _RETRY_AFTER_S})
        response = _response(request)
        await response.prepare(request)
        request[RESPONSE_STARTED_AT] = time.perf_counter()
        with suppress(ConnectionError):  # a reader may disconnect at any time
            if request.method != hdrs.METH_HEAD:
                await _stream(request, response)
        return response


def _response(request: web.Request) -> web.StreamResponse:
    headers = {
        hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
        "X-Accel-Buffering": "no",  # otherwise nginx collects the events before it passes them on
    }
    if _wants_gzip(request):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.StreamResponse(headers=headers)


def _wants_gzip(request: web.Request) -> bool:
    return exposition.wants_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))


async def _stream(request: web.Request, response: web.StreamResponse) -> None:
    """Send events until the stream is closed or the reader has to reconnect. Raises: ConnectionError."""
    stream, limits = request.app[CONTEXT].event_stream, request.app[CONTEXT].limits
    writer = _Writer(request, response, timeout_s=limits.event_write_timeout_s)
    controllers, generation = request[CALLER].controllers, stream.generation
    number = stream.resume_from(request.headers.get("Last-Event-ID", ""))
    while not stream.closed and generation == stream.generation:
        newer = None if number is None else stream.events_after(number, controllers)
        if newer is None:
            number, state = await stream.full_state(controllers)
            await writer.write(state)
        else:
            number = stream.number
            await writer.write_bundle(newer)
        try:
            async with asyncio.timeout(limits.heartbeat_s):
                await stream.wait(number, generation)
        except TimeoutError:
            await writer.write([_HEARTBEAT])
    await writer.end()


class _Writer:
    """Writes pieces to one reader, as one gzip stream if the reader accepts it."""

    def __init__(self, request: web.Request, response: web.StreamResponse, *, timeout_s: float) -> None:
        self._request = request
        self._response = response
        self._timeout_s = timeout_s
        self._gzip = Gzip() if _wants_gzip(request) else None
        self._begun = False

    async def write(self, pieces: Iterable[Piece]) -> None:
        """Raises: ConnectionError when the reader has disconnected, or does not read for too long."""
        for chunk in chunks(self._encode(pieces)):
            await self._write(chunk)

    async def write_bundle(self, bundle: Bundle) -> None:
        """Raises: ConnectionError, as `write`."""
        await self._write(self._header() + (self._gzip.add_bundle(bundle) if self._gzip else bundle.text))

    async def end(self) -> None:
        """End the gzip stream with its checksum, so that the reader sees that nothing is missing."""
        if self._gzip and self._begun:
            await self._write(self._gzip.end())

    def _encode(self, pieces: Iterable[Piece]) -> Iterator[bytes]:
        yield self._header()
        yield from map(self._gzip.add, pieces) if self._gzip else (each.text for each in pieces)

    def _header(self) -> bytes:
        """The gzip header, the first time."""
        begun, self._begun = self._begun, True
        return self._gzip.HEADER if self._gzip and not begun else b""

    async def _write(self, chunk: bytes) -> None:
        """Write in small chunks: what a slow reader has not read yet is not copied into its buffer."""
        try:
            for start in range(0, len(chunk), CHUNK):
                async with asyncio.timeout(self._timeout_s):
                    await self._response.write(chunk[start : start + CHUNK])
        except TimeoutError as error:
            if self._request.transport:
                self._request.transport.abort()
            raise ConnectionResetError("the reader does not read") from error
