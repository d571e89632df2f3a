"""
How images, their events and what was done to them look on a terminal; plain lines elsewhere.

Names, messages and values come from strangers: whatever could move the cursor is escaped, and no markup is read.
"""

import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
import msgspec
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from monitor.config.validation import printable
from monitor.model.image import Image, ImageState
from monitor.model.tracked import Event, EventState, Tracked

_STYLES: Final[Mapping[str, str]] = {
    "completed": "green", "failed": "bold red", "in_progress": "cyan", "started": "cyan", "unknown": "dim",
}  # fmt: skip
_EVENT_STYLES: Final[Mapping[EventState, str]] = {
    "succeeded": "green", "failed": "bold red", "running": "cyan", "pending": "dim",
}  # fmt: skip
_ORDER: Final[tuple[ImageState, ...]] = ("failed", "in_progress", "started", "unknown", "completed")
_STILL = 0.5  # place of what stands still in this order
_BAR = 30  # columns
_SIZES = ((_BAR, 2, 0), (20, 2, 0), (12, 2, 0), (12, 1, 0), (6, 1, 0), (4, 1, 0), (4, 1, 10), (0, 1, 10))
"""Columns of bars, of gaps, and of remarks that are folded; the first that fit are drawn. Without bars, names fold."""
_LONGEST_S = timedelta.max.total_seconds() - 1
_ENDLESS = 1000  # columns of what is no terminal: who reads on with another program wants nothing cut


class Row(msgspec.Struct, frozen=True):
    """
    One image in the table. ``acknowledged``: somebody knows of its trouble. ``remark``: its last column.

    ``still``: it has not moved for a while, and should.
    """

    controller: str
    image: Tracked
    acknowledged: bool = False
    remark: Text = Text()
    still: bool = False


class Fitting:
    """The first of these drawings that fits, else the last."""

    def __init__(self, *drawings: RenderableType) -> None:
        self._drawings = drawings

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        free = options.update(width=_ENDLESS)
        wanted = ((drawing, Measurement.get(console, free, drawing).maximum) for drawing in self._drawings)
        yield next((drawing for drawing, width in wanted if width <= options.max_width), self._drawings[-1])


