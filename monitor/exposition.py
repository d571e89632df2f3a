"""
Ready bytes, put together: pieces to one scrape, in the format and encoding that the scraper asks for. Pure.

A piece is rendered, and compressed, when its text changes. A scrape only strings pieces together, also a compressed
one: each piece is a run of whole deflate blocks that refers to nothing outside itself, so pieces in any order between
one gzip header and one trailer are one valid gzip stream (RFC 1951, RFC 1952).

Several gzip members in a row would be legal too, but curl and Chromium silently stop after the first.   # decision 3
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Final

import msgspec

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

CHUNK: Final = 64 * 1024  # what one write carries: below the size from which malloc asks the kernel for fresh pages
_STORED_BELOW = 200  # bytes; below it a deflate block is no smaller than the text with five bytes of header
_COMBINE_FROM = 32 * 1024  # bytes; above it combining two checksums is cheaper than reading the text again
_LEVEL = 6
_CRC_POLYNOMIAL = 0xEDB88320

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, no time, unknown system
_LAST_BLOCK = b"\x03\x00"  # an empty final block


class Piece(msgspec.Struct, frozen=True, gc=False):
    """
    Exposition text, and the same compressed.

    ``deflated``: whole deflate blocks, the last one not final, ending on a byte. ``crc``, ``shift``: the CRC-32 of the
    text, and what moves another CRC-32 past it.
    """

    text: bytes
    deflated: bytes
    crc: int
    shift: int


def piece(text: bytes) -> Piece:
    """Compress one text; small ones are wrapped instead."""
    if not text:
        return EMPTY
    if len(text) < _STORED_BELOW:
        size = len(text).to_bytes(2, "little")
        stored = b"\x00" + size + bytes(255 - byte for byte in size) + text
        return Piece(text, stored, 0, 0)
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = deflate.compress(text) + deflate.flush(zlib.Z_FULL_FLUSH)
    if len(text) < _COMBINE_FROM:
        return Piece(text, deflated, 0, 0)
    return Piece(text, deflated, zlib.crc32(text), _power_of_x(8 * len(text)))


EMPTY: Final = Piece(b"", b"", 0, 0)


def renew(before: Sequence[Piece], texts: Iterable[bytes]) -> tuple[Piece, ...]:
    """The pieces of these texts; one whose text is what it was is the piece it was."""
    known = before or repeat(EMPTY)
    return tuple(old if old.text == text else piece(text) for old, text in zip(known, texts, strict=False))


def in_order(headers: Sequence[Piece], rows: Sequence[Sequence[Piece]]) -> list[Piece]:
    """
    All pieces of a scrape: each family's header, then that family's piece of every controller.

    ``rows``: one a controller, as long as ``headers``.
    """
    pieces: list[Piece] = []
    columns: Iterable[Iterable[Piece]] = zip(*rows, strict=True) if rows else repeat(())
    for header, column in zip(headers, columns, strict=False):
        pieces.append(header)
        pieces.extend(column)
    return pieces


def identity(pieces: Iterable[Piece]) -> tuple[int, Iterator[bytes]]:
    """The body as it is: its length, and chunks of about 64 KiB."""
    texts = [piece.text for piece in pieces]
    return sum(map(len, texts)), _chunks(texts)


def gzipped(pieces: Sequence[Piece]) -> tuple[int, Iterator[bytes]]:
    """The body as one gzip stream: its length, and chunks of about 64 KiB. Nothing is compressed here."""
    deflated = [piece.deflated for piece in pieces]
    length = len(_GZIP_HEADER) + sum(map(len, deflated)) + len(_LAST_BLOCK) + 8
    return length, _chunks([_GZIP_HEADER, *deflated, _LAST_BLOCK, _trailer(pieces)])


def _trailer(pieces: Iterable[Piece]) -> bytes:
    crc = size = 0
    for part in pieces:
        size += len(part.text)
        crc = _multiply(part.shift, crc) ^ part.crc if part.shift else zlib.crc32(part.text, crc)
    return crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def _chunks(parts: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= CHUNK:
            yield b"".join(held)
            held.clear()
            size = 0
    if held:
        yield b"".join(held)


def _multiply(a: int, b: int) -> int:
    """The product of two polynomials over GF(2), modulo CRC-32's, bits reflected; the way CRCs are moved past bytes."""
    product = 0
    while a:
        if a & 0x80000000:
            product ^= b
        a = (a << 1) & 0xFFFFFFFF
        b = (b >> 1) ^ _CRC_POLYNOMIAL if b & 1 else b >> 1
    return product


def _power_of_x(bits: int) -> int:
    """The polynomial x to the power of ``bits``, by squaring."""
    result, square = 0x80000000, 0x40000000  # x^0 and x^1
    while bits:
        if bits & 1:
            result = _multiply(square, result)
        square = _multiply(square, square)
        bits >>= 1
    return result


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
    """Whether ``Accept-Encoding`` takes gzip at least as gladly as nothing (RFC 9110, 12.5.3)."""
    stated = {coding: quality for coding, _, quality in _preferences(accept_encoding)}
    gzip = stated.get("gzip", stated.get("x-gzip", stated.get("*", 0.0)))
    return gzip > 0 and gzip >= stated.get("identity", 0.0)


_QUALITY: Final = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)\Z")


def _preferences(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Each element of an Accept header: value, parameters, q; 1 when unstated, 0 when unreadable."""
    for element in header.lower().split(","):
        value, *rest = (part.strip() for part in element.split(";"))
        parameters = {key.strip(): text.strip() for key, _, text in (part.partition("=") for part in rest)}
        quality = parameters.pop("q", "1")
        yield value, parameters, float(quality) if _QUALITY.match(quality) else 0.0
