"""The stream of a daemon for as long as anybody wants it: it is come back to when it ends or breaks."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from random import Random  # noqa: TID251  the type of an argument; watch.py makes the one there is
from typing import Final, TypeAlias

from msgspec import Struct

from monitor.cli.api.client import Remote
from monitor.cli.api.responses import ConnectionLost, ServerError
from monitor.cli.api.sse import Event, Parser, TooLarge
from monitor.cli.api.view import Message, decode_message
from monitor.polling.schedule import backoff_s

PATH: Final = "/api/events"

_LARGEST: Final = 256 * 1024 * 1024  # bytes of one event; a state of 100,000 images has some eighty million
_LEAST_S, _MOST_S = 0.25, 10.0  # of the wait before the next try: a daemon that restarts is back within seconds


class Opened(Struct, frozen=True):
    """There is a connection, for the first time or again."""


Heard: TypeAlias = Opened | ConnectionLost | Message


async def follow(remote: Remote, rng: Random) -> AsyncGenerator[Heard]:
    """
    What the daemon tells, and how the connection to it goes; without an end.

    Raises: Rejected; ServerError for what is no daemon's; ConnectionLost when the very first connection cannot be made.
    """
    last_id, failures, opened = "", 0, False
    while True:
        try:
            async with remote.listening(PATH, _headers(last_id)) as chunk:
                opened = True
                yield Opened()
                async with aclosing(_events(chunk)) as events:
                    async for event in events:
                        if message := decode_message(event):
                            failures = 0
                            yield message
                        last_id = event.id or last_id
            lost = ConnectionLost("the daemon has ended the stream")
        except ConnectionLost as error:
            if not opened:
                raise
            lost = error
        yield lost
        failures += 1
        await asyncio.sleep(backoff_s(failures, rng, least_s=_LEAST_S, most_s=_MOST_S))


def _headers(last_id: str) -> dict[str, str]:
    """An id that no header can carry is none."""
    sound = last_id.isascii() and last_id.isprintable()
    return {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id and sound else {})


async def _events(chunk: Callable[[], Awaitable[bytes]]) -> AsyncGenerator[Event]:
    """Raises: ServerError for an event that is too large; ConnectionLost."""
    parser = Parser(most=_LARGEST)
    try:
        while block := await chunk():
            for event in parser.feed(block):
                yield event
    except TooLarge as error:
        raise ServerError(f"{PATH}: an event has {error}") from error
