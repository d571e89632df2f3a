"""Server-Sent Events are the same events however their bytes are cut."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cli.api.sse import Event, Parser, TooLarge

MOST = 64


def parsed(*chunks: bytes, most: int = MOST) -> list[Event]:
    parser = Parser(most=most)
    return [event for chunk in chunks for event in parser.feed(chunk)]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        pytest.param(b"data: a\n\n", [Event("message", b"a", "")], id="data-alone"),
        pytest.param(b"event: state\ndata: {}\nid: e-1\n\n", [Event("state", b"{}", "e-1")], id="all-fields"),
        pytest.param(b"data:a\ndata: b\ndata\n\n", [Event("message", b"a\nb\n", "")], id="lines-of-data-are-joined"),
        pytest.param(b"data:  a\n\n", [Event("message", b" a", "")], id="one-space-is-no-part-of-it"),
        pytest.param(b": hello\n\n: \n\ndata: a\n\n", [Event("message", b"a", "")], id="comments-are-nothing"),
        pytest.param(b"event: x\n\ndata: a\n\n", [Event("message", b"a", "")], id="without-data-there-is-no-event"),
        pytest.param(b"data: a\nretry: 5\nmore: x\n\n", [Event("message", b"a", "")], id="unknown-fields-are-left-out"),
        pytest.param(b"data: a\n", [], id="an-event-ends-with-an-empty-line"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [Event("message", b"a", "")], id="a-byte-order-mark-at-the-start"),
        pytest.param(b":\n\xef\xbb\xbfdata: a\n\n", [], id="a-byte-order-mark-later-is-part-of-a-name"),
        pytest.param(b"data: a\r\rdata: b\r\n\r\n", [Event("message", b"a", ""), Event("message", b"b", "")], id="cr"),
        pytest.param(b"id: \xff\nevent: \xff\ndata: \xff\n\n", [Event("\ufffd", b"\xff", "\ufffd")], id="no-utf-8"),
    ],
)
def test_events_are_read_as_they_are_meant(text: bytes, events: list[Event]) -> None:
    assert parsed(text) == events


def test_an_id_lasts_until_the_next_one() -> None:
    text = b"data: a\n\nid: 1\n\ndata: b\n\nid: 2\0\ndata: c\n\ndata: d\nid\n\n"
    assert [event.id for event in parsed(text)] == ["", "1", "1", ""]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"data: " + b"a" * MOST, id="line"),
        pytest.param(b"data: aaaaaaa\n" * (MOST // 8 + 1), id="lines"),
        pytest.param(b":" * (MOST + 1), id="comment"),
    ],
)
def test_an_event_that_is_too_large_is_an_error_and_those_before_it_are_not_lost(text: bytes) -> None:
    parser = Parser(most=MOST)
    found = parser.feed(b"data: first\n\n" + text)
    assert next(found).data == b"first"
    with pytest.raises(TooLarge, match="more than 64 bytes"):
        next(found)


def test_what_came_before_counts_no_more() -> None:
    assert len(parsed(b"data: aaaaaaaaaaaaaaaa\n\n: comment\n" * 100)) == 100


CHUNKS = st.lists(st.binary(max_size=40) | st.sampled_from([b"data: a\r\n", b"\r", b"\n", b"id: 1\n", b"\xef\xbb\xbf"]))


@given(CHUNKS, st.lists(st.integers(0, 200)))
def test_however_the_bytes_are_cut_the_events_are_the_same(chunks: Sequence[bytes], cuts: Sequence[int]) -> None:
    text = b"".join(chunks)
    at = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[begin:end] for begin, end in pairwise(at)]
    assert list(told(text)) == list(told(*pieces)) == list(told(*(text[i : i + 1] for i in range(len(text)))))


def told(*chunks: bytes) -> Iterator[Event | str]:
    """The events, and how it ended."""
    parser = Parser(most=MOST)
    try:
        for chunk in chunks:
            yield from parser.feed(chunk)
    except TooLarge as error:
        yield str(error)


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-z]{1,5}", fullmatch=True),
            st.lists(st.binary(max_size=8).filter(lambda part: not {10, 13} & {*part}), min_size=1, max_size=3),
            st.from_regex(r"[a-z0-9-]{0,5}", fullmatch=True),
        )
    ),
    st.sampled_from([b"\n", b"\r", b"\r\n"]),
)
def test_what_is_written_is_read(written: Sequence[tuple[str, Sequence[bytes], str]], end: bytes) -> None:
    lines: list[bytes] = []
    for kind, parts, mark in written:
        lines += [f"event: {kind}".encode(), f"id: {mark}".encode(), *(b"data: " + part for part in parts), b""]
    events = parsed(*(line + end for line in lines))
    assert events == [Event(kind, b"\n".join(parts), mark) for kind, parts, mark in written]
