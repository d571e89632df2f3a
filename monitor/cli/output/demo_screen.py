"""The fleet's images as progress bars on a terminal; as plain lines elsewhere."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import assert_never

from rich.console import Console
from rich.live import Live
from rich.text import Text

from monitor.cli.output.tables import Fitting, Row, image_table, percent, tasks
from monitor.config.validation import printable
from monitor.model.snapshot import Altered, Appeared, Change, Vanished
from monitor.model.tracked import Tracked, TrackedObject, is_acknowledged
from monitor.polling.fleet import Entry, Fleet

_STILL_S = 5.0  # beyond it is worth a word; between two moves of a healthy upload of the demo lies less


def tell(text: str, gone: Callable[[], None]) -> None:
    """
    Print some lines.

    ``gone``: is called when nobody reads them any more; whatever is printed from then on goes nowhere.
    """
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        gone()


@asynccontextmanager
async def show(
    fleet: Fleet, *, now: Callable[[], float], gone: Callable[[], None] = lambda: None
) -> AsyncIterator[None]:
    """Show the fleet as it changes, for as long as the context lasts. ``now``: Unix seconds. ``gone``: as `tell`."""
    console = Console()
    if not console.is_terminal:
        unsubscribe = fleet.subscribe(partial(_print_changes, gone))
        try:
            yield
        finally:
            unsubscribe()
        return
    with Live(console=console, get_renderable=lambda: table(fleet, now=now()), refresh_per_second=4):
        yield


def table(fleet: Fleet, *, now: float) -> Fitting:
    """All images, the failed ones first, then those under way."""
    return image_table(
        Row(entry.name, track.object, is_acknowledged(track.annotations), _stall(track, now=now))
        for entry, track in fleet.objects("image")
    )


def _stall(track: TrackedObject[Tracked], *, now: float) -> Text:
    """How long nothing moved, where something should."""
    still_s = now - track.mark.changed_at
    return Text(f"no move for {still_s:.0f} s" if track.object.active and still_s > _STILL_S else "", style="yellow")


def _print_changes(gone: Callable[[], None], name: str, _entry: Entry | None, changes: Iterable[Change]) -> None:
    for change in changes:
        tell(f"{name}  {_line(change)}", gone)


def _line(change: Change) -> str:
    match change:
        case Appeared(image) | Altered(_, image):
            return f"{printable(image.name)}  {image.state}  {percent(image)}  {tasks(image)}".rstrip()
        case Vanished(image):
            return f"{printable(image.name)}  gone"
        case _:
            assert_never(change)
