"""
The composition root: builds every object from a config, and opens, runs and stops them in order.

Order of the shutdown: report not ready → end the event streams → stop the pollers and the other tasks → complete the
PATCHes in flight → accept no more connections → end the requests that are still open → log out of every controller →
write the progress marks → close the database.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random  # noqa: TID251  the type of an argument; the command makes the one rng
from socket import socket
from typing import cast

import msgspec
import structlog
from msgspec import UNSET

from monitor.config.types import Config, Difference
from monitor.config.values import write_address
from monitor.daemon.controllers import Controllers
from monitor.daemon.heartbeat import Heartbeat, StallLimits, let_overdue_run, not_ready_reason, stall_reason
from monitor.daemon.listening import listen
from monitor.daemon.reload import Reloader, ReloadTiming
from monitor.daemon.standby import make_forwarder, own_url
from monitor.daemon.systemd import ServiceManager, StatusReporter
from monitor.metrics.self_metrics import SelfMetrics
from monitor.model.errors import ConfigError, NewerDatabase, StoreError
from monitor.model.snapshot import Change
from monitor.model.upgrade import TrackedUpgrade
from monitor.patching.client import PATCH_TIMEOUT_FACTOR
from monitor.patching.patcher import Patcher
from monitor.polling import upgrade_log
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.resources import RESOURCES, AnyResource
from monitor.store import Store
from monitor.web.app import make_app, make_health_app
from monitor.web.auth.authenticator import Authenticator
from monitor.web.context import Context, Limits
from monitor.web.forward import Forwarder
from monitor.web.scrape_bodies import ScrapeBodies
from monitor.web.stream.event_stream import EventStream

_MAX_PROBES = 64  # connections to the address of the probes at once; the descriptors are for other clients
_LAST_FLUSH_TIMEOUT_S = 2.0  # of the last progress marks: a database that does not answer must not delay the shutdown

log = structlog.get_logger()


class Daemon(msgspec.Struct, frozen=True):
    """
    A running daemon. ``address``: where it listens, with the port that was found when port 0 was configured.

    ``health_address``: the same of the probes alone; None: there is no such listener.
    """

    address: tuple[str, int]
    health_address: tuple[str, int] | None
    fleet: Fleet
    context: Context
    reloader: Reloader
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The URL for a browser."""
        return f"{self.scheme}://{write_address(self.address)}"


@asynccontextmanager
async def running(
    config: Config,
    *,
    now: Callable[[], float],
    rng: Random,
    load: Callable[[], Config] | None = None,
    advertise_url: str = "",
    manager: ServiceManager = ServiceManager(),  # noqa: B008  frozen
    passed_socket: socket | None = None,
    reload_timing: ReloadTiming = ReloadTiming(),  # noqa: B008  frozen
    stall_limits: StallLimits = StallLimits(),  # noqa: B008  frozen
    limits: Limits = Limits(),  # noqa: B008  frozen
    resources: Sequence[AnyResource] = RESOURCES,
) -> AsyncIterator[Daemon]:
    """
    Run the daemon for as long as the context lasts.

    ``now``: Unix seconds. ``load``: reads the configuration again, for a reload; None: it never changes.
    ``advertise_url``: where other daemons on the database reach this one; empty: where it listens, if that is one
    address. ``manager``: the service manager to notify. ``passed_socket``: one to listen on; None: the configured
    address. ``limits``: of the web server. ``resources``: the kinds of object to poll.
    Raises: MonitorError when it cannot listen; ConfigError when a newer version wrote the database.
    """
    self_metrics, fleet, stopping = SelfMetrics(), Fleet(), asyncio.Event()

    def update_annotations() -> None:
        controllers.update_annotations()

    store = Store(
        config.database,
        log_in=config.log_in_to_database,
        now=now,
        on_audit_failure=self_metrics.audit_write_failures.inc,
        on_annotations_read=update_annotations,
    )
    fleet.subscribe(partial(_note_upgrade, store, now))
    controllers = Controllers(fleet, store, now=now, rng=rng, resources=resources)
    heartbeat = Heartbeat(self_metrics, now=now)
    current_stall_reason = partial(_current_stall_reason, heartbeat, controllers, stall_limits)

    def current_not_ready_reason() -> str:
        uptime_s = heartbeat.uptime_s
        return not_ready_reason(fleet, store=store.not_ready_reason, uptime_s=uptime_s, stopping=stopping.is_set())

    reporter = StatusReporter(
        manager, fleet, stall_reason=current_stall_reason, not_ready_reason=current_not_ready_reason
    )

    async def apply(config: Config) -> Difference:
        """Must not fail. Access, TLS and streams change before the first await, so that no request sees a mixture."""
        context.authenticator.set_config(config)
        listener.set_tls_context(config.web.tls_context if config.web else None)
        context.event_stream.stalled_after_s = config.stalled_after_s
        context.event_stream.disconnect_all()
        return await controllers.apply_config(config)

    reloader = Reloader(
        config,
        load or (lambda: config),
        apply,
        self_metrics,
        now=now,
        on_begin=reporter.reloading,
        on_end=reporter.ready,
        timing=reload_timing,
    )
    context = _make_context(
        config,
        fleet,
        store,
        controllers,
        self_metrics,
        now=now,
        resources=resources,
        limits=limits,
        reload=reloader.reload,
        stall_reason=current_stall_reason,
        not_ready_reason=current_not_ready_reason,
        not_writer_reason=lambda: "stopping" if stopping.is_set() else store.not_writer_reason,
    )
    async with AsyncExitStack() as stack:
        await _open_store(store, stack)
        stack.push_async_callback(controllers.close)
        await controllers.apply_config(config)
        tls_context = config.web.tls_context if config.web else None
        listener = await listen(
            make_app(context), config.listen, limits, stack, tls_context=tls_context, passed_socket=passed_socket
        )
        health_address = None
        if config.health.listen is not UNSET:
            few = msgspec.structs.replace(limits, max_connections=_MAX_PROBES)
            health_address = (await listen(make_health_app(context), config.health.listen, few, stack)).address
        store.advertise(advertise_url or own_url(config, listener))
        await store.try_flush()
        for each in (context.patcher, context.forwarder):
            stack.push_async_callback(_drain, each, controllers)
        await stack.enter_async_context(
            _in_background(
                controllers,
                heartbeat=heartbeat.run(),
                store=store.run(),
                reload=reloader.run(),
                status=reporter.run(),
            )
        )
        log.info("started", address=write_address(listener.address), controllers=len(controllers))
        reporter.ready()
        try:
            yield Daemon(listener.address, health_address, fleet, context, reloader, listener.scheme)
        finally:
            stopping.set()
            context.event_stream.close()
            log.info("stopping")
            reporter.stopping()
    log.info("stopped")


