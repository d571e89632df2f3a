"""The screen of ``demo``: images and upgrades as tables on a terminal, as plain lines elsewhere."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import assert_never

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from monitor.cli.output.changing_screen import ChangingScreen
from monitor.cli.output.tables import ImageRow, image_table, percent_text, row_sort_key, safe_text, tasks_text
from monitor.config.validation import printable
from monitor.model.snapshot import Altered, Appeared, Change, Vanished
from monitor.model.tracked import Tracked, TrackedObject
from monitor.model.upgrade import Engines, Overview, Upgrade
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
    screen = ChangingScreen(
        console, lambda: (fleet_rows(fleet, now=now()), unit_rows(fleet)), _tables, asyncio.get_running_loop()
    )
    unsubscribe = fleet.subscribe(lambda _name, _entry, _changes: screen.request_draw())
    screen.request_draw()
    try:
        yield
    finally:
        unsubscribe()
        screen.stop()


@contextmanager
def _print_changes(fleet: Fleet, on_closed: Callable[[], None]) -> Iterator[None]:
    unsubscribe = fleet.subscribe(partial(_print_lines, on_closed, {}))
    try:
        yield
    finally:
        unsubscribe()


def fleet_rows(fleet: Fleet, *, now: float) -> list[ImageRow]:
    """Return the rows of all images, the failed ones first, then the active ones."""
    rows = (
        ImageRow(entry.name, tracked.object, tracked.standing, RANKS[tracked.standing], _stall_text(tracked, now=now))
        for entry, tracked in fleet.shown_objects("image")
    )
    return sorted(rows, key=row_sort_key)


def unit_rows(fleet: Fleet) -> list[tuple[str, ...]]:
    """Return controller, phase, unit, state, progress and Service Engines of what was or is upgraded."""
    rows: list[tuple[str, ...]] = []
    for entry, tracked in fleet.shown_objects("upgrade"):
        unit = tracked.object
        if isinstance(unit, Upgrade) and unit.kind != "se" and unit.has_begun:
            engines = unit.engines or Engines()
            over = f"{len(engines.completed)} of {engines.expected}" if engines.expected else ""
            place = f" ({unit.cloud})" if unit.cloud else ""
            name = f"{unit.name or unit.uuid}{place}"
            rows.append((entry.name, _phase_text(entry), name, unit.state, percent_text(unit).strip(), over))
    return rows


def _phase_text(entry: Entry) -> str:
    """Return the phase of the upgrade of a controller; ``done`` in place of ``none`` after one that is done."""
    overview = entry.overview or Overview()
    return "done" if overview.phase == "none" and overview.done else overview.phase or ""


def _tables(content: tuple[list[ImageRow], list[tuple[str, ...]]]) -> RenderableType:
    images, units = content
    if not units:
        return image_table(images)
    table = Table("Controller", "Phase", "Unit", "State", "Progress", "Service Engines", box=None, padding=(0, 2, 0, 0))
    for row in units:
        table.add_row(*map(safe_text, row))
    return Group(table, Text(), image_table(images))  # a low terminal cuts off what stands last


def _stall_text(tracked: TrackedObject[Tracked], *, now: float) -> Text:
    stalled = tracked.standing == "stalled"
    return Text(f"no move for {now - tracked.mark.changed_at:.0f} s" if stalled else "", style="yellow")


def _print_lines(
    on_closed: Callable[[], None], phases: dict[str, str], name: str, entry: Entry | None, changes: Iterable[Change]
) -> None:
    """Print what changed. ``phases``: what was printed last, by controller."""
    for change in changes:
        if line := _line(change):
            print_line(f"{name}  {line}", on_closed)
    phase = _phase_text(entry) if entry else ""
    if phase not in {phases.get(name, "none"), ""}:
        phases[name] = phase
        print_line(f"{name}  upgrade: {phase}", on_closed)


def _line(change: Change) -> str:
    """Return nothing for Service Engines, of which there are many, and for units with which nothing was ever done."""
    match change:
        case Appeared(Upgrade() as unit) | Altered(_, Upgrade() as unit) if unit.kind == "se" or not unit.has_begun:
            return ""
        case Appeared(image) | Altered(_, image):
            return f"{printable(image.name)}  {image.state}  {percent_text(image)}  {tasks_text(image)}".rstrip()
        case Vanished(image):
            return f"{printable(image.name)}  gone"
        case _:
            assert_never(change)
