"""The listening socket: TLS exchanged on it without a gap and without an end to connections, on both event loops."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
import trustme
import uvloop
from aiohttp import web

from monitor.model.errors import MonitorError
from monitor.web.server import Listener
from tests.support.limits import WAIT_TIMEOUT_S

CA = trustme.CA()
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

both_loops = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


def serving(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("127.0.0.1", common_name=name).configure_cert(context)
    return context


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


@asynccontextmanager
async def listening(
    context: ssl.SSLContext | None = None, address: tuple[str, int] = ("127.0.0.1", 0)
) -> AsyncIterator[Listener]:
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    site = web.Application()
    site.router.add_get("/", hello)
    runner = web.AppRunner(site, shutdown_timeout=0.1)
    await runner.setup()
    try:
        listener = Listener(runner, *address, context)
        await listener.start()
        yield listener
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(listener: Listener) -> AsyncIterator[Connection]:
    context = trusting() if listener.scheme == "https" else None
    reader, writer = await asyncio.open_connection(*listener.address, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.sleep(0)


async def talk(connection: Connection) -> str:
    """One request on it; as whom it was answered, empty in clear."""
    reader, writer = connection
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"hello")
    certificate = writer.get_extra_info("peercert") or {"subject": ()}
    names = [value for group in certificate["subject"] for key, value in group if key == "commonName"]
    return "".join(names)


async def asked(listener: Listener) -> str:
    async with connected(listener) as connection:
        return await talk(connection)


def run(loop: Callable[[], asyncio.AbstractEventLoop], main: Callable[[], Awaitable[None]]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            await main()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(in_time())


@both_loops
def test_the_certificate_changes_and_who_is_connected_goes_on(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with listening(serving("first")) as listener, connected(listener) as before:
            assert await talk(before) == "first"
            listener.renew(serving("second"))
            assert await asked(listener) == "second"
            assert await talk(before) == "first"

    run(loop, main)


@both_loops
def test_no_connection_is_lost_while_the_certificate_changes_all_the_time(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    contexts = [serving("one"), serving("two")]

    async def change(listener: Listener) -> None:
        rng = Random(7)
        while True:
            listener.renew(rng.choice(contexts))
            await asyncio.sleep(0)

    async def main() -> None:
        async with listening(contexts[0]) as listener, asyncio.TaskGroup() as tasks:
            changing = tasks.create_task(change(listener), name="change")
            names = {await asked(listener) for _ in range(100)}
            changing.cancel()
        assert names == {"one", "two"}

    run(loop, main)


@both_loops
def test_clients_are_asked_for_certificates_from_the_change_on(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        strict = serving("strict")
        CA.configure_trust(strict)
        strict.verify_mode = ssl.CERT_REQUIRED
        async with listening(serving("open")) as listener:
            assert await asked(listener) == "open"
            listener.renew(strict)
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await asked(listener)

    run(loop, main)


async def test_plain_http_has_no_certificate_and_cannot_be_given_one() -> None:
    async with listening() as listener:
        listener.renew(serving("late"))
        assert (listener.scheme, await asked(listener)) == ("http", "")


async def test_tls_cannot_be_taken_away() -> None:
    async with listening(serving("stays")) as listener:
        listener.renew(None)
        assert (listener.scheme, await asked(listener)) == ("https", "stays")


async def test_port_0_takes_a_free_one_and_tells() -> None:
    async with listening() as listener:
        host, port = listener.address
        assert host == "127.0.0.1"
        assert port > 0


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
async def test_an_address_that_cannot_be_had_is_named(host: str) -> None:
    with pytest.raises(MonitorError, match=f"^cannot listen on {host}:9972: .*[a-z]"):
        async with listening(address=(host, 9972)):
            pass


async def test_a_taken_port_is_named_with_the_reason() -> None:
    async with listening() as first:
        with pytest.raises(MonitorError, match="Address already in use"):
            async with listening(address=first.address):
                pass
