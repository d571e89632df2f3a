"""The whole daemon on a large fleet: what it costs, how punctual it is, and how soon a scrape shows a change."""

import asyncio
import re
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from statistics import quantiles
from tempfile import TemporaryDirectory

import aiohttp
import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from monitor.config.settings import Events, Log, Poll
from monitor.config.types import Config, Controller, SecretVariable
from monitor.daemon import logging as log
from monitor.daemon.app import Daemon, running
from monitor.model.snapshot import Change
from monitor.polling.fleet import Entry
from tests.benchmarks.children import child, cpu_s, nowhere, resident
from tests.benchmarks.controllers import BUSY_EVERY, serve_fleet
from tests.benchmarks.measure import Row, Scale
from tests.benchmarks.mix import IMAGES, PASSWORD

_SIZE = 200_000  # bytes a controller
_SCRAPE_EVERY_S = 2.0
_TIMEOUT_S = 60.0  # until every controller was polled once
_TURN = re.compile(rb'^avi_image_duration_seconds\{controller="avi-(\d+)",[^}]*\} (\S+)$', re.MULTILINE)


class Watched(msgspec.Struct):
    """What the daemon says of itself at the end. Seconds, bytes."""

    cpu_s: float
    wall_s: float
    polls: int
    failures: int
    first_cpu_s: float
    resident: int
    late_s: list[float]


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """Rows of cost, memory, punctuality and freshness."""
    async with child(serve_fleet, scale.controllers, _SIZE) as server:
        origins: list[str] = await server.receive()
        async with child(_watch, origins, scale) as process:
            url = await process.receive()  # every controller was polled
            fresh_s = await _change_and_scrape(origins, url, scale)
            process.send("enough")
            watched: Watched = await process.receive()
    assert not watched.failures
    for row in _rows(watched, fresh_s, scale):
        yield row


def _rows(watched: Watched, fresh_s: list[float], scale: Scale) -> Iterator[Row]:
    fleet = f"daemon, {scale.controllers:,} controllers of {IMAGES} images every {scale.interval_s:g} s"
    yield Row(
        what=f"{fleet}: share of a core",
        ours=f"{watched.cpu_s:.2f} s in {watched.wall_s:.0f} s",
        figure=100 * watched.cpu_s / watched.wall_s,
        unit=" %",
        limit=50.0,
    )
    yield Row(
        what=f"{fleet}: CPU a poll, scrapes and all",
        ours=f"{watched.polls:,} polls",
        figure=1e3 * watched.cpu_s / watched.polls,
        unit=" ms",
    )
    yield Row(
        what=f"{fleet}: CPU a controller, from the start to its first poll",
        ours=f"{watched.first_cpu_s:.2f} s",
        figure=1e3 * watched.first_cpu_s / scale.controllers,
        unit=" ms",
    )
    yield Row(
        what=f"{fleet}: memory of the process, an image",
        ours=f"{watched.resident / 2**20:.0f} MiB",
        figure=watched.resident / scale.controllers / IMAGES / 1024,
        unit=" KiB",
    )
    yield _percentiles(f"{fleet}: polls begin late by", watched.late_s, unit=" ms")
    most = scale.interval_s + _SCRAPE_EVERY_S + 0.5
    yield _percentiles(f"{fleet}: from a change to a scrape with it", fresh_s, unit=" s", limit=most)


def _percentiles(what: str, seconds: list[float], *, unit: str, limit: float | None = None) -> Row:
    """The 99th of a hundred as the figure, the median and the worst beside it."""
    scale = 1e3 if unit == " ms" else 1.0
    cuts = quantiles(seconds, n=100, method="inclusive")
    ours = f"p50 {scale * cuts[49]:.3g}{unit}, max {scale * max(seconds):.3g}{unit}"
    return Row(what=f"{what}, p99", ours=ours, figure=scale * cuts[98], unit=unit, limit=limit)


