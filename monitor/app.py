"""
The composition root: a config in; every object built here, opened, run and stopped in order.

Stopping: no longer ready → pollers stopped → logged out of every controller → marks written → connections closed.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random  # noqa: TID251  the type of an argument; cli.py makes the one there is

import msgspec
import structlog
from aiohttp import web
from msgspec.structs import replace

from monitor.avi.client import Client
from monitor.avi.connection import open_session
from monitor.config import Config, Controller
from monitor.fleet import Fleet
from monitor.kinds import write_address
from monitor.model import MonitorError, NewerDatabase, StoreError
from monitor.orders import Target
from monitor.own import OwnMetrics
from monitor.pace import Slots
from monitor.patcher import Patcher
from monitor.poller import Poller
from monitor.store import Store
from monitor.web.auth import Door
from monitor.web.listening import Listener
from monitor.web.rereading import Rereading
from monitor.web.site import make_site
from monitor.web.state import State
from monitor.webconfig import WebConfig, ssl_context

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
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        return f"{self.scheme}://{write_address(self.address)}"


class _Watch(msgspec.Struct, frozen=True):
    """One controller, and what of ours belongs to it."""

    name: str
    client: Client
    writer: Client
    poller: Poller


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

    ``now``: Unix seconds. Raises: MonitorError when it cannot listen, or a newer version wrote the database.
    """
    own, fleet, store = OwnMetrics(), Fleet(), Store(config.database, now=now)
    heart = Heart(own)
    stopping = asyncio.Event()
    own.reload_successful.set(1)
    own.reload_success_at.set(now())
    own.store_up.set_function(lambda: float(store.up))
    store.ledger.on_failure = own.audit_write_failures.inc
    async with AsyncExitStack() as stack:
        await _open_store(store, stack)
        slots = Slots(config.poll.concurrency)
        watches: list[_Watch] = []
        for controller in config.controllers:
            client, writer = await _open_clients(controller, config, now, stack)
            poller = _make_poller(controller, client, config, fleet, store, slots=slots, now=now, rng=rng)
            watches.append(_Watch(controller.name, client, writer, poller))
        targets = {each.name: Target(each.writer, each.poller) for each in watches}
        store.ledger.on_reread = partial(_redraw, watches)
        door = Door(config, own, clock=asyncio.get_running_loop().time)
        state = State(
            fleet=fleet,
            own=own,
            door=door,
            ledger=store.ledger,
            patcher=Patcher(fleet, store.ledger, targets, now=now, ended=own.patched),
            tenants={controller.name: controller.tenant for controller in config.controllers},
            not_healthy=lambda: not_healthy(heart.age_s),
            not_ready=lambda: not_ready(fleet, store_up=store.up, uptime_s=heart.uptime_s, stopping=stopping.is_set()),
        )
        stack.push_async_callback(_log_out, [client for each in watches for client in {each.client, each.writer}])
        listener = await _listen(config, state, stack)
        async with asyncio.TaskGroup() as tasks:
            every = [tasks.create_task(heart.run(), name="heart"), tasks.create_task(store.run(), name="store")]
            for place, watch in enumerate(watches):
                first_in_s = place * min(_SPREAD_EACH_S, _SPREAD_S / len(watches))
                every.append(tasks.create_task(watch.poller.run(first_in_s=first_in_s), name=f"poll:{watch.name}"))
            if config.web:
                rereading = Rereading(config.web, partial(_renew, listener, door))
                every.append(tasks.create_task(rereading.run(), name="web-config"))
            log.info("started", address=write_address(listener.address), controllers=len(watches))
            try:
                yield Daemon(listener.address, fleet, state, listener.scheme)
            finally:
                stopping.set()
                log.info("stopping")
                for task in every:
                    task.cancel()
    log.info("stopped")


def not_healthy(beat_age_s: float) -> str:
    """Why the daemon is stuck, as far as it can tell; empty when it is not."""
    return f"no heartbeat for {beat_age_s:.0f} s" if beat_age_s > _BEAT_OLD_S else ""


