"""Between aiohttp and the simulation: a request becomes a call, a delivery becomes bytes on the wire."""

import asyncio
import socket
import struct
from contextlib import suppress

from aiohttp import BodyPartReader, web

from monitor.simulator.fault_delivery import UNSAID, Delivery
from monitor.simulator.http_types import Call, UploadedFile

BLANK = b" " * 65536  # padding goes out in pieces of this size
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time left: closing sends RST instead of FIN


async def read(request: web.BaseRequest) -> Call:
    """Raises: HTTPRequestEntityTooLarge for a body over 1 MiB that is no upload."""
    multipart = request.content_type == "multipart/form-data"
    file = await _file(request) if multipart else None
    body = b"" if multipart else await request.read()
    query = tuple(request.query.items())
    return Call(request.method, request.path, query, request.headers, request.cookies, body, file)


async def _file(request: web.BaseRequest) -> UploadedFile | None:
    found = None
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.name == "file":
            found = UploadedFile(part.filename or "", await _size(part))
    return found


async def _size(part: BodyPartReader) -> int:
    size = 0
    while chunk := await part.read_chunk(65536):
        size += len(chunk)
    return size


async def send(request: web.BaseRequest, sent: Delivery) -> web.StreamResponse:
    """Hand the reply over; what comes back is either unsent and whole, or already on its way in pieces."""
    await asyncio.sleep(sent.wait_s)
    if sent.plain_on_the_wire:
        response = web.Response(status=sent.reply.status, reason=sent.reply.reason, body=sent.reply.body)
        _dress(response, sent)
        return response
    response_in_pieces = web.StreamResponse(status=sent.reply.status, reason=sent.reply.reason)
    _dress(response_in_pieces, sent)
    with suppress(ConnectionError):  # the client has had enough
        await _in_pieces(request, response_in_pieces, sent)
    return response_in_pieces


def _dress(response: web.StreamResponse, sent: Delivery) -> None:
    response.headers["Content-Type"] = sent.reply.content_type
    for name, value in sent.reply.headers:
        response.headers.add(name, value)


async def _in_pieces(request: web.BaseRequest, response: web.StreamResponse, sent: Delivery) -> None:
    if not (sent.end and sent.send == 0):
        if sent.announced != UNSAID:
            response.content_length = len(sent.reply.body) if sent.announced is None else sent.announced
        await response.prepare(request)
        await _write(response, sent)
    if sent.end:
        _hang_up(request, reset=sent.end == "rst")


async def _write(response: web.StreamResponse, sent: Delivery) -> None:
    body = sent.reply.body[: sent.send]
    drop = sent.drop or len(body) or 1
    for start in range(0, len(body), drop):
        await response.write(body[start : start + drop])
        await asyncio.sleep(sent.pause_s)
    for start in range(0, sent.padding, len(BLANK)):
        await response.write(BLANK[: sent.padding - start])


def _hang_up(request: web.BaseRequest, *, reset: bool) -> None:
    transport = request.transport
    if transport is None:
        return
    if reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        transport.abort()
    else:
        transport.close()
