"""``check-config``: whether a configuration is valid; with ``--probe`` also whether each controller can be polled."""

import asyncio
import time
from pathlib import Path
from random import Random  # noqa: TID251  the one rng of the process

import click

from monitor.cli.options import config_option, web_config_option
from monitor.cli.runner import exit_on_error, run_loop
from monitor.config.config_warnings import warnings_of
from monitor.config.load import load
from monitor.config.types import Config, Controller
from monitor.model.errors import MonitorError


@click.command()
@config_option
@web_config_option
@click.option(
    "--probe",
    is_flag=True,
    help="Also poll every controller once, the whole way, and show what would be exported, certificate and clock.",
)
@exit_on_error
def check_config(config_file: Path, web_config_file: Path | None, probe: bool) -> None:
    """Check a configuration without starting the daemon; warn of secrets that look wrong or are open to other users."""
    config = load(config_file, web_config=web_config_file)
    controllers, files = len(config.controllers), len(config.files)
    controllers_text = f"{controllers} controller{'s' * (controllers != 1)}"
    click.echo(f"{config_file}: valid, {controllers_text} in {files} file{'s' * (files != 1)}")
    for warning in warnings_of(config):
        click.echo(f"warning: {warning}", err=True)
    if probe:
        from monitor.daemon import logging  # noqa: PLC0415  it imports structlog

        logging.configure("error", "console")
        run_loop(_probe_all(config))


async def _probe_all(config: Config) -> None:
    """Print what was found of each controller. Raises: MonitorError when any failed."""
    limiter = asyncio.Semaphore(config.poll.concurrency)
    async with asyncio.TaskGroup() as tasks:
        probes = [
            tasks.create_task(_probe(controller, config, limiter), name=f"probe:{controller.name}")
            for controller in config.controllers
        ]
    failed = sum(not probe.result() for probe in probes)
    if failed:
        raise MonitorError(f"{failed} of {len(probes)} controllers failed the probe")


async def _probe(controller: Controller, config: Config, limiter: asyncio.Semaphore) -> bool:
    """Probe one controller and print the result; return whether it succeeded."""
    from monitor.cli.output.probe import describe_probe  # noqa: PLC0415  it imports rich
    from monitor.daemon.probe import probe  # noqa: PLC0415  it imports aiohttp

    async with limiter:
        result = await probe(controller, config, now=time.time, rng=Random())  # noqa: TID251, S311
    click.echo("\n".join(describe_probe(controller, result, now=time.time())))  # noqa: TID251
    return not (result.error or result.write_error)
