"""Pieces of events: whole deflate blocks that are joined to one gzip stream, with a checksum that needs no text."""

import gzip
import zlib
from collections.abc import Iterator
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from monitor.web.stream import pieces as stream_pieces
from monitor.web.stream.pieces import EMPTY, Bundle, Gzip, Piece, piece
from tests.support.strategies import BOUNDED

SIZES = (0, 1, 2, 199, 200, 201, 4096, 32767, 32768, 32769, 65535, 65536, 65537, 200_000)
"""Around the smallest piece that is compressed, the smallest with a checksum of its own, and a window of deflate."""


@cache
def like_lines(size: int) -> Piece:
    """A piece that compresses as events do."""
    line = b'{"controller":"c1","uuid":"image-%06d","progress":37}'
    return piece(b"".join(line % place for place in range(size // 40 + 1))[:size])


@cache
def like_noise(size: int) -> Piece:
    """A piece that does not compress at all."""
    return piece(Random(size).randbytes(size))


@pytest.fixture(scope="module", autouse=True, params=[(isal_zlib, 1), (zlib, 5)], ids=["isal", "zlib"])
def _codec(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of this holds without the extra `speed`, too."""
    like_lines.cache_clear()
    like_noise.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("codec", "_LEVEL"), request.param, strict=True):
            patch.setattr(stream_pieces, name, value)
        yield


pieces_drawn = st.lists(
    st.sampled_from(SIZES).flatmap(lambda size: st.sampled_from([like_lines(size), like_noise(size)])), max_size=12
)


def test_an_empty_text_is_the_empty_piece() -> None:
    assert piece(b"") is EMPTY


@pytest.mark.parametrize("size", SIZES)
def test_a_piece_holds_its_text(size: int) -> None:
    text = Random(size).randbytes(size)

    assert piece(text).text == text


@pytest.mark.parametrize("size", SIZES)
def test_a_piece_is_no_larger_than_its_text_and_a_few_bytes(size: int) -> None:
    assert len(like_noise(size).deflated) <= size + 11 + size // 1_000


def test_a_large_piece_is_much_smaller_than_its_text() -> None:
    assert len(like_lines(65536).deflated) < 65536 / 10


@pytest.mark.parametrize("size", SIZES)
def test_a_piece_refers_to_nothing_outside_itself(size: int) -> None:
    alone = zlib.decompressobj(-zlib.MAX_WBITS)

    assert alone.decompress(like_lines(size).deflated) == like_lines(size).text


@BOUNDED
@given(st.lists(st.tuples(st.booleans(), pieces_drawn), max_size=6))
def test_a_stream_of_pieces_and_bundles_is_one_complete_member(parts: list[tuple[bool, list[Piece]]]) -> None:
    stream, body = Gzip(), [Gzip.HEADER]
    for together, pieces in parts:
        body += [stream.add_bundle(Bundle(pieces))] if together else map(stream.add, pieces)
    whole = b"".join([*body, stream.end()])
    first = zlib.decompressobj(zlib.MAX_WBITS | 16)
    text = first.decompress(whole)

    assert text == b"".join(each.text for _, pieces in parts for each in pieces)
    assert (first.eof, first.unused_data) == (True, b"")
    assert gzip.decompress(whole) == text


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_the_checksum_of_two_texts_follows_from_that_of_the_first(text: bytes, crc: int) -> None:
    bundle = Bundle([piece(text)])
    assert [bundle.crc_after(crc), bundle.crc_after(0)] == [zlib.crc32(text, crc), zlib.crc32(text)]
