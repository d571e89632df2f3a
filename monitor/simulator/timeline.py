"""What happens to a Controller by itself, at simulated times: the course of an upgrade night, for example."""

import asyncio
from collections.abc import Awaitable, Callable

from monitor.simulator.listener import Listener
from monitor.simulator.specs import Moment
from monitor.simulator.state import ControllerState


class Timeline:
    """The moments of one Controller, in the order of their times."""

    def __init__(self, controller: ControllerState, listener: Listener) -> None:
        self._controller = controller
        self._listener = listener
        self._moments = sorted(controller.spec.moments, key=lambda moment: moment.at)
        self._passed = 0
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Let them happen, each at its time; ends with the last."""
        clock, started = self._controller.clock, self._controller.started
        for moment in self._moments:
            await clock.until(started + moment.at)
            await EVENTS[moment.event](self._controller, self._listener, moment)
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


async def _upgrading(controller: ControllerState, _listener: Listener, _: Moment) -> None:
    controller.upgrading = True


async def _down(_controller: ControllerState, listener: Listener, _: Moment) -> None:
    await listener.close()


async def _unready(controller: ControllerState, listener: Listener, _: Moment) -> None:
    controller.unready = True
    await listener.open()


async def _back(controller: ControllerState, listener: Listener, moment: Moment) -> None:
    """As after an upgrade: another version, and nobody is logged in."""
    controller.version = moment.version or controller.version
    controller.login_state.expire()
    controller.upgrading = controller.unready = False
    await listener.open()


EVENTS: dict[str, Callable[[ControllerState, Listener, Moment], Awaitable[None]]] = {
    "upgrading": _upgrading,
    "down": _down,
    "unready": _unready,
    "back": _back,
}
