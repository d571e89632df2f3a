"""Changes of a Controller at simulated times, for example the course of an upgrade night."""

import asyncio
from math import inf

from monitor.simulator.listener import Listener
from monitor.simulator.specs import TimelineEvent
from monitor.simulator.state import ControllerState


class Timeline:
    """Applies the events of one Controller's spec, each at its time."""

    def __init__(self, controller: ControllerState, listener: Listener) -> None:
        self._controller = controller
        self._listener = listener
        plan = controller.upgrades.plan
        planned = plan.timeline(zero=controller.started_at) if plan else ()
        self._events = sorted((*controller.spec.timeline, *planned), key=_at)
        self._applied = 0
        self._changed = asyncio.Event()
        controller.upgrades.on_start = self.add

    def add(self, events: tuple[TimelineEvent, ...]) -> None:
        """Apply these events, too; those that are due at once."""
        done, open_events = self._events[: self._applied], self._events[self._applied :]
        self._events = [*done, *sorted((*open_events, *events), key=_at)]
        self._controller.clock.jump(0.0)  # wakes `run`

    async def run(self) -> None:
        """Apply the events, for ever."""
        clock, started_at = self._controller.clock, self._controller.started_at
        while True:
            event = self._events[self._applied] if self._applied < len(self._events) else None
            if event is None or started_at + event.at > clock.now():
                await clock.wait_for_jump(until=started_at + event.at if event else inf)
                continue
            await self._apply(event)
            self._applied += 1
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    async def wait_applied(self) -> None:
        """Return when all events are applied that are due at the time of the clock."""
        while self._applied < self._due():
            await self._changed.wait()

    def _due(self) -> int:
        elapsed = self._controller.clock.now() - self._controller.started_at
        return sum(event.at <= elapsed for event in self._events)

    async def _apply(self, event: TimelineEvent) -> None:
        controller = self._controller
        match event.kind:
            case "upgrading":
                controller.upgrading = True
            case "down":
                await self._listener.close()
            case "unready":
                controller.unready = True
                await self._listener.open()
            case "bad_gateway":
                controller.unready, controller.bad_gateway = False, True
                await self._listener.open()
            case "ready":
                controller.version = event.version or controller.version
                controller.login_state.expire()
                controller.upgrading = controller.unready = controller.bad_gateway = False
                await self._listener.open()
            case "upgraded":
                controller.upgrading = False


def _at(event: TimelineEvent) -> float:
    return event.at
