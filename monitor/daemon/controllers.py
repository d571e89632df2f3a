"""
The configured controllers, each with its sessions and poller. A reload adds, changes or removes single ones.

Owns clients, pollers and their tasks, and the write targets that the patcher reads. Knows nothing of our web server.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack, suppress
from random import Random  # noqa: TID251  the type of an argument; the command makes the one rng

import structlog
from msgspec.structs import replace

from monitor.avi.connection import open_session
from monitor.avi.login_password import UpgradeWindow
from monitor.config.types import Config, Controller, Difference
from monitor.daemon.managed_controller import ManagedController, clients_of, stop_polling
from monitor.model.health import SessionHealth
from monitor.model.masking import KnownSecrets
from monitor.patching.client import PATCH_TIMEOUT_FACTOR, InFlightClient
from monitor.patching.request import WriteTarget
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.poller import Poller
from monitor.polling.reads import AnyTracker
from monitor.polling.resources import RESOURCES, UPGRADE, AnyResource, TrackingSettings, watched
from monitor.polling.schedule import PollLimiter
from monitor.polling.tracker import Tracker
from monitor.store import Store

_LOG_OUT_TIMEOUT_S = 2.0  # of all log-outs together: a controller that does not answer must not delay the shutdown

log = structlog.get_logger()


class _ImageView:
    """
    The images of a controller, in its present poller: a reload may have replaced the poller since the PATCH began.

    Does nothing when the controller was removed, or when its name now belongs to another one.
    """

    def __init__(self, controllers: "Controllers", controller: Controller) -> None:
        self._controllers = controllers
        self._controller = controller

    def update_annotations(self) -> None:
        if poller := self._poller():
            poller.update_annotations()

    def replace_image(self, raw: bytes) -> None:
        if poller := self._poller():
            poller.replace_object("image", raw)

    def poll_soon(self) -> None:
        if poller := self._poller():
            poller.poll_soon()

    def _poller(self) -> Poller | None:
        return self._controllers.poller_of(self._controller)


class Controllers:
    """Empty until ``apply_config``. ``targets`` and ``tenants``: by controller name; reloads update them in place."""

    def __init__(
        self,
        fleet: Fleet,
        store: Store,
        *,
        now: Callable[[], float],
        rng: Random,
        resources: Sequence[AnyResource] = RESOURCES,
    ) -> None:
        self._resources = resources
        self._fleet = fleet
        self._store = store
        self._now = now
        self._rng = rng
        self._managed: dict[str, ManagedController] = {}
        self._outdated: list[ManagedController] = []
        """Removed or replaced, and not closed yet. What a cancelled reload leaves here is closed by the next one."""
        self._secrets: dict[str, KnownSecrets] = {}
        """Of each controller, through all its sessions, accounts and settings."""
        self._upgrades: dict[str, UpgradeWindow] = {}
        """The same."""
        self._limiter = PollLimiter(1)
        self._tasks: asyncio.TaskGroup | None = None
        self.targets: dict[str, WriteTarget] = {}
        self.tenants: dict[str, dict[str, str]] = {}

    def __len__(self) -> int:
        return len(self._managed)

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to poll, in tasks of the group."""
        self._tasks = tasks
        for managed in self._managed.values():
            self._start_polling(managed)

    def stop(self) -> None:
        """Stop all polling. Sessions stay open for PATCHes in flight."""
        self._tasks = None
        polling = [managed.polling_task for managed in self._managed.values()]
        # The other outdated controllers are already logging out, which has a timeout.
        closing = [managed.closing_task for managed in self._outdated if managed.writer.busy]
        for task in filter(None, polling + closing):
            task.cancel()

    @property
    def timeout_s(self) -> float:
        """The longest deadline of a request: outdated controllers keep the one that they began with."""
        return max((managed.timeout_s for managed in (*self._managed.values(), *self._outdated)), default=0.0)

    @property
    def overdue_s(self) -> float:
        """How long ago the poll that is most overdue should have begun; 0: none is overdue."""
        return max((managed.poller.overdue_s for managed in self._managed.values()), default=0.0)

    def poller_of(self, controller: Controller) -> Poller | None:
        """Return the present poller of this controller; None: it was removed, or its name belongs to another one."""
        managed = self._managed.get(controller.name)
        return managed.poller if managed and managed.is_of(controller) else None

    async def apply_config(self, config: Config) -> Difference:
        """
        Poll the controllers of this configuration. One with equal settings keeps its session and its schedule.

        A changed one keeps images, units and counters, unless its URL or tenant changed; and its session, where its
        upgrades are watched newly, or no more. A PATCH in flight is completed with the settings it began with; its
        session ends after it, and this method does not wait for it.
        """
        wanted = {controller.name: controller for controller in config.controllers}
        kept = {name for name, managed in self._managed.items() if wanted.get(name) == managed.controller}
        outdated = {name: self._managed.pop(name) for name in tuple(self._managed) if name not in kept}
        self._limiter = PollLimiter(config.poll.concurrency)
        for managed in self._managed.values():
            self._set_limits(managed, config)
        self._outdated.extend(outdated.values())
        await stop_polling(self._outdated)
        for name, controller in wanted.items():
            if name not in kept:
                self._managed[name] = await self._open(controller, config, outdated.get(name))
        self._remove(outdated.keys() - wanted.keys())
        self._store.keep_only(wanted)
        self._managed = {name: self._managed[name] for name in wanted}
        self.targets |= {
            name: self._write_target(managed) for name, managed in self._managed.items() if name not in kept
        }
        self.tenants |= {
            name: {"image": controller.tenant, "upgrade": controller.upgrades_tenant or controller.tenant}
            for name, controller in wanted.items()
        }
        await self._close_outdated()
        if not wanted:  # as before the first one is added; it may also be a mistake
            log.warning("no_controllers", file=str(config.files[0]))
        new = wanted.keys() - kept
        changed = tuple(sorted(new & outdated.keys()))
        return Difference(tuple(sorted(new - outdated.keys())), changed, tuple(sorted(outdated.keys() - wanted.keys())))

    def update_annotations(self) -> None:
        """Render the annotations again, after the database was read again."""
        for managed in self._managed.values():
            managed.poller.update_annotations()

    async def close(self) -> None:
        """Log out of every controller, as far as they answer in time."""
        self._outdated.extend(self._managed.values())
        self._managed.clear()
        await self._close(tuple(self._outdated))

    def _start_polling(self, managed: ManagedController) -> None:
        if self._tasks:
            name = f"poll:{managed.controller.name}"
            managed.polling_task = self._tasks.create_task(managed.poller.run(), name=name)

    def _write_target(self, managed: ManagedController) -> WriteTarget:
        return WriteTarget(managed.writer, _ImageView(self, managed.controller))

    async def _close_outdated(self) -> None:
        """Close each outdated controller, now or after its PATCH in flight. ``close`` closes those left at shutdown."""
        busy = [managed for managed in self._outdated if managed.closing_task or managed.writer.busy]
        for managed in busy:
            if self._tasks and not managed.closing_task:
                name = f"close:{managed.controller.name}"
                managed.closing_task = self._tasks.create_task(self._close_when_idle(managed), name=name)
        await self._close([managed for managed in self._outdated if managed not in busy])

    async def _close_when_idle(self, managed: ManagedController) -> None:
        """Close it after its PATCH in flight, at the latest when that must have timed out."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATCH_TIMEOUT_FACTOR * managed.timeout_s):
                await managed.writer.wait_idle()
        await self._close([managed])

    async def _close(self, closing: Collection[ManagedController]) -> None:
        """Log out of all at the same time, then close their connections."""
        for managed in closing:
            managed.writer.refuse_new()
        try:
            async with asyncio.timeout(_LOG_OUT_TIMEOUT_S), asyncio.TaskGroup() as tasks:
                for client in clients_of(closing):
                    tasks.create_task(client.log_out(), name="log-out")
        except TimeoutError:
            log.warning("log_out_incomplete", after_s=_LOG_OUT_TIMEOUT_S)
        for managed in closing:
            await managed.sessions.aclose()
            self._outdated.remove(managed)

    def _set_limits(self, managed: ManagedController, config: Config) -> None:
        poll = config.poll
        managed.timeout_s = poll.timeout_s
        for client in (managed.client, managed.writer):
            client.set_limits(timeout_s=poll.timeout_s, max_response=poll.max_response, upgrades=config.upgrades)
        managed.poller.apply_settings(poll, TrackingSettings.of(config), self._limiter)

    def _previous_entry(self, outdated: ManagedController | None, controller: Controller) -> Entry | None:
        """
        Return the entry from before the settings changed, without units if they are read of another tenant now.

        None: there is none, or of another Controller.
        """
        if outdated is None or not outdated.is_of(controller):
            return None
        entry = self._fleet.entries[controller.name]
        if outdated.controller.upgrades_tenant == controller.upgrades_tenant:
            return entry
        return replace(
            entry, collections={name: each for name, each in entry.collections.items() if name != UPGRADE.name}
        )

    async def _open(
        self, controller: Controller, config: Config, outdated: ManagedController | None
    ) -> ManagedController:
        """Begin to poll it. ``outdated``: what had its name until now; what is known of it is kept."""
        known = self._previous_entry(outdated, controller)
        if controller.tls.insecure:
            log.warning("tls_insecure", controller=controller.name)
        if outdated and replace(outdated.controller, watch_upgrades=controller.watch_upgrades) == controller:
            client, writer, sessions = outdated.client, outdated.writer, outdated.sessions
            self._outdated.remove(outdated)  # so that its sessions are not closed
        else:
            client, writer, sessions = await self._make_clients(controller, config, outdated)
        under_way = self._store.upgrades.in_progress(controller.name)
        health = known.session if known else SessionHealth(upgrading=under_way, under_way=under_way)
        poller = Poller(
            controller.name,
            client,
            self._fleet,
            self._make_trackers(controller, config, known),
            poll=config.poll,
            limiter=self._limiter,
            now=self._now,
            rng=self._rng,
            log=log.bind(controller=controller.name),
            settings=TrackingSettings.of(config),
            health=replace(health, tls_insecure=controller.tls.insecure),
        )
        managed = ManagedController(controller, client, writer, poller, sessions, config.poll.timeout_s)
        self._set_limits(managed, config)
        self._start_polling(managed)
        return managed

    async def _make_clients(
        self, controller: Controller, config: Config, outdated: ManagedController | None
    ) -> tuple[InFlightClient, InFlightClient, AsyncExitStack]:
        """Make the clients that read and write, and what closes their connections."""
        sessions = AsyncExitStack()
        client = writer = await self._connect(controller, config, sessions)
        if controller.write:
            account = controller.write
            as_writer = replace(controller, username=account.username, password=account.password)
            writer = await self._connect(as_writer, config, sessions)
        if outdated:
            client.inherit_refusal(outdated.client)
            writer.inherit_refusal(outdated.writer)
        return client, writer, sessions

    def _make_trackers(self, controller: Controller, config: Config, known: Entry | None) -> list[AnyTracker]:
        """Make one for each kind of object, with what is ``known`` of the controller."""
        return [
            Tracker(
                controller.name,
                resource,
                self._store.marks,
                self._store.audit_log,
                self._store.upload_history,
                settings=TrackingSettings.of(config),
                log=log.bind(controller=controller.name),
                known=known.collections.get(resource.name) if known else None,
            )
            for resource in watched(self._resources, controller)
        ]

    async def _connect(self, controller: Controller, config: Config, sessions: AsyncExitStack) -> InFlightClient:
        poll = config.poll
        session = await sessions.enter_async_context(open_session(controller.tls, keepalive_s=2 * poll.idle_interval_s))
        return InFlightClient(
            controller,
            session,
            timeout_s=poll.timeout_s,
            max_response=poll.max_response,
            now=self._now,
            secrets=self._secrets.setdefault(controller.name, KnownSecrets()),
            upgrade=self._upgrades.setdefault(controller.name, UpgradeWindow()),
        )

    def _remove(self, names: set[str]) -> None:
        for name in names:
            self._fleet.remove(name)
            del self.targets[name], self.tenants[name], self._secrets[name], self._upgrades[name]
