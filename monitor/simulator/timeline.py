"""Changes of a Controller at simulated times, for example the course of an upgrade night."""

import asyncio

from monitor.simulator.listener import Listener
from monitor.simulator.specs import TimelineEvent
from monitor.simulator.state import ControllerState


class Timeline:
    """Applies the events of one Controller's spec, each at its time."""

    def __init__(self, controller: ControllerState, listener: Listener) -> None:
        self._controller = controller
        self._listener = listener
        self._events = sorted(controller.spec.timeline, key=lambda event: event.at)
        self._applied = 0
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Apply the events; return after the last one."""
        clock, started_at = self._controller.clock, self._controller.started_at
        for event in self._events:
            await clock.wait_until(started_at + event.at)
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
            case "ready":
                controller.version = event.version or controller.version
                controller.login_state.expire()
                controller.upgrading = controller.unready = False
                await self._listener.open()
