"""Pieces put together: order, chunks, one gzip stream, and which format and encoding a scraper gets."""

import gzip
import subprocess
import sys
import zlib
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.metrics.exposition import OPENMETRICS, TEXT, gzipped, identity, in_order, wants_gzip, wants_openmetrics
from monitor.metrics.pieces import CHUNK, EMPTY, Bundle, Gzip, Piece, piece, update_pieces
from tests.support.strategies import BOUNDED

SIZES = (0, 1, 2, 199, 200, 201, 4096, 32767, 32768, 32769, 65535, 65536, 65537, 200_000)
"""Around the smallest piece that is compressed, the smallest with a checksum of its own, and a chunk."""


@cache
def like_lines(size: int) -> Piece:
    """A piece that compresses as metrics do."""
    line = b'avi_image_progress_ratio{controller="c1",image_uuid="image-%06d"} 0.37\n'
    return piece(b"".join(line % place for place in range(size // 50 + 1))[:size])


@cache
def like_noise(size: int) -> Piece:
    """A piece that does not compress at all."""
    return piece(Random(size).randbytes(size))


pieces_drawn = st.lists(
    st.sampled_from(SIZES).flatmap(lambda size: st.sampled_from([like_lines(size), like_noise(size)])), max_size=12
)


def text_of(pieces: list[Piece]) -> bytes:
    return b"".join(each.text for each in pieces)


# --- pieces


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


def test_pieces_with_the_same_texts_are_kept() -> None:
    before = update_pieces((), [b"a 1\n", b"", b"c 3\n"])
    after = update_pieces(before, [b"a 1\n", b"", b"c 3\n"])

    assert all(old is new for old, new in zip(before, after, strict=True))


def test_only_a_piece_whose_text_changed_is_made_again() -> None:
    before = update_pieces((), [b"a 1\n", b"b 2\n"])
    after = update_pieces(before, [b"a 1\n", b"b 3\n"])

    assert (after[0] is before[0], after[1]) == (True, piece(b"b 3\n"))


def test_none_instead_of_a_text_keeps_the_piece() -> None:
    before = update_pieces((), [b"a 1\n", b"b 2\n"])
    after = update_pieces(before, [None, b"b 3\n"])

    assert (after[0] is before[0], after[1]) == (True, piece(b"b 3\n"))


def test_the_first_pieces_are_made() -> None:
    assert update_pieces((), [b"a 1\n", b""]) == (piece(b"a 1\n"), EMPTY)


# --- the order of a scrape

HEADERS = [piece(b"# one\n"), piece(b"# two\n")]


def test_a_family_is_its_header_and_then_every_controller() -> None:
    rows = [[piece(b"one c1\n"), piece(b"two c1\n")], [piece(b"one c2\n"), EMPTY]]

    assert text_of(in_order(HEADERS, rows)) == b"# one\none c1\none c2\n# two\ntwo c1\n"


def test_without_controllers_there_are_headers() -> None:
    assert in_order(HEADERS, []) == HEADERS


def test_a_controller_with_other_families_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        in_order(HEADERS, [[EMPTY, EMPTY], [EMPTY]])


# --- bodies


def test_a_body_of_no_piece_is_empty() -> None:
    length, chunks = identity([])

    assert (length, list(chunks)) == (0, [])


def test_small_pieces_go_out_in_one_chunk() -> None:
    _, chunks = identity([piece(b"a 1\n"), EMPTY, piece(b"b 2\n")])

    assert list(chunks) == [b"a 1\nb 2\n"]


def test_many_pieces_go_out_in_chunks_of_about_32_kib() -> None:
    _, chunks = identity([like_lines(4096)] * 20)

    assert [len(chunk) for chunk in chunks] == [CHUNK, CHUNK, 20 * 4096 - 2 * CHUNK]


@BOUNDED
@given(pieces_drawn)
def test_a_body_is_the_texts_of_its_pieces(pieces: list[Piece]) -> None:
    _, chunks = identity(pieces)

    assert b"".join(chunks) == text_of(pieces)


@BOUNDED
@given(pieces_drawn)
def test_the_length_of_a_body_is_known_in_advance(pieces: list[Piece]) -> None:
    length, chunks = identity(pieces)

    assert sum(map(len, chunks)) == length


@BOUNDED
@given(pieces_drawn)
def test_every_chunk_but_the_last_is_full(pieces: list[Piece]) -> None:
    _, chunks = identity(pieces)

    assert all(len(chunk) >= CHUNK for chunk in list(chunks)[:-1])


@BOUNDED
@given(pieces_drawn)
def test_a_gzip_body_unpacks_to_the_body(pieces: list[Piece]) -> None:
    _, chunks = gzipped(pieces)

    assert gzip.decompress(b"".join(chunks)) == text_of(pieces)


@BOUNDED
@given(pieces_drawn)
def test_a_gzip_body_is_one_complete_member(pieces: list[Piece]) -> None:
    _, chunks = gzipped(pieces)
    first = zlib.decompressobj(zlib.MAX_WBITS | 16)
    text = first.decompress(b"".join(chunks))

    assert (text == text_of(pieces), first.eof, first.unused_data) == (True, True, b"")


@BOUNDED
@given(pieces_drawn)
def test_the_length_of_a_gzip_body_is_known_in_advance(pieces: list[Piece]) -> None:
    length, chunks = gzipped(pieces)

    assert sum(map(len, chunks)) == length


@BOUNDED
@given(st.lists(st.binary(max_size=400), max_size=20))
def test_any_small_texts_unpack_to_themselves(texts: list[bytes]) -> None:
    _, chunks = gzipped([piece(text) for text in texts])

    assert gzip.decompress(b"".join(chunks)) == b"".join(texts)


@given(st.lists(st.tuples(st.booleans(), pieces_drawn), max_size=6))
def test_a_stream_of_pieces_and_bundles_unpacks_to_all_of_them(parts: list[tuple[bool, list[Piece]]]) -> None:
    stream, body = Gzip(), [Gzip.HEADER]
    for together, pieces in parts:
        body += [stream.add_bundle(Bundle(pieces))] if together else map(stream.add, pieces)
    whole = b"".join([*body, stream.end()])
    assert gzip.decompress(whole) == b"".join(each.text for _, pieces in parts for each in pieces)


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_the_checksum_of_two_texts_follows_from_that_of_the_first(text: bytes, crc: int) -> None:
    bundle = Bundle([piece(text)])
    assert [bundle.crc_after(crc), bundle.crc_after(0)] == [zlib.crc32(text, crc), zlib.crc32(text)]


@pytest.mark.parametrize("first", SIZES)
@pytest.mark.parametrize("second", [0, 200, 32768, 200_000])
def test_checksums_are_combined_whatever_comes_first(first: int, second: int) -> None:
    pieces = [like_lines(first), like_noise(second), like_lines(first)]
    _, chunks = gzipped(pieces)
    trailer = b"".join(chunks)[-8:]

    assert trailer == zlib.crc32(text_of(pieces)).to_bytes(4, "little") + len(text_of(pieces)).to_bytes(4, "little")


# --- negotiation: what scrapers, browsers and tools send


@pytest.mark.parametrize(
    "accept",
    [
        pytest.param(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            id="Prometheus 2.42",
        ),
        pytest.param(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
            "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            id="Prometheus 2.42 with native histograms",
        ),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            id="Prometheus 3",
        ),
        pytest.param("application/openmetrics-text", id="no version asked for"),
        pytest.param("Application/OpenMetrics-Text; Version=1.0.0", id="any case"),
        pytest.param("application/openmetrics-text ; version=1.0.0 ; q=0.9 , text/plain ; q=0.8", id="blanks"),
        pytest.param("text/plain;q=0.5, application/openmetrics-text;q=0.501", id="a slight preference"),
        pytest.param("application/*", id="any application"),
        pytest.param("application/openmetrics-text;q=0.001", id="a low q, but nothing else"),
        pytest.param("application/openmetrics-text;q=1.000, text/plain;q=0.999", id="three digits"),
    ],
)
def test_openmetrics_is_sent_for(accept: str) -> None:
    assert wants_openmetrics(accept)


@pytest.mark.parametrize(
    "accept",
    [
        pytest.param("*/*", id="curl"),
        pytest.param(
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
            "application/signed-exchange;v=b3;q=0.7",
            id="Chromium",
        ),
        pytest.param("text/plain;version=0.0.4;q=1,*/*;q=0.1", id="an agent that knows only the text format"),
        pytest.param("", id="no header"),
        pytest.param("text/plain, application/openmetrics-text", id="a tie"),
        pytest.param("application/openmetrics-text;q=0.5, text/*;q=0.6", id="any text preferred"),
        pytest.param("application/openmetrics-text;q=0.5, */*;q=0.6", id="anything preferred"),
        pytest.param("application/openmetrics-text;version=0.0.1", id="a version that we do not speak"),
        pytest.param("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", id="a version of tomorrow"),
        pytest.param("application/openmetrics-text;q=0", id="refused"),
        pytest.param("application/openmetrics-text;q=0.000, text/plain;q=0", id="all refused"),
        pytest.param("application/openmetrics-text;q=high", id="unreadable quality"),
        pytest.param("application/openmetrics-text;q=", id="empty quality"),
        pytest.param("application/openmetrics-text;q=-1", id="negative quality"),
        pytest.param("application/openmetrics-text;q=1.5, text/plain", id="quality over one"),
        pytest.param("application/openmetrics-text;q=0.1234, text/plain;q=0.1", id="too many digits"),
        pytest.param("application/openmetrics-text;q=nan", id="no number"),
        pytest.param("application/json", id="something else altogether"),
        pytest.param(",;,;q=1,=", id="only separators"),
    ],
)
def test_the_text_format_is_sent_for(accept: str) -> None:
    assert not wants_openmetrics(accept)


@pytest.mark.parametrize(
    "accept_encoding",
    [
        pytest.param("gzip", id="Prometheus 2.42 and 3"),
        pytest.param("deflate, gzip, br, zstd", id="curl --compressed"),
        pytest.param("gzip, deflate, br, zstd", id="Chromium"),
        pytest.param("GZip", id="any case"),
        pytest.param("x-gzip", id="its old name"),
        pytest.param("*", id="anything"),
        pytest.param("br;q=1, *;q=0.5", id="anything else"),
        pytest.param("gzip;q=0.5", id="a low q, but no identity"),
        pytest.param("gzip;q=0.5, identity;q=0.5", id="a tie with identity"),
        pytest.param("identity;q=0, gzip;q=0.001", id="identity refused"),
        pytest.param("gzip ; q=1.0 , identity ; q=0.5", id="blanks"),
        pytest.param("x-gzip;q=0, gzip", id="the new name decides"),
    ],
)
def test_gzip_is_sent_for(accept_encoding: str) -> None:
    assert wants_gzip(accept_encoding)


@pytest.mark.parametrize(
    "accept_encoding",
    [
        pytest.param("", id="curl"),
        pytest.param("identity", id="identity"),
        pytest.param("br, zstd", id="only other codings"),
        pytest.param("gzip;q=0", id="refused"),
        pytest.param("gzip;q=0, *", id="refused, though anything else would do"),
        pytest.param("*;q=0", id="everything refused"),
        pytest.param("gzip;q=0.5, identity", id="identity preferred"),
        pytest.param("gzip;q=2", id="quality over one"),
        pytest.param("gzip;q=x", id="unreadable quality"),
        pytest.param("gzipped", id="almost"),
    ],
)
def test_no_gzip_is_sent_for(accept_encoding: str) -> None:
    assert not wants_gzip(accept_encoding)


@BOUNDED
@given(st.text())
def test_any_header_is_accepted(header: str) -> None:
    assert {wants_openmetrics(header), wants_gzip(header)} <= {True, False}


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        pytest.param(TEXT, "text/plain; version=0.0.4; charset=utf-8", id="text"),
        pytest.param(OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8", id="OpenMetrics"),
    ],
)
def test_a_content_type_is_exactly(content_type: str, text: str) -> None:
    assert content_type == text


def test_all_of_this_holds_without_the_extra_speed() -> None:
    without = "import sys; sys.modules['isal'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    arguments = ["-q", "-p", "no:cacheprovider", __file__, "-k", "not without_the_extra"]
    ended = subprocess.run([sys.executable, "-c", without, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
