"""What is watched, drawn on a terminal again and again: the fleet, or one image with its facts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from msgspec.structs import replace
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from monitor.cli.api.view import Change, Known, Watched
from monitor.cli.output.format import absence_of, going, is_still, lasting, left
from monitor.cli.output.tables import Row, annotation_table, facts_of, image_table, said, urgency
from monitor.cli.output.target import Scene, Wanted
from monitor.config.validation import quoted

_DRAWINGS = 2  # a second: each costs some 30 ms with a full screen

Shown: TypeAlias = tuple[str, Known, Watched]  # an image, and the controller that has it


class Screen:
    """A drawing that is made anew again and again: also while nothing comes, the time that is left gets less."""

    def __init__(self, console: Console, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._console = console
        self._scene = Scene(Wanted())
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=_DRAWINGS)

    def show(self, scene: Scene, changes: Iterable[Change], *, now: float) -> None:
        """As the protocol says; from now on, not only once."""
        del changes, now
        self._scene = scene
        if not self._live.is_started:
            self._live.start()

    def tell(self, text: str) -> None:
        """Nothing: the scene shows it."""

    def stop(self) -> None:
        """Leave the last drawing where it is."""
        if self._live.is_started:
            self._live.stop()

    def _draw(self) -> RenderableType:
        scene = self._scene
        return drawing(scene, now=(scene.view.ahead_s or 0.0) + self._monotonic(), height=self._console.size.height)


def drawing(scene: Scene, *, now: float, height: int) -> RenderableType:
    """The whole of it, in so many lines where they can be chosen. ``now``: by the daemon's clock."""
    below = Group(*(said(line, "yellow") for line in _troubles(scene, most=max(1, height // 3))))
    if scene.wanted.image:
        return Group(*_one(scene, now=now), below)
    if scene.view.ahead_s is None:
        return Group(Text("Nothing is known yet"), below)
    among = [each for each in scene.view.images() if scene.wanted.controller in {"", each[0]}]
    if not among:
        return Group(Text("No images"), below)
    ranked = sorted(among, key=lambda each: urgency(_row(*each, now=now)))
    return _Ranked(ranked, below, now=now, height=height)


def _troubles(scene: Scene, *, most: int) -> Iterator[str]:
    """Why what is shown is old."""
    controllers = scene.view.controllers
    names = [scene.key[0]] if scene.key else [name for name in controllers if scene.wanted.controller in {"", name}]
    away = [line for name in names if (line := absence_of(name, controllers.get(name)))]
    yield from away[:most]
    if more := len(away[most:]):
        yield f"and {more:,} more controllers that are not read at present"
    if scene.lost:
        yield f"Connection lost, trying again: {scene.lost}"


def _one(scene: Scene, *, now: float) -> Iterator[RenderableType]:
    """One image: what it is, how far it has come, and what is written on it."""
    told = scene.view.told(scene.key) if scene.key else None
    if told is None or scene.key is None:
        yield said(f"No image of the uuid or name {quoted(scene.wanted.image)} is known yet", "yellow")
        return
    image, known = told.image, scene.view.controllers[scene.key[0]]
    yield said(image.name or image.uuid, "bold")
    yield facts_of(scene.key[0], image, acknowledged=image.acknowledged, more=_outlook(known, image, now=now))
    if image.annotations:
        yield from (Text(), Text("Annotations", "bold"), annotation_table(image.annotations))


def _outlook(known: Known, image: Watched, *, now: float) -> Iterator[tuple[str, RenderableType]]:
    if not known.current:
        yield "known", said(going(known, image, now=now), "yellow")
        return
    if image.active and image.eta:
        yield "outlook", said(left(image.eta, now=now))
        yield "because", said(image.eta.why)
    if image.active and image.changed_at is not None:
        ago_s = max(0.0, now - image.changed_at)
        yield "moved", said(f"{lasting(ago_s)} ago", "yellow" if is_still(image, now=now) else "")


class _Ranked:
    """The first of these images in so many lines, and how many there are beside them; a row may need more than one."""

    def __init__(self, images: Sequence[Shown], below: RenderableType, *, now: float, height: int) -> None:
        self._images = images
        self._below = below
        self._now = now
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        below = console.render_lines(self._below, options.update(height=None), pad=False)
        room, number = max(3, self._height - len(below)), len(self._images)
        shown = number if number < room else room - 2  # but for the heading, and the line below
        lines = self._lines(console, options, shown)
        while shown > 1 and len(lines) + (shown < number) > room:
            shown = max(1, shown * (room - 2) // (len(lines) - 1))
            lines = self._lines(console, options, shown)
        for line in lines:
            yield from (*line, Segment.line())
        if shown < number:
            yield Text(f"and {number - shown:,} more", "dim")
        yield self._below

    def _lines(self, console: Console, options: ConsoleOptions, shown: int) -> list[list[Segment]]:
        rows = (_remarked_row(*each, now=self._now) for each in self._images[:shown])
        return console.render_lines(image_table(rows), options.update(height=None), pad=False)


def _row(controller: str, known: Known, image: Watched, *, now: float) -> Row:
    return Row(controller, image, image.acknowledged, still=known.current and is_still(image, now=now))


def _remarked_row(controller: str, known: Known, image: Watched, *, now: float) -> Row:
    """Apart, because few of thousands are drawn."""
    row = _row(controller, known, image, now=now)
    return replace(row, remark=said(going(known, image, now=now), "yellow" if row.still or not known.current else ""))
