"""The listening sockets: the TLS context is replaced without losing a connection, on both event loops."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import Random

import pytest
import trustme
import uvloop
from aiohttp import web
from structlog.testing import capture_logs

from monitor.config.values import write_address
from monitor.model.errors import MonitorError
from monitor.web.server import Listener
from tests.support.limits import WAIT_TIMEOUT_S

CA = trustme.CA()
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

both_loops = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


def server_context(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("127.0.0.1", common_name=name).configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


@asynccontextmanager
async def listening(
    context: ssl.SSLContext | None = None, address: tuple[str, int] = ("127.0.0.1", 0)
) -> AsyncIterator[Listener]:
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        listener = Listener(runner, *address, context)
        await listener.start()
        yield listener
        await listener.stop_accepting()
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(listener: Listener) -> AsyncIterator[Connection]:
    context = client_context() if listener.scheme == "https" else None
    reader, writer = await asyncio.open_connection(*listener.address, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.sleep(0)


async def request_on(connection: Connection) -> str:
    """Send one request; return the common name of the server's certificate, empty without TLS."""
    reader, writer = connection
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"hello")
    certificate = writer.get_extra_info("peercert") or {"subject": ()}
    names = [value for group in certificate["subject"] for key, value in group if key == "commonName"]
    return "".join(names)


async def request_to(listener: Listener) -> str:
    async with connected(listener) as connection:
        return await request_on(connection)


def run(loop: Callable[[], asyncio.AbstractEventLoop], main: Callable[[], Awaitable[None]]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            await main()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(in_time())


@both_loops
def test_the_certificate_changes_and_open_connections_stay(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with listening(server_context("first")) as listener, connected(listener) as before:
            assert await request_on(before) == "first"
            listener.set_tls_context(server_context("second"))
            assert await request_to(listener) == "second"
            assert await request_on(before) == "first"

    run(loop, main)


@both_loops
def test_no_connection_is_lost_while_the_certificate_keeps_changing(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    contexts = [server_context("one"), server_context("two")]

    async def change(listener: Listener) -> None:
        rng = Random(7)
        while True:
            listener.set_tls_context(rng.choice(contexts))
            await asyncio.sleep(0)

    async def main() -> None:
        names: list[str] = []
        async with listening(contexts[0]) as listener, asyncio.TaskGroup() as tasks:
            changing = tasks.create_task(change(listener), name="change")
            while len(names) < 10 or len(set(names)) < 2:
                names.append(await request_to(listener))
            changing.cancel()

    run(loop, main)


@both_loops
def test_client_certificates_are_required_after_the_change(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        strict = server_context("strict")
        CA.configure_trust(strict)
        strict.verify_mode = ssl.CERT_REQUIRED
        async with listening(server_context("open")) as listener:
            assert await request_to(listener) == "open"
            listener.set_tls_context(strict)
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await request_to(listener)

    run(loop, main)


async def test_plain_http_ignores_a_tls_context() -> None:
    async with listening() as listener:
        listener.set_tls_context(server_context("late"))
        assert (listener.scheme, await request_to(listener)) == ("http", "")


async def test_tls_ignores_none() -> None:
    async with listening(server_context("stays")) as listener:
        listener.set_tls_context(None)
        assert (listener.scheme, await request_to(listener)) == ("https", "stays")


async def test_port_0_is_a_free_port_that_is_reported() -> None:
    async with listening() as listener:
        host, port = listener.address
        assert host == "127.0.0.1"
        assert port > 0


async def test_each_address_is_logged() -> None:
    with capture_logs() as logs:
        async with listening(address=("127.0.0.1", 0)) as listener:
            assert logs == [
                {"event": "listening", "log_level": "info", "address": write_address(listener.address)},
            ]


async def test_an_address_that_does_not_exist_is_an_error_with_the_reason() -> None:
    """Python 3.13 raises an error without a number for it, which says «Success»."""
    with pytest.raises(MonitorError) as raised:
        async with listening(address=("198.51.100.7", 9972)):
            pass
    assert str(raised.value) == "cannot listen on 198.51.100.7:9972: Cannot assign requested address"


@both_loops
@pytest.mark.parametrize("turns", range(5))
def test_a_connection_that_arrives_while_the_daemon_stops_is_closed(
    loop: Callable[[], asyncio.AbstractEventLoop], turns: int
) -> None:
    """``turns``: of the event loop, between the connection and the stop."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            listener = await stack.enter_async_context(listening())
            with socket.create_connection(listener.address) as connection:
                connection.setblocking(False)
                for _ in range(turns):
                    await asyncio.sleep(0)
                await stack.aclose()
                with suppress(ConnectionResetError):
                    assert await asyncio.get_running_loop().sock_recv(connection, 1) == b""

    run(loop, main)


async def test_a_port_in_use_is_named_with_the_reason() -> None:
    async with listening() as first:
        with pytest.raises(MonitorError, match="Address already in use"):
            async with listening(address=first.address):
                pass