def not_ready(fleet: Fleet, *, store_up: bool, uptime_s: float, stopping: bool) -> str:
    """Why what a scrape shows is not yet, or no longer, all there is; empty when it is. Names nobody."""
    if stopping:
        return "stopping"
    if not store_up:
        return "the database does not answer"
    untried = sum(entry.health.attempted_at is None for entry in fleet.entries.values())
    waiting = untried and uptime_s < _READY_AFTER_S
    return f"{untried} of {len(fleet.entries)} controllers not polled yet" if waiting else ""


async def _open_store(store: Store, stack: AsyncExitStack) -> None:
    """
    Open the database. All but writing works without it, so that it does not answer is no reason to stay down.

    Raises: MonitorError when a newer version wrote it, which no waiting heals.
    """
    stack.push_async_callback(store.close)
    stack.push_async_callback(_last_flush, store)
    try:
        await store.open()
    except NewerDatabase as error:
        raise MonitorError(f"the database {store.name} cannot be used: {error}") from error
    except StoreError:
        return  # the store said so itself


def _redraw(watches: Iterable[_Watch]) -> None:
    """Show the annotations as they were read anew."""
    for each in watches:
        each.poller.annotated()


async def _last_flush(store: Store) -> None:
    try:
        async with asyncio.timeout(_FAREWELL_S):
            await store.try_flush()
    except TimeoutError:
        log.warning("store_down", cause="no answer at the end; the last marks are lost", database=store.name)


async def _open_clients(
    controller: Controller, config: Config, now: Callable[[], float], stack: AsyncExitStack
) -> tuple[Client, Client]:
    """The client that polls, and the one that writes: the same, unless writing has an account of its own."""
    if controller.tls.insecure:
        log.warning("tls_insecure", controller=controller.name)
    poll = config.poll

    async def connect(each: Controller) -> Client:
        session = await stack.enter_async_context(open_session(each.tls, keepalive_s=2 * poll.idle_interval_s))
        return Client(each, session, timeout_s=poll.timeout_s, max_response=poll.max_response, now=now)

    client = await connect(controller)
    if not controller.write:
        return client, client
    account = controller.write
    return client, await connect(replace(controller, username=account.username, password=account.password))


def _make_poller(
    controller: Controller,
    client: Client,
    config: Config,
    fleet: Fleet,
    store: Store,
    *,
    slots: Slots,
    now: Callable[[], float],
    rng: Random,
) -> Poller:
    return Poller(
        controller.name,
        client,
        fleet,
        store.marks,
        store.ledger,
        poll=config.poll,
        events=config.events,
        exported=config.annotations.export,
        slots=slots,
        now=now,
        rng=rng,
        tls_insecure=controller.tls.insecure,
    )


async def _listen(config: Config, state: State, stack: AsyncExitStack) -> Listener:
    runner = web.AppRunner(make_site(state), access_log=None, handle_signals=False, shutdown_timeout=1.0)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    try:
        context = ssl_context(config.web.tls) if config.web and config.web.tls else None
    except (OSError, ValueError) as error:  # it was good when the configuration was read, a moment ago
        raise MonitorError(f"the certificate cannot be used: {type(error).__name__}") from error
    listener = Listener(runner, config.listen_host, config.listen_port, context)
    await listener.start()
    return listener


def _renew(listener: Listener, door: Door, web_config: WebConfig, context: ssl.SSLContext | None) -> None:
    """Put a web configuration that was read again to use."""
    listener.renew(context)
    door.renew(web_config)


async def _log_out(clients: list[Client]) -> None:
    """Leave no session behind on any controller, as far as they let us in the time there is."""
    try:
        async with asyncio.timeout(_FAREWELL_S), asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(client.log_out(), name="log-out")
    except TimeoutError:
        log.warning("log_out_incomplete", after_s=_FAREWELL_S)
