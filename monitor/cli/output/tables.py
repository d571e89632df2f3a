"""
Tables of images, events, annotations and changes: on a terminal, and as plain lines elsewhere.

Names, messages and values are foreign text: control characters are escaped, and markup is not interpreted.
"""

import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import click
import msgspec
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from monitor.cli.api.unit_details import UnitEvent
from monitor.config.validation import printable
from monitor.model.image import Image
from monitor.model.tracked import Event, EventState, Standing, Tracked

STATE_STYLES: Final[Mapping[str, str]] = {
    "completed": "green", "failed": "bold red", "in_progress": "cyan", "started": "cyan", "unknown": "dim",
    "idle": "dim", "queued": "cyan", "checking": "cyan", "checked": "green", "check_failed": "bold red",
    "running": "cyan", "aborting": "bold red", "suspended": "bold red",
}  # fmt: skip
"""Of images and units."""
_EVENT_STYLES: Final[Mapping[EventState, str]] = {
    "succeeded": "green", "failed": "bold red", "running": "cyan", "pending": "dim",
}  # fmt: skip
_BAR_WIDTH = 30  # columns
_LAYOUTS = (
    (_BAR_WIDTH, 2, 0), (20, 2, 0), (12, 2, 0), (12, 1, 0), (6, 1, 0), (4, 1, 0), (4, 1, 10), (0, 1, 10),
)  # fmt: skip
"""Columns of bars, of gaps, and of wrapped remarks; the first layout that fits is used. The last one wraps names."""
_MAX_DURATION_S = timedelta.max.total_seconds() - 1
_PIPE_WIDTH = 1000  # columns when standard output is no terminal: a program that reads it needs complete lines


class HasProgress(Protocol):
    """An image or a unit."""

    @property
    def state(self) -> str:
        """The word of its state."""

    @property
    def progress_ratio(self) -> float | None:
        """The share that is done, 0 to 1; None: not known."""


class ImageRow(msgspec.Struct, frozen=True):
    """One image in the table. ``standing`` and its ``rank`` are the daemon's. ``remark``: its last column."""

    controller: str
    image: Tracked
    standing: Standing
    rank: int
    remark: Text = Text()


class FirstThatFits:
    """Renders the first of these that fits into the width, else the last."""

    def __init__(self, *choices: RenderableType) -> None:
        self._choices = choices

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unlimited = options.update(width=_PIPE_WIDTH)
        widths = ((each, Measurement.get(console, unlimited, each).maximum) for each in self._choices)
        yield next((each for each, width in widths if width <= options.max_width), self._choices[-1])


