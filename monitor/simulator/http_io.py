"""Between aiohttp and the simulation: reads a request, and puts a delivery on the wire."""

import asyncio
import socket
import struct
from contextlib import suppress

from aiohttp import BodyPartReader, web

from monitor.simulator.fault_delivery import CHUNKED, Delivery
from monitor.simulator.http_types import HttpRequest, UploadedFile

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
PADDING = b" " * 65536  # padding is written in pieces of this size
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time left: closing sends RST instead of FIN


async def read_request(incoming: web.BaseRequest) -> HttpRequest:
    """Read a request with its body. Raises: HTTPRequestEntityTooLarge for a body over 1 MiB that is not an upload."""
    multipart = incoming.content_type == "multipart/form-data"
    file = await _read_file(incoming) if multipart else None
    body = b"" if multipart else await incoming.read()
    query = tuple(incoming.query.items())
    remote = incoming.remote or ""
    return HttpRequest(incoming.method, incoming.path, query, incoming.headers, incoming.cookies, body, file, remote)


async def _read_file(incoming: web.BaseRequest) -> UploadedFile | None:
    found = None
    async for part in await incoming.multipart():
        if isinstance(part, BodyPartReader) and part.name == "file":
            size = 0
            while chunk := await part.read_chunk(65536):
                size += len(chunk)
            found = UploadedFile(part.filename or "", size)
    return found


async def send(incoming: web.BaseRequest, delivery: Delivery) -> web.StreamResponse:
    """Send the response, or return it unsent for aiohttp to send when the delivery is intact."""
    await asyncio.sleep(delivery.delay_s)
    if incoming.transport is not None:
        incoming.transport.write(INTERIM * delivery.interim)
    status, reason = delivery.response.status, delivery.response.reason
    if delivery.intact:
        intact = web.Response(status=status, reason=reason, body=delivery.response.body)
        _set_headers(intact, delivery)
        return intact
    in_pieces = web.StreamResponse(status=status, reason=reason)
    _set_headers(in_pieces, delivery)
    with suppress(ConnectionError):  # the client has closed the connection
        await _send_in_pieces(incoming, in_pieces, delivery)
    return in_pieces


def _set_headers(outgoing: web.StreamResponse, delivery: Delivery) -> None:
    outgoing.headers["Content-Type"] = delivery.response.content_type
    for name, value in delivery.response.headers:
        outgoing.headers.add(name, value)


async def _send_in_pieces(incoming: web.BaseRequest, outgoing: web.StreamResponse, delivery: Delivery) -> None:
    sends_nothing = delivery.close and delivery.send_bytes == 0
    if not sends_nothing:
        if delivery.content_length != CHUNKED:
            length = delivery.content_length
            outgoing.content_length = len(delivery.response.body) if length is None else length
        await outgoing.prepare(incoming)
        await _write(outgoing, delivery)
    if delivery.close:
        _close_connection(incoming, reset=delivery.close == "rst")


async def _write(outgoing: web.StreamResponse, delivery: Delivery) -> None:
    body = delivery.response.body[: delivery.send_bytes]
    size = delivery.piece_bytes or len(body) or 1
    for start in range(0, len(body), size):
        await outgoing.write(body[start : start + size])
        await asyncio.sleep(delivery.pause_s)
    for start in range(0, delivery.padding_bytes, len(PADDING)):
        await outgoing.write(PADDING[: delivery.padding_bytes - start])


def _close_connection(incoming: web.BaseRequest, *, reset: bool) -> None:
    transport = incoming.transport
    if transport is None:
        return
    if reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        transport.abort()
    else:
        transport.close()
