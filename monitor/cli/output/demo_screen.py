"""The screen of ``demo``: the fleet's images as progress bars on a terminal, as plain lines elsewhere."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, assert_never

from rich.console import Console
from rich.live import Live
from rich.text import Text

from monitor.cli.output.standing import is_stalled
from monitor.cli.output.tables import FirstThatFits, ImageRow, image_table, percent_text, tasks_text
from monitor.config.validation import printable
from monitor.model.image import TrackedImage, is_acknowledged
from monitor.model.snapshot import Altered, Appeared, Change, Vanished
from monitor.polling.fleet import Entry, Fleet

_STALLED_AFTER_S: Final = 5.0  # the simulated clocks run fast: a healthy upload of the demo moves more often


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
    if not console.is_terminal:
        unsubscribe = fleet.subscribe(partial(_print_changes, on_closed))
        try:
            yield
        finally:
            unsubscribe()
        return
    with Live(console=console, get_renderable=lambda: fleet_table(fleet, now=now()), refresh_per_second=4):
        yield


def fleet_table(fleet: Fleet, *, now: float) -> FirstThatFits:
    """Return a table of all images, the failed ones first, then the active ones."""
    return image_table(
        ImageRow(entry.name, track.image, is_acknowledged(track.annotations), _stall_text(track, now=now))
        for entry, track in fleet.images()
    )


def _stall_text(track: TrackedImage, *, now: float) -> Text:
    changed_at = track.mark.changed_at
    stalled = is_stalled(track.image, changed_at, now=now, stalled_after_s=_STALLED_AFTER_S)
    return Text(f"no move for {now - changed_at:.0f} s" if stalled else "", style="yellow")


def _print_changes(on_closed: Callable[[], None], entry: Entry, changes: Iterable[Change]) -> None:
    for change in changes:
        print_line(f"{entry.name}  {_line(change)}", on_closed)


def _line(change: Change) -> str:
    match change:
        case Appeared(image) | Altered(_, image):
            return f"{printable(image.name)}  {image.state}  {percent_text(image)}  {tasks_text(image)}".rstrip()
        case Vanished(image):
            return f"{printable(image.name)}  gone"
        case _:
            assert_never(change)
