"""``check-config``: whether a configuration is valid; with ``--probe`` also whether each controller can be polled."""

import asyncio
import time
from pathlib import Path

import click

from monitor.cli.options import config_option, web_config_option
from monitor.cli.runner import exit_on_error, run_loop
from monitor.config.load import load
from monitor.config.types import Config, Controller
from monitor.model.errors import MonitorError, PollError
from monitor.model.snapshot import ImageList


@click.command()
@config_option
@web_config_option
@click.option("--probe", is_flag=True, help="Also log in to every controller, and read its images once.")
@exit_on_error
def check_config(config_file: Path, web_config_file: Path | None, probe: bool) -> None:
    """Check a configuration without starting the daemon."""
    config = load(config_file, web_config=web_config_file)
    controllers, files = len(config.controllers), len(config.files)
    controllers_text = f"{controllers} controller{'s' * (controllers != 1)}"
    click.echo(f"{config_file}: valid, {controllers_text} in {files} file{'s' * (files != 1)}")
    if probe:
        from monitor.daemon import logging  # noqa: PLC0415  it imports structlog

        logging.configure("error", "console")
        run_loop(_probe_all(config))


async def _probe_all(config: Config) -> None:
    """Print one line a controller. Raises: MonitorError when any failed."""
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
    """Poll one controller once and print the result; return whether it succeeded."""
    from monitor.avi.client import Client  # noqa: PLC0415  it imports aiohttp
    from monitor.avi.connection import open_session  # noqa: PLC0415

    timeout_s, max_response = config.poll.timeout_s, config.poll.max_response
    async with limiter, open_session(controller.tls, keepalive_s=timeout_s) as session:
        client = Client(controller, session, timeout_s=timeout_s, max_response=max_response, now=time.time)  # noqa: TID251
        try:
            listing = await client.list_images(ImageList())
        except PollError as error:
            click.echo(f"{controller.name}: failed, {error}")
            return False
        finally:
            await client.log_out()
    link = client.link
    images = len(listing.raws) + listing.unidentified
    click.echo(f"{controller.name}: ok, version {link.version}, api_version {link.api_version}, {images} images")
    return True
