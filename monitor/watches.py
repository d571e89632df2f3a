"""
The controllers that are watched, each with sessions and a loop: added, changed and removed while the others go on.

Owns clients, pollers and their tasks, and the mapping of targets that the patcher reads. Knows no HTTP of ours.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from random import Random  # noqa: TID251  the type of an argument; app.py makes the one there is

import structlog
from msgspec import Struct
from msgspec.structs import replace

from monitor.avi.client import Client
from monitor.avi.connection import open_session
from monitor.config import Config, Controller
from monitor.fleet import Entry, Fleet
from monitor.orders import Target
from monitor.pace import Slots
from monitor.poller import Poller
from monitor.store import Store

_FAREWELL_S = 2.0  # for all log-outs together; an ended process may not wait for a dead controller
_SPREAD_S = 10.0  # the first polls of a large fleet are spread over this
_SPREAD_EACH_S = 0.02  # and those of a small one over this much a controller

log = structlog.get_logger()


class _Watch(Struct):
    """One controller, and what of ours belongs to it. ``client`` polls; ``writer`` is the same, or another account."""

    controller: Controller
    client: Client
    writer: Client
    poller: Poller
    sessions: AsyncExitStack
    task: asyncio.Task[None] | None = None


class Difference(Struct, frozen=True):
    """The names of the controllers that a reload touched."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


class Watches:
    """Made empty. ``targets`` and ``tenants`` by controller name, always as they are now."""

    def __init__(self, fleet: Fleet, store: Store, *, now: Callable[[], float], rng: Random) -> None:
        self._fleet = fleet
        self._store = store
        self._now = now
        self._rng = rng
        self._watches: dict[str, _Watch] = {}
        self._leaving: list[_Watch] = []
        """Those that are not closed yet; whoever is cancelled in the middle of a reload leaves them to us."""
        self._slots = Slots(1)
        self._tasks: asyncio.TaskGroup | None = None
        self.targets: dict[str, Target] = {}
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
        for watch in self._watches.values():
            _cancel(watch)

    @property
    def overdue_s(self) -> float:
        """For how long the one that is furthest behind has stood still; 0 while all go as they should."""
        return max((watch.poller.overdue_s for watch in self._watches.values()), default=0.0)

    async def renew(self, config: Config) -> Difference:
        """
        Watch the controllers of this configuration from now on, in its way. Who is as he was is not disturbed.

        Whoever is changed keeps what is known of him, unless he is somebody else now: another URL or tenant.
        """
        wanted = {controller.name: controller for controller in config.controllers}
        kept = {name for name, watch in self._watches.items() if wanted.get(name) == watch.controller}
        gone = {name: self._watches.pop(name) for name in tuple(self._watches) if name not in kept}
        self._slots = Slots(config.poll.concurrency)
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
        self.targets |= {name: Target(watch.writer, watch.poller) for name, watch in self._watches.items()}
        self.tenants |= {name: controller.tenant for name, controller in wanted.items()}
        await _close(self._leaving)
        new = wanted.keys() - kept
        changed = tuple(sorted(new & gone.keys()))
        return Difference(tuple(sorted(new - gone.keys())), changed, tuple(sorted(gone.keys() - wanted.keys())))

    def redraw(self) -> None:
        """Show the annotations as they were read anew."""
        for watch in self._watches.values():
            watch.poller.annotated()

    async def close(self) -> None:
        """Leave no session behind on any controller, as far as they let us in the time there is."""
        self._leaving.extend(self._watches.values())
        self._watches.clear()
        await _close(self._leaving)

    def _run(self, watch: _Watch, *, first_in_s: float) -> None:
        if self._tasks:
            name = f"poll:{watch.controller.name}"
            watch.task = self._tasks.create_task(watch.poller.run(first_in_s=first_in_s), name=name)

    def _adapt(self, watch: _Watch, config: Config) -> None:
        poll = config.poll
        for client in (watch.client, watch.writer):
            client.renew(timeout_s=poll.timeout_s, max_response=poll.max_response)
        watch.poller.renew(poll, config.events, config.annotations.export, self._slots)

    def _inheritance(self, gone: _Watch | None, controller: Controller) -> Entry | None:
        """What is known of the controller from before, when it is the same with other settings."""
        if gone is None or (gone.controller.url, gone.controller.tenant) != (controller.url, controller.tenant):
            return None
        return self._fleet.entries[controller.name]

    async def _open(self, controller: Controller, config: Config, known: Entry | None) -> _Watch:
        if controller.tls.insecure:
            log.warning("tls_insecure", controller=controller.name)
        sessions = AsyncExitStack()
        client = writer = await self._connect(controller, config, sessions)
        if controller.write:
            account = controller.write
            alias = replace(controller, username=account.username, password=account.password)
            writer = await self._connect(alias, config, sessions)
        poller = Poller(
            controller.name,
            client,
            self._fleet,
            self._store.marks,
            self._store.ledger,
            past=self._store.past,
            poll=config.poll,
            events=config.events,
            exported=config.annotations.export,
            slots=self._slots,
            now=self._now,
            rng=self._rng,
            tls_insecure=controller.tls.insecure,
            known=known,
        )
        watch = _Watch(controller, client, writer, poller, sessions)
        self._run(watch, first_in_s=0.0)
        return watch

    async def _connect(self, controller: Controller, config: Config, sessions: AsyncExitStack) -> Client:
        poll = config.poll
        session = await sessions.enter_async_context(open_session(controller.tls, keepalive_s=2 * poll.idle_interval_s))
        return Client(controller, session, timeout_s=poll.timeout_s, max_response=poll.max_response, now=self._now)

    def _forget(self, names: set[str]) -> None:
        for name in names:
            self._fleet.remove(name)
            del self.targets[name], self.tenants[name]


def _cancel(watch: _Watch) -> None:
    if watch.task:
        watch.task.cancel()


async def _end(watches: list[_Watch]) -> None:
    """End their polling, and wait until none of it is left: a controller's entry has one writer."""
    for watch in watches:
        watch.poller.retire()
    if tasks := [watch.task for watch in watches if watch.task]:
        _, slow = await asyncio.wait(tasks, timeout=_FAREWELL_S)
        for task in slow:
            task.cancel()
        await asyncio.wait(tasks)


async def _close(watches: list[_Watch]) -> None:
    """Log out everywhere at once, then let go of the connections; who is done leaves the list."""
    try:
        async with asyncio.timeout(_FAREWELL_S), asyncio.TaskGroup() as tasks:
            for client in _clients(watches):
                tasks.create_task(client.log_out(), name="log-out")
    except TimeoutError:
        log.warning("log_out_incomplete", after_s=_FAREWELL_S)
    while watches:
        await watches[-1].sessions.aclose()
        watches.pop()


def _clients(watches: list[_Watch]) -> Iterator[Client]:
    for watch in watches:
        yield from {watch.client, watch.writer}
