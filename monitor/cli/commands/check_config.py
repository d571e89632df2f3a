"""``check-config --probe``: log in to every controller once, read its images, say how it went."""

import asyncio
import time

import click

from monitor.avi.client import Client
from monitor.avi.connection import open_session
from monitor.config.types import Config, Controller
from monitor.model.errors import MonitorError, PollError
from monitor.model.snapshot import ObjectList


async def probe(config: Config) -> None:
    """
    Print one line a controller.

    Raises: MonitorError when any failed.
    """
    slots = asyncio.Semaphore(config.poll.concurrency)
    async with asyncio.TaskGroup() as tasks:
        answers = [
            tasks.create_task(_ask(controller, config, slots), name=f"probe:{controller.name}")
            for controller in config.controllers
        ]
    failed = sum(not answer.result() for answer in answers)
    if failed:
        raise MonitorError(f"{failed} of {len(answers)} controllers failed the probe")


async def _ask(controller: Controller, config: Config, slots: asyncio.Semaphore) -> bool:
    poll = config.poll
    async with slots, open_session(controller.tls, keepalive_s=poll.timeout_s) as session:
        client = Client(
            controller,
            session,
            timeout_s=poll.timeout_s,
            max_response=poll.max_response,
            now=time.time,  # noqa: TID251
        )
        try:
            listing = await client.list_images(ObjectList())
        except PollError as error:
            click.echo(f"{controller.name}: failed, {error}")
            return False
        finally:
            await client.log_out()
    link = client.link
    images = len(listing.raws) + listing.unidentified
    click.echo(f"{controller.name}: good, version {link.version}, asked as {link.api_version}, {images} images")
    return True
