"""
The composition root: builds every object from a config, and opens, runs and stops them in order.

Order of the shutdown: report not ready → stop the pollers → complete the PATCHes in flight → log out of every
controller → write the progress marks.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random  # noqa: TID251  the type of an argument; the command makes the one rng
from socket import socket

import msgspec
import structlog

from monitor.config.types import Config, Difference
from monitor.config.values import write_address
from monitor.daemon.controllers import Controllers
from monitor.daemon.heartbeat import Heartbeat, StallLimits, let_overdue_run, not_ready_reason, stall_reason
from monitor.daemon.reload import Reloader, ReloadTiming
from monitor.daemon.systemd import Notifier, ServiceManager
from monitor.metrics.self_metrics import SelfMetrics
from monitor.model.errors import MonitorError, NewerDatabase, StoreError
from monitor.patching.client import PATCH_TIMEOUT_FACTOR
from monitor.patching.patcher import Patcher
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.resources import RESOURCES, AnyResource
from monitor.store import Store
from monitor.web.app import error_response, make_app
from monitor.web.auth.authenticator import Authenticator
from monitor.web.connections import Runner
from monitor.web.context import Context, Limits
from monitor.web.scrape_bodies import ScrapeBodies
from monitor.web.server import Listener
from monitor.web.stream.event_stream import EventStream

_SHUTDOWN_TIMEOUT_S = 2.0  # for the last progress marks: a database that does not answer must not delay the shutdown

log = structlog.get_logger()


class Daemon(msgspec.Struct, frozen=True):
    """A running daemon. ``address``: where it listens, with the port that was found when port 0 was configured."""

    address: tuple[str, int]
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
    manager: ServiceManager = ServiceManager(),  # noqa: B008  frozen
    passed: socket | None = None,
    reload_timing: ReloadTiming = ReloadTiming(),  # noqa: B008  frozen
    stall_limits: StallLimits = StallLimits(),  # noqa: B008  frozen
    limits: Limits = Limits(),  # noqa: B008  frozen
    resources: Sequence[AnyResource] = RESOURCES,
) -> AsyncIterator[Daemon]:
    """
    Run the daemon for as long as the context lasts.

    ``now``: Unix seconds. ``load``: reads the configuration again, for a reload; None: it never changes.
    ``manager``: the service manager to notify. ``passed``: a socket to listen on; None: the configured address.
    ``limits``: of the web server. ``resources``: the kinds of object to poll.
    Raises: MonitorError when it cannot listen, or a newer version wrote the database.
    """
    self_metrics, fleet = SelfMetrics(), Fleet()

    def update_annotations() -> None:
        controllers.update_annotations()

    store = Store(
        config.database,
        now=now,
        on_audit_failure=self_metrics.audit_write_failures.inc,
        on_annotations_read=update_annotations,
    )
    heartbeat = Heartbeat(self_metrics, now=now)
    stopping = asyncio.Event()
    self_metrics.store_up.set_function(lambda: float(store.answers))
    self_metrics.writer.set_function(lambda: float(store.database.locked))
    controllers = Controllers(fleet, store, now=now, rng=rng, resources=resources)
    authenticator = Authenticator(
        config, self_metrics, clock=asyncio.get_running_loop().time, max_changes=limits.max_changes
    )
    event_stream = EventStream(
        fleet,
        resources,
        now=now,
        stalled_after_s=config.stalled_after_s,
        max_readers=limits.max_readers,
        max_buffered_events=limits.max_buffered_events,
    )

    def note_upgrade(name: str, entry: Entry | None, _: object) -> None:
        """A controller that was removed is not known to be upgraded any more."""
        store.upgrades.set(name, in_progress=entry is not None and entry.session.upgrading)

    fleet.subscribe(note_upgrade)
    self_metrics.event_readers.set_function(lambda: float(event_stream.readers))

    async def apply(config: Config) -> Difference:
        """Must not fail. Access, TLS and streams change before the first await, so that no request sees a mixture."""
        authenticator.set_config(config)
        listener.set_tls_context(config.web.tls_context if config.web else None)
        event_stream.stalled_after_s = config.stalled_after_s
        event_stream.disconnect_all()
        return await controllers.apply_config(config)

    why_stalled = partial(_why_stalled, heartbeat, controllers, stall_limits)
    notifier = Notifier(manager, fleet, stall_reason=why_stalled)
    reloader = Reloader(
        config,
        load or (lambda: config),
        apply,
        self_metrics,
        now=now,
        on_begin=notifier.reloading,
        on_end=notifier.ready,
        timing=reload_timing,
    )
    context = Context(
        fleet=fleet,
        self_metrics=self_metrics,
        authenticator=authenticator,
        audit_log=store.audit_log,
        patcher=Patcher(fleet, store.audit_log, controllers.targets, now=now, on_outcome=self_metrics.patched),
        tenants=controllers.tenants,
        reload=reloader.reload,
        not_healthy=why_stalled,
        event_stream=event_stream,
        scrape_bodies=ScrapeBodies(fleet, resources),
        limits=limits,
        now=now,
        not_ready=lambda: not_ready_reason(
            fleet, store=store.not_ready, uptime_s=heartbeat.uptime_s, stopping=stopping.is_set()
        ),
    )
    async with AsyncExitStack() as stack:
        await _open_store(store, stack)
        stack.push_async_callback(controllers.close)
        await controllers.apply_config(config)
        listener = await _listen(config, context, stack, passed)
        stack.push_async_callback(lambda: context.patcher.drain(timeout_s=PATCH_TIMEOUT_FACTOR * controllers.timeout_s))
        async with asyncio.TaskGroup() as tasks:
            coroutines = {
                "heartbeat": heartbeat.run(),
                "store": store.run(),
                "reload": reloader.run(),
                "notify": notifier.run(),
            }
            background_tasks = [tasks.create_task(run, name=name) for name, run in coroutines.items()]
            controllers.start(tasks)
            log.info("started", address=write_address(listener.address), controllers=len(controllers))
            notifier.ready()
            try:
                yield Daemon(listener.address, fleet, context, reloader, listener.scheme)
            finally:
                stopping.set()
                event_stream.close()
                log.info("stopping")
                notifier.stopping()
                controllers.stop()
                for task in background_tasks:
                    task.cancel()
    log.info("stopped")


async def _why_stalled(heartbeat: Heartbeat, controllers: Controllers, limits: StallLimits) -> str:
    await let_overdue_run()
    return stall_reason(heartbeat.tick_age_s, controllers.overdue_s, limits)


async def _open_store(store: Store, stack: AsyncExitStack) -> None:
    """
    Open the database. Without it the daemon starts all the same: only writes need it.

    Raises: MonitorError when a newer version wrote it, for which waiting does not help.
    """
    stack.push_async_callback(store.close)
    stack.push_async_callback(_flush_at_shutdown, store)
    try:
        await store.open()
    except NewerDatabase as error:
        raise MonitorError(f"the database {store.name} cannot be used: {error}") from error
    except StoreError:
        return  # the store logged it


async def _flush_at_shutdown(store: Store) -> None:
    try:
        async with asyncio.timeout(_SHUTDOWN_TIMEOUT_S):
            await store.try_flush()
    except TimeoutError:
        log.warning(
            "database_down", cause="no answer at shutdown; the last progress marks are lost", database=store.name
        )


async def _listen(config: Config, context: Context, stack: AsyncExitStack, passed: socket | None) -> Listener:
    respond = partial(error_response, context)
    runner = Runner(
        make_app(context), respond, context.limits, access_log=None, handle_signals=False, shutdown_timeout=1.0
    )
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    tls_context = config.web.tls_context if config.web else None
    listener = Listener(runner, config.listen_host, config.listen_port, tls_context, passed)
    stack.push_async_callback(listener.stop_accepting)
    await listener.start()
    return listener
