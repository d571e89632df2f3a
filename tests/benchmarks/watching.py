"""The whole daemon on a large fleet: what it costs, how punctual it is, and how soon a scrape shows a change."""

import asyncio
import re
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from statistics import quantiles
from tempfile import TemporaryDirectory

import aiohttp
from msgspec.structs import replace

from tests.benchmarks.children import Child, child, fresh_child
from tests.benchmarks.controllers import BUSY_EVERY, serve_fleet
from tests.benchmarks.daemon_child import FleetSpec, Watched, run_daemon
from tests.benchmarks.measure import Row, Scale, spoken
from tests.benchmarks.mix import IMAGES

_FEW = 10
_LATE_LIMIT = 0.05  # of the interval
_TURN = re.compile(rb'^avi_image_duration_seconds\{controller="avi-(\d+)",[^}]*\} (\S+)$', re.MULTILINE)


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """Rows of cost, memory, punctuality and freshness: of a usual fleet, with uvloop, and of a very large one."""
    usual = FleetSpec(
        controllers=scale.controllers, interval_s=scale.interval_s, size=200_000, watched_s=scale.watched_s
    )
    async with _started(usual) as (origins, daemon):
        watched, fresh_s = await _watch(usual, origins, daemon)
    yield _share(usual, watched, limit=40.0)
    for row in _rows(usual, watched, fresh_s):
        yield row
    on_uvloop = replace(usual, uvloop=True)
    async with _started(on_uvloop) as (origins, daemon):
        watched, _ = await _watch(on_uvloop, origins, daemon)
    yield _share(on_uvloop, watched)
    large = replace(usual, controllers=scale.fleet, interval_s=3 * scale.interval_s, size=20_000)
    async with _started(large) as (origins, daemon):
        watched, fresh_s = await _watch(large, origins, daemon)
        yield _share(large, watched)
        for row in _rows(large, watched, fresh_s):
            yield row
        few = replace(large, controllers=_FEW, interval_s=large.interval_s * _FEW / large.controllers)
        async with _started(few) as (_, small):
            await small.receive()
            yield _same_cost(large, *await _window((daemon, small), large.watched_s))


def _rows(spec: FleetSpec, watched: Watched, fresh_s: list[float]) -> Iterator[Row]:
    fleet = _name(spec)
    yield Row(
        what=f"{fleet}: CPU a poll, scrapes and all",
        ours=spoken(watched.cpu_s),
        figure=1e3 * watched.cpu_a_poll_s,
        unit=" ms",
    )
    yield Row(
        what=f"{fleet}: CPU a controller, from the start to its first poll",
        ours=f"{watched.start_cpu_s:.2f} s",
        figure=1e3 * watched.start_cpu_s / spec.controllers,
        unit=" ms",
    )
    failed = sum(watched.failures.values())
    reasons = ", ".join(f"{reason} {times}" for reason, times in watched.failures.items())
    yield Row(
        what=f"{fleet}: reads that were good, from the start on",
        ours=f"{failed} failed" + (f": {reasons}" if reasons else ""),
        figure=100 * (1 - failed / watched.reads),
        unit=" %",
        limit=100.0,
        at_least=True,
    )
    half = len(watched.resident) // 2
    first, second = max(watched.resident[:half]), max(watched.resident[half:])
    yield Row(
        what=f"{fleet}: memory of the process, an image",
        ours=f"{second / 2**20:.0f} MiB",
        figure=second / spec.controllers / IMAGES / 1024,
        unit=" KiB",
    )
    yield Row(
        what=f"{fleet}: memory in the second half of {spec.watched_s:g} s against the first",
        ours=f"{second / 2**20:.0f} MiB",
        theirs=f"{first / 2**20:.0f} MiB",
        figure=second / first,
        limit=1.05,
    )
    late_limit_s = _LATE_LIMIT * spec.interval_s
    late = f"{fleet}: polls begin late by"
    yield _percentiles(f"{late}, from the start on", watched.late_s, limit_s=late_limit_s)
    yield _percentiles(f"{late}, once all were polled", watched.late_s[watched.late_at_start :], limit_s=late_limit_s)
    most_s = spec.interval_s + late_limit_s + spec.scrape_every_s
    yield _percentiles(f"{fleet}: from a change to a scrape with it", fresh_s, limit_s=most_s)


def _name(spec: FleetSpec) -> str:
    loop = ", with uvloop" if spec.uvloop else ""
    return f"daemon{loop}, {spec.controllers:,} controllers every {spec.interval_s:g} s"


