"""``GET /metrics``: joins and sends the rendered pieces. Only the daemon's own few dozen series are rendered here."""

import asyncio
from collections.abc import Iterable, Iterator
from itertools import chain

from aiohttp import hdrs, web

from monitor.metrics import exposition
from monitor.web.context import CALLER, CONTEXT


async def metrics(request: web.Request) -> web.StreamResponse:
    """The whole exposition, in the format and encoding that the scraper accepts."""
    context, controllers = request.app[CONTEXT], request[CALLER].controllers
    openmetrics = exposition.wants_openmetrics(request.headers.get(hdrs.ACCEPT, ""))
    headers: dict[str, str] = {
        hdrs.CONTENT_TYPE: exposition.OPENMETRICS if openmetrics else exposition.TEXT,
        hdrs.VARY: "Accept, Accept-Encoding",
    }
    if exposition.wants_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
        fleet = await context.scrape_bodies.compressed(controllers, openmetrics=openmetrics)
        own = context.self_metrics.render(openmetrics=openmetrics)
        member = exposition.gzip_member(fleet, own)
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        return await _send(request, headers, sum(map(len, member)), chain.from_iterable(map(_slices, member)))
    pieces = context.scrape_bodies.pieces(controllers, openmetrics=openmetrics)
    pieces.append(context.self_metrics.render(openmetrics=openmetrics))
    return await _send(request, headers, sum(map(len, pieces)), exposition.chunks(pieces))


def _slices(part: bytes) -> Iterator[memoryview]:
    """
    Yield the part in slices, which are not copies.

    What was written and not read yet is copied into the buffer of the connection. So the buffer of a slow scraper has
    at most one slice, and the rest of the text is shared by all scrapers.
    """
    view = memoryview(part)
    for start in range(0, len(part), exposition.SLICE):
        yield view[start : start + exposition.SLICE]


async def _send(
    request: web.Request, headers: dict[str, str], length: int, chunks: Iterable[bytes | memoryview]
) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    response.content_length = length
    try:
        async with asyncio.timeout(request.app[CONTEXT].limits.response_timeout_s):
            await response.prepare(request)
            for chunk in chunks if request.method != hdrs.METH_HEAD else ():
                await response.write(chunk)
    except TimeoutError as error:
        if request.transport:
            request.transport.abort()
        raise ConnectionResetError("the scraper reads too slowly") from error
    return response
