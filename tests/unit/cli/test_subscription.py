"""The subscription to the event stream: it reconnects, and rejects what is not the daemon's stream."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from random import Random

import pytest

from monitor.cli.api.client import connect
from monitor.cli.api.messages import Message
from monitor.cli.api.responses import CommandError, ConnectionLost, Rejected, ServerError
from monitor.cli.api.subscription import MAX_EVENT_BYTES, Connected, StreamItem, subscribe
from monitor.cli.params import Access

TIMEOUT_S = 20.0
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"
FIRST = STREAM + b'event: state\ndata: {"now":1000,"parts":[]}\nid: e-1\n\n'
SECOND = STREAM + b'event: change\ndata: {"now":1001,"part":{"controller":"dc1"}}\nid: e-2\n\n'
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def fake_daemon(*responses: bytes, silent: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that sends one response a request, and closes the connection unless ``silent``; its URL and requests."""
    heads: list[bytes] = []
    remaining = iter(responses)
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(next(remaining, b""))
        await writer.drain()
        if silent:
            await done.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
        done.set()


class ShortestWait(Random):
    """Returns the shortest back-off."""

    def uniform(self, a: float, _b: float) -> float:
        return a


async def receive(
    url: str,
    enough: Callable[[list[StreamItem]], bool],
    *,
    timeout_s: float = TIMEOUT_S,
    max_event_bytes: int = MAX_EVENT_BYTES,
) -> list[StreamItem]:
    """Return the items up to the one that is enough."""
    items: list[StreamItem] = []
    async with (
        asyncio.timeout(TIMEOUT_S),
        connect(Access(url=url, timeout_s=timeout_s)) as client,
        aclosing(subscribe(client, ShortestWait(7), max_event_bytes=max_event_bytes)) as stream,
    ):
        async for item in stream:
            items.append(item)
            if enough(items):
                break
    return items


def messages(items: Iterable[StreamItem]) -> list[Message]:
    return [item for item in items if isinstance(item, Message)]


async def test_the_client_reconnects_with_the_last_event_id() -> None:
    async with fake_daemon(FIRST, SECOND) as (url, heads):
        items = await receive(url, lambda items: len(messages(items)) == 2)
    assert [type(item) for item in items] == [Connected, Message, ConnectionLost, Connected, Message]
    assert [b"Last-Event-ID" in head for head in heads] == [False, True]
    assert b"\r\nLast-Event-ID: e-1\r\n" in heads[1]
    assert b"\r\nAccept: text/event-stream\r\n" in heads[0]


async def test_the_client_reconnects_until_the_daemon_is_back() -> None:
    truncated = STREAM.replace(b"Connection: close", b"Content-Length: 1000") + b"data: "
    async with fake_daemon(FIRST, UNAVAILABLE, truncated, SECOND) as (url, heads):
        items = await receive(url, lambda items: len(messages(items)) == 2)
    assert [type(item) for item in items] == [
        Connected,
        Message,
        ConnectionLost,
        ConnectionLost,
        Connected,
        ConnectionLost,
        Connected,
        Message,
    ]
    assert [str(item).removeprefix(url) for item in items if isinstance(item, ConnectionLost)] == [
        "the daemon ended the stream",
        "503 Service Unavailable: expected the daemon's JSON, found no Content-Type",
        ": no connection: the connection broke during the reply",
    ]
    assert all(b"Last-Event-ID: e-1" in head for head in heads[1:])


async def test_unknown_events_are_skipped() -> None:
    unknown = (
        STREAM + b'event: rumour\ndata: x\n\nid: e-7\nevent: change\ndata: {"now":1,"part":{"controller":"dc1"}}\n\n'
    )
    async with fake_daemon(unknown) as (url, _):
        items = await receive(url, lambda items: len(messages(items)) == 1)
    assert [type(item) for item in items] == [Connected, Message]


async def test_an_id_that_a_header_cannot_carry_is_not_sent() -> None:
    unsendable = FIRST.replace(b"e-1", b"\xc3\xa4\x1b")
    async with fake_daemon(unsendable, SECOND) as (url, heads):
        await receive(url, lambda items: len(messages(items)) == 2)
    assert b"Last-Event-ID" not in heads[1]


async def test_silence_is_a_lost_connection() -> None:
    async with fake_daemon(FIRST, silent=True) as (url, _):
        *_, lost = await receive(url, lambda items: isinstance(items[-1], ConnectionLost), timeout_s=1.0)
    assert str(lost) == "no data for 1 s"


def response(status: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


NOT_A_STREAM: Sequence[tuple[str, bytes, type[CommandError], str]] = (
    (
        "older",
        response("404 Not Found", b'{"detail":"x"}'),
        ServerError,
        "the daemon has no /api/events: it is older than",
    ),
    (
        "no-credential",
        response("401 No", b'{"detail":"who","status":401,"title":"Credentials"}'),
        Rejected,
        "401 Credentials: who",
    ),
    (
        "forbidden",
        response("403 No", b'{"detail":"no","status":403,"title":"Forbidden"}'),
        Rejected,
        "403 Forbidden: no",
    ),
    ("full", response("503 No", b'{"detail":"full","status":503,"title":"Busy"}'), ConnectionLost, "503 Busy: full"),
    ("json", response("200 OK", b"{}"), ServerError, "/api/events is not an event stream; is this the daemon?"),
    ("page", response("200 OK", b"<html>", "text/html"), ServerError, "is this the daemon?"),
    ("moved", response("302 Found"), ServerError, "302 Found"),
    ("no-content", response("204 No Content"), ServerError, "204 No Content"),
    ("nonsense", STREAM + b"event: state\ndata: {}\n\n", ServerError, "this version cannot decode the response"),
    ("no-http", b"SSH-2.0\r\n", ServerError, "unusable response: the reply is not valid HTTP"),
    ("closed", b"", ConnectionLost, "no connection: Server disconnected"),
    (
        "truncated",
        response("403 No", b"12345")[:-1],
        ConnectionLost,
        "the connection broke during the reply",
    ),
)


@pytest.mark.parametrize(
    ("first", "error_type", "text"), [row[1:] for row in NOT_A_STREAM], ids=[row[0] for row in NOT_A_STREAM]
)
async def test_a_response_that_is_not_a_stream_is_an_error(
    first: bytes, error_type: type[CommandError], text: str
) -> None:
    async with fake_daemon(first) as (url, _):
        with pytest.raises(error_type) as caught:
            await receive(url, lambda _: False)
    assert type(caught.value) is error_type
    assert text in str(caught.value)


async def test_a_revoked_token_ends_the_subscription_at_the_next_connection() -> None:
    unauthorized = response("401 No", b'{"detail":"who","status":401,"title":"Credentials"}')
    async with fake_daemon(FIRST, unauthorized) as (url, heads):
        with pytest.raises(Rejected, match="401 Credentials: who"):
            await receive(url, lambda _: False)
    assert len(heads) == 2


async def test_an_event_that_is_too_large_is_an_error() -> None:
    async with fake_daemon(FIRST) as (url, _):
        with pytest.raises(ServerError, match="/api/events: an event has more than 16 bytes"):
            await receive(url, lambda _: False, max_event_bytes=16)
