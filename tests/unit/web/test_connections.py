"""How many connections there are, and how long the daemon waits for each: real sockets, on both event loops."""

import asyncio
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
import trustme
import uvloop
from aiohttp import web
from structlog.testing import capture_logs

from monitor.web.connections import Runner, descriptor_ceiling, lowest_free_descriptor
from monitor.web.context import Limits
from monitor.web.server import Listener
from tests.support.limits import WAIT_TIMEOUT_S

HOUR = 3600.0
PATIENT = Limits(header_timeout_s=HOUR, keepalive_s=HOUR, response_timeout_s=HOUR)
LARGE = 16 * 1024 * 1024  # more than the kernel's buffers of a connection take
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

both_loops = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


class Site:
    """A server with ``/`` (short), ``/large``, ``/done`` (large, and buffered whole) and ``/wait`` (until ``go``)."""

    def __init__(self, listener: Listener, runner: Runner, go: asyncio.Event, begun: asyncio.Semaphore) -> None:
        self.listener = listener
        self.go = go
        self.begun = begun
        self._runner = runner

    @asynccontextmanager
    async def connected(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Client"]:
        reader, writer = await asyncio.open_connection(*self.listener.address, ssl=tls)
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()

    async def all_gone(self) -> None:
        """Wait until the server has no connection any more."""
        assert self._runner.server
        while self._runner.server.connections:  # noqa: ASYNC110  nothing tells of a lost connection
            await asyncio.sleep(0.01)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def served(self) -> None:
        """Send one request, and read its response."""
        self.send(REQUEST)
        await self.reader.readuntil(b"hello")

    async def closed(self) -> bytes:
        """Wait until the server has closed the connection; return what came before."""
        with suppress(ConnectionError):
            return await self.reader.read()
        return b""


@asynccontextmanager
async def serving(limits: Limits, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    go, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def short(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=bytes(LARGE))

    async def done(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.set_write_buffer_limits(high=2 * LARGE)
        return web.Response(body=bytes(LARGE))

    async def wait(_request: web.Request) -> web.Response:
        begun.release()
        await go.wait()
        return web.Response(text="hello")

    app = web.Application()
    for path, handler in {"/": short, "/large": large, "/done": done, "/wait": wait}.items():
        app.router.add_get(path, handler)
    runner = Runner(app, lambda status: web.Response(status=status), limits, shutdown_timeout=0.1)
    await runner.setup()
    try:
        listener = Listener(runner, "127.0.0.1", 0, tls)
        await listener.start()
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            yield Site(listener, runner, go, begun)
    finally:
        await runner.cleanup()


def run(loop: Callable[[], asyncio.AbstractEventLoop], main: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


# -- waiting for a request


def limits(**changed: float) -> Limits:
    values = {"header_timeout_s": HOUR, "keepalive_s": HOUR, "response_timeout_s": HOUR, **changed}
    return Limits(**values)  # type: ignore[arg-type]


@both_loops
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost:"], ids=["nothing", "half-a-header"])
def test_a_client_that_sends_no_whole_header_is_disconnected(
    loop: Callable[[], asyncio.AbstractEventLoop], sent: bytes
) -> None:
    async def main() -> None:
        async with serving(limits(header_timeout_s=0.1)) as site, site.connected() as client:
            client.send(sent)
            assert await client.closed() == b""

    run(loop, main)


@both_loops
def test_a_header_that_comes_drop_by_drop_has_the_same_deadline(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with serving(limits(header_timeout_s=0.3)) as site, site.connected() as client:
            client.send(b"GET / HTTP/1.1\r\n")
            closing = asyncio.ensure_future(client.closed())
            while not closing.done():
                client.send(b"X: y\r\n")
                await asyncio.sleep(0.02)
            assert closing.result() == b""

    run(loop, main)


@both_loops
def test_the_deadline_of_a_header_also_holds_for_later_requests(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with serving(limits(header_timeout_s=0.2)) as site, site.connected() as client:
            await client.served()
            client.send(b"GET / HTTP/1.1\r\nHost:")
            assert await client.closed() == b""

    run(loop, main)


@both_loops
def test_a_connection_without_requests_ends_after_the_keep_alive(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with serving(limits(keepalive_s=0.2)) as site, site.connected() as client:
            await client.served()
            assert await client.closed() == b""

    run(loop, main)


@both_loops
def test_a_request_that_takes_long_is_not_an_idle_connection(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with serving(limits(header_timeout_s=0.1, keepalive_s=0.1)) as site, site.connected() as client:
            client.send(REQUEST.replace(b"/", b"/wait", 1) + b"GET")  # and the next one begins
            await site.begun.acquire()
            async with site.connected() as other:
                assert await other.closed() == b""  # both timeouts have passed
            site.go.set()
            await client.reader.readuntil(b"hello")

    run(loop, main)


# -- how many


@both_loops
def test_the_connection_that_is_idle_longest_makes_room_for_a_new_one(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        most = Limits(max_connections=3, header_timeout_s=HOUR, keepalive_s=HOUR)
        async with (
            serving(most) as site, site.connected() as first, site.connected() as second, site.connected() as third,
        ):  # fmt: skip
            for client in (first, third, second, first):
                await client.served()
            async with site.connected() as fourth, site.connected() as fifth:
                await fourth.served()
                await fifth.served()
                assert (await third.closed(), await second.closed()) == (b"", b"")
                await first.served()

    run(loop, main)


@both_loops
def test_hundreds_of_silent_connections_keep_nobody_out(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        most = Limits(max_connections=20, header_timeout_s=HOUR, keepalive_s=HOUR)
        async with serving(most) as site:
            silent = [socket.create_connection(site.listener.address) for _ in range(100)]
            for each in silent[::2]:
                each.sendall(b"GET / HTTP/1.1\r\nHost:")
            async with site.connected() as client:
                await client.served()
            assert site._runner.server
            while len(site._runner.server.connections) > 20:  # noqa: ASYNC110  nothing tells of a lost connection
                await asyncio.sleep(0.01)
            for each in silent:
                each.close()
            await site.all_gone()

    run(loop, main)


@both_loops
def test_a_new_connection_is_refused_and_logged_while_all_others_are_served(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        most = Limits(max_connections=2, header_timeout_s=HOUR, keepalive_s=HOUR)
        async with serving(most) as site, site.connected() as first, site.connected() as second:
            for client in (first, second):
                client.send(REQUEST.replace(b"/", b"/wait", 1))
                await site.begun.acquire()
            for _ in range(3):
                async with site.connected() as third:
                    assert await third.closed() == b""
            site.go.set()
            for client in (first, second):
                await client.reader.readuntil(b"hello")

    with capture_logs() as logs:
        run(loop, main)
    refused = [line for line in logs if line["event"] != "listening"]
    assert refused == [{"event": "connection_refused", "log_level": "warning", "connections": 2}], "once a minute"


@contextmanager
def one_descriptor_left() -> Iterator[None]:
    """Leave one descriptor to clients, and a few more to the process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    with ExitStack() as stack:
        while lowest_free_descriptor() < highest:  # so that the next ones have the numbers after it
            stack.enter_context(Path("/dev/null").open())
        wanted = lowest_free_descriptor() + 1
        few = next(most for most in range(wanted, 2 * wanted) if most - most // 16 == wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, before[1]))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        assert descriptor_ceiling() == wanted
        yield


@both_loops
def test_no_client_gets_the_last_descriptors(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with serving(PATIENT) as site:
            with one_descriptor_left():
                async with site.connected() as client:  # takes the last one itself
                    assert await client.closed() == b""
            async with site.connected() as client:
                await client.served()

    run(loop, main)


@both_loops
def test_no_tls_handshake_gets_the_last_descriptors(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    ca = trustme.CA()
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    ca.issue_cert("127.0.0.1").configure_cert(server)
    ca.configure_trust(trusting)

    async def main() -> None:
        async with serving(PATIENT, server) as site:
            with one_descriptor_left(), pytest.raises((ssl.SSLError, ConnectionError)):
                async with site.connected(trusting):
                    pass
            async with site.connected(trusting) as client:
                await client.served()

    run(loop, main)


# -- answers that are not read


@both_loops
@pytest.mark.parametrize("path", [b"/large", b"/done"])
@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
def test_an_answer_that_is_not_read_does_not_stay_in_memory(
    loop: Callable[[], asyncio.AbstractEventLoop], path: bytes, connection: bytes
) -> None:
    async def main() -> None:
        async with serving(limits(response_timeout_s=0.2, keepalive_s=0.2)) as site:
            readers = [socket.create_connection(site.listener.address) for _ in range(5)]
            for each in readers:
                each.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: %b\r\n\r\n" % (path, connection))
            await site.all_gone()
            for each in readers:
                each.close()

    run(loop, main)


@both_loops
def test_an_answer_that_is_read_slowly_comes_whole(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with serving(PATIENT) as site, site.connected() as client:
            client.send(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await client.reader.readuntil(b"\r\n\r\n")
            assert len(await client.closed()) == LARGE

    run(loop, main)
