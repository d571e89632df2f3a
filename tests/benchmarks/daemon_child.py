"""The whole daemon on a fleet, in a process of its own that says what it costs."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import msgspec
import structlog
import uvloop
from structlog.typing import EventDict, WrappedLogger

from monitor.config.settings import Events, Log, Poll
from monitor.config.types import Config, Controller, SecretVariable
from monitor.daemon import logging as log
from monitor.daemon.app import Daemon, running
from monitor.model.snapshot import Change
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.resources import RESOURCES
from tests.benchmarks.children import cpu_s, nowhere, resident
from tests.benchmarks.mix import PASSWORD

_TIMEOUT_S = 600.0  # until every controller was polled once
_SAMPLES = 40  # of the memory, in a window


class FleetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """``size``: bytes of the list of images of a controller. ``watched_s``: for how long, once all were polled."""

    controllers: int
    interval_s: float
    size: int
    watched_s: float
    uvloop: bool = False

    @property
    def scrape_every_s(self) -> float:
        """How often it is scraped."""
        return self.interval_s / 5


class Watched(msgspec.Struct):
    """What the daemon says of itself at the end of a window. Seconds, bytes."""

    cpu_s: float
    wall_s: float
    polls: int
    reads: int
    """Of images or of units, from the start on."""
    failures: Mapping[str, int]
    """How many of them failed, by reason."""
    start_cpu_s: float
    """Until every controller was polled."""
    resident: list[int]
    """At regular times in the window."""
    late_s: list[float]
    """Of all polls from the start on."""
    late_at_start: int
    """How many of them began before every controller was polled."""

    @property
    def cpu_a_poll_s(self) -> float:
        """With all else that the process does."""
        return self.cpu_s / max(1, self.polls)


def run_daemon(pipe: Connection, origins: list[str], spec: FleetSpec, folder: Path) -> None:
    """Send the daemon's URL when every controller was polled; then, for each two messages, a `Watched` of the time."""
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
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if spec.uvloop else None) as runner:
        runner.run(_run(pipe, _config(origins, spec, folder), spec, late_s))


async def _run(pipe: Connection, config: Config, spec: FleetSpec, late_s: list[float]) -> None:
    started = cpu_s()
    async with running(config, now=time.time, rng=Random(7)) as daemon:
        await all_polled(daemon.fleet)
        start_cpu_s, late_at_start = cpu_s() - started, len(late_s)
        pipe.send(daemon.url)
        while True:
            await asyncio.to_thread(pipe.recv)
            cpu, wall, polls = cpu_s(), time.monotonic(), _polls(daemon)
            memory = await _memory_until_told(pipe, every_s=spec.watched_s / _SAMPLES)
            pipe.send(
                Watched(
                    cpu_s=cpu_s() - cpu,
                    wall_s=time.monotonic() - wall,
                    polls=_polls(daemon) - polls,
                    reads=len(RESOURCES) * _polls(daemon),
                    failures=_failures(daemon),
                    start_cpu_s=start_cpu_s,
                    resident=memory,
                    late_s=late_s,
                    late_at_start=late_at_start,
                )
            )


async def _memory_until_told(pipe: Connection, *, every_s: float) -> list[int]:
    samples = [resident()]
    async with asyncio.TaskGroup() as tasks:
        told = tasks.create_task(asyncio.to_thread(pipe.recv), name="wait")
        while not told.done():
            await asyncio.wait((told,), timeout=every_s)
            samples.append(resident())
    return samples


async def all_polled(fleet: Fleet) -> None:
    """Wait until every controller of the fleet was polled."""
    polled = asyncio.Event()
    left = {name for name, entry in fleet.entries.items() if not entry.session.polls}

    def note(name: str, entry: Entry | None, _changes: tuple[Change, ...]) -> None:
        if entry is None or entry.session.polls:
            left.discard(name)
        if not left:
            polled.set()

    unsubscribe = fleet.subscribe(note)
    async with asyncio.timeout(_TIMEOUT_S):
        if left:
            await polled.wait()
    unsubscribe()


def _polls(daemon: Daemon) -> int:
    return sum(entry.session.polls for entry in daemon.fleet.entries.values())


def _failures(daemon: Daemon) -> Mapping[str, int]:
    failures: Counter[str] = Counter()
    for entry in daemon.fleet.entries.values():
        for collection in entry.collections.values():
            failures.update(collection.health.failures)
    return failures


def _config(origins: list[str], spec: FleetSpec, folder: Path) -> Config:
    return Config(
        listen_host="127.0.0.1",
        listen_port=0,
        database=f"sqlite:///{folder}/state.db",
        poll=Poll(active_interval_s=spec.interval_s, idle_interval_s=spec.interval_s),
        log=Log(),
        events=Events(),
        anonymous=frozenset({"metrics"}),
        controllers=controllers_at(origins),
        files=(folder / "config.yml",),
    )


def controllers_at(origins: list[str]) -> tuple[Controller, ...]:
    """Configure each as the controller of its number."""
    return tuple(
        Controller(name=f"avi-{number:04}", url=origin, username="admin", password=SecretVariable("", PASSWORD))
        for number, origin in enumerate(origins)
    )
