"""An event loop that was held, by a large page perhaps, and runs again is no reason to call the daemon stalled."""

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from monitor.daemon.systemd import read_service_manager
from monitor.simulator import ControllerSpec, Simulator
from tests.support.daemons import polled, watching
from tests.support.service_manager import manager_at

HELD_S = 45.0
"""Longer than the daemon may be without a heartbeat, and than a poller may be overdue; less than it may be held."""


class HeldLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock a test moves on: to all that waits, it was held for so long."""

    held_s = 0.0

    def time(self) -> float:
        return super().time() + self.held_s


def test_a_daemon_whose_loop_was_held_notifies_the_watchdog_as_soon_as_it_runs_again(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, HeldLoop)
        with manager_at(str(tmp_path / "notify")) as manager:
            environ = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "20000"}
            async with (
                Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator,
                watching(simulator, tmp_path, manager=read_service_manager(environ, pid=1)) as daemon,
            ):
                await polled(daemon, "dc1")
                await manager.receive_until("WATCHDOG=1")
                for _ in range(10):
                    manager.discard()
                    loop.held_s += HELD_S
                    assert await daemon.context.stall_reason() == ""
                    assert "WATCHDOG=1" in await manager.receive()

    with capture_logs() as logs, asyncio.Runner(loop_factory=HeldLoop) as runner:
        runner.run(main())
    assert [line for line in logs if line["event"] == "poller_stuck"] == []
