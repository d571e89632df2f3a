"""The fleet: one clock, one seed, a Controller a port, and the moments that happen to them by themselves."""

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import msgspec

from monitor.simulator.clock import Clock
from monitor.simulator.controller import SimulatedController
from monitor.simulator.scenarios import SCENARIOS
from monitor.simulator.specs import ControllerSpec
from monitor.simulator.timeline import Timeline


class Simulator:
    """
    Simulated Controllers in the running event loop, listening from ``async with`` to its end.

    The same seed and specs give the same objects at the same simulated times; ``start`` (seconds since the epoch)
    defaults to the present. ``speed`` 0 stands still until the clock is advanced. Ports are known once it listens, and
    stay what they are.
    """

    def __init__(
        self,
        controllers: Sequence[ControllerSpec],
        *,
        seed: int | str = 7,
        speed: float = 1.0,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        start: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        start = datetime.now(UTC).timestamp() if start is None else start
        self.clock = Clock(start=start, speed=speed, monotonic=monotonic)
        self.controllers: dict[str, SimulatedController] = {
            spec.name: SimulatedController(spec, place=place, seed=str(seed), clock=self.clock, host=host, tls=tls)
            for place, spec in enumerate(controllers)
        }
        self._timelines: dict[str, Timeline] = {}
        self._opened = AsyncExitStack()

    @classmethod
    def of(
        cls,
        scenario: str,
        *,
        seed: int | str = 7,
        speed: float = 1.0,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        start: float | None = None,
        first_port: int = 0,
    ) -> Self:
        """A scenario by its name; ``first_port`` and those after it are used where given. Raises: KeyError."""
        specs = SCENARIOS[scenario].controllers
        placed = [
            msgspec.structs.replace(spec, port=first_port + place if first_port else 0)
            for place, spec in enumerate(specs)
        ]
        return cls(placed, seed=seed, speed=speed, host=host, tls=tls, start=start)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            for controller in self.controllers.values():
                opened.push_async_callback(controller.close)
                await controller.start_listening()
            happening = await opened.enter_async_context(asyncio.TaskGroup())
            for name, controller in self.controllers.items():
                timeline = self._timelines[name] = Timeline(controller, controller.listener)
                opened.callback(happening.create_task(timeline.run(), name=f"moments:{name}").cancel)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def settled(self) -> None:
        """Return when every moment of a spec that is due by now has happened; for use after the clock was advanced."""
        for timeline in self._timelines.values():
            await timeline.settled()
