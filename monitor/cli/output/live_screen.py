"""The live screen of ``watch``: all images or units, or one of them with its details."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, TypeAlias, TypeVar, assert_never

from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from monitor.cli.api.stream_objects import StreamImage
from monitor.cli.api.view import Change, ControllerView, FleetView
from monitor.cli.output.changing_screen import ChangingScreen, Timers
from monitor.cli.output.format import describe_outage, describe_progress, format_duration, format_remaining
from monitor.cli.output.tables import ImageRow, annotation_table, image_facts, image_table, row_sort_key, safe_text
from monitor.cli.output.upgrade_screen import (
    FleetUnit,
    UnitDetails,
    UnitList,
    render_unit_details,
    sort_units,
    unit_outages,
    unit_screen_body,
)
from monitor.cli.output.upgrade_tables import unit_table
from monitor.cli.output.watch_state import Target, UpgradeTarget, WatchState, as_of_text
from monitor.config.validation import quoted

T = TypeVar("T")

_MIN_ROWS: Final = 3  # lines of the table, with its heading, however low the terminal is

FleetImage: TypeAlias = tuple[str, ControllerView, StreamImage]
"""An image with its controller's name and state."""


class ImageDetails(Struct, frozen=True):
    """One image. ``facts``: names and values that depend on the time."""

    controller: str
    image: StreamImage
    facts: tuple[tuple[str, Text], ...]


class ImageList(Struct, frozen=True):
    """The first images, as many as the height may have room for, and how many there are in all."""

    rows: tuple[ImageRow, ...]
    total: int


class Screen(Struct, frozen=True):
    """What is shown. ``warnings``: why it is outdated, below the rest. ``height``: lines of the terminal."""

    body: ImageDetails | ImageList | UnitDetails | UnitList | Text
    warnings: tuple[str, ...]
    height: int


class LiveScreen:
    """Shows the last state that it was given; its clocks stand while the connection is lost."""

    def __init__(self, console: Console, monotonic: Callable[[], float], timers: Timers) -> None:
        self._monotonic = monotonic
        self._console = console
        self._state = WatchState(Target())
        self._images = Sorted(sort_images)
        self._units = Sorted(sort_units)
        self._screen = ChangingScreen(console, self._content, render_screen, timers)

    def update(self, state: WatchState, changes: Iterable[Change], *, now: float) -> None:
        """Show this state from now on."""
        del changes, now
        self._state = state
        self._screen.request_draw()

    def notify(self, text: str) -> None:
        """Ignore the message: the state shows it."""

    def stop(self) -> None:
        """Stop redrawing, and leave the last screen visible."""
        self._screen.stop()

    def _content(self) -> Screen:
        now = self._state.now(self._monotonic())
        height = self._console.size.height
        if isinstance(self._state.target, UpgradeTarget):
            return upgrade_screen_of(self._state, self._state.target, self._units, now=now, height=height)
        return screen_of(self._state, self._state.target, self._images, now=now, height=height)


class Sorted(Generic[T]):
    """Images or units in the order of the screen. Those of a view that has not been replaced are not sorted again."""

    def __init__(self, sort: Callable[[FleetView, str], list[T]]) -> None:
        self._sort = sort
        self._of: tuple[FleetView, str] | None = None
        self._found: list[T] = []

    def of(self, view: FleetView, controller: str) -> list[T]:
        """Return those of this controller; empty: of all."""
        if not self._of or self._of[0] is not view or self._of[1] != controller:
            self._found = self._sort(view, controller)
            self._of = view, controller
        return self._found


def sort_images(view: FleetView, controller: str) -> list[FleetImage]:
    """Return the images of this controller; empty: of all."""
    images = [each for each in view.images() if controller in {"", each[0]}]
    return sorted(images, key=lambda each: row_sort_key(_row(*each)))


