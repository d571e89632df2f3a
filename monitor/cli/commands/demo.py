"""``demo``: the daemon on simulated Controllers, and what it sees as bars."""

import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random  # noqa: TID251  the one rng of the process
from tempfile import TemporaryDirectory

from monitor.cli.commands.run import stop_on_signals
from monitor.cli.commands.simulate import write_config
from monitor.cli.commands.token import entry_of, make
from monitor.cli.output.demo_screen import show, tell
from monitor.config.load import load
from monitor.daemon.app import running
from monitor.simulator import Simulator

_PAST_S = 900.0  # their clocks start in the past, else fast ones would soon tell of times to come
_POLL = {"active_interval": "500ms", "idle_interval": "2s"}  # the simulated clocks run fast, so the daemon has to


_TRY = "An upload on fra will fail. Put a change number on it and acknowledge it (the token is for this demo alone):"


def _curl(url: str, uuid: str, token: str) -> str:
    """A line to paste into another terminal."""
    headers = (f"Authorization: Bearer {token}", "X-Avi-Version: 22.1.6", "Content-Type: application/json")
    body = '{"annotations": {"change": "CHG0042", "acknowledged": "true"}}'
    return " ".join(("curl -X PATCH", f"{url}/api/image/{uuid}", *(f"-H '{each}'" for each in headers), f"-d '{body}'"))


def _introduction(url: str, controllers: int, uuid: str, token: str) -> str:
    return "\n".join(
        (
            f"{controllers} simulated Controllers; the daemon listens at {url}/",
            f"Open that in a browser, or run `{sys.argv[0]} watch --url {url}`; Ctrl-C ends.",
            f"Metrics: {url}/metrics\n",
            _TRY,
            f"{_curl(url, uuid, token)}\n",
        )
    )


async def run(*, listen: str, for_s: float | None, speed: float, seed: int) -> None:
    """Show the fleet until Ctrl-C, or for so long."""
    stop = stop_on_signals(asyncio.get_running_loop())
    with TemporaryDirectory(prefix="avi-demo-") as folder:
        async with Simulator.of("fleet", seed=seed, speed=speed, start=time.time() - _PAST_S) as simulator:  # noqa: TID251
            token = make()
            settings = {
                "listen": listen,
                "database": f"sqlite:///{folder}/state.db",
                "poll": _POLL,
                "tokens": [entry_of(token, "demo", ["admin"])],
            }
            config = load(write_config(simulator, Path(folder), settings))
            async with running(config, now=time.time, rng=Random(seed)) as daemon:  # noqa: TID251, S311
                (*_, uuid) = simulator.controllers["fra"].images.names(simulator.clock.now())
                tell(_introduction(daemon.url, len(config.controllers), uuid, token), stop.set)
                async with show(daemon.fleet, now=time.time, gone=stop.set):  # noqa: TID251
                    with suppress(TimeoutError):
                        async with asyncio.timeout(for_s):
                            await stop.wait()
    tell("\nEnded." if stop.is_set() else f"\nEnded after {for_s:g} s, as asked.", stop.set)
