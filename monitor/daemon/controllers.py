"""
The controllers that are watched, each with sessions and a loop: added, changed and removed while the others go on.

Owns clients, pollers and their tasks, and the mapping of targets that the patcher reads. Knows no HTTP of ours.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from random import Random  # noqa: TID251  the type of an argument; app.py makes the one there is

import structlog
from msgspec import Struct
from msgspec.structs import replace

from monitor.avi.client import MAX_REQUESTS_PER_POLL, Client
from monitor.avi.connection import open_session
from monitor.config.types import Config, Controller, Difference
from monitor.model.health import SessionHealth
from monitor.patching.client import InFlightClient
from monitor.patching.request import WriteTarget
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.poller import Poller
from monitor.polling.resources import RESOURCES, AnyResource
from monitor.polling.schedule import PollLimiter
from monitor.polling.tracker import Tracker, TrackingSettings
from monitor.store import Store

_FAREWELL_S = 2.0  # for all log-outs together; an ended process may not wait for a dead controller
_SPREAD_S = 10.0  # the first polls of a large fleet are spread over this
_SPREAD_EACH_S = 0.02  # and those of a small one over this much a controller

log = structlog.get_logger()


class ManagedController(Struct, eq=False):
    """
    One controller, and what of ours belongs to it. ``client`` polls; ``writer`` is the same, or another account.

    ``timeout_s``: of each of its requests. ``parting``: closes it when an order that was under way has ended.
    """

    controller: Controller
    client: InFlightClient
    writer: InFlightClient
    poller: Poller
    sessions: AsyncExitStack
    timeout_s: float
    task: asyncio.Task[None] | None = None
    parting: asyncio.Task[None] | None = None


class _Display:
    """
    Shows the images of a controller as it is watched now: a reload may have replaced who watched it at first.

    Shows nothing of one that is watched no more, or is somebody else by now.
    """

    def __init__(self, watches: "Controllers", controller: Controller) -> None:
        self._watches = watches
        self._controller = controller

    def annotated(self) -> None:
        if poller := self._poller():
            poller.update_annotations()

    def replaced(self, raw: bytes) -> None:
        if poller := self._poller():
            poller.replace_object("image", raw)

    def nudge(self) -> None:
        if poller := self._poller():
            poller.poll_soon()

    def _poller(self) -> Poller | None:
        return self._watches.poller_of(self._controller)


class Controllers:
    """Made empty. ``targets`` and ``tenants`` by controller name, always as they are now."""

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
        self._watches: dict[str, ManagedController] = {}
        self._leaving: list[ManagedController] = []
        """Those that are not closed yet; whoever is cancelled in the middle of a reload leaves them to us."""
        self._slots = PollLimiter(1)
        self._tasks: asyncio.TaskGroup | None = None
        self.targets: dict[str, WriteTarget] = {}
        self.tenants: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to poll, as tasks of the group; whoever is added later begins at once."""
        self._tasks = tasks
        for place, watch in enumerate(self._watches.values()):
            self._run(watch, first_in_s=place * min(_SPREAD_EACH_S, _SPREAD_S / len(self._watches)))

    def stop(self) -> None:
        """End all polling; sessions stay, for changes under way."""
        self._tasks = None
        polling = [watch.task for watch in self._watches.values()]
        waiting = [watch.parting for watch in self._leaving if watch.writer.busy]  # the others log out, which is short
        for task in filter(None, polling + waiting):
            task.cancel()

    @property
    def timeout_s(self) -> float:
        """The deadline of a request now; the longest, where some are left that began under another."""
        return max((watch.timeout_s for watch in (*self._watches.values(), *self._leaving)), default=0.0)

    @property
    def overdue_s(self) -> float:
        """For how long the one that is furthest behind has stood still; 0 while all go as they should."""
        return max((watch.poller.overdue_s for watch in self._watches.values()), default=0.0)

    def poller_of(self, controller: Controller) -> Poller | None:
        """Who polls this controller now; None when nobody does, or its name is that of another one."""
        watch = self._watches.get(controller.name)
        return watch.poller if watch and _is_same(watch.controller, controller) else None

    async def renew(self, config: Config) -> Difference:
        """
        Watch the controllers of this configuration from now on, in its way. Who is as he was is not disturbed.

        Whoever is changed keeps what is known of him, unless he is somebody else now: another URL or tenant. An order
        that is under way is carried out as it was begun; its session ends after it, and nobody waits for that here.
        """
        wanted = {controller.name: controller for controller in config.controllers}
        kept = {name for name, watch in self._watches.items() if wanted.get(name) == watch.controller}
        gone = {name: self._watches.pop(name) for name in tuple(self._watches) if name not in kept}
        self._slots = PollLimiter(config.poll.concurrency)
        for watch in self._watches.values():
            self._adapt(watch, config)
        self._leaving.extend(gone.values())
        await _end(self._leaving)
        for name, controller in wanted.items():
            if name not in kept:
                known = self._inheritance(gone.get(name), controller)
                self._watches[name] = await self._open(controller, config, known)
        self._forget(gone.keys() - wanted.keys())
        self._watches = {name: self._watches[name] for name in wanted}
        self.targets |= {name: self._target(watch) for name, watch in self._watches.items() if name not in kept}
        self.tenants |= {name: controller.tenant for name, controller in wanted.items()}
        await self._part()
        new = wanted.keys() - kept
        changed = tuple(sorted(new & gone.keys()))
        return Difference(tuple(sorted(new - gone.keys())), changed, tuple(sorted(gone.keys() - wanted.keys())))

    def redraw(self) -> None:
        """Show the annotations as they were read anew."""
        for watch in self._watches.values():
            watch.poller.update_annotations()

    async def close(self) -> None:
        """Leave no session behind on any controller, as far as they let us in the time there is."""
        self._leaving.extend(self._watches.values())
        self._watches.clear()
        await self._close(tuple(self._leaving))

    def _run(self, watch: ManagedController, *, first_in_s: float) -> None:
        if self._tasks:
            name = f"poll:{watch.controller.name}"
            watch.task = self._tasks.create_task(watch.poller.run(first_in_s=first_in_s), name=name)

    def _target(self, watch: ManagedController) -> WriteTarget:
        return WriteTarget(watch.writer, _Display(self, watch.controller))

    async def _part(self) -> None:
        """Close those who leave: now, or when their order has ended; when we end first, that is left to ``close``."""
        busy = [watch for watch in self._leaving if watch.parting or watch.writer.busy]
        for watch in busy:
            if self._tasks and not watch.parting:
                name = f"part:{watch.controller.name}"
                watch.parting = self._tasks.create_task(self._outlast(watch), name=name)
        await self._close([watch for watch in self._leaving if watch not in busy])

    async def _outlast(self, watch: ManagedController) -> None:
        """Close one whose order is under way, after it; its requests have their deadlines."""
        with suppress(TimeoutError):
            async with asyncio.timeout(MAX_REQUESTS_PER_POLL * watch.timeout_s):
                await watch.writer.wait_idle()
        await self._close([watch])

    async def _close(self, watches: Collection[ManagedController]) -> None:
        """Log out everywhere at once, then let go of the connections; who is done is no more among those who leave."""
        for watch in watches:
            watch.writer.refuse_new()
        try:
            async with asyncio.timeout(_FAREWELL_S), asyncio.TaskGroup() as tasks:
                for client in _clients(watches):
                    tasks.create_task(client.log_out(), name="log-out")
        except TimeoutError:
            log.warning("log_out_incomplete", after_s=_FAREWELL_S)
        for watch in watches:
            await watch.sessions.aclose()
            self._leaving.remove(watch)

    def _adapt(self, watch: ManagedController, config: Config) -> None:
        poll = config.poll
        watch.timeout_s = poll.timeout_s
        for client in (watch.client, watch.writer):
            client.set_limits(timeout_s=poll.timeout_s, max_response=poll.max_response)
        watch.poller.apply_settings(poll, _tracking(config), self._slots)

    def _inheritance(self, gone: ManagedController | None, controller: Controller) -> Entry | None:
        """What is known of the controller from before, when it is the same with other settings."""
        if gone is None or not _is_same(gone.controller, controller):
            return None
        return self._fleet.entries[controller.name]

    async def _open(self, controller: Controller, config: Config, known: Entry | None) -> ManagedController:
        if controller.tls.insecure:
            log.warning("tls_insecure", controller=controller.name)
        sessions = AsyncExitStack()
        client = writer = await self._connect(controller, config, sessions)
        if controller.write:
            account = controller.write
            alias = replace(controller, username=account.username, password=account.password)
            writer = await self._connect(alias, config, sessions)
        logger = log.bind(controller=controller.name)
        trackers = [
            Tracker(
                controller.name,
                resource,
                self._store.marks,
                self._store.audit_log,
                self._store.upload_history,
                settings=_tracking(config),
                log=logger,
                known=known.collections[resource.name] if known else None,
            )
            for resource in self._resources
        ]
        health = known.session if known else SessionHealth()
        poller = Poller(
            controller.name,
            client,
            self._fleet,
            trackers,
            poll=config.poll,
            limiter=self._slots,
            now=self._now,
            rng=self._rng,
            log=logger,
            health=replace(health, tls_insecure=controller.tls.insecure),
        )
        watch = ManagedController(controller, client, writer, poller, sessions, config.poll.timeout_s)
        self._run(watch, first_in_s=0.0)
        return watch

    async def _connect(self, controller: Controller, config: Config, sessions: AsyncExitStack) -> InFlightClient:
        poll = config.poll
        session = await sessions.enter_async_context(open_session(controller.tls, keepalive_s=2 * poll.idle_interval_s))
        return InFlightClient(
            controller, session, timeout_s=poll.timeout_s, max_response=poll.max_response, now=self._now
        )

    def _forget(self, names: set[str]) -> None:
        for name in names:
            self._fleet.remove(name)
            del self.targets[name], self.tenants[name]


def _tracking(config: Config) -> TrackingSettings:
    return TrackingSettings(config.events, config.annotations.export, config.stalled_after_s)


def _is_same(one: Controller, other: Controller) -> bool:
    """Whether they are the same controller, whatever else was set."""
    return (one.url, one.tenant) == (other.url, other.tenant)


async def _end(watches: list[ManagedController]) -> None:
    """End their polling, and wait until none of it is left: a controller's entry has one writer."""
    for watch in watches:
        watch.poller.retire()
    if tasks := [watch.task for watch in watches if watch.task]:
        _, slow = await asyncio.wait(tasks, timeout=_FAREWELL_S)
        for task in slow:
            task.cancel()
        await asyncio.wait(tasks)


def _clients(watches: Iterable[ManagedController]) -> Iterator[Client]:
    for watch in watches:
        yield from {watch.client, watch.writer}