def print_output(*parts: RenderableType) -> None:
    """Print on standard output, whatever its encoding."""
    escape_unencodable()
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(*parts, sep="\n")
        return
    text = io.StringIO()
    console = Console(file=text, highlight=False, markup=False, emoji=False, width=_PIPE_WIDTH)
    console.print(*parts, sep="\n")
    click.echo("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def escape_unencodable() -> None:
    """Escape characters that the encoding of standard output cannot represent."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def safe_text(text: str, style: str = "") -> Text:
    """Return foreign text, escaped, on one line."""
    return Text(printable(text), style)


def image_table(rows: Iterable[ImageRow], *, remark: str = "") -> FirstThatFits:
    """Return a sorted table. ``remark``: the heading of the last column, which is omitted when it is empty."""
    rows = sorted(rows, key=row_sort_key)
    return FirstThatFits(*(_image_table(rows, remark, *layout) for layout in _LAYOUTS))


def row_sort_key(row: ImageRow) -> tuple[object, ...]:
    """Sort in the daemon's order: what needs a person comes first."""
    return row.rank, row.controller, row.image.name


def _image_table(rows: Sequence[ImageRow], remark: str, bar_width: int, gap: int, remark_width: int) -> Table:
    remarks = [remark] if any(row.remark for row in rows) else []
    table = empty_table("Controller", "Image", "State", "Progress", "Tasks", *remarks, gap=gap)
    if not bar_width:
        table.columns[1].no_wrap, table.columns[1].overflow = False, "fold"
    for column in table.columns[5:] if remark_width else ():
        column.no_wrap, column.overflow, column.max_width = False, "fold", remark_width
    for row in rows:
        table.add_row(*_cells(row, bar_width, gap), *([row.remark] if remarks else []))
    return table


def _cells(row: ImageRow, bar_width: int, gap: int) -> Iterable[RenderableType]:
    image = row.image
    state = state_text(image, acknowledged=row.standing == "acknowledged", short=True)
    name = safe_text(image.name or image.uuid)
    return safe_text(row.controller), name, state, progress_bar(image, bar_width, gap), tasks_text(image)


def state_text(image: HasProgress, *, acknowledged: bool, short: bool = False) -> Text:
    """Return the state in its colour, dimmed when it is acknowledged."""
    mark = " (ack)" if short else " (acknowledged)"
    return Text(image.state + mark * acknowledged, "dim red" if acknowledged else STATE_STYLES[image.state])


def progress_bar(image: HasProgress, width: int = _BAR_WIDTH, gap: int = 2) -> RenderableType:
    """Return a bar of so many columns and the percentage; without a width only the percentage."""
    if not width:
        return percent_text(image)
    style = STATE_STYLES[image.state]
    ratio = image.progress_ratio or 0.0
    bar = ProgressBar(total=1.0, completed=ratio, width=width, complete_style=style, finished_style=style)
    grid = Table.grid(padding=(0, gap))
    grid.add_row(bar, percent_text(image))
    return grid


def percent_text(image: HasProgress) -> str:
    """Return an empty text when the Controller reports no progress."""
    return "" if image.progress_ratio is None else f"{image.progress_ratio:4.0%}"


def tasks_text(image: Tracked) -> str:
    """Return completed and total tasks: ``2 of 6``."""
    return "" if image.tasks is None else f"{image.tasks_completed or 0} of {image.tasks}"


def fact_table(facts: Iterable[tuple[str, RenderableType]]) -> Table:
    """Return a table of names and values, without the empty values."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in facts:
        if value:
            table.add_row(Text(name), value)
    return table


def image_facts(
    controller: str, image: Image, *, acknowledged: bool, more: Iterable[tuple[str, RenderableType]] = ()
) -> Table:
    """Return the properties and the progress of one image. ``more``: further names and values."""
    state = state_text(image, acknowledged=acknowledged)
    if image.state_changed_at is not None:
        state.append(f" since {format_time(image.state_changed_at)}", "default")
    return fact_table(
        (
            ("controller", safe_text(controller)),
            ("uuid", safe_text(image.uuid)),
            ("tenant", safe_text(image.tenant)),
            ("type", safe_text(image.type)),
            ("version", safe_text(" ".join(filter(None, (image.version, image.patch))))),
            ("state", state),
            ("reason", safe_text(image.reason)),
            ("progress", progress_bar(image) if percent_text(image) else ""),
            ("tasks", tasks_text(image)),
            ("started", time_or_empty(image.started_at)),
            ("ended", time_or_empty(image.ended_at)),
            ("took", duration_or_empty(image.duration_s)),
            ("changed", time_or_empty(image.last_modified_at)),
            *more,
        )
    )


def event_table(events: Iterable[Event | UnitEvent]) -> Group:
    """Return a table of tasks × nodes, and below it the status of each failed event."""
    events = tuple(events)
    nodes = sorted({event.node for event in events})
    states = {(event.task, event.node): event.state for event in events}
    table = empty_table("Task", *nodes)
    for column in table.columns:
        column.no_wrap, column.overflow = False, "fold"
    for task in dict.fromkeys(event.task for event in events):
        cells = (states.get((task, node)) for node in nodes)
        table.add_row(safe_text(task), *(Text(state or "", _EVENT_STYLES[state] if state else "") for state in cells))
    failed = (f"{event.task} on {event.node}: {event.status}" for event in events if event.state == "failed")
    return Group(table, *(safe_text(line, _EVENT_STYLES["failed"]) for line in failed))


def annotation_table(annotations: Mapping[str, str]) -> Table:
    """Return a table of keys and values."""
    return fact_table((printable(key), safe_text(value) or Text('""')) for key, value in sorted(annotations.items()))


def change_table(changes: Mapping[str, tuple[Any, Any]]) -> Table:
    """Return a table of fields with their values before and after."""
    return fact_table((printable(field), Text(_change_text(pair))) for field, pair in changes.items())


def value_table(values: Mapping[str, Any]) -> Table:
    """Return a table of fields and their values."""
    return fact_table((printable(field), Text(_json_text(value))) for field, value in values.items())


def changes_text(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """Return all changes on one line."""
    return "; ".join(f"{printable(field)} {_change_text(pair)}" for field, pair in changes.items())


def _change_text(pair: tuple[Any, Any]) -> str:
    return f"{_json_text(pair[0])} → {_json_text(pair[1])}"


def _json_text(value: Any) -> str:  # noqa: ANN401  any JSON
    return "unset" if value is None else printable(json.dumps(value, ensure_ascii=False))


def plain_table(headings: Iterable[str], rows: Iterable[Iterable[Text]]) -> Table:
    """Return a table of texts; the last column wraps."""
    table = empty_table(*headings)
    table.columns[-1].no_wrap, table.columns[-1].overflow = False, "fold"
    for row in rows:
        table.add_row(*row)
    return table


def empty_table(*headings: str, gap: int = 2) -> Table:
    """Return a table without lines, whose cells do not wrap."""
    table = Table(box=None, pad_edge=False, padding=(0, gap), collapse_padding=True)
    for heading in headings:
        table.add_column(safe_text(heading), no_wrap=True)
    return table


def format_time(at: float) -> str:
    """Return Unix seconds as a date and a time, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def time_or_empty(at: float | None) -> str:
    """Return Unix seconds as a date and a time, UTC; empty for None."""
    return "" if at is None else format_time(at)


def duration_or_empty(duration_s: float | None) -> str:
    """``0:04:10``; empty for None."""
    return "" if duration_s is None else str(timedelta(seconds=round(min(duration_s, _MAX_DURATION_S))))