def _share(spec: FleetSpec, watched: Watched, limit: float | None = None) -> Row:
    return Row(
        what=f"{_name(spec)}, scraped every {spec.scrape_every_s:g} s: share of a core",
        ours=f"{watched.cpu_s:.2f} s in {watched.wall_s:.0f} s, {watched.polls:,} polls",
        figure=100 * watched.cpu_s / watched.wall_s,
        unit=" %",
        limit=limit,
    )


def _same_cost(spec: FleetSpec, large: Watched, small: Watched) -> Row:
    """Both make as many polls a second, in the same time, and nobody scrapes."""
    return Row(
        what=f"{_name(spec)}: CPU a poll, against {_FEW} controllers with as many polls a second",
        ours=spoken(large.cpu_a_poll_s),
        theirs=spoken(small.cpu_a_poll_s),
        figure=large.cpu_a_poll_s / small.cpu_a_poll_s,
        limit=1.1,
    )


def _percentiles(what: str, seconds: list[float], *, limit_s: float) -> Row:
    """The 99th of a hundred as the figure, the median and the worst beside it."""
    cuts = quantiles(seconds, n=100, method="inclusive")
    ours = f"p50 {spoken(cuts[49])}, max {spoken(max(seconds))}"
    return Row(what=f"{what}, p99", ours=ours, figure=cuts[98], unit=" s", limit=limit_s)


@asynccontextmanager
async def _started(spec: FleetSpec) -> AsyncIterator[tuple[list[str], Child]]:
    """The Controllers' origins, and the daemon that polls them, each in a process of its own."""
    with TemporaryDirectory(prefix="bench-") as folder:  # of this process: the daemon is killed
        async with child(serve_fleet, spec.controllers, spec.size) as server:
            origins: list[str] = await server.receive()
            async with fresh_child(run_daemon, origins, spec, Path(folder)) as daemon:
                yield origins, daemon


async def _watch(spec: FleetSpec, origins: list[str], daemon: Child) -> tuple[Watched, list[float]]:
    """What it costs while Controllers change and somebody scrapes; and how long each change took to be in a scrape."""
    url = await daemon.receive()  # every controller was polled
    daemon.send("begin")
    fresh_s = await _change_and_scrape(spec, origins, f"{url}/metrics")
    daemon.send("end")
    watched: Watched = await daemon.receive()
    return watched, fresh_s


async def _window(daemons: Sequence[Child], lasts_s: float) -> list[Watched]:
    """What each costs in the same time."""
    for daemon in daemons:
        daemon.send("begin")
    await asyncio.sleep(lasts_s)
    for daemon in daemons:
        daemon.send("end")
    return [await daemon.receive() for daemon in daemons]


async def _change_and_scrape(spec: FleetSpec, origins: list[str], url: str) -> list[float]:
    """How many seconds each change took to be in a scrape."""
    waiting: dict[tuple[int, int], float] = {}
    fresh_s: list[float] = []
    async with aiohttp.ClientSession(auto_decompress=False) as session, asyncio.TaskGroup() as tasks:
        changing = tasks.create_task(_change(session, spec, origins, waiting), name="change")
        due = time.monotonic()
        while waiting or not changing.done():
            due += spec.scrape_every_s
            await asyncio.sleep(due - time.monotonic())
            shown, at = await _scrape(session, url)
            for number, turn in [key for key in waiting if key[1] <= shown.get(key[0], 0)]:
                fresh_s.append(at - waiting.pop((number, turn)))
    return fresh_s


async def _change(
    session: aiohttp.ClientSession, spec: FleetSpec, origins: list[str], waiting: dict[tuple[int, int], float]
) -> None:
    """Change the busy controllers one after the other, each once an interval, in another order each time."""
    busy, rng = list(range(0, len(origins), BUSY_EVERY)), Random(7)
    for turn in range(1, max(1, round(spec.watched_s / spec.interval_s)) + 1):
        rng.shuffle(busy)
        for number in busy:
            waiting[number, turn] = time.monotonic()
            async with session.post(f"{origins[number]}/turn") as response:
                await response.read()
            await asyncio.sleep(spec.interval_s / len(busy))


async def _scrape(session: aiohttp.ClientSession, url: str) -> tuple[dict[int, int], float]:
    """The newest turn that the exposition shows, by number of the controller; and when it was here."""
    async with session.get(url, headers={"Accept-Encoding": "gzip"}) as response:
        body = await response.read()
    at = time.monotonic()
    text = await asyncio.to_thread(zlib.decompress, body, zlib.MAX_WBITS | 16)
    return {int(number): int(float(turn)) for number, turn in _TURN.findall(text) if turn != b"0.0"}, at
