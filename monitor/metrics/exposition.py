"""
The body of a scrape, joined from pieces of text in the format and encoding that the scraper prefers. Pure.

A piece is rendered when its text changes; a scrape only joins pieces, and may compress them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Final

from msgspec import Struct

from monitor.metrics.codec import codec

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

CHUNK: Final = 32 * 1024  # bytes of one write: fits into the L1 cache, from which the kernel then copies it
SLICE: Final = 256 * 1024  # bytes compressed at once: joining them holds the GIL for less than 0.1 ms
_LEVEL = 1  # repeated label values compress well even at this level

GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, no time, unknown system


class Compressed(Struct, frozen=True):
    """
    The start of a text, compressed. ``size``, ``crc``: of the text.

    ``deflated``: whole deflate blocks, none of them final, that end on a byte boundary (RFC 1951).
    """

    deflated: bytes
    size: int
    crc: int


def order_pieces(headers: Sequence[bytes], rows: Sequence[Iterable[bytes]]) -> list[bytes]:
    """
    Return all pieces of a scrape, column by column: the header, then that column's piece of every controller.

    ``headers``: one for each column; empty where the column continues the family of the column before it.
    ``rows``: one for each controller, with one piece for each column.
    """
    pieces: list[bytes] = []
    columns: Iterable[Iterable[bytes]] = zip(*rows, strict=True) if rows else repeat(())
    for header, column in zip(headers, columns, strict=False):
        pieces.append(header)
        pieces.extend(column)
    return pieces


def compress(pieces: Iterable[bytes]) -> Compressed:
    """
    Compress the pieces, 256 KiB at a time.

    It takes about 1 ms for each MB of text. For almost all of that, other threads can run, so call it in a worker
    thread.
    """
    deflate = codec.compressobj(_LEVEL, codec.DEFLATED, -codec.MAX_WBITS)
    parts, size, crc = [], 0, 0
    for text in chunks(pieces, SLICE):
        parts.append(deflate.compress(text))
        size, crc = size + len(text), codec.crc32(text, crc)
    parts.append(deflate.flush(codec.Z_FULL_FLUSH))
    return Compressed(b"".join(parts), size, crc)


def gzip_member(start: Compressed, rest: bytes) -> tuple[bytes, bytes, bytes]:
    """
    Return the three parts of one gzip member (RFC 1952): its header, the compressed start of the text, and its rest.

    There is one member, since curl and Chromium silently stop after the first (docs/decisions, decision 3).
    """
    deflate = codec.compressobj(_LEVEL, codec.DEFLATED, -codec.MAX_WBITS)
    last = deflate.compress(rest) + deflate.flush()
    return GZIP_HEADER, start.deflated, last + gzip_trailer(codec.crc32(rest, start.crc), start.size + len(rest))


def gzip_trailer(crc: int, size: int) -> bytes:
    """Return the end of a gzip member: checksum and size of its text."""
    return crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def chunks(pieces: Iterable[bytes], least: int = CHUNK) -> Iterator[bytes]:
    """Join pieces to chunks of at least so many bytes, except the last chunk; pieces are not split."""
    pending: list[bytes] = []
    size = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        if size >= least:
            yield b"".join(pending)
            pending.clear()
            size = 0
    if pending:
        yield b"".join(pending)


def wants_openmetrics(accept: str) -> bool:
    """Whether ``Accept`` prefers OpenMetrics 1.0.0 to the text format, by q-value; the text format wins a tie."""
    openmetrics = text = 0.0
    for kind, parameters, quality in _preferences(accept):
        if kind in {"application/openmetrics-text", "application/*"}:
            known = parameters.get("version", "1.0.0") == "1.0.0"
            openmetrics = max(openmetrics, quality if known else 0.0)
        elif kind in {"text/plain", "text/*", "*/*"}:
            text = max(text, quality)
    return openmetrics > text


def wants_gzip(accept_encoding: str) -> bool:
    """Whether ``Accept-Encoding`` prefers gzip to no compression, or has no preference (RFC 9110, 12.5.3)."""
    stated = {coding: quality for coding, _, quality in _preferences(accept_encoding)}
    gzip = stated.get("gzip", stated.get("x-gzip", stated.get("*", 0.0)))
    return gzip > 0 and gzip >= stated.get("identity", 0.0)


_QUALITY: Final = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)\Z")


def _preferences(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield each element of an Accept header: value, parameters, q; q is 1 when missing, 0 when malformed."""
    for element in header.lower().split(","):
        value, *rest = (part.strip() for part in element.split(";"))
        parameters = {key.strip(): text.strip() for key, _, text in (part.partition("=") for part in rest)}
        quality = parameters.pop("q", "1")
        yield value, parameters, float(quality) if _QUALITY.match(quality) else 0.0
