"""What happens to a Controller by itself, at simulated times: the course of an upgrade night, for example."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from monitor.simulator.specs import Moment

if TYPE_CHECKING:
    from monitor.simulator.controller import SimulatedController


class Timeline:
    """The moments of one Controller, in the order of their times."""

    def __init__(self, controller: "SimulatedController") -> None:
        self._controller = controller
        self._moments = sorted(controller.spec.moments, key=lambda moment: moment.at)
        self._passed = 0
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Let them happen, each at its time; ends with the last."""
        clock, started = self._controller.clock, self._controller.started
        for moment in self._moments:
            await clock.until(started + moment.at)
            await EVENTS[moment.event](self._controller, moment)
            self._passed += 1
            news, self._news = self._news, asyncio.Event()
            news.set()

    async def settled(self) -> None:
        """Return when all that is due by now has happened."""
        while self._passed < self._due():
            await self._news.wait()

    def _due(self) -> int:
        elapsed = self._controller.clock.now() - self._controller.started
        return sum(moment.at <= elapsed for moment in self._moments)


async def _upgrading(controller: "SimulatedController", _: Moment) -> None:
    controller.upgrading = True


async def _down(controller: "SimulatedController", _: Moment) -> None:
    await controller.stop_listening()


async def _unready(controller: "SimulatedController", _: Moment) -> None:
    controller.unready = True
    await controller.start_listening()


async def _back(controller: "SimulatedController", moment: Moment) -> None:
    """As after an upgrade: another version, and nobody is logged in."""
    controller.version = moment.version or controller.version
    controller.expire_sessions()
    controller.upgrading = controller.unready = False
    await controller.start_listening()


EVENTS: dict[str, Callable[["SimulatedController", Moment], Awaitable[None]]] = {
    "upgrading": _upgrading,
    "down": _down,
    "unready": _unready,
    "back": _back,
}
