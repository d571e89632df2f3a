"""A real daemon on simulated Controllers, over loopback, and a way to wait for what it learns without sleeping."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from copy import deepcopy
from functools import lru_cache, partial
from pathlib import Path
from random import Random
from typing import get_args

import aiohttp
import yaml
from prometheus_client.parser import text_string_to_metric_families

from monitor.avi.client import IMAGES_TIMEOUT_FACTOR, Client
from monitor.avi.connection import open_session
from monitor.avi.exchange import RESEND_AFTER
from monitor.cli.commands.simulate import write_config
from monitor.config.load import load
from monitor.config.types import Controller, SecretSource, SecretVariable, Tls
from monitor.daemon.app import Daemon, running
from monitor.daemon.reload import ReloadTiming
from monitor.daemon.systemd import ServiceManager
from monitor.model.errors import Reason
from monitor.model.secret import Secret
from monitor.polling.fleet import Entry
from monitor.polling.resources import RESOURCES, AnyResource
from monitor.simulator import Replay, SimulatedController, Simulator
from monitor.web.context import Limits
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.stores import migrated_url

QUICK: Mapping[str, object] = {
    "active_interval": "50ms",
    "idle_interval": "100ms",
    "timeout": "30s",
    "max_backoff": "100ms",
}
"""Intervals at which a test sees many polls; nothing in a test depends on how long they really take."""

UNHURRIED: Mapping[str, object] = {
    **QUICK,
    "active_interval": "250ms",
    "idle_interval": "250ms",
    "max_backoff": "250ms",
}
"""Where a test waits for another program, such as a browser: polls meanwhile take processor time from it."""

QUICK_RELOAD = ReloadTiming(watch_interval_s=None, settle_s=0.01)
"""On request alone: a watcher may be quicker than the request of a test."""

QUICK_WATCH = ReloadTiming(watch_interval_s=0.05, settle_s=0.01, retry_interval_s=0.05)
"""The watcher looks twenty times a second."""


@asynccontextmanager
async def watching(
    simulator: Simulator | Replay,
    folder: Path,
    *,
    poll: Mapping[str, object] = QUICK,
    wall: Callable[[], float] = time.time,
    of_each: Mapping[str, object] | None = None,
    web_config: Path | None = None,
    limits: Limits = Limits(),  # noqa: B008  frozen
    resources: Sequence[AnyResource] = RESOURCES,
    reload_timing: ReloadTiming = QUICK_RELOAD,
    manager: ServiceManager = ServiceManager(),  # noqa: B008  frozen
    **settings: object,
) -> AsyncIterator[Daemon]:
    """
    The daemon on all Controllers of a listening simulator; its files are in ``folder``, which a restart may share.

    ``of_each``: further keys of every controller. ``limits``: of the web server.
    """
    settings.setdefault("database", migrated_url(folder))
    path = write_config(simulator, folder, {"listen": "127.0.0.1:0", "poll": dict(poll), **settings})
    if of_each:
        written = yaml.safe_load(path.read_text())
        written["controllers"] = [{**controller, **deepcopy(of_each)} for controller in written["controllers"]]
        path.write_text(yaml.safe_dump(written))
    read = partial(load, path, web_config=web_config)
    async with running(
        read(),
        now=wall,
        rng=Random(7),
        load=read,
        limits=limits,
        resources=resources,
        reload_timing=reload_timing,
        manager=manager,
    ) as daemon:
        yield daemon


@asynccontextmanager
async def connected(
    controller: SimulatedController,
    *,
    url: str = "",
    password: SecretSource | None = None,
    tenant: str = "admin",
    api_version: str | None = None,
    tls: Tls | None = None,
    timeout_s: float = 30.0,
    max_response: int = 32 * 1024 * 1024,
    images_timeout_factor: float = IMAGES_TIMEOUT_FACTOR,
    resend_after: float = RESEND_AFTER,
) -> AsyncIterator[Client]:
    """A client of a simulated Controller, without the daemon around it."""
    configured = Controller(
        name=controller.name,
        url=url or controller.url,
        username=controller.username,
        password=password or SecretVariable("PASSWORD", Secret(controller.password)),
        tenant=tenant,
        api_version=api_version,
        tls=tls or Tls(),
    )
    async with open_session(configured.tls, keepalive_s=60.0) as session:
        yield Client(
            configured,
            session,
            timeout_s=timeout_s,
            max_response=max_response,
            now=time.time,
            images_timeout_factor=images_timeout_factor,
            resend_after=resend_after,
        )


def rewrite(path: Path, text: str | None) -> None:
    """A file as an operator leaves it; None: gone."""
    if text is None:
        path.unlink()
    else:
        path.write_text(text)


async def until(daemon: Daemon, controller: str, what: Callable[[Entry], bool]) -> Entry:
    """Wait until the published entry of a controller is so; return it."""
    happened = asyncio.Event()
    unsubscribe = daemon.fleet.subscribe(lambda name, _entry, _: happened.set() if name == controller else None)
    try:
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            while controller not in daemon.fleet.entries or not what(daemon.fleet.entries[controller]):
                happened.clear()
                await happened.wait()
            return daemon.fleet.entries[controller]
    finally:
        unsubscribe()


@contextmanager
def advancing(simulator: Simulator, daemon: Daemon, controller: str, *, step_s: float) -> Iterator[None]:
    """
    Advance the simulated clock by one step at each good poll of the controller.

    The daemon so sees an upload as often on a busy machine as on an idle one.
    """
    unsubscribe = daemon.fleet.subscribe(
        lambda name, entry, _: (
            simulator.clock.advance(step_s) if name == controller and entry and entry.session.up else None
        )
    )
    try:
        yield
    finally:
        unsubscribe()


async def polled(daemon: Daemon, controller: str, times: int = 1) -> Entry:
    """Wait for so many good polls more."""
    good = good_polls(daemon.fleet.entries[controller])
    return await until(daemon, controller, lambda entry: entry.session.up and good_polls(entry) >= good + times)


def good_polls(entry: Entry) -> int:
    """How many polls of the controller were good so far."""
    return entry.session.polls - sum(entry.collections["image"].health.failures.values())


async def failed(daemon: Daemon, controller: str, reason: Reason, times: int = 1) -> Entry:
    """Wait for so many more polls that failed for this reason."""
    assert reason in get_args(Reason)
    failures = daemon.fleet.entries[controller].collections["image"].health.failures.get(reason, 0)
    return await until(
        daemon,
        controller,
        lambda entry: (
            entry.session.reason == reason
            and entry.collections["image"].health.failures.get(reason, 0) >= failures + times
        ),
    )


async def scrape(daemon: Daemon, path: str = "/metrics", **headers: str) -> str:
    """The text of one route."""
    async with aiohttp.ClientSession() as session, session.get(daemon.url + path, headers=headers) as response:
        return await response.text()


def samples(text: str, name: str, **labels: str) -> list[float]:
    """The values of the samples of this name that carry these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    lines = (line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    return [float(line.rpartition(" ")[2]) for line in lines if all(pair in line for pair in wanted)]


_SeriesKey = tuple[str, tuple[tuple[str, str], ...]]
Series = dict[_SeriesKey, float]


async def exposition(daemon: Daemon) -> Series:
    """All series of a scrape, read by Prometheus' own parser, none of them twice."""
    found: Series = {}
    for line in (await scrape(daemon)).splitlines():
        for key, value in _read_samples(line):
            assert key not in found, f"a duplicate fails the whole scrape: {key}"
            found[key] = value
    return found


@lru_cache(maxsize=4096)
def _read_samples(line: str) -> Sequence[tuple[_SeriesKey, float]]:
    """One of a sample, none of a comment. The parser is slow, and of two scrapes most lines are equal."""
    samples = (sample for family in text_string_to_metric_families(line) for sample in family.samples)
    return tuple(((sample.name, tuple(sorted(sample.labels.items()))), sample.value) for sample in samples)


def image_uuids(series: Series, controller: str, name: str = "avi_image_") -> set[str]:
    """The images of the controller that series whose name begins so speak of, whether units refer to them or not."""
    labels = (dict(pairs) for found, pairs in series if found.startswith(name) and found != "avi_image_users")
    return {each["image_uuid"] for each in labels if each["controller"] == controller}
