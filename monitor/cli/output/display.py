"""
What is watched, as it is shown: drawn on a terminal (``drawing``), else one line a change, for people or for programs.

Whatever the stream tells comes from strangers, and is escaped.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, assert_never

import click
import msgspec
from rich.console import Console

from monitor.cli.api.responses import show_json
from monitor.cli.api.view import Change, ControllerGone, Health, HealthTold, ImageGone, ImageTold, Key, Known, View
from monitor.cli.options import Output
from monitor.cli.output.format import absence_of, line_of
from monitor.cli.output.live_screen import Screen
from monitor.cli.output.tables import bear_any_text
from monitor.cli.output.target import Scene
from monitor.config.validation import printable


class Display(Protocol):
    """``now`` is by the daemon's clock."""

    def show(self, scene: Scene, changes: Iterable[Change], *, now: float) -> None:
        """Show how things are, and in what they differ from before."""

    def tell(self, text: str) -> None:
        """Say what is no change, where the scene does not show it."""


@contextmanager
def showing(output: Output, monotonic: Callable[[], float]) -> Iterator[Display]:
    """The display for where standard output goes. ``monotonic``: the clock that the views are ahead of."""
    console = Console(highlight=False, markup=False, emoji=False)
    bear_any_text()
    if output == "json":
        yield Jsons()
    elif not console.is_terminal or console.is_dumb_terminal:
        yield Lines()
    else:
        screen = Screen(console, monotonic)
        try:
            yield screen
        finally:
            screen.stop()


class Lines:
    """One line a change for people; the same line twice is no change to them."""

    def __init__(self) -> None:
        self._last: dict[Key, str] = {}

    def show(self, scene: Scene, changes: Iterable[Change], *, now: float) -> None:
        """As the protocol says."""
        if lines := [line for change in changes if (line := self._line(scene.view, change, now))]:
            click.echo("\n".join(map(printable, lines)))

    def tell(self, text: str) -> None:
        """Beside the changes, which a script may read."""
        click.echo(f"avi-upgrade-monitor: {printable(text)}", err=True)

    def _line(self, view: View, change: Change, now: float) -> str:
        match change:
            case ImageTold(controller, told):
                line = line_of(controller, view.controllers[controller], told.image, now=now)
                again = self._last.get((controller, told.image.uuid)) == line
                self._last[controller, told.image.uuid] = line
                return "" if again else line
            case ImageGone(controller, image):
                self._last.pop((controller, image.uuid), None)
                return f"{controller}  {image.name or image.uuid}  gone"
            case HealthTold(controller, health, before):
                return absence_of(controller, Known(health)) or _return(controller, before)
            case ControllerGone(controller):
                return f"{controller}: watched no more"
            case _:
                assert_never(change)


def _return(controller: str, before: Health | None) -> str:
    """That it can be read again, where it was said that it could not."""
    return f"{controller}: read again" if before and absence_of(controller, Known(before)) else ""


class Jsons:
    """One JSON object a change, on one line; an image with all its members, as it came."""

    def show(self, scene: Scene, changes: Iterable[Change], *, now: float) -> None:
        """As the protocol says."""
        del scene
        if lines := [show_json(self._line(change, round(now, 3))) for change in changes]:
            click.echo("\n".join(lines))

    def tell(self, text: str) -> None:
        """In the shape of a problem."""
        click.echo(show_json(msgspec.json.encode({"detail": text})), err=True)

    def _line(self, change: Change, now: float) -> bytes:
        match change:
            case ImageTold(controller, told):
                head = _json("image", now, controller, {})
                members = told.raw.replace(b"\n", b" ")  # between tokens: inside a text there can be none
                return b"%b,%b" % (head[:-1], members[1:])
            case ImageGone(controller, image):
                return _json("gone", now, controller, {"uuid": image.uuid, "name": image.name})
            case HealthTold(controller, health):
                return _json("controller", now, controller, msgspec.to_builtins(health))
            case ControllerGone(controller):
                return _json("controller", now, controller, {"removed": True})
            case _:
                assert_never(change)


def _json(event: str, now: float, controller: str, members: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"event": event, "now": now, "controller": controller, **members})
