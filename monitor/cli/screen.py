"""The fleet's images as progress bars on a terminal; as plain lines elsewhere."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import assert_never

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from monitor.fleet import Entry, Fleet
from monitor.model import Altered, Appeared, Change, Image, Track, Vanished

_STYLES = {"completed": "green", "failed": "bold red", "in_progress": "cyan", "started": "cyan", "unknown": "dim"}
_STILL_S = 5.0  # beyond it is worth a word; between two moves of a healthy upload of the demo lies less
_ORDER = ("failed", "in_progress", "started", "unknown", "completed")


@asynccontextmanager
async def show(fleet: Fleet, *, now: Callable[[], float]) -> AsyncIterator[None]:
    """Show the fleet as it changes, for as long as the context lasts. ``now``: Unix seconds."""
    console = Console()
    if not console.is_terminal:
        unsubscribe = fleet.subscribe(_print_changes)
        try:
            yield
        finally:
            unsubscribe()
        return
    with Live(console=console, get_renderable=lambda: table(fleet, now=now()), refresh_per_second=4):
        yield


def table(fleet: Fleet, *, now: float) -> Table:
    """All images, the failed ones first, then those under way."""
    grid = Table(box=None, pad_edge=False)
    for heading in ("Controller", "Image", "State", "Progress", "", "Tasks", ""):
        grid.add_column(heading, no_wrap=True)
    rows = sorted(
        ((entry.name, track) for entry, track in fleet.images()),
        key=lambda row: (_ORDER.index(row[1].image.state), row[0], row[1].image.name),
    )
    for name, track in rows:
        image = track.image
        ratio = image.progress_ratio or 0.0
        bar = ProgressBar(total=1.0, completed=ratio, width=30, complete_style=_STYLES[image.state])
        state = Text(image.state, style=_STYLES[image.state])
        grid.add_row(Text(name), Text(image.name), state, bar, f"{ratio:4.0%}", _tasks(image), _stall(track, now=now))
    return grid


def _stall(track: Track, *, now: float) -> Text:
    """How long nothing moved, where something should."""
    still_s = now - track.mark.changed_at
    return Text(f"no move for {still_s:.0f} s" if track.image.active and still_s > _STILL_S else "", style="yellow")


def _tasks(image: Image) -> str:
    return "" if image.tasks is None else f"{image.tasks_completed or 0} of {image.tasks}"


def _print_changes(entry: Entry, changes: Iterable[Change]) -> None:
    for change in changes:
        sys.stdout.write(f"{entry.name}  {_line(change)}\n")
    sys.stdout.flush()


def _line(change: Change) -> str:
    match change:
        case Appeared(image) | Altered(_, image):
            ratio = "" if image.progress_ratio is None else f"{image.progress_ratio:4.0%}"
            return f"{image.name}  {image.state}  {ratio}  {_tasks(image)}".rstrip()
        case Vanished(image):
            return f"{image.name}  gone"
        case _:
            assert_never(change)
