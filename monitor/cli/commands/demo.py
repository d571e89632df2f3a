"""``demo``: the daemon on simulated Controllers, with their images drawn as progress bars."""

import asyncio
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random  # noqa: TID251  the one rng of the process
from tempfile import TemporaryDirectory

import click

from monitor.cli.commands.simulate import write_config
from monitor.cli.commands.token import config_entry, generate_token
from monitor.cli.options import log_level_option
from monitor.cli.params import Duration
from monitor.cli.runner import exit_on_error, run_loop, stop_on_signals
from monitor.config.load import load
from monitor.model.errors import CannotListen, MonitorError

START_IN_PAST_S = 2400.0  # the simulated clocks run fast, and must not overtake the real one before all has ended
_POLL = {"active_interval": "500ms", "idle_interval": "2s"}  # short, because the simulated clocks run fast


@click.command()
@click.option(
    "--listen", default="127.0.0.1:9972", show_default=True, help="The daemon's address; port 0 takes a free one."
)
@click.option("--for", "for_s", type=Duration(), help="End after this time.")
@click.option("--speed", default=20.0, show_default=True, help="How many times faster the simulated clocks run.")
@click.option("--seed", default=7, show_default=True, help="The same seed shows the same uploads.")
@log_level_option
@exit_on_error
def demo(listen: str, for_s: float | None, speed: float, seed: int, log_level: str | None) -> None:
    """Show the daemon at work on a fleet of simulated Controllers."""
    from monitor.daemon import logging  # noqa: PLC0415  it imports structlog

    logging.configure(log_level or "error", "console")
    try:
        run_loop(_run_demo(listen=listen, for_s=for_s, speed=speed, seed=seed))
    except CannotListen as error:
        raise MonitorError(f"{error}; choose another port: `demo --listen 127.0.0.1:0` takes a free one") from error


async def _run_demo(*, listen: str, for_s: float | None, speed: float, seed: int) -> None:
    """Show the fleet until Ctrl-C, or for ``for_s``."""
    from monitor.cli.output.demo_screen import print_line, show_fleet  # noqa: PLC0415
    from monitor.daemon.app import running  # noqa: PLC0415
    from monitor.simulator import Simulator  # noqa: PLC0415

    stop = stop_on_signals(asyncio.get_running_loop())
    with TemporaryDirectory(prefix="avi-demo-") as folder:
        start = time.time() - START_IN_PAST_S  # noqa: TID251
        async with Simulator.of("fleet", seed=seed, speed=speed, start=start) as simulator:
            token = generate_token()
            settings = {
                "listen": listen,
                "database": f"sqlite:///{folder}/state.db",
                "poll": _POLL,
                "stalled_after": "5s",  # the simulated clocks run fast: a healthy upload moves more often
                "tokens": [config_entry(token, "demo", ["admin"])],
            }
            read_config = partial(load, write_config(simulator, Path(folder), settings))
            config = read_config()
            async with running(config, now=time.time, rng=Random(seed), load=read_config) as daemon:  # noqa: TID251, S311
                (*_, uuid) = simulator.controllers["fra"].images.names(simulator.clock.now())
                print_line(_introduction(daemon.url, len(config.controllers), uuid, token), stop.set)
                async with show_fleet(daemon.fleet, now=time.time, on_closed=stop.set):  # noqa: TID251
                    with suppress(TimeoutError):
                        async with asyncio.timeout(for_s):
                            await stop.wait()
    print_line("\nEnded." if stop.is_set() else f"\nEnded after {for_s:g} s, as asked.", stop.set)


def _introduction(url: str, controllers: int, uuid: str, token: str) -> str:
    headers = (f"Authorization: Bearer {token}", "X-Avi-Version: 22.1.6", "Content-Type: application/json")
    body = '{"annotations": {"change": "CHG0042", "acknowledged": "true"}}'
    curl = ("curl -X PATCH", f"{url}/api/image/{uuid}", *(f"-H '{header}'" for header in headers), f"-d '{body}'")
    return "\n".join(
        (
            f"{controllers} simulated Controllers; the daemon listens at {url}/",
            f"Open that in a browser, or run `{sys.argv[0]} watch --url {url}`; Ctrl-C ends.",
            f"Metrics: {url}/metrics\n",
            "An upload on fra will fail. Add a change number and acknowledge it (the token is for this demo only):",
            f"{' '.join(curl)}\n",
        )
    )
