"""The fleet: simulated Controllers with one clock and one seed, each on a port of its own, and their timelines."""

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

    The same seed and specs give the same objects at the same simulated times. ``start``: seconds since the epoch; None
    is the present. ``speed`` 0: time stands still until the clock is advanced. Ports are known as soon as it listens,
    and do not change.
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
            spec.name: SimulatedController(spec, index=index, seed=str(seed), clock=self.clock, host=host, tls=tls)
            for index, spec in enumerate(controllers)
        }
        self._timelines: dict[str, Timeline] = {}
        self._exit_stack = AsyncExitStack()

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
        """Create a scenario by its name, on ``first_port`` and the ports after it (0: free ones). Raises: KeyError."""
        specs = SCENARIOS[scenario].controllers
        with_ports = [
            msgspec.structs.replace(spec, port=first_port + index if first_port else 0)
            for index, spec in enumerate(specs)
        ]
        return cls(with_ports, seed=seed, speed=speed, host=host, tls=tls, start=start)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for controller in self.controllers.values():
                stack.push_async_callback(controller.close)
                await controller.start_listening()
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            for name, controller in self.controllers.items():
                timeline = self._timelines[name] = Timeline(controller, controller.listener)
                stack.callback(tasks.create_task(timeline.run(), name=f"timeline:{name}").cancel)
            self._exit_stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit_stack.aclose()

    async def wait_timelines(self) -> None:
        """Return when all timeline events are applied that are due; for use after the clock was advanced."""
        for timeline in self._timelines.values():
            await timeline.wait_applied()
