"""``GET /metrics``: joins and sends the rendered pieces. Only the daemon's own few dozen series are rendered here."""

import asyncio
from functools import cache

from aiohttp import hdrs, web

from monitor.metrics import exposition
from monitor.metrics.families import scrape_columns
from monitor.metrics.pieces import EMPTY, Piece, piece
from monitor.metrics.render import header
from monitor.polling.resources import AnyResource
from monitor.web.context import CALLER, CONTEXT


@cache
def _headers(resources: tuple[AnyResource, ...], *, openmetrics: bool) -> tuple[Piece, ...]:
    """One a column of the scrape; empty where a column goes on with the family before it."""
    columns = scrape_columns([resource.families for resource in resources])
    return tuple(piece(header(family, openmetrics=openmetrics)) if family else EMPTY for family in columns)


async def metrics(request: web.Request) -> web.StreamResponse:
    """The whole exposition, in the format and encoding that the scraper accepts."""
    context = request.app[CONTEXT]
    openmetrics = exposition.wants_openmetrics(request.headers.get(hdrs.ACCEPT, ""))
    rows = [entry.columns() for entry in context.fleet.entries.values() if request[CALLER].sees(entry.name)]
    pieces = exposition.in_order(_headers(context.resources, openmetrics=openmetrics), rows)
    pieces.append(piece(context.self_metrics.render(openmetrics=openmetrics)))
    return await _send(request, pieces, exposition.OPENMETRICS if openmetrics else exposition.TEXT)


async def _send(request: web.Request, pieces: list[Piece], content_type: str) -> web.StreamResponse:
    gzip = exposition.wants_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    length, chunks = exposition.gzipped(pieces) if gzip else exposition.identity(pieces)
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: content_type, hdrs.VARY: "Accept, Accept-Encoding"})
    response.content_length = length
    if gzip:
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
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
