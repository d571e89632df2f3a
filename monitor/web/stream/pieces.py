"""
Pieces of events that are compressed once, and sent to many readers. Pure.

Each compressed piece is a sequence of whole deflate blocks that refer to nothing outside the piece. So pieces in any
order between one gzip header and one trailer are one valid gzip stream (RFC 1951, RFC 1952).

Several gzip members in a row would be valid, too, but curl and Chromium silently stop after the first (decision 3).
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from monitor.metrics.codec import HAS_ISAL, codec
from monitor.metrics.exposition import GZIP_HEADER, gzip_trailer

_LEVEL = 1 if HAS_ISAL else 5  # of zlib, a lower level is larger; a higher one is slower and no smaller
_STORED_BELOW = 200  # bytes; for less, deflate saves nothing over a stored block with its header of 5 bytes

_LAST_BLOCK = b"\x03\x00"  # an empty final block


class Piece(msgspec.Struct, frozen=True, gc=False):
    """
    Text, plain and compressed.

    ``deflated``: whole deflate blocks, none of them final, that end on a byte boundary.
    """

    text: bytes
    deflated: bytes


def piece(text: bytes) -> Piece:
    """Compress a text; a small one becomes a stored block instead."""
    if not text:
        return EMPTY
    if len(text) < _STORED_BELOW:
        size = len(text).to_bytes(2, "little")
        stored = b"\x00" + size + bytes(255 - byte for byte in size) + text
        return Piece(text, stored)
    deflate = codec.compressobj(_LEVEL, codec.DEFLATED, -codec.MAX_WBITS)
    return Piece(text, deflate.compress(text) + deflate.flush(codec.Z_FULL_FLUSH))


EMPTY: Final = Piece(b"", b"")


class Bundle:
    """
    Pieces that are sent together to many clients: joined once, with their checksum computed once.

    The checksum of a stream that ends with a bundle follows from the checksum before it, without reading the bundle:
    see `crc_after`.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.text = b"".join([each.text for each in pieces])
        self.deflated = b"".join([each.deflated for each in pieces])
        self._crc = codec.crc32(self.text)
        self._shift: tuple[int, ...] = ()
        """For each bit of a CRC-32: its value after as many zero bytes as ``text`` is long. Computed on first use."""

    def crc_after(self, crc: int) -> int:
        """Return the CRC-32 of another text, whose own is ``crc``, followed by this one. CRC-32 is linear."""
        if not self._shift:
            zeros = bytes(len(self.text))
            base = codec.crc32(zeros)
            self._shift = tuple(codec.crc32(zeros, 1 << bit) ^ base for bit in range(32))
        combined, bit = self._crc, 0
        while crc:
            if crc & 1:
                combined ^= self._shift[bit]
            crc >>= 1
            bit += 1
        return combined


class Gzip:
    """One gzip stream: HEADER, then pieces and bundles, then `end`. Keeps the checksum of what was added."""

    HEADER: Final = GZIP_HEADER

    def __init__(self) -> None:
        self._crc = self._size = 0

    def add(self, part: Piece) -> bytes:
        """Add a piece. Returns: the bytes to send."""
        self._crc = codec.crc32(part.text, self._crc)
        self._size += len(part.text)
        return part.deflated

    def add_bundle(self, bundle: Bundle) -> bytes:
        """Add a bundle, at a cost that does not depend on its size. Returns: the bytes to send."""
        self._crc = bundle.crc_after(self._crc)
        self._size += len(bundle.text)
        return bundle.deflated

    def end(self) -> bytes:
        """End the stream. Returns: the bytes to send after the last piece."""
        return _LAST_BLOCK + gzip_trailer(self._crc, self._size)