async def _change_and_scrape(origins: list[str], url: str, scale: Scale) -> list[float]:
    """How many seconds each change took to be in a scrape."""
    waiting: dict[tuple[int, int], float] = {}
    fresh_s: list[float] = []
    async with aiohttp.ClientSession(auto_decompress=False) as session, asyncio.TaskGroup() as tasks:
        changing = tasks.create_task(_change(session, origins, waiting, scale), name="change")
        due = time.monotonic()
        while waiting or not changing.done():
            due += min(_SCRAPE_EVERY_S, scale.interval_s)
            await asyncio.sleep(due - time.monotonic())
            shown, at = await _scrape(session, url)
            for number, turn in [key for key in waiting if key[1] <= shown.get(key[0], 0)]:
                fresh_s.append(at - waiting.pop((number, turn)))
    return fresh_s


async def _change(
    session: aiohttp.ClientSession, origins: list[str], waiting: dict[tuple[int, int], float], scale: Scale
) -> None:
    """Change the busy controllers one after the other, each once an interval, in another order each time."""
    busy, rng = list(range(0, len(origins), BUSY_EVERY)), Random(7)
    for turn in range(1, round(scale.watched_s / scale.interval_s) + 1):
        rng.shuffle(busy)
        for number in busy:
            waiting[number, turn] = time.monotonic()
            async with session.post(f"{origins[number]}/turn") as response:
                await response.read()
            await asyncio.sleep(scale.interval_s / len(busy))


async def _scrape(session: aiohttp.ClientSession, url: str) -> tuple[dict[int, int], float]:
    """The newest turn that the exposition shows, by number of the controller; and when it was here."""
    async with session.get(url, headers={"Accept-Encoding": "gzip"}) as response:
        body = await response.read()
    at = time.monotonic()
    text = await asyncio.to_thread(zlib.decompress, body, zlib.MAX_WBITS | 16)
    return {int(number): int(float(turn)) for number, turn in _TURN.findall(text) if turn != b"0.0"}, at


def _watch(pipe: Connection, origins: list[str], scale: Scale) -> None:
    late_s: list[float] = []

    def note(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        if event["event"] == "poll":
            late_s.append(event["late_s"])
        if event["level"] == "debug":
            raise structlog.DropEvent
        return event

    log.configure("debug", "json", nowhere())
    processors = structlog.get_config()["processors"]
    structlog.configure(processors=[structlog.processors.add_log_level, note, *processors])
    asyncio.run(_watch_all(pipe, origins, scale, late_s))


async def _watch_all(pipe: Connection, origins: list[str], scale: Scale, late_s: list[float]) -> None:
    with TemporaryDirectory(prefix="bench-") as folder:
        started = cpu_s()
        async with running(_config(origins, scale, Path(folder)), now=time.time, rng=Random(7)) as daemon:
            await _all_polled(daemon)
            cpu, wall, polls, skip = cpu_s(), time.monotonic(), _polls(daemon), len(late_s)
            pipe.send(f"{daemon.url}/metrics")
            await asyncio.to_thread(pipe.recv)
            watched = Watched(
                cpu_s=cpu_s() - cpu,
                wall_s=time.monotonic() - wall,
                polls=_polls(daemon) - polls,
                failures=sum(
                    sum(entry.collections["image"].health.failures.values()) for entry in daemon.fleet.entries.values()
                ),
                first_cpu_s=cpu - started,
                resident=resident(),
                late_s=late_s[skip:],
            )
        pipe.send(watched)


async def _all_polled(daemon: Daemon) -> None:
    polled = asyncio.Event()
    left = set(daemon.fleet.entries)

    def note(name: str, _entry: Entry | None, _changes: tuple[Change, ...]) -> None:
        left.discard(name)
        if not left:
            polled.set()

    unsubscribe = daemon.fleet.subscribe(note)
    async with asyncio.timeout(_TIMEOUT_S):
        await polled.wait()
    unsubscribe()


def _polls(daemon: Daemon) -> int:
    return sum(entry.session.polls for entry in daemon.fleet.entries.values())


def _config(origins: list[str], scale: Scale, folder: Path) -> Config:
    controllers = [
        Controller(name=f"avi-{number:04}", url=origin, username="admin", password=SecretVariable("", PASSWORD))
        for number, origin in enumerate(origins)
    ]
    return Config(
        listen_host="127.0.0.1",
        listen_port=0,
        database=f"sqlite:///{folder}/state.db",
        poll=Poll(active_interval_s=scale.interval_s, idle_interval_s=scale.interval_s),
        log=Log(),
        events=Events(),
        anonymous=frozenset({"metrics"}),
        controllers=tuple(controllers),
        files=(folder / "config.yml",),
    )
