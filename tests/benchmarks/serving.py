"""What a scrape costs the process over HTTP, against the same bytes served as they lie in memory."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from multiprocessing.connection import Connection
from typing import Self

from aiohttp import web

from monitor.config.settings import Events, Log, Poll
from monitor.config.types import Config, Difference
from monitor.metrics import exposition
from monitor.metrics.self_metrics import SelfMetrics
from monitor.patching.patcher import Patcher
from monitor.polling.fleet import Fleet
from monitor.polling.resources import RESOURCES
from monitor.store import Store
from monitor.web.app import make_app
from monitor.web.auth.authenticator import Authenticator
from monitor.web.context import Context
from monitor.web.forward import Forwarder
from monitor.web.scrape_bodies import ScrapeBodies
from monitor.web.stream.event_stream import EventStream
from tests.benchmarks.children import child
from tests.benchmarks.measure import Row, Scale, in_turn, spoken
from tests.benchmarks.mix import fleet_of, image_series
from tests.benchmarks.scraping import pieces_of


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """Rows of both encodings, for each number of series."""
    for series in scale.series:
        async with child(_serve, series) as server:
            what, our_port, their_port = await server.receive()
            for encoding in ("identity", "gzip"):
                async with (
                    _Scrapes(our_port, "/metrics", encoding) as ours,
                    _Scrapes(their_port, f"/{encoding}", encoding) as theirs,
                ):
                    mine, other = await in_turn(
                        scale.slow_rounds,
                        partial(ours.cost, scale.requests, theirs),
                        partial(theirs.cost, scale.requests, theirs),
                    )
                yield Row(
                    what=f"HTTP, {what}, {encoding}: CPU of the event loop's thread a scrape, ours : static bytes",
                    ours=spoken(mine),
                    theirs=spoken(other),
                    figure=mine / other,
                    limit=1.2 if series == 100_000 else None,
                )


class _Scrapes:
    """A connection on which one path is scraped, by reading as little into it as possible."""

    def __init__(self, port: int, path: str, encoding: str) -> None:
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {encoding}\r\n\r\n".encode()

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def cost(self, times: int, asked: "_Scrapes") -> float:
        """What one of so many scrapes cost the process that serves, as that itself says when asked."""
        before = await asked.server_cpu_s()
        for _ in range(times):
            await self._get(self._request)
        return (await asked.server_cpu_s() - before) / times

    async def server_cpu_s(self) -> float:
        """All that the serving process cost so far."""
        return float(await self._get(b"GET /cpu HTTP/1.1\r\nHost: localhost\r\n\r\n"))

    async def _get(self, request: bytes) -> bytes:
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200"), head
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        return await self._reader.readexactly(length)


def _serve(pipe: Connection, series: int) -> None:
    asyncio.run(_serve_both(pipe, series))


class _Changing(Fleet):
    """A fleet as if something were published before every scrape: without that, scrapes share one compressed body."""

    _reads = 0

    @property
    def publications(self) -> int:
        """Another number each time."""
        self._reads += 1
        return self._reads

    @publications.setter
    def publications(self, _: int) -> None: ...


async def _serve_both(pipe: Connection, series: int) -> None:
    """Our site on one port; on the other the same bytes, ready, and what this process cost so far."""
    fleet, own = _Changing(), SelfMetrics()
    for entry in (await fleet_of(series)).entries.values():
        fleet.publish(entry)
    ours = await listen(make_app(context_of(fleet, own)))
    theirs = await listen(_static([*pieces_of(fleet), own.render(openmetrics=False)]))
    pipe.send((f"{image_series(fleet):,} image series", ours, theirs))
    await asyncio.Event().wait()


def context_of(fleet: Fleet, own: SelfMetrics) -> Context:
    """Build what a scrape needs; the rest is as it is without any PATCH."""
    audit_log = Store("sqlite://").audit_log
    config = Config(
        listen_host="127.0.0.1",
        listen_port=0,
        database="sqlite://",
        poll=Poll(),
        log=Log(),
        events=Events(),
        controllers=(),
        files=(),
    )
    return Context(
        fleet=fleet,
        self_metrics=own,
        authenticator=Authenticator(config, own, clock=time.monotonic),
        audit_log=audit_log,
        forwarder=Forwarder(
            is_standby=lambda: False, writer_url=lambda: "", timeout_s=lambda: 0.0, changed=_show_nothing
        ),
        event_stream=EventStream(fleet, now=time.time),
        scrape_bodies=ScrapeBodies(fleet, RESOURCES),
        now=time.time,
        patcher=Patcher(fleet, audit_log, {}, now=time.time, on_outcome=own.patched),
        upgrade_logs=lambda _name: (),
        tenants={},
        reload=_no_reload,
        stall_reason=_healthy,
        not_ready_reason=lambda: "",
        not_writer_reason=lambda: "",
    )


async def _healthy() -> str:
    return ""


async def _show_nothing(_response: bytes) -> None:
    return


async def _no_reload() -> Difference:
    raise NotImplementedError


def _static(pieces: list[bytes]) -> web.Application:
    identity = b"".join(pieces)
    gzipped = b"".join(exposition.gzip_member(exposition.compress(pieces), b""))

    async def as_it_is(_request: web.Request) -> web.Response:
        return web.Response(body=identity, content_type="text/plain")

    async def compressed(_request: web.Request) -> web.Response:
        return web.Response(body=gzipped, content_type="text/plain", headers={"Content-Encoding": "gzip"})

    async def cpu(_request: web.Request) -> web.Response:
        return web.Response(text=repr(time.thread_time()))

    bare = web.Application()
    bare.router.add_get("/identity", as_it_is)
    bare.router.add_get("/gzip", compressed)
    bare.router.add_get("/cpu", cpu)
    return bare


async def listen(application: web.Application) -> int:
    """Serve it; the port."""
    runner = web.AppRunner(application, access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port: int = runner.addresses[0][1]
    return port
