"""Pieces put together: order, chunks, one gzip member, and which format and encoding a scraper gets."""

import gzip
import subprocess
import sys
import zlib
from collections.abc import Iterator
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from monitor.metrics import exposition
from monitor.metrics.exposition import (
    CHUNK,
    OPENMETRICS,
    SLICE,
    TEXT,
    chunks,
    compress,
    gzip_member,
    order_pieces,
    wants_gzip,
    wants_openmetrics,
)
from tests.support.strategies import BOUNDED


@pytest.fixture(scope="module", autouse=True, params=[isal_zlib, zlib], ids=["isal", "zlib"])
def _codec(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of this holds without the extra `speed`, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exposition, "codec", request.param)
        yield


SIZES = (0, 1, 200, 32767, 32768, 32769, SLICE - 1, SLICE, SLICE + 1, 3 * SLICE)
"""Around a chunk, and around what is compressed at once."""


@cache
def like_lines(size: int) -> bytes:
    """A piece that compresses as metrics do."""
    line = b'avi_image_progress_ratio{controller="c1",image_uuid="image-%06d"} 0.37\n'
    return b"".join(line % place for place in range(size // 50 + 1))[:size]


@cache
def like_noise(size: int) -> bytes:
    """A piece that does not compress at all."""
    return Random(size).randbytes(size)


pieces_drawn = st.lists(
    st.sampled_from(SIZES).flatmap(lambda size: st.sampled_from([like_lines(size), like_noise(size)])), max_size=6
)


# --- the order of a scrape

HEADERS = [b"# one\n", b"# two\n"]


def test_a_family_is_its_header_and_then_every_controller() -> None:
    rows = [[b"one c1\n", b"two c1\n"], [b"one c2\n", b""]]

    assert b"".join(order_pieces(HEADERS, rows)) == b"# one\none c1\none c2\n# two\ntwo c1\n"


def test_without_controllers_there_are_headers() -> None:
    assert order_pieces(HEADERS, []) == HEADERS


def test_a_controller_with_other_families_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        order_pieces(HEADERS, [[b"", b""], [b""]])


# --- bodies


def test_small_pieces_go_out_in_one_chunk() -> None:
    assert list(chunks([b"a 1\n", b"", b"b 2\n"])) == [b"a 1\nb 2\n"]


def test_many_pieces_go_out_in_chunks_of_about_32_kib() -> None:
    assert [len(chunk) for chunk in chunks([like_lines(4096)] * 20)] == [CHUNK, CHUNK, 20 * 4096 - 2 * CHUNK]


@BOUNDED
@given(pieces_drawn)
def test_chunks_are_the_pieces_and_each_but_the_last_is_full(pieces: list[bytes]) -> None:
    made = list(chunks(pieces))

    assert b"".join(made) == b"".join(pieces)
    assert all(len(chunk) >= CHUNK for chunk in made[:-1])


@BOUNDED
@given(pieces_drawn, st.binary(max_size=400))
def test_a_gzip_body_is_one_complete_member_that_unpacks_to_the_text(pieces: list[bytes], rest: bytes) -> None:
    body = b"".join(gzip_member(compress(pieces), rest))
    first = zlib.decompressobj(zlib.MAX_WBITS | 16)
    text = first.decompress(body)

    assert (text == b"".join(pieces) + rest, first.eof, first.unused_data) == (True, True, b"")
    assert gzip.decompress(body) == text


@BOUNDED
@given(st.lists(st.binary(max_size=400), max_size=20), st.binary(max_size=400))
def test_any_small_texts_unpack_to_themselves(texts: list[bytes], rest: bytes) -> None:
    assert gzip.decompress(b"".join(gzip_member(compress(texts), rest))) == b"".join(texts) + rest


def test_one_compressed_start_serves_several_members() -> None:
    start = compress([like_lines(SLICE)])

    for rest in (b"", b"a 1\n", like_noise(4096)):
        assert gzip.decompress(b"".join(gzip_member(start, rest))) == like_lines(SLICE) + rest


def test_pieces_are_compressed_together() -> None:
    apart = [like_lines(4096)[at : at + 64] for at in range(0, 4096, 64)]

    assert len(compress(apart).deflated) < 1.05 * len(compress([like_lines(4096)]).deflated)


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


def test_without_the_extra_speed_zlib_compresses() -> None:
    without = "import sys; sys.modules['isal'] = None; from monitor.metrics.codec import codec; print(codec.__name__)"
    ended = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("zlib\n", "")
