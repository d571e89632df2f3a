"""
Records what one Controller answers to the polls of the daemon: reads alone, at the daemon's own pace.

The daemon itself need not run, and is not disturbed if it does: the recording has a session of its own.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random  # noqa: TID251  the type of an argument; the command makes the one rng

from msgspec import Struct

from monitor.avi.scrub import Scrubber
from monitor.config.types import Config, Controller
from monitor.config.values import host_of
from monitor.daemon.recording import RecordingFiles
from monitor.daemon.standalone import connected, make_poller
from monitor.model.errors import MonitorError
from monitor.model.masking import KnownSecrets
from monitor.polling.fleet import Entry, Fleet


class Recorded(Struct, frozen=True):
    """What a recording has. ``ended``: why it ended before its time was over; empty: it did not."""

    exchanges: int
    answers: int
    bytes: int
    ended: str


async def record(
    controller: Controller,
    config: Config,
    folder: Path,
    *,
    key: bytes,
    max_bytes: int,
    keep_texts: bool,
    stop: asyncio.Event,
    now: Callable[[], float],
    rng: Random,
    fleet: Fleet,
) -> Recorded:
    """
    Record until ``stop`` is set; the poll under way then is completed.

    ``key``: random bytes, from which the pseudonyms are made; it is not kept. ``fleet``: an empty one, in which the
    polls are published.
    Raises: MonitorError when the folder cannot be used, or the Controller refuses the first log-in.
    """
    secrets = KnownSecrets()
    for source in (controller.password, *([controller.write.password] if controller.write else [])):
        if secret := source.read():
            secrets.add(secret)
    scrubber = Scrubber(key, secrets, names=_names_in(config), keep_texts=keep_texts)
    files = RecordingFiles(folder, scrubber, max_bytes=max_bytes, now=now, on_end=stop.set)

    def end_first_poll(_name: str, entry: Entry | None, _changes: object) -> None:
        if entry and entry.session.polls == 1:
            files.first_poll_ended()
            if entry.session.auth_suspended:
                stop.set()

    fleet.subscribe(end_first_poll)
    with closing(files):
        async with connected(controller, config, now, secrets=secrets, observe=files.observe) as (client, _):
            poller = make_poller(controller, client, config, fleet, now=now, rng=rng)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(poller.run(), name=f"record:{controller.name}")
                await stop.wait()
                poller.retire()
        session = fleet.entries[controller.name].session
    if session.polls == 1 and session.auth_suspended:
        files.remove()
        raise MonitorError(f"{controller.name}: nothing is recorded, the log-in failed: {session.cause}")
    return Recorded(files.exchanges, files.answers, files.bytes, files.ended)


def _names_in(config: Config) -> Iterator[str]:
    """Return what the configuration names, so that no text has it, whatever was recorded before."""
    for controller in config.controllers:
        yield from (controller.name, host_of(controller.url), controller.username)
        yield from {controller.tenant, controller.upgrades_tenant} - {"*"}
        if controller.write:
            yield controller.write.username
