"""
The body of a scrape, joined from pieces in the format and encoding that the scraper prefers. Pure.

A piece is rendered and compressed when its text changes; a scrape only joins pieces.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Final

from monitor.metrics.pieces import Gzip, Piece, chunks

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def in_order(headers: Sequence[Piece], rows: Sequence[Iterable[Piece]]) -> list[Piece]:
    """
    Return all pieces of a scrape, column by column: the header, then that column's piece of every controller.

    ``headers``: one for each column; empty where the column continues the family of the column before it.
    ``rows``: one for each controller, with one piece for each column.
    """
    pieces: list[Piece] = []
    columns: Iterable[Iterable[Piece]] = zip(*rows, strict=True) if rows else repeat(())
    for header, column in zip(headers, columns, strict=False):
        pieces.append(header)
        pieces.extend(column)
    return pieces


def identity(pieces: Iterable[Piece]) -> tuple[int, Iterator[bytes]]:
    """Return the uncompressed body: its length, and chunks of about 32 KiB."""
    texts = [piece.text for piece in pieces]
    return sum(map(len, texts)), chunks(texts)


def gzipped(pieces: Sequence[Piece]) -> tuple[int, Iterator[bytes]]:
    """Return the body as one gzip stream: its length, and chunks of about 32 KiB. Nothing is compressed here."""
    length = sum([len(piece.deflated) for piece in pieces]) + Gzip.OVERHEAD
    return length, chunks(_gzip_stream(pieces))


def _gzip_stream(pieces: Iterable[Piece]) -> Iterator[bytes]:
    stream = Gzip()
    yield stream.HEADER
    yield from map(stream.add, pieces)
    yield stream.end()


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
