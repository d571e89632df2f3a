"""
The composition root: a config in; every object built here, opened, run and stopped in order.

Stopping: no longer ready → pollers stopped → logged out of every controller → marks written → connections closed.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random  # noqa: TID251  the type of an argument; cli.py makes the one there is

import msgspec
import structlog
from aiohttp import web

from monitor.avi.client import Client, open_session
from monitor.config import Config, Controller
from monitor.fleet import Fleet
from monitor.kinds import write_address
from monitor.model import MonitorError, StoreError
from monitor.own import OwnMetrics
from monitor.poller import Poller, Slots
from monitor.store import Store
from monitor.web.site import make_site
from monitor.web.state import State

_BEAT_S = 1.0
_BEAT_OLD_S = 10.0  # a heartbeat this old means that the loop is stuck, or the heart
_READY_AFTER_S = 30.0  # a controller that was not even tried by then must not keep the others' metrics from being used
_FAREWELL_S = 2.0  # for all log-outs together; an ended process may not wait for a dead controller
_SPREAD_S = 10.0  # the first polls of a large fleet are spread over this
_SPREAD_EACH_S = 0.02  # and those of a small one over this much a controller

log = structlog.get_logger()


class Daemon(msgspec.Struct, frozen=True):
    """A running daemon, for whoever started it. ``address``: where it listens, the free port found."""

    address: tuple[str, int]
    fleet: Fleet
    state: State

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        return f"http://{write_address(self.address)}"


class Heart:
    """Beats once a second on the event loop, and so knows how late the loop is."""

    def __init__(self, own: OwnMetrics) -> None:
        self._own = own
        self._loop = asyncio.get_running_loop()
        self._beat_at = self.started_at = self._loop.time()

    @property
    def age_s(self) -> float:
        """How long ago the last beat was."""
        return self._loop.time() - self._beat_at

    @property
    def uptime_s(self) -> float:
        """How long ago the first beat was."""
        return self._loop.time() - self.started_at

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            due = self._loop.time() + _BEAT_S
            await asyncio.sleep(_BEAT_S)
            self._beat_at = self._loop.time()
            self._own.lagged(max(0.0, self._beat_at - due))


@asynccontextmanager
async def running(config: Config, *, now: Callable[[], float], rng: Random) -> AsyncIterator[Daemon]:
    """
    Run the daemon for as long as the context lasts.

    ``now``: Unix seconds. Raises: MonitorError when it cannot listen.
    """
    own, fleet, store = OwnMetrics(), Fleet(), Store(config.database)
    heart = Heart(own)
    stopping = asyncio.Event()
    own.reload_successful.set(1)
    own.reload_success_at.set(now())
    own.store_up.set_function(lambda: float(store.up))
    state = State(
        fleet=fleet,
        own=own,
        anonymous=config.anonymous,
        not_healthy=lambda: not_healthy(heart.age_s),
        not_ready=lambda: not_ready(fleet, store, uptime_s=heart.uptime_s, stopping=stopping.is_set()),
    )
    async with AsyncExitStack() as stack:
        await _open_store(store, stack)
        clients = [await _open_client(controller, config, now, stack) for controller in config.controllers]
        address = await _listen(config, state, stack)
        stack.push_async_callback(_log_out, clients)
        slots = Slots(config.poll.concurrency)
        async with asyncio.TaskGroup() as tasks:
            every = [tasks.create_task(heart.run(), name="heart"), tasks.create_task(store.run(), name="store")]
            for place, (controller, client) in enumerate(zip(config.controllers, clients, strict=True)):
                poller = Poller(
                    controller.name,
                    client,
                    fleet,
                    store,
                    poll=config.poll,
                    events=config.events,
                    slots=slots,
                    now=now,
                    rng=rng,
                    tls_insecure=controller.tls.insecure,
                )
                first_in_s = place * min(_SPREAD_EACH_S, _SPREAD_S / len(clients))
                every.append(tasks.create_task(poller.run(first_in_s=first_in_s), name=f"poll:{controller.name}"))
            log.info("started", address=write_address(address), controllers=len(clients))
            try:
                yield Daemon(address, fleet, state)
            finally:
                stopping.set()
                log.info("stopping")
                for task in every:
                    task.cancel()
    log.info("stopped")


def not_healthy(beat_age_s: float) -> str:
    """Why the daemon is stuck, as far as it can tell; empty when it is not."""
    return f"no heartbeat for {beat_age_s:.0f} s" if beat_age_s > _BEAT_OLD_S else ""


def not_ready(fleet: Fleet, store: Store, *, uptime_s: float, stopping: bool) -> str:
    """Why what a scrape shows is not yet, or no longer, all there is; empty when it is. Names nobody."""
    if stopping:
        return "stopping"
    if not store.up:
        return "the database does not answer"
    untried = sum(entry.health.attempted_at is None for entry in fleet.entries.values())
    waiting = untried and uptime_s < _READY_AFTER_S
    return f"{untried} of {len(fleet.entries)} controllers not polled yet" if waiting else ""


async def _open_store(store: Store, stack: AsyncExitStack) -> None:
    """Open the database; all but stall clocks across restarts works without it, so it is no reason to stay down."""
    stack.push_async_callback(store.close)
    stack.push_async_callback(_last_flush, store)
    try:
        await store.open()
    except StoreError as error:
        log.warning("store_down", cause=str(error), database=store.name)


async def _last_flush(store: Store) -> None:
    try:
        async with asyncio.timeout(_FAREWELL_S):
            await store.try_flush()
    except TimeoutError:
        log.warning("store_down", cause="no answer at the end; the last marks are lost", database=store.name)


async def _open_client(
    controller: Controller, config: Config, now: Callable[[], float], stack: AsyncExitStack
) -> Client:
    if controller.tls.insecure:
        log.warning("tls_insecure", controller=controller.name)
    session = await stack.enter_async_context(open_session(controller.tls, keepalive_s=2 * config.poll.idle_interval_s))
    poll = config.poll
    return Client(controller, session, timeout_s=poll.timeout_s, max_response=poll.max_response, now=now)


async def _listen(config: Config, state: State, stack: AsyncExitStack) -> tuple[str, int]:
    runner = web.AppRunner(make_site(state), access_log=None, handle_signals=False, shutdown_timeout=1.0)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    try:
        await web.TCPSite(runner, config.listen_host, config.listen_port).start()
    except OSError as error:
        address = write_address((config.listen_host, config.listen_port))
        words = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise MonitorError(f"cannot listen on {address}: {words}") from error
    host, port = runner.addresses[0][:2]
    return host, port


async def _log_out(clients: list[Client]) -> None:
    """Leave no session behind on any controller, as far as they let us in the time there is."""
    try:
        async with asyncio.timeout(_FAREWELL_S), asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(client.log_out(), name="log-out")
    except TimeoutError:
        log.warning("log_out_incomplete", after_s=_FAREWELL_S)