def _make_context(
    config: Config,
    fleet: Fleet,
    store: Store,
    controllers: Controllers,
    self_metrics: SelfMetrics,
    *,
    now: Callable[[], float],
    resources: Sequence[AnyResource],
    limits: Limits,
    reload: Callable[[], Awaitable[Difference]],
    stall_reason: Callable[[], Awaitable[str]],
    not_ready_reason: Callable[[], str],
    not_writer_reason: Callable[[], str],
) -> Context:
    """Make what only the handlers of requests use, and export its state. ``reload`` and after: as in the context."""
    event_stream = EventStream(
        fleet,
        resources,
        now=now,
        stalled_after_s=config.stalled_after_s,
        max_readers=limits.max_readers,
        max_buffered_events=limits.max_buffered_events,
    )
    self_metrics.store_up.set_function(lambda: float(store.answers))
    self_metrics.writer.set_function(lambda: float(store.database.locked))
    self_metrics.event_readers.set_function(lambda: float(event_stream.readers))
    return Context(
        fleet=fleet,
        self_metrics=self_metrics,
        authenticator=Authenticator(
            config, self_metrics, clock=asyncio.get_running_loop().time, max_changes=limits.max_changes
        ),
        audit_log=store.audit_log,
        forwarder=make_forwarder(store, controllers),
        patcher=Patcher(fleet, store.audit_log, controllers.targets, now=now, on_outcome=self_metrics.patched),
        upgrade_logs=store.upgrade_logs.of,
        tenants=controllers.tenants,
        reload=reload,
        stall_reason=stall_reason,
        not_ready_reason=not_ready_reason,
        not_writer_reason=not_writer_reason,
        event_stream=event_stream,
        scrape_bodies=ScrapeBodies(fleet, resources),
        limits=limits,
        now=now,
    )


@asynccontextmanager
async def _in_background(controllers: Controllers, **coroutines: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Poll the controllers, and run each coroutine in a task of its name, until the context ends."""
    async with asyncio.TaskGroup() as tasks:
        background_tasks = [tasks.create_task(run, name=name) for name, run in coroutines.items()]
        controllers.start(tasks)
        try:
            yield
        finally:
            controllers.stop()
            for task in background_tasks:
                task.cancel()


def _note_upgrade(
    store: Store, now: Callable[[], float], name: str, entry: Entry | None, _changes: tuple[Change, ...]
) -> None:
    """A controller that was removed is not known to be upgraded any more."""
    store.upgrades.set(name, in_progress=entry is not None and entry.session.under_way)
    if entry is not None and entry.overview is not None:
        units = cast("Mapping[str, TrackedUpgrade]", entry.objects("upgrade"))
        logs = store.upgrade_logs.of(name)
        store.upgrade_logs.set(name, upgrade_log.follow(logs, entry.overview, units, at=now()))


async def _current_stall_reason(heartbeat: Heartbeat, controllers: Controllers, limits: StallLimits) -> str:
    await let_overdue_run()
    if not stall_reason(heartbeat.tick_age_s, controllers.overdue_s, limits):
        return ""
    await let_overdue_run()  # the event loop may have been held after the first time
    return stall_reason(heartbeat.tick_age_s, controllers.overdue_s, limits)


async def _open_store(store: Store, stack: AsyncExitStack) -> None:
    """
    Open the database, or read it as a standby. Without it the daemon starts all the same: only writes need it.

    Raises: ConfigError when a newer version wrote it: neither waiting nor another start helps.
    """
    stack.push_async_callback(store.close)
    stack.push_async_callback(_flush_at_shutdown, store)
    try:
        await store.flush()
    except NewerDatabase as error:
        raise ConfigError((f"the database {store.name} cannot be used: {error}",)) from error
    except StoreError:
        return  # the store logged it


async def _drain(changes: Patcher | Forwarder, controllers: Controllers) -> None:
    await changes.drain(timeout_s=PATCH_TIMEOUT_FACTOR * controllers.timeout_s)


async def _flush_at_shutdown(store: Store) -> None:
    try:
        async with asyncio.timeout(_LAST_FLUSH_TIMEOUT_S):
            await store.try_flush()
    except TimeoutError:
        log.warning(
            "database_down", cause="no answer at shutdown; the last progress marks are lost", database=store.name
        )
