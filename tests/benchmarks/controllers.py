"""Controllers that answer from memory: a log-in, a page of images, one of units. Each has an origin of its own."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection

import trustme

from tests.benchmarks.mix import BUSY, IDLE, IMAGES, State, body, image, units

BUSY_EVERY = 10  # of a fleet: one Controller in so many processes an image

Bodies = Callable[[int], bytes]
"""The answer to a question, by how many were asked before it on the same connection."""

_CYCLE = 20
_UNITS = units()
_NODES = b'{"cluster_state":{"state":"CLUSTER_UP_NO_HA"},"node_states":[{"name":"node1","state":"CLUSTER_ACTIVE"}]}'
_LOGIN = b'{"version":{"Version":"30.2.1"},"session_cookie_name":"avi-sessionid"}'


class _Controller:
    """``requests``: how many it got, on all connections, but for those about itself."""

    def __init__(self, bodies: Bodies, turn: Callable[[], None] = lambda: None) -> None:
        self.bodies = bodies
        self.turn = turn
        self.requests = 0


class _Answering(asyncio.Protocol):
    """As little of HTTP/1.1 as the clients need that we know."""

    def __init__(self, controller: _Controller) -> None:
        self._controller = controller
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
        answer = self._answer_to(head.split(b" ", 2)[1])
        return _head(len(answer), self._asked) + answer

    def _answer_to(self, path: bytes) -> bytes:
        if path == b"/requests":
            return b"%d" % self._controller.requests
        if path == b"/turn":
            self._controller.turn()
            return b""
        self._controller.requests += 1
        if path.startswith(b"/api/image"):
            self._asked += 1
            return self._controller.bodies(self._asked)
        if path.startswith(b"/api/upgradestatus"):
            return _UNITS
        return _NODES if path == b"/api/cluster/runtime" else _LOGIN


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


def serve_plans(pipe: Connection, size: int, over_tls: bool = False) -> None:
    """Serve one Controller a plan, bodies of about ``size``; send its origin by the plan's name, and their CA, PEM."""
    asyncio.run(_serve_plans(pipe, size, over_tls=over_tls))


async def _serve_plans(pipe: Connection, size: int, *, over_tls: bool) -> None:
    plans = {
        "nothing changed": _cycle(size, changing=0),
        "one of 20 changed": _cycle(size, changing=1),
        "all changed": _cycle(size, changing=IMAGES),
    }
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if over_tls else None
    if context:
        authority.issue_cert("127.0.0.1").configure_cert(context)
    origins = {plan: await _listen(_Controller(partial(_taken, bodies)), context) for plan, bodies in plans.items()}
    pipe.send((origins, authority.cert_pem.bytes().decode()))
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


async def _listen(controller: _Controller, context: ssl.SSLContext | None = None) -> str:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answering(controller), "127.0.0.1", 0, ssl=context)
    host, port = server.sockets[0].getsockname()[:2]
    return f"{'https' if context else 'http'}://{host}:{port}"


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

    return await _listen(_Controller(bodies, turn))
