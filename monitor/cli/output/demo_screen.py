"""The screen of ``demo``: the fleet's images as progress bars on a terminal, as plain lines elsewhere."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import assert_never

from rich.console import Console
from rich.text import Text

from monitor.cli.output.changing_screen import ChangingScreen
from monitor.cli.output.tables import ImageRow, image_table, percent_text, row_sort_key, tasks_text
from monitor.config.validation import printable
from monitor.model.snapshot import Altered, Appeared, Change, Vanished
from monitor.model.tracked import Tracked, TrackedObject
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.standing import RANKS


def print_line(text: str, on_closed: Callable[[], None]) -> None:
    """
    Print a line.

    ``on_closed``: called when standard output was closed; later output is discarded.
    """
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        on_closed()


@asynccontextmanager
async def show_fleet(
    fleet: Fleet, *, now: Callable[[], float], on_closed: Callable[[], None] = lambda: None
) -> AsyncIterator[None]:
    """Show the fleet for as long as the context lasts. ``now``: Unix seconds. ``on_closed``: as for ``print_line``."""
    console = Console()
    show = _draw_changes(console, fleet, now) if console.is_terminal else _print_changes(fleet, on_closed)
    with show:
        yield


@contextmanager
def _draw_changes(console: Console, fleet: Fleet, now: Callable[[], float]) -> Iterator[None]:
    screen = ChangingScreen(console, lambda: fleet_rows(fleet, now=now()), image_table, asyncio.get_running_loop())
    unsubscribe = fleet.subscribe(lambda _name, _entry, _changes: screen.request_draw())
    screen.request_draw()
    try:
        yield
    finally:
        unsubscribe()
        screen.stop()


@contextmanager
def _print_changes(fleet: Fleet, on_closed: Callable[[], None]) -> Iterator[None]:
    unsubscribe = fleet.subscribe(partial(_print_lines, on_closed))
    try:
        yield
    finally:
        unsubscribe()


def fleet_rows(fleet: Fleet, *, now: float) -> list[ImageRow]:
    """Return the rows of all images, the failed ones first, then the active ones."""
    rows = (
        ImageRow(entry.name, tracked.object, tracked.standing, RANKS[tracked.standing], _stall_text(tracked, now=now))
        for entry, tracked in fleet.objects("image")
    )
    return sorted(rows, key=row_sort_key)


def _stall_text(tracked: TrackedObject[Tracked], *, now: float) -> Text:
    stalled = tracked.standing == "stalled"
    return Text(f"no move for {now - tracked.mark.changed_at:.0f} s" if stalled else "", style="yellow")


def _print_lines(on_closed: Callable[[], None], name: str, _entry: Entry | None, changes: Iterable[Change]) -> None:
    for change in changes:
        print_line(f"{name}  {_line(change)}", on_closed)


def _line(change: Change) -> str:
    match change:
        case Appeared(image) | Altered(_, image):
            return f"{printable(image.name)}  {image.state}  {percent_text(image)}  {tasks_text(image)}".rstrip()
        case Vanished(image):
            return f"{printable(image.name)}  gone"
        case _:
            assert_never(change)