def put(*drawings: RenderableType) -> None:
    """Print on standard output, whatever its encoding."""
    bear_any_text()
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(*drawings, sep="\n")
        return
    text = io.StringIO()
    console = Console(file=text, highlight=False, markup=False, emoji=False, width=_ENDLESS)
    console.print(*drawings, sep="\n")
    click.echo("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def bear_any_text() -> None:
    """What the encoding of standard output has no bytes for is escaped."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def said(text: str, style: str = "") -> Text:
    """A stranger's text, on one line."""
    return Text(printable(text), style)


def image_table(rows: Iterable[Row], *, remark: str = "") -> Fitting:
    """
    The failed ones first, of these the ones that nobody acknowledged, then those that stand still, and those under way.

    ``remark``: the heading of the last column.
    """
    rows = sorted(rows, key=urgency)
    return Fitting(*(_image_table(rows, remark, *size) for size in _SIZES))


def _image_table(rows: Sequence[Row], remark: str, length: int, gap: int, most: int) -> Table:
    remarks = [remark] if any(row.remark for row in rows) else []
    grid = _grid("Controller", "Image", "State", "Progress", "Tasks", *remarks, gap=gap)
    if not length:
        grid.columns[1].no_wrap, grid.columns[1].overflow = False, "fold"
    for column in grid.columns[5:] if most else ():
        column.no_wrap, column.overflow, column.max_width = False, "fold", most
    for row in rows:
        grid.add_row(*_cells(row, length, gap), *([row.remark] if remarks else []))
    return grid


def urgency(row: Row) -> tuple[object, ...]:
    """By which rows are sorted: the failed ones first."""
    rank = _STILL if row.still else _ORDER.index(row.image.state)
    return rank, row.acknowledged, row.controller, row.image.name


def _cells(row: Row, length: int, gap: int) -> Iterable[RenderableType]:
    image = row.image
    state = state_of(image, acknowledged=row.acknowledged, short=True)
    return said(row.controller), said(image.name or image.uuid), state, progress(image, length, gap), tasks(image)


def state_of(image: Tracked, *, acknowledged: bool, short: bool = False) -> Text:
    """The state in its colour, paler once somebody knows."""
    mark = " (ack)" if short else " (acknowledged)"
    return Text(image.state + mark * acknowledged, "dim red" if acknowledged else _STYLES[image.state])


def progress(image: Tracked, length: int = _BAR, gap: int = 2) -> RenderableType:
    """A bar of so many columns, and its percentage."""
    if not length:
        return percent(image)
    style = _STYLES[image.state]
    ratio = image.progress_ratio or 0.0
    bar = ProgressBar(total=1.0, completed=ratio, width=length, complete_style=style, finished_style=style)
    grid = Table.grid(padding=(0, gap))
    grid.add_row(bar, percent(image))
    return grid


def percent(image: Tracked) -> str:
    """Nothing where the Controller does not say."""
    return "" if image.progress_ratio is None else f"{image.progress_ratio:4.0%}"


def tasks(image: Tracked) -> str:
    """How many of how many."""
    return "" if image.tasks is None else f"{image.tasks_completed or 0} of {image.tasks}"


def fact_table(facts: Iterable[tuple[str, RenderableType]]) -> Table:
    """Names and values, without those that have none."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, value in facts:
        if value:
            grid.add_row(Text(name), value)
    return grid


def facts_of(
    controller: str, image: Image, *, acknowledged: bool, more: Iterable[tuple[str, RenderableType]] = ()
) -> Table:
    """What an image is, and how far it has come; ``more``: further names and values."""
    state = state_of(image, acknowledged=acknowledged)
    if image.state_changed_at is not None:
        state.append(f" since {moment(image.state_changed_at)}", "default")
    return fact_table(
        (
            ("controller", said(controller)),
            ("uuid", said(image.uuid)),
            ("tenant", said(image.tenant)),
            ("type", said(image.type)),
            ("version", said(" ".join(filter(None, (image.version, image.patch))))),
            ("state", state),
            ("reason", said(image.reason)),
            ("progress", progress(image) if percent(image) else ""),
            ("tasks", tasks(image)),
            ("started", _moment(image.started_at)),
            ("ended", _moment(image.ended_at)),
            ("took", _lasting(image.duration_s)),
            ("changed", _moment(image.last_modified_at)),
            *more,
        )
    )


def event_table(events: Iterable[Event]) -> Group:
    """Tasks × nodes, and below it how the failed ones failed."""
    events = tuple(events)
    nodes = sorted({event.node for event in events})
    states = {(event.task, event.node): event.state for event in events}
    grid = _grid("Task", *nodes)
    for column in grid.columns:
        column.no_wrap, column.overflow = False, "fold"
    for task in dict.fromkeys(event.task for event in events):
        cells = (states.get((task, node)) for node in nodes)
        grid.add_row(said(task), *(Text(state or "", _EVENT_STYLES[state] if state else "") for state in cells))
    failed = (f"{event.task} on {event.node}: {event.status}" for event in events if event.state == "failed")
    return Group(grid, *(said(line, _EVENT_STYLES["failed"]) for line in failed))


def annotation_table(annotations: Mapping[str, str]) -> Table:
    """Keys and values."""
    return fact_table((printable(key), said(value) or Text('""')) for key, value in sorted(annotations.items()))


def change_table(changes: Mapping[str, tuple[Any, Any]]) -> Table:
    """Before and after of each field."""
    return fact_table((printable(field), Text(_change(pair))) for field, pair in changes.items())


def value_table(values: Mapping[str, Any]) -> Table:
    """Fields, and what they are."""
    return fact_table((printable(field), Text(_written(value))) for field, value in values.items())


def changes_of(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """All on one line."""
    return "; ".join(f"{printable(field)} {_change(pair)}" for field, pair in changes.items())


def _change(pair: tuple[Any, Any]) -> str:
    return f"{_written(pair[0])} → {_written(pair[1])}"


def _written(value: Any) -> str:  # noqa: ANN401  any JSON there is
    return "unset" if value is None else printable(json.dumps(value, ensure_ascii=False))


def plain_table(headings: Iterable[str], rows: Iterable[Iterable[Text]]) -> Table:
    """Texts under headings; the last column may be folded."""
    grid = _grid(*headings)
    grid.columns[-1].no_wrap, grid.columns[-1].overflow = False, "fold"
    for row in rows:
        grid.add_row(*row)
    return grid


def _grid(*headings: str, gap: int = 2) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, gap), collapse_padding=True)
    for heading in headings:
        grid.add_column(said(heading), no_wrap=True)
    return grid


def moment(at: float) -> str:
    """Unix seconds as a date and a time, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _lasting(duration_s: float | None) -> str:
    return "" if duration_s is None else str(timedelta(seconds=round(min(duration_s, _LONGEST_S))))


def _moment(at: float | None) -> str:
    return "" if at is None else moment(at)
