"""
The composition root: a config in; every object built here, opened, run and stopped in order.

Stopping: no longer ready → pollers stopped → PATCHes under way done → logged out of every controller → marks written.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random  # noqa: TID251  the type of an argument; cli.py makes the one there is
from socket import socket

import msgspec
import structlog

from monitor.config.types import Config, Difference
from monitor.config.values import write_address
from monitor.config.web_config import WebConfig, ssl_context
from monitor.daemon.controllers import Controllers
from monitor.daemon.reload import Reloading
from monitor.daemon.rereading import Rereading
from monitor.daemon.systemd import Notifier, Supervisor
from monitor.metrics.self_metrics import SelfMetrics
from monitor.model.errors import MonitorError, NewerDatabase, StoreError
from monitor.patching.patcher import Patcher
from monitor.polling.fleet import Fleet
from monitor.store import Store
from monitor.web.app import error_response, make_app
from monitor.web.auth.authenticator import Authenticator
from monitor.web.context import Context, Limits
from monitor.web.server import Listener, Runner
from monitor.web.stream.feed import EventStream

_BEAT_S = 1.0
_BEAT_OLD_S = 10.0  # a heartbeat this old means that the loop is stuck, or the heart
_OVERDUE_S = 30.0  # no lag explains why a poller does nothing for so long after it should have
_READY_AFTER_S = 30.0  # a controller that was not even tried by then must not keep the others' metrics from being used
_MOST_REQUESTS = 5  # of one PATCH: a log-in, a read, the change and the same again after a session that ended
_FAREWELL_S = 2.0  # for the last marks; an ended process may not wait for a dead database

log = structlog.get_logger()


class Daemon(msgspec.Struct, frozen=True):
    """A running daemon, for whoever started it. ``address``: where it listens, the free port found."""

    address: tuple[str, int]
    fleet: Fleet
    context: Context
    reloading: Reloading
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        return f"{self.scheme}://{write_address(self.address)}"


class Heartbeat:
    """Beats once a second on the event loop, and so knows how late the loop is."""

    def __init__(self, own: SelfMetrics) -> None:
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
async def running(
    config: Config,
    *,
    now: Callable[[], float],
    rng: Random,
    load: Callable[[], Config] | None = None,
    supervisor: Supervisor = Supervisor(),  # noqa: B008  frozen
    passed: socket | None = None,
    limits: Limits = Limits(),  # noqa: B008  frozen
) -> AsyncIterator[Daemon]:
    """
    Run the daemon for as long as the context lasts.

    ``now``: Unix seconds. ``load``: reads the configuration again, for a reload; None: it stays as it is.
    ``supervisor``: who is told how it goes. ``passed``: a socket to listen on; None: one is bound as configured.
    ``limits``: of the web server.
    Raises: MonitorError when it cannot listen, or a newer version wrote the database.
    """
    own, fleet, store = SelfMetrics(), Fleet(), Store(config.database, now=now)
    heart = Heartbeat(own)
    stopping = asyncio.Event()
    own.store_up.set_function(lambda: float(store.up))
    store.ledger.on_failure = own.audit_write_failures.inc
    watches = Controllers(fleet, store, now=now, rng=rng)
    store.ledger.on_reread = watches.redraw
    door = Authenticator(config, own, clock=asyncio.get_running_loop().time)
    feed = EventStream(fleet, now=now, max_readers=limits.max_readers, max_buffered_events=limits.max_buffered_events)
    own.event_readers.set_function(lambda: float(feed.readers))

    async def apply(renewed: Config) -> Difference:
        door.set_config(renewed)
        feed.disconnect_all()
        return await watches.renew(renewed)

    def ailing() -> str:
        return not_healthy(heart.age_s, watches.overdue_s)

    notifier = Notifier(supervisor, fleet, ailing=ailing)
    reloading = Reloading(
        config, load or (lambda: config), apply, own, now=now, begins=notifier.reloading, ends=notifier.ready
    )
    context = Context(
        fleet=fleet,
        self_metrics=own,
        authenticator=door,
        audit_log=store.ledger,
        patcher=Patcher(fleet, store.ledger, watches.targets, now=now, ended=own.patched),
        tenants=watches.tenants,
        reload=reloading.reload,
        not_healthy=ailing,
        event_stream=feed,
        limits=limits,
        now=now,
        not_ready=lambda: not_ready(fleet, store_up=store.up, uptime_s=heart.uptime_s, stopping=stopping.is_set()),
    )
    async with AsyncExitStack() as stack:
        await _open_store(store, stack)
        stack.push_async_callback(watches.close)
        await watches.renew(config)
        listener = await _listen(config, context, stack, passed)
        stack.push_async_callback(lambda: context.patcher.drain(limit_s=_MOST_REQUESTS * watches.timeout_s))
        async with asyncio.TaskGroup() as tasks:
            every = [tasks.create_task(heart.run(), name="heart"), tasks.create_task(store.run(), name="store")]
            every.append(tasks.create_task(reloading.run(), name="reload"))
            every.append(tasks.create_task(notifier.run(), name="notify"))
            watches.start(tasks)
            if config.web:
                rereading = Rereading(config.web, partial(_renew, listener, door, feed))
                every.append(tasks.create_task(rereading.run(), name="web-config"))
            log.info("started", address=write_address(listener.address), controllers=len(watches))
            notifier.ready()
            try:
                yield Daemon(listener.address, fleet, context, reloading, listener.scheme)
            finally:
                stopping.set()
                feed.close()
                log.info("stopping")
                notifier.stopping()
                watches.stop()
                for task in every:
                    task.cancel()
    log.info("stopped")


def not_healthy(beat_age_s: float, overdue_s: float) -> str:
    """Why the daemon is stuck, as far as it can tell; empty when it is not. Names nobody."""
    if beat_age_s > _BEAT_OLD_S:
        return f"no heartbeat for {beat_age_s:.0f} s"
    return f"a poller is overdue by {overdue_s:.0f} s" if overdue_s > _OVERDUE_S else ""


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


async def _last_flush(store: Store) -> None:
    try:
        async with asyncio.timeout(_FAREWELL_S):
            await store.try_flush()
    except TimeoutError:
        log.warning("store_down", cause="no answer at the end; the last marks are lost", database=store.name)


async def _listen(config: Config, context: Context, stack: AsyncExitStack, passed: socket | None) -> Listener:
    respond = partial(error_response, context)
    runner = Runner(make_app(context), respond, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    try:
        tls_context = ssl_context(config.web.tls) if config.web and config.web.tls else None
    except (OSError, ValueError) as error:  # it was good when the configuration was read, a moment ago
        raise MonitorError(f"the certificate cannot be used: {type(error).__name__}") from error
    listener = Listener(runner, config.listen_host, config.listen_port, tls_context, passed)
    await listener.start()
    return listener


def _renew(
    listener: Listener, door: Authenticator, feed: EventStream, web_config: WebConfig, context: ssl.SSLContext | None
) -> None:
    """Put a web configuration that was read again to use."""
    listener.set_tls_context(context)
    door.set_web_config(web_config)
    feed.disconnect_all()
