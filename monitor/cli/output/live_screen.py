"""The live screen of ``watch``: all images, or one image with its details, redrawn at a fixed rate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from msgspec.structs import replace
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from monitor.cli.api.view import Change, ControllerView, StreamImage
from monitor.cli.output.format import describe_outage, describe_progress, format_duration, format_remaining
from monitor.cli.output.tables import ImageRow, annotation_table, image_facts, image_table, row_sort_key, safe_text
from monitor.cli.output.target import Target, WatchState
from monitor.config.validation import quoted

_REDRAWS_PER_SECOND: Final = 2  # a full screen takes about 30 ms to draw

FleetImage: TypeAlias = tuple[str, ControllerView, StreamImage]
"""An image with its controller's name and state."""


class LiveScreen:
    """A screen that is redrawn even when no message comes, because the remaining times change."""

    def __init__(self, console: Console, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._console = console
        self._state = WatchState(Target())
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=_REDRAWS_PER_SECOND)

    def update(self, state: WatchState, changes: Iterable[Change], *, now: float) -> None:
        """Show this state from now on."""
        del changes, now
        self._state = state
        if not self._live.is_started:
            self._live.start()

    def notify(self, text: str) -> None:
        """Ignore the message: the state shows it."""

    def stop(self) -> None:
        """Stop redrawing, and leave the last screen visible."""
        if self._live.is_started:
            self._live.stop()

    def _render(self) -> RenderableType:
        now = (self._state.view.clock_offset_s or 0.0) + self._monotonic()
        return render_screen(self._state, now=now, height=self._console.size.height)


def render_screen(state: WatchState, *, now: float, height: int) -> RenderableType:
    """Return the whole screen, limited to ``height`` lines where possible. ``now``: by the daemon's clock."""
    footer = Group(*(safe_text(line, "yellow") for line in _warnings(state, limit=max(1, height // 3))))
    if state.target.image:
        return Group(*_image_details(state, now=now), footer)
    if state.view.clock_offset_s is None:
        return Group(Text("Waiting for the daemon"), footer)
    images = [each for each in state.view.images() if state.target.controller in {"", each[0]}]
    if not images:
        return Group(Text("No images"), footer)
    images.sort(key=lambda each: row_sort_key(_row(*each)))
    return _FittedTable(images, footer, now=now, height=height)


def _warnings(state: WatchState, *, limit: int) -> Iterator[str]:
    """Yield the reasons why the screen is outdated."""
    controllers = state.view.controllers
    names = [state.key[0]] if state.key else [name for name in controllers if state.target.controller in {"", name}]
    outages = [line for name in names if (line := describe_outage(name, controllers.get(name)))]
    yield from outages[:limit]
    if more := len(outages[limit:]):
        yield f"and {more:,} more controllers that are not polled at present"
    if state.lost:
        yield f"Connection lost, reconnecting: {state.lost}"


def _image_details(state: WatchState, *, now: float) -> Iterator[RenderableType]:
    received = state.view.get(state.key) if state.key else None
    if received is None or state.key is None:
        yield safe_text(f"No image with the uuid or name {quoted(state.target.image)} yet", "yellow")
        return
    name, image = state.key[0], received.image
    yield safe_text(image.name or image.uuid, "bold")
    more = _progress_facts(state.view.controllers[name], image, now=now)
    yield image_facts(name, image, acknowledged=image.acknowledged, more=more)
    if image.annotations:
        yield from (Text(), Text("Annotations", "bold"), annotation_table(image.annotations))


def _progress_facts(
    controller: ControllerView, image: StreamImage, *, now: float
) -> Iterator[tuple[str, RenderableType]]:
    if not controller.is_current:
        yield "known", safe_text(describe_progress(controller, image, now=now), "yellow")
        return
    if image.active and image.eta:
        yield "estimate", safe_text(format_remaining(image.eta, now=now))
        yield "because", safe_text(image.eta.why)
    if image.active and image.changed_at is not None:
        ago = format_duration(max(0.0, now - image.changed_at))
        yield "moved", safe_text(f"{ago} ago", "yellow" if image.standing == "stalled" else "")


class _FittedTable:
    """As many of these images as fit into the height, and the number of the others; a row may take several lines."""

    def __init__(self, images: Sequence[FleetImage], footer: RenderableType, *, now: float, height: int) -> None:
        self._images = images
        self._footer = footer
        self._now = now
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        footer = console.render_lines(self._footer, options.update(height=None), pad=False)
        room, total = max(3, self._height - len(footer)), len(self._images)
        shown = total if total < room else room - 2  # the heading, and the line with the number of the others
        lines = self._render_lines(console, options, shown)
        while shown > 1 and len(lines) + (shown < total) > room:
            shown = max(1, shown * (room - 2) // (len(lines) - 1))
            lines = self._render_lines(console, options, shown)
        for line in lines:
            yield from (*line, Segment.line())
        if shown < total:
            yield Text(f"and {total - shown:,} more", "dim")
        yield self._footer

    def _render_lines(self, console: Console, options: ConsoleOptions, shown: int) -> list[list[Segment]]:
        rows = (_row_with_remark(*each, now=self._now) for each in self._images[:shown])
        return console.render_lines(image_table(rows), options.update(height=None), pad=False)


def _row(name: str, _controller: ControllerView, image: StreamImage) -> ImageRow:
    return ImageRow(name, image, image.standing, image.standing_rank)


def _row_with_remark(name: str, controller: ControllerView, image: StreamImage, *, now: float) -> ImageRow:
    """The row as it is drawn. Sorting uses ``_row``, as the remark is too slow to make for thousands of images."""
    row = _row(name, controller, image)
    remark = describe_progress(controller, image, now=now)
    return replace(
        row, remark=safe_text(remark, "yellow" if row.standing == "stalled" or not controller.is_current else "")
    )
