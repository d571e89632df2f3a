"""
A parser of Server-Sent Events that accepts bytes in chunks of any size. Pure.

It follows https://html.spec.whatwg.org/multipage/server-sent-events.html, but ignores ``retry``.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

_BOM: Final = b"\xef\xbb\xbf"


class TooLarge(ValueError):
    """One line, or the data of one event, exceeds the limit."""


class Event(Struct, frozen=True):
    """``id``: the value for ``Last-Event-ID`` after this event; empty while the connection has sent none."""

    type: str
    data: bytes
    id: str


class Parser:
    """The parser of one connection. ``max_bytes``: of a line, and of the data of an event."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._line = bytearray()
        self._at_start = True
        self._after_cr = False
        self._type = ""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._id = ""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that end in this chunk. Raises: TooLarge, after the events before it."""
        *ends, rest = self._split_lines(chunk)
        for end in ends:
            self._extend_line(end)
            line, self._line = bytes(self._line), bytearray()
            yield from self._handle_line(line.removeprefix(_BOM) if self._at_start else line)
            self._at_start = False
        self._extend_line(rest)

    def _split_lines(self, chunk: bytes) -> list[bytes]:
        """Split at LF, CR and CRLF; a CRLF may be split over two chunks."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        self._after_cr = chunk.endswith(b"\r") or self._after_cr
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")

    def _extend_line(self, piece: bytes) -> None:
        self._line += piece
        self._check_size(len(self._line))

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise TooLarge(f"more than {self._max_bytes} bytes")

    def _handle_line(self, line: bytes) -> Iterator[Event]:
        """Store the field of a line; an empty line ends the event, which is dropped when it has no data."""
        if line:
            self._set_field(*line.split(b":", 1))
            return
        if self._data:
            yield Event(self._type or "message", b"\n".join(self._data), self._id)
        self._type, self._data, self._data_bytes = "", [], 0

    def _set_field(self, name: bytes, value: bytes = b"") -> None:
        """Ignore comments, whose field name is empty, and unknown fields."""
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
                self._data_bytes += len(value) + 1
                self._check_size(self._data_bytes - 1)
            case b"event":
                self._type = value.decode(errors="replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode(errors="replace")
            case _:
                pass
