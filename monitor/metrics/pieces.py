"""
Pieces of text that are rendered and compressed once, and strung together many times. Pure.

Each compressed piece is a run of whole deflate blocks that refers to nothing outside itself, so pieces in any order
between one gzip header and one trailer are one valid gzip stream (RFC 1951, RFC 1952).

Several gzip members in a row would be legal too, but curl and Chromium silently stop after the first.   # decision 3
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Final

import msgspec

try:  # the extra `speed`: pieces of the same size in a third of the time, and their checksums in a sixth
    from isal import isal_zlib as codec

    _LEVEL = 1
except ImportError:  # pragma: no cover
    import zlib as codec  # type: ignore[no-redef]

    _LEVEL = 5  # less is larger; more is slower and no smaller

CHUNK: Final = 32 * 1024  # bytes of one write: still in the processor's nearest caches when the kernel takes them
_STORED_BELOW = 200  # bytes; below it a deflate block is no smaller than the text with five bytes of header

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, no time, unknown system
_LAST_BLOCK = b"\x03\x00"  # an empty final block


class Piece(msgspec.Struct, frozen=True, gc=False):
    """
    Exposition text, and the same compressed.

    ``deflated``: whole deflate blocks, the last one not final, ending on a byte.
    """

    text: bytes
    deflated: bytes


def piece(text: bytes) -> Piece:
    """Compress one text; small ones are wrapped instead."""
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
    """The piece of a text; ``known`` itself when the text is equal, or None."""
    return known if text is None or known.text == text else piece(text)


def update_pieces(before: Sequence[Piece], texts: Iterable[bytes | None]) -> tuple[Piece, ...]:
    """As `update_piece`, for the texts of a table of families. ``before``: empty when there were none."""
    return tuple(map(update_piece, before or repeat(EMPTY), texts))


class Bundle:
    """
    Pieces that go out together, to many: put together once, and their checksum taken once.

    Whatever stands before them, the checksum of both is a linear function of its own: ``crc_after``.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.text = b"".join([each.text for each in pieces])
        self.deflated = b"".join([each.deflated for each in pieces])
        self._crc = codec.crc32(self.text)
        self._shift: tuple[int, ...] = ()

    def crc_after(self, crc: int) -> int:
        """The CRC-32 of this text behind one whose CRC-32 is given."""
        if not self._shift:
            zeros = bytes(len(self.text))
            base = codec.crc32(zeros)
            self._shift = tuple(codec.crc32(zeros, 1 << bit) ^ base for bit in range(32))
        found, bit = self._crc, 0
        while crc:
            if crc & 1:
                found ^= self._shift[bit]
            crc >>= 1
            bit += 1
        return found


class Gzip:
    """One gzip stream: the header, then pieces and bundles, then the end. The checksum is taken as they go out."""

    HEADER: Final = _GZIP_HEADER
    OVERHEAD: Final = len(_GZIP_HEADER) + len(_LAST_BLOCK) + 8  # bytes; the last 8 are checksum and size

    def __init__(self) -> None:
        self._crc = self._size = 0

    def add(self, part: Piece) -> bytes:
        """The bytes of one piece."""
        self._crc = codec.crc32(part.text, self._crc)
        self._size += len(part.text)
        return part.deflated

    def add_bundle(self, bundle: Bundle) -> bytes:
        """The bytes of a bundle, which costs the same however much it is."""
        self._crc = bundle.crc_after(self._crc)
        self._size += len(bundle.text)
        return bundle.deflated

    def end(self) -> bytes:
        """The bytes after the last piece."""
        return _LAST_BLOCK + self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")


def chunks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Parts put together, about 32 KiB at a time; a part that is larger stays whole."""
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
