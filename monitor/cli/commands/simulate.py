"""``simulate``: simulated Controllers until a signal ends them, and a config with which the daemon watches them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import yaml

from monitor.cli.commands.certificate import make_certificate
from monitor.cli.commands.run import stop_on_signals
from monitor.model.errors import MonitorError
from monitor.simulator import SCENARIOS, Simulator


def describe() -> str:
    """One line a scenario."""
    width = max(map(len, SCENARIOS))
    return "\n".join(f"{name:{width}}  {scenario.summary}" for name, scenario in SCENARIOS.items())


def write_config(
    simulator: Simulator, folder: Path, settings: Mapping[str, object], ca_file: Path | None = None
) -> Path:
    """
    Write a config, and one secret file a controller, with which the daemon watches these Controllers.

    ``settings``: further keys of the config.
    """
    folder.mkdir(parents=True, exist_ok=True)
    controllers = []
    for controller in simulator.controllers.values():
        secret = folder / f"{controller.name}.password"
        secret.touch(mode=0o600)
        secret.write_text(controller.password)
        tls = {"tls": {"ca_file": ca_file.name}} if ca_file else {}
        facts = {"name": controller.name, "url": controller.url, "username": controller.username}
        controllers.append({**facts, "password_file": secret.name, **tls})
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump({**settings, "controllers": controllers}, sort_keys=False))
    return path


async def run(
    scenario: str, *, speed: float, seed: int, host: str, port: int, tls: bool, config_dir: Path | None
) -> None:
    """Serve until SIGTERM or SIGINT. Raises: MonitorError when there is no such scenario."""
    if scenario not in SCENARIOS:
        raise MonitorError(f"no scenario {scenario!r}; there are {', '.join(SCENARIOS)}")
    stop = stop_on_signals(asyncio.get_running_loop())
    with TemporaryDirectory(prefix="avi-simulate-") as temporary:
        folder = config_dir or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        ca_file = folder / "ca.pem" if tls else None
        context = make_certificate(host, ca_file) if ca_file else None
        async with Simulator.of(scenario, speed=speed, seed=seed, host=host, tls=context, first_port=port) as simulator:
            config = write_config(simulator, folder, {"database": f"sqlite:///{folder}/state.db"}, ca_file)
            for controller in simulator.controllers.values():
                click.echo(f"{controller.name}  {controller.url}  {controller.username}  {controller.password}")
            click.echo(f"\nWatch them with:  avi-upgrade-monitor run --config {config}\nCtrl-C ends.")
            await stop.wait()
