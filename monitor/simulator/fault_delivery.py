"""Faults while a response is sent: slow, cut off, padded, or with a wrong Content-Length. Pure."""

import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from monitor.simulator.faults import Fault
from monitor.simulator.http_types import HttpResponse

MIB = 1024 * 1024
CHUNKED = -1  # instead of a Content-Length: the body is sent in chunks


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    A response, and how it is sent.

    ``send_bytes``: how much of the body is sent (None: all of it; 0 with ``close``: not even a status line).
    ``close``: how the connection ends afterwards (empty: it stays open). ``content_length``: the one in the header
    (None: the true one). ``padding_bytes``: white space sent after the body. ``piece_bytes``: the size of one write,
    with ``pause_s`` between two of them (0: one write). ``delay_s``: how long the response is held back.
    ``interim``: how many ``100 Continue`` are sent before it.
    """

    response: HttpResponse
    send_bytes: int | None = None
    close: Literal["", "fin", "rst"] = ""
    content_length: int | None = None
    padding_bytes: int = 0
    piece_bytes: int = 0
    pause_s: float = 0.0
    delay_s: float = 0.0
    interim: int = 0

    @property
    def intact(self) -> bool:
        """Whether the response is sent complete and in one piece, even if late."""
        return self == Delivery(self.response, delay_s=self.delay_s, interim=self.interim)


def _with_body(delivery: Delivery, body: bytes) -> Delivery:
    return replace(delivery, response=replace(delivery.response, body=body))


def drip_feed(delivery: Delivery, fault: Fault) -> Delivery:
    """Send ``size`` (16) bytes at a time, with ``seconds`` (0.01) in between."""
    return replace(delivery, piece_bytes=fault.size or 16, pause_s=0.01 if fault.seconds is None else fault.seconds)


def slow_reply(delivery: Delivery, fault: Fault) -> Delivery:
    """Handle the request at once, and send the response after ``seconds`` (1)."""
    return replace(delivery, delay_s=1.0 if fault.seconds is None else fault.seconds)


def reset(delivery: Delivery, _: Fault) -> Delivery:
    """Handle the request, and reset the connection in the middle of the body."""
    return replace(delivery, send_bytes=len(delivery.response.body) // 2, close="rst")


def short_body(delivery: Delivery, _: Fault) -> Delivery:
    """Handle the request, and close the connection (FIN) in the middle of the body."""
    return replace(delivery, send_bytes=len(delivery.response.body) // 2, close="fin")


def lost_reply(delivery: Delivery, _: Fault) -> Delivery:
    """Handle the request, and close the connection without sending a byte."""
    return replace(delivery, send_bytes=0, close="fin")


def truncated_json(delivery: Delivery, _: Fault) -> Delivery:
    """Send a complete HTTP response whose JSON ends in the middle."""
    return _with_body(delivery, delivery.response.body[: len(delivery.response.body) // 2])


def invalid_json(delivery: Delivery, fault: Fault) -> Delivery:
    """Send ``value`` instead of the body."""
    return _with_body(delivery, (fault.value or '{"count": 1, "results": [}').encode())


def invalid_utf8(delivery: Delivery, _: Fault) -> Delivery:
    """Start the first name with two bytes that are not UTF-8."""
    return _with_body(delivery, delivery.response.body.replace(b'"name":"', b'"name":"\xff\xfe', 1))


def oversized_body(delivery: Delivery, fault: Fault) -> Delivery:
    """Append ``size`` (64 MiB) of padding, in chunks; ``value="wrong_length"``: with a larger Content-Length."""
    size = fault.size or 64 * MIB
    if fault.value != "wrong_length":
        return replace(delivery, padding_bytes=size, content_length=CHUNKED)
    total = len(delivery.response.body) + size
    return replace(delivery, padding_bytes=size, content_length=8 * total, send_bytes=total, close="fin")


def gzip_bomb(delivery: Delivery, fault: Fault) -> Delivery:
    """Send a few KiB that decompress to ``size`` (64 MiB), with the right Content-Encoding."""
    bomb = _with_body(delivery, _compressed_blanks(fault.size or 64 * MIB))
    return replace(bomb, response=bomb.response.with_headers(("Content-Encoding", "gzip")))


@lru_cache(maxsize=4)
def _compressed_blanks(size: int) -> bytes:
    compressor = zlib.compressobj(9, wbits=31)
    blanks = b" " * MIB
    start = compressor.compress(b'{"count":0,"results":[')
    middle = b"".join(compressor.compress(blanks[: min(MIB, size - done)]) for done in range(0, size, MIB))
    return start + middle + compressor.compress(b"]}") + compressor.flush()


def wrong_content_type(delivery: Delivery, fault: Fault) -> Delivery:
    """Send ``value`` (text/html) as the content type."""
    return replace(delivery, response=replace(delivery.response, content_type=fault.value or "text/html"))


def extra_cookies(delivery: Delivery, fault: Fault) -> Delivery:
    """Set ``size`` (26) further cookies, each with the text ``value`` (e)."""
    cookies = (("Set-Cookie", f"extra-{number}={fault.value or 'e'}; Path=/") for number in range(fault.size or 26))
    return replace(delivery, response=delivery.response.with_headers(*cookies))


def interim_replies(delivery: Delivery, fault: Fault) -> Delivery:
    """Send ``size`` (100,000) times ``100 Continue`` before the response."""
    return replace(delivery, interim=fault.size or 100_000)


def wrong_date(delivery: Delivery, fault: Fault) -> Delivery:
    """Send ``value`` as the header Date; without one a moment in 1994, as of a clock that nothing sets."""
    date = fault.value or "Sun, 06 Nov 1994 08:49:37 GMT"
    return replace(delivery, response=delivery.response.with_headers(("Date", date)))
