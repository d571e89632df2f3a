"""
Server-Sent Events from bytes, however they are cut. Pure: it holds what has come of one event, and no socket.

As https://html.spec.whatwg.org/multipage/server-sent-events.html has it, without ``retry``, which we do not need.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

_BOM: Final = b"\xef\xbb\xbf"


class TooLarge(ValueError):
    """One line, or the data of one event, is larger than the most that was said."""


class Event(Struct, frozen=True):
    """``kind``: of the event. ``id``: what to come back with after it; empty while none came on this connection."""

    kind: str
    data: bytes
    id: str


class Parser:
    """Of one connection. ``most``: bytes of a line, and of the data of an event."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._line = bytearray()
        self._at_start = True
        self._after_cr = False
        self._kind = ""
        self._data: list[bytes] = []
        self._size = 0
        self._id = ""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes, and give the events that end in them. Raises: TooLarge, after the events before it."""
        *ends, rest = self._split(chunk)
        for end in ends:
            self._grow(end)
            line, self._line = bytes(self._line), bytearray()
            yield from self._take(line.removeprefix(_BOM) if self._at_start else line)
            self._at_start = False
        self._grow(rest)

    def _split(self, chunk: bytes) -> list[bytes]:
        """At the ends of lines: LF, CR, and CRLF, which may come in two."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        self._after_cr = chunk.endswith(b"\r") or self._after_cr
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")

    def _grow(self, piece: bytes) -> None:
        self._line += piece
        self._check(len(self._line))

    def _check(self, size: int) -> None:
        if size > self._most:
            raise TooLarge(f"more than {self._most} bytes")

    def _take(self, line: bytes) -> Iterator[Event]:
        """One whole line; an empty one ends the event, and those without data are none."""
        if line:
            self._field(*line.split(b":", 1))
            return
        if self._data:
            yield Event(self._kind or "message", b"\n".join(self._data), self._id)
        self._kind, self._data, self._size = "", [], 0

    def _field(self, name: bytes, value: bytes = b"") -> None:
        """A comment has no name, so it is none of these."""
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
                self._size += len(value) + 1
                self._check(self._size - 1)
            case b"event":
                self._kind = value.decode(errors="replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode(errors="replace")
            case _:
                pass