def screen_of(state: WatchState, target: Target, images: Sorted[FleetImage], *, now: float, height: int) -> Screen:
    """Return what is to be shown. ``now``: by the daemon's clock. ``height``: lines of the terminal."""
    controllers = state.view.controllers
    outages = [line for name in _names(state) if (line := describe_outage(name, controllers.get(name)))]
    warnings = tuple(_warnings(state, outages, limit=max(1, height // 3)))
    if target.image:
        return Screen(_image_details(state, target, now=now), warnings, height)
    if state.view.clock_offset_s is None:
        return Screen(Text("Waiting for the daemon"), warnings, height)
    found = images.of(state.view, target.controller)
    rows = tuple(_row_with_remark(*each, now=now) for each in found[: max(_MIN_ROWS, height)])
    return Screen(ImageList(rows, len(found)) if found else Text("No images"), warnings, height)


def upgrade_screen_of(
    state: WatchState, target: UpgradeTarget, units: Sorted[FleetUnit], *, now: float, height: int
) -> Screen:
    """As `screen_of`, of units."""
    warnings = tuple(_warnings(state, unit_outages(state, _names(state)), limit=max(1, height // 3)))
    found = units.of(state.view, target.controller)
    return Screen(unit_screen_body(state, target, found, now=now, rows=max(_MIN_ROWS, height)), warnings, height)


def _names(state: WatchState) -> list[str]:
    """Return the names of the controllers that are shown."""
    return (
        [state.key[0]]
        if state.key
        else [name for name in state.view.controllers if state.target.controller in {"", name}]
    )


def render_screen(screen: Screen) -> RenderableType:
    """Return the whole screen, limited to its height where possible."""
    footer = Group(*(safe_text(line, "yellow") for line in screen.warnings))
    match screen.body:
        case ImageDetails(controller, image, facts):
            return Group(*_render_details(controller, image, facts), footer)
        case ImageList(images, total):
            return FittedTable(
                lambda shown: image_table(images[:shown]), total, header=Group(), footer=footer, height=screen.height
            )
        case UnitDetails():
            return Group(*render_unit_details(screen.body), footer)
        case UnitList(headers, units, total):
            header = Group(*(safe_text(line, "bold") for line in headers))
            if not units:
                return Group(header, Text("No unit does or needs anything"), footer)
            return FittedTable(
                lambda shown: unit_table(units[:shown]), total, header=header, footer=footer, height=screen.height
            )
        case Text():
            return Group(screen.body, footer)
        case _:
            assert_never(screen.body)


def _warnings(state: WatchState, outages: list[str], *, limit: int) -> Iterator[str]:
    """Yield the reasons why the screen is outdated."""
    yield from outages[:limit]
    if more := len(outages[limit:]):
        yield f"and {more:,} more controllers that are not polled at present"
    if state.lost:
        yield f"Connection lost{as_of_text(state)}; reconnecting: {state.lost}"


def _image_details(state: WatchState, target: Target, *, now: float) -> ImageDetails | Text:
    received = state.view.get(state.key) if state.key else None
    if received is None or state.key is None:
        return safe_text(f"No image with the uuid or name {quoted(target.image)} yet", "yellow")
    name, image = state.key[0], received.object
    return ImageDetails(name, image, tuple(_progress_facts(state.view.controllers[name], image, now=now)))


def _render_details(name: str, image: StreamImage, facts: Iterable[tuple[str, Text]]) -> Iterator[RenderableType]:
    yield safe_text(image.name or image.uuid, "bold")
    yield image_facts(name, image, acknowledged=image.acknowledged, more=facts)
    if image.annotations:
        yield from (Text(), Text("Annotations", "bold"), annotation_table(image.annotations))


def _progress_facts(controller: ControllerView, image: StreamImage, *, now: float) -> Iterator[tuple[str, Text]]:
    if not controller.is_current:
        yield "known", safe_text(describe_progress(controller, image, now=now), "yellow")
        return
    if image.active and image.eta:
        yield "estimate", safe_text(format_remaining(image.eta, now=now))
        yield "because", safe_text(image.eta.why)
    if image.active and image.changed_at is not None:
        ago = format_duration(max(0.0, now - image.changed_at))
        yield "moved", safe_text(f"{ago} ago", "yellow" if image.standing == "stalled" else "")


class FittedTable:
    """As many rows as fit into the height, and the number of the others; a row may take several lines."""

    def __init__(
        self,
        table: Callable[[int], RenderableType],
        total: int,
        *,
        header: RenderableType,
        footer: RenderableType,
        height: int,
    ) -> None:
        self._table = table
        self._total = total
        self._header = header
        self._footer = footer
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        around = console.render_lines(Group(self._header, self._footer), options.update(height=None), pad=False)
        room, total = max(_MIN_ROWS, self._height - len(around)), self._total
        shown = total if total < room else room - 2  # the heading, and the line with the number of the others
        lines = self._render_lines(console, options, shown)
        while shown > 1 and len(lines) + (shown < total) > room:
            shown = max(1, shown * (room - 2) // (len(lines) - 1))
            lines = self._render_lines(console, options, shown)
        yield self._header
        for line in lines:
            yield from (*line, Segment.line())
        if shown < total:
            yield Text(f"and {total - shown:,} more", "dim")
        yield self._footer

    def _render_lines(self, console: Console, options: ConsoleOptions, shown: int) -> list[list[Segment]]:
        return console.render_lines(self._table(shown), options.update(height=None), pad=False)


def _row(name: str, _controller: ControllerView, image: StreamImage) -> ImageRow:
    return ImageRow(name, image, image.standing, image.standing_rank)


def _row_with_remark(name: str, controller: ControllerView, image: StreamImage, *, now: float) -> ImageRow:
    """The row as it is drawn. Sorting uses ``_row``, as the remark is too slow to make for thousands of images."""
    row = _row(name, controller, image)
    remark = describe_progress(controller, image, now=now)
    return replace(
        row, remark=safe_text(remark, "yellow" if row.standing == "stalled" or not controller.is_current else "")
    )
