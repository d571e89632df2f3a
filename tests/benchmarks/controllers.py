"""Controllers that answer from memory: a log-in, a page of images, one of units. Each has an origin of its own."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection

from tests.benchmarks.mix import BUSY, IDLE, IMAGES, State, body, image, units

BUSY_EVERY = 10  # of a fleet: one Controller in so many processes an image

Bodies = Callable[[int], bytes]
"""The answer to a question, by how many were asked before it on the same connection."""

_CYCLE = 20
_UNITS = units()
_LOGIN = b'{"version":{"Version":"30.2.1"},"session_cookie_name":"avi-sessionid"}'


class _Answering(asyncio.Protocol):
    """As little of HTTP/1.1 as two clients need that we know."""

    def __init__(self, bodies: Bodies, turn: Callable[[], None]) -> None:
        self._bodies = bodies
        self._turn = turn
        self._asked = 0
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to write to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that came whole."""
        self._held += data
        while (end := self._held.find(b"\r\n\r\n") + 4) > 3:
            head = self._held[:end].lower()
            _, _, length = head.partition(b"\r\ncontent-length:")
            end += int(length.partition(b"\r\n")[0] or 0)
            if len(self._held) < end:
                return
            self._held = self._held[end:]
            self._transport.write(self._answer(head))

    def _answer(self, head: bytes) -> bytes:
        path = head.split(b" ", 2)[1]
        answer = _LOGIN
        if path.startswith(b"/api/image"):
            self._asked += 1
            answer = self._bodies(self._asked)
        elif path.startswith(b"/api/upgradestatus"):
            answer = _UNITS
        elif path == b"/turn":
            self._turn()
        return _head(len(answer), self._asked) + answer


def _head(length: int, asked: int) -> bytes:
    """The session cookies are set again in every answer, with a later end each time, as Controllers do."""
    until = b"expires=Thu, 15 Jan 2026 10:%02d:%02d GMT" % (asked // 60 % 60, asked % 60)
    cookies = b"".join(
        b"Set-Cookie: %b; %b; Max-Age=%d; Path=/\r\n" % (cookie, until, age)
        for cookie, age in (
            (b"csrftoken=Zm9vYmFyZm9vYmFyZm9vYmFy", 31449600),
            (b"avi-sessionid=9v2m1c7k5x3j8q4w6e0r; HttpOnly", 86400),
            (b"sessionid=9v2m1c7k5x3j8q4w6e0r; HttpOnly", 86400),
        )
    )
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n" % (length, cookies)


def serve_plans(pipe: Connection, size: int) -> None:
    """Serve one Controller a plan, bodies of about ``size``; send its origin by the plan's name."""
    asyncio.run(_serve_plans(pipe, size))


async def _serve_plans(pipe: Connection, size: int) -> None:
    plans = {
        "nothing changed": _cycle(size, changing=0),
        "one of 20 changed": _cycle(size, changing=1),
        "all changed": _cycle(size, changing=IMAGES),
    }
    pipe.send({plan: await _listen(partial(_taken, bodies), lambda: None) for plan, bodies in plans.items()})
    await asyncio.Event().wait()


def _cycle(size: int, *, changing: int) -> Sequence[bytes]:
    """Bodies of which neighbours differ in the first so many images, the last and the first too."""
    return [
        body(
            [
                image("avi-0000", place, state, turn=turn if place < changing else 0, size=size // IMAGES)
                for place, state in enumerate(BUSY)
            ]
        )
        for turn in range(_CYCLE)
    ]


def _taken(bodies: Sequence[bytes], asked: int) -> bytes:
    return bodies[asked % len(bodies)]


async def _listen(bodies: Bodies, turn: Callable[[], None]) -> str:
    server = await asyncio.get_running_loop().create_server(lambda: _Answering(bodies, turn), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    return f"http://{host}:{port}"


def serve_fleet(pipe: Connection, controllers: int, size: int) -> None:
    """Serve many; send their origins in order. ``POST /turn`` to one changes the first of its images."""
    asyncio.run(_serve_fleet(pipe, controllers, size))


async def _serve_fleet(pipe: Connection, controllers: int, size: int) -> None:
    pipe.send([await _listen_as(number, size) for number in range(controllers)])
    await asyncio.Event().wait()


async def _listen_as(number: int, size: int) -> str:
    """Some are busy. Only the images that differ are made for each; the rest of the bytes are shared."""
    name, turns = f"avi-{number:04}", 0
    states: tuple[State, ...] = IDLE if number % BUSY_EVERY else BUSY
    rest = [image(name, place, state, size=size // IMAGES) for place, state in enumerate(states) if place]

    def bodies(_asked: int) -> bytes:
        return body([image(name, 0, states[0], turn=turns, size=size // IMAGES), *rest])

    def turn() -> None:
        nonlocal turns
        turns += 1

    return await _listen(bodies, turn)
