"""A recording of a simulated Controller, made in this process, and what stands in its files."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from monitor.cli.commands.simulate import write_config
from monitor.config.load import load
from monitor.daemon.record import Recorded, record
from monitor.polling.fleet import Fleet
from monitor.simulator import Simulator
from tests.support.daemons import QUICK
from tests.support.polling import wait_until


class Recording:
    """A recording under way. ``recorded``: what came of it, as soon as it has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stop = asyncio.Event()
        self.recorded: Recorded | None = None
        self.fleet = Fleet()

    @property
    def exchanges(self) -> list[dict[str, Any]]:
        """The lines of the exchanges that are written so far."""
        return lines(self.folder / "exchanges.jsonl")

    @property
    def answers(self) -> list[dict[str, Any]]:
        """The lines of the answers that are written so far."""
        return lines(self.folder / "answers.jsonl")

    @property
    def text(self) -> str:
        """All that is written so far."""
        return "".join(path.read_text() for path in sorted(self.folder.iterdir()))

    async def polled_anew(self) -> None:
        """Wait until a poll is recorded that began after this call, whether it failed or not."""
        polls = self.fleet.entries["dc1"].session.polls  # one may be under way
        await wait_until(self.fleet, lambda entry: entry.session.polls >= polls + 2)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@asynccontextmanager
async def recording(
    simulator: Simulator,
    folder: Path,
    *,
    poll: Mapping[str, object] = QUICK,
    controller: str = "dc1",
    max_bytes: int = 1 << 30,
    keep_texts: bool = True,
    now: Callable[[], float] = time.time,
    **settings: object,
) -> AsyncIterator[Recording]:
    """Record a Controller of a listening simulator for as long as the context lasts, and to its end."""
    config = load(write_config(simulator, folder / "config", {"poll": dict(poll), **settings}))
    (target,) = [each for each in config.controllers if each.name == controller]
    made = Recording(folder / "night")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(
            record(
                target,
                config,
                made.folder,
                key=b"a key that a test may know",
                max_bytes=max_bytes,
                keep_texts=keep_texts,
                stop=made.stop,
                now=now,
                rng=Random(7),
                fleet=made.fleet,
            )
        )
        try:
            yield made
        finally:
            made.stop.set()
    made.recorded = task.result()
