"""What it costs to tell many readers of ``GET /api/events`` of a fleet that changes every second."""

import asyncio
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from statistics import quantiles

from aiohttp import web
from msgspec.structs import replace

from monitor.metrics.self_metrics import SelfMetrics
from monitor.polling.fleet import Entry
from monitor.web.app import make_app
from monitor.web.stream.event_stream import FLUSH_INTERVAL_S, EventStream
from tests.benchmarks.children import Child, child, cpu_s, fresh_child, resident
from tests.benchmarks.measure import Cost, Row, Scale, in_turn, spoken
from tests.benchmarks.mix import IMAGES, busy_fleet
from tests.benchmarks.serving import context_of, listen

_GZIP = b"GET %b HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n"
_FROZEN = "frozen"


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """Rows of cost, of what one frozen reader does to it, of punctuality and of memory."""
    images = scale.changing * IMAGES
    what = f"{scale.readers:,} readers, {images:,} images that change every second"
    async with fresh_child(_serve, scale) as server:
        port, bare_port = await server.receive()
        async with child(_read, port, scale.readers, "/api/events"), child(_read, bare_port, scale.readers, "/bare"):
            await _ask(server, "await readers")
            mine, other = await in_turn(scale.slow_rounds, _cost(server, "ours"), _cost(server, "theirs"))
            late_s, memory = await _ask(server, "tell")
            async with child(_read, port, 1, _FROZEN):
                frozen, again = await in_turn(scale.slow_rounds, _cost(server, "ours"), _cost(server, "theirs"))
    events = scale.readers * images
    yield Row(
        what=f"{what}: CPU a delivered event, ours : bare writes of the same bytes",
        ours=f"{mine / events * 1e6:.2g} us",
        theirs=f"{other / events * 1e6:.2g} us",
        figure=mine / other,
    )
    yield Row(
        what="the same beside one reader that takes nothing",
        ours=f"{frozen / events * 1e6:.2g} us",
        theirs=f"{again / events * 1e6:.2g} us",
        figure=frozen / again,
    )
    yield Row(what="the same: the loop is late, p99", ours=spoken(late_s), figure=late_s * 1e3, unit=" ms")
    yield Row(what="the same: memory a reader", ours=f"{memory / 1024:.1f} KiB", figure=memory / 1024, unit=" KiB")


async def _ask(server: Child, order: str) -> tuple[float, float]:
    server.send(order)
    answer: tuple[float, float] = await server.receive()
    return answer


def _cost(server: Child, order: str) -> Cost:
    async def cost() -> float:
        return (await _ask(server, order))[0]

    return cost


def _serve(pipe: Connection, scale: Scale) -> None:
    asyncio.run(_Server(pipe, scale).run())


class _Server:
    """The daemon's site on one port; on the other, a bare handler that sends each reader precomputed bytes."""

    def __init__(self, pipe: Connection, scale: Scale) -> None:
        self._pipe = pipe
        self._scale = scale
        self._pace_s = min(1.0, 2 * FLUSH_INTERVAL_S + scale.interval_s)
        self._bytes = b""
        self._due = asyncio.Event()
        self._bare_readers = 0

    async def run(self) -> None:
        """Do as the pipe says, for ever."""
        self._fleet = await busy_fleet(self._scale.changing)
        self._context = context_of(self._fleet, SelfMetrics())
        self._feed.max_readers = 4 * self._scale.readers  # one client may have a quarter of them
        bare = web.Application()
        bare.router.add_get("/bare", self._bare)
        self._pipe.send((await listen(make_app(self._context)), await listen(bare)))
        while True:
            order = await asyncio.to_thread(self._pipe.recv)
            self._pipe.send(await getattr(self, f"_{order.replace(' ', '_')}")())

    async def _await_readers(self) -> tuple[float, float]:
        self._before = resident()
        while min(self._feed.readers, self._bare_readers) < self._scale.readers:  # noqa: ASYNC110  the counters have no event
            await asyncio.sleep(0.05)
        await self._ours()  # its bytes are what the bare handler sends
        return 0.0, 0.0

    @property
    def _feed(self) -> EventStream:
        return self._context.event_stream

    async def _ours(self) -> tuple[float, float]:
        number, started = self._feed.number, cpu_s()
        for entry in self._fleet.entries.values():
            self._fleet.publish(_moved(entry))
        await asyncio.sleep(self._pace_s)
        cost = cpu_s() - started
        news = self._feed.events_after(number, None)
        assert news
        self._bytes = news.deflated
        return cost, 0.0

    async def _theirs(self) -> tuple[float, float]:
        started = cpu_s()
        due, self._due = self._due, asyncio.Event()
        due.set()
        await asyncio.sleep(self._pace_s)
        return cpu_s() - started, 0.0

    async def _tell(self) -> tuple[float, float]:
        """How late the loop is while a change goes out, and what a reader takes."""
        late: list[float] = []
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            going = tasks.create_task(self._ours(), name="change")
            while not going.done():
                due = loop.time() + 0.005
                await asyncio.sleep(0.005)
                late.append(loop.time() - due)
        return quantiles(late, n=100)[-1], (resident() - self._before) / (2 * self._scale.readers)

    async def _bare(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self._bare_readers += 1
        while True:
            await self._due.wait()
            await response.write(self._bytes)


def _moved(entry: Entry) -> Entry:
    """The same controller, all of whose images have moved."""
    collection, now = entry.collections["image"], time.time()
    moved = {
        uuid: replace(track, mark=replace(track.mark, changed_at=now))
        for uuid, track in collection.snapshot.objects.items()
    }
    snapshot = replace(collection.snapshot, objects=moved)
    return replace(entry, collections={"image": replace(collection, snapshot=snapshot)})


def _read(_pipe: Connection, port: int, readers: int, path: str) -> None:
    asyncio.run(_read_all(port, readers, path))


async def _read_all(port: int, readers: int, path: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(readers):
            tasks.create_task(_read_one(port, path), name="reader")


async def _read_one(port: int, path: str) -> None:
    """Take whatever comes, and throw it away; the frozen one takes nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
    if path == _FROZEN:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(_GZIP % b"/api/events")
        await asyncio.Event().wait()
    writer.write(_GZIP % path.encode())
    while await reader.read(2**18):
        pass
