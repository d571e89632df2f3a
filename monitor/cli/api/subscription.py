"""A subscription to the daemon's event stream, which reconnects when the stream ends or breaks."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from random import Random  # noqa: TID251  the type of an argument; the command makes the one rng
from typing import Final, TypeAlias

from msgspec import Struct

from monitor.cli.api.client import DaemonClient
from monitor.cli.api.messages import Message, decode_message
from monitor.cli.api.responses import ConnectionLost, ServerError
from monitor.cli.api.sse import Event, Parser, TooLarge
from monitor.cli.api.view import FleetView, apply
from monitor.polling.schedule import backoff_s

PATH: Final = "/api/events"
MAX_EVENT_BYTES: Final = 256 * 1024 * 1024  # a state of 100,000 images has about 80 MB

_MIN_BACKOFF_S, _MAX_BACKOFF_S = 0.25, 10.0  # a daemon that restarts is back within seconds


class Connected(Struct, frozen=True):
    """The stream is open, for the first time or again."""


StreamItem: TypeAlias = Connected | ConnectionLost | Message


async def subscribe(
    client: DaemonClient, rng: Random, *, max_event_bytes: int = MAX_EVENT_BYTES
) -> AsyncGenerator[StreamItem]:
    """
    Yield the messages of the daemon and the changes of the connection; never ends by itself.

    Raises: Rejected; ServerError for a response that is not the daemon's; ConnectionLost when the first connection
    fails.
    """
    last_id, failures, was_connected = "", 0, False
    while True:
        try:
            async with client.stream(PATH, _headers(last_id)) as read_chunk:
                was_connected = True
                yield Connected()
                async with aclosing(_events(read_chunk, max_event_bytes)) as events:
                    async for event in events:
                        if message := decode_message(event):
                            failures = 0
                            yield message
                        last_id = event.id or last_id
            lost = ConnectionLost("the daemon ended the stream")
        except ConnectionLost as error:
            if not was_connected:
                raise
            lost = error
        yield lost
        failures += 1
        await asyncio.sleep(backoff_s(failures, rng, base_s=_MIN_BACKOFF_S, max_s=_MAX_BACKOFF_S))


async def read_state(client: DaemonClient) -> tuple[FleetView, float]:
    """
    Return the state of all controllers at present, and the daemon's clock.

    Raises: Rejected; ServerError, also when the stream ends before its first message.
    """
    async with (
        client.stream(PATH, _headers("")) as read_chunk,
        aclosing(_events(read_chunk, MAX_EVENT_BYTES)) as events,
    ):
        async for event in events:
            if (message := decode_message(event)) and message.is_full:
                view, _ = apply(FleetView(), message, received_at=message.now)
                return view, message.now
    raise ConnectionLost("the daemon ended the stream before its first message")


def _headers(last_id: str) -> dict[str, str]:
    """Return the headers of the request, without an id that is not valid in a header."""
    is_sendable = last_id.isascii() and last_id.isprintable()
    return {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id and is_sendable else {})


async def _events(read_chunk: Callable[[], Awaitable[bytes]], max_event_bytes: int) -> AsyncGenerator[Event]:
    """Raises: ServerError for an event that is too large; ConnectionLost."""
    parser = Parser(max_bytes=max_event_bytes)
    try:
        while chunk := await read_chunk():
            for event in parser.feed(chunk):
                yield event
    except TooLarge as error:
        raise ServerError(f"{PATH}: an event has {error}") from error
