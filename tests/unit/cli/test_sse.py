"""The parser of Server-Sent Events: the same events for any split into chunks."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cli.api.sse import Event, Parser, TooLarge

MAX_BYTES = 64


def parsed(*chunks: bytes, max_bytes: int = MAX_BYTES) -> list[Event]:
    parser = Parser(max_bytes=max_bytes)
    return [event for chunk in chunks for event in parser.feed(chunk)]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        pytest.param(b"data: a\n\n", [Event("message", b"a", "")], id="data-alone"),
        pytest.param(b"event: state\ndata: {}\nid: e-1\n\n", [Event("state", b"{}", "e-1")], id="all-fields"),
        pytest.param(b"data:a\ndata: b\ndata\n\n", [Event("message", b"a\nb\n", "")], id="lines-of-data-are-joined"),
        pytest.param(b"data:  a\n\n", [Event("message", b" a", "")], id="one-space-is-removed"),
        pytest.param(b": hello\n\n: \n\ndata: a\n\n", [Event("message", b"a", "")], id="comments-are-ignored"),
        pytest.param(b"event: x\n\ndata: a\n\n", [Event("message", b"a", "")], id="no-event-without-data"),
        pytest.param(b"data: a\nretry: 5\nmore: x\n\n", [Event("message", b"a", "")], id="unknown-fields-are-ignored"),
        pytest.param(b"data: a\n", [], id="an-event-ends-with-an-empty-line"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [Event("message", b"a", "")], id="a-byte-order-mark-at-the-start"),
        pytest.param(b":\n\xef\xbb\xbfdata: a\n\n", [], id="a-later-byte-order-mark-is-part-of-the-name"),
        pytest.param(b"data: a\r\rdata: b\r\n\r\n", [Event("message", b"a", ""), Event("message", b"b", "")], id="cr"),
        pytest.param(b"id: \xff\nevent: \xff\ndata: \xff\n\n", [Event("\ufffd", b"\xff", "\ufffd")], id="no-utf-8"),
    ],
)
def test_events_are_parsed_as_the_specification_says(text: bytes, events: list[Event]) -> None:
    assert parsed(text) == events


def test_an_id_applies_until_the_next_one() -> None:
    text = b"data: a\n\nid: 1\n\ndata: b\n\nid: 2\0\ndata: c\n\ndata: d\nid\n\n"
    assert [event.id for event in parsed(text)] == ["", "1", "1", ""]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"data: " + b"a" * MAX_BYTES, id="line"),
        pytest.param(b"data: aaaaaaa\n" * (MAX_BYTES // 8 + 1), id="lines"),
        pytest.param(b":" * (MAX_BYTES + 1), id="comment"),
    ],
)
def test_an_event_that_is_too_large_is_an_error_after_the_events_before_it(text: bytes) -> None:
    parser = Parser(max_bytes=MAX_BYTES)
    found = parser.feed(b"data: first\n\n" + text)
    assert next(found).data == b"first"
    with pytest.raises(TooLarge, match="more than 64 bytes"):
        next(found)


def test_the_limit_applies_to_each_event_alone() -> None:
    assert len(parsed(b"data: aaaaaaaaaaaaaaaa\n\n: comment\n" * 100)) == 100


CHUNKS = st.lists(st.binary(max_size=40) | st.sampled_from([b"data: a\r\n", b"\r", b"\n", b"id: 1\n", b"\xef\xbb\xbf"]))


@given(CHUNKS, st.lists(st.integers(0, 200)))
def test_the_events_do_not_depend_on_the_chunks(chunks: Sequence[bytes], cuts: Sequence[int]) -> None:
    text = b"".join(chunks)
    at = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[begin:end] for begin, end in pairwise(at)]
    single_bytes = [text[i : i + 1] for i in range(len(text))]
    assert list(events_and_error(text)) == list(events_and_error(*pieces)) == list(events_and_error(*single_bytes))


def events_and_error(*chunks: bytes) -> Iterator[Event | str]:
    """Return the events, and the text of the error that ended them."""
    parser = Parser(max_bytes=MAX_BYTES)
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
def test_serialised_events_are_parsed_back(written: Sequence[tuple[str, Sequence[bytes], str]], end: bytes) -> None:
    lines: list[bytes] = []
    for kind, parts, event_id in written:
        lines += [f"event: {kind}".encode(), f"id: {event_id}".encode(), *(b"data: " + part for part in parts), b""]
    events = parsed(*(line + end for line in lines))
    assert events == [Event(kind, b"\n".join(parts), event_id) for kind, parts, event_id in written]
