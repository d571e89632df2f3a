"""
Pieces of text that are rendered and compressed once, and joined many times. Pure.

Each compressed piece is a sequence of whole deflate blocks that refer to nothing outside the piece. So pieces in any
order between one gzip header and one trailer are one valid gzip stream (RFC 1951, RFC 1952).

Several gzip members in a row would be valid, too, but curl and Chromium silently stop after the first (README,
«Why it is so», decision 3).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Final

import msgspec

try:  # the extra `speed`: compresses as small in a third of the time; checksums take a sixth
    from isal import isal_zlib as codec

    _LEVEL = 1
except ImportError:  # pragma: no cover
    import zlib as codec  # type: ignore[no-redef]

    _LEVEL = 5  # a lower level is larger; a higher one is slower and no smaller

CHUNK: Final = 32 * 1024  # bytes of one write: fits into the L1 cache, from which the kernel then copies it
_STORED_BELOW = 200  # bytes; for less, deflate saves nothing over a stored block with its header of 5 bytes

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, no time, unknown system
_LAST_BLOCK = b"\x03\x00"  # an empty final block


class Piece(msgspec.Struct, frozen=True, gc=False):
    """
    Exposition text, plain and compressed.

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


def update_piece(known: Piece, text: bytes | None) -> Piece:
    """Return the piece of a text; ``known`` itself if the text is equal, or is None."""
    return known if text is None or known.text == text else piece(text)


def update_pieces(before: Sequence[Piece], texts: Iterable[bytes | None]) -> tuple[Piece, ...]:
    """`update_piece` for each text. ``before``: the pieces at the same places; empty if there are none yet."""
    return tuple(map(update_piece, before or repeat(EMPTY), texts))


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

    HEADER: Final = _GZIP_HEADER
    OVERHEAD: Final = len(_GZIP_HEADER) + len(_LAST_BLOCK) + 8  # bytes; the last 8 are checksum and size

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
        return _LAST_BLOCK + self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")


def chunks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join parts to chunks of at least 32 KiB, except the last chunk; parts are not split."""
    pending: list[bytes] = []
    size = 0
    for part in parts:
        pending.append(part)
        size += len(part)
        if size >= CHUNK:
            yield b"".join(pending)
            pending.clear()
            size = 0
    if pending:
        yield b"".join(pending)
