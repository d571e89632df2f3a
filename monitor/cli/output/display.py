"""
The displays of ``watch``: a live screen on a terminal, else one line a change, as text or as JSON.

The stream contains foreign text, which every display escapes.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, assert_never

import click
import msgspec
from rich.console import Console

from monitor.cli.api.messages import Health
from monitor.cli.api.responses import ascii_json
from monitor.cli.api.view import (
    Change,
    ControllerRemoved,
    ControllerView,
    HealthChanged,
    ImageChanged,
    ImageRemoved,
    ObjectKey,
    UnitChanged,
    UnitRemoved,
    UpgradeChanged,
)
from monitor.cli.output.format import describe_image, describe_outage
from monitor.cli.output.live_screen import LiveScreen
from monitor.cli.output.tables import escape_unencodable
from monitor.cli.output.upgrade_text import (
    describe_phase,
    describe_return,
    describe_unit,
    describe_unit_outage,
    is_quiet,
    unit_recovery_line,
)
from monitor.cli.output.watch_state import UpgradeTarget, WatchState
from monitor.cli.params import OutputFormat
from monitor.config.validation import printable


class Display(Protocol):
    """``now`` is by the daemon's clock."""

    def update(self, state: WatchState, changes: Iterable[Change], *, now: float) -> None:
        """Show the state, and how it differs from before."""

    def notify(self, text: str) -> None:
        """Show a message that is not a change, unless the state already shows it."""


@contextmanager
def open_display(output: OutputFormat, monotonic: Callable[[], float]) -> Iterator[Display]:
    """
    Return the display that suits standard output; called in the event loop that handles the stream.

    ``monotonic``: the clock of ``FleetView.clock_offset_s``.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    escape_unencodable()
    if output == "json":
        yield JsonDisplay()
    elif not console.is_terminal or console.is_dumb_terminal:
        yield LineDisplay()
    else:
        screen = LiveScreen(console, monotonic, asyncio.get_running_loop())
        try:
            yield screen
        finally:
            screen.stop()


class LineDisplay:
    """One line of text a change; a line that repeats the previous one of the object is omitted."""

    def __init__(self) -> None:
        self._last_lines: dict[ObjectKey, str] = {}

    def update(self, state: WatchState, changes: Iterable[Change], *, now: float) -> None:
        """Print the changes."""
        if lines := [line for change in changes if (line := self._line(state, change, now))]:
            click.echo("\n".join(map(printable, lines)))

    def notify(self, text: str) -> None:
        """Print on standard error, to keep standard output for the changes."""
        click.echo(f"avi-upgrade-monitor: {printable(text)}", err=True)

    def _line(self, state: WatchState, change: Change, now: float) -> str:
        controller = state.view.controllers.get(change.controller, ControllerView())
        match change:
            case ImageChanged(name, received):
                line = describe_image(name, controller, received.object, now=now)
                return self._unless_repeated((name, received.object.uuid), line)
            case UnitChanged(name, received):
                key = name, received.object.uuid
                if key not in self._last_lines and key != state.key and is_quiet(received.object):
                    return ""
                return self._unless_repeated(key, describe_unit(name, controller, received.object, now=now))
            case UpgradeChanged(name, upgrade, before):
                line = self._unless_repeated((name, ""), describe_phase(name, controller))
                has_returned = before and before.away_since is not None and upgrade.away_since is None
                return describe_return(name, before, controller, now=now) if before and has_returned else line
            case ImageRemoved(name, removed) | UnitRemoved(name, removed):
                printed = self._last_lines.pop((name, removed.uuid), "")
                is_shown = printed or isinstance(change, ImageRemoved)
                return f"{name}  {removed.label}  gone" if is_shown else ""
            case HealthChanged(name, _, before):
                if isinstance(state.target, UpgradeTarget):
                    return describe_unit_outage(name, controller) or unit_recovery_line(name, controller, before)
                return describe_outage(name, controller) or _recovery_line(name, before)
            case ControllerRemoved(name):
                return f"{name}: no longer watched"
            case _:
                assert_never(change)

    def _unless_repeated(self, key: ObjectKey, line: str) -> str:
        is_repeated = self._last_lines.get(key) == line
        self._last_lines[key] = line
        return "" if is_repeated else line


def _recovery_line(controller: str, before: Health | None) -> str:
    """Return an empty line when no outage was printed before."""
    had_outage = before and describe_outage(controller, ControllerView(before))
    return f"{controller}: polled again" if had_outage else ""


class JsonDisplay:
    """One JSON object a change, on one line; an image or a unit has all the members that the daemon sent."""

    def update(self, state: WatchState, changes: Iterable[Change], *, now: float) -> None:
        """Print the changes."""
        del state
        if lines := [ascii_json(self._line(change, round(now, 3))) for change in changes]:
            click.echo("\n".join(lines))

    def notify(self, text: str) -> None:
        """Print on standard error, in the form of a problem."""
        click.echo(ascii_json(msgspec.json.encode({"detail": text})), err=True)

    def _line(self, change: Change, now: float) -> bytes:
        match change:
            case ImageChanged(controller, received) | UnitChanged(controller, received):
                head = _json_line("image" if isinstance(change, ImageChanged) else "unit", now, controller, {})
                members = received.raw.replace(b"\n", b" ")  # a newline in JSON is whitespace: in a text it is escaped
                return b"%b,%b" % (head[:-1], members[1:])
            case ImageRemoved(controller, removed) | UnitRemoved(controller, removed):
                kind = "gone" if isinstance(change, ImageRemoved) else "unit_gone"
                return _json_line(kind, now, controller, {"uuid": removed.uuid, "name": removed.name})
            case UpgradeChanged(controller, upgrade):
                return _json_line("phase", now, controller, msgspec.to_builtins(upgrade))
            case HealthChanged(controller, health):
                return _json_line("controller", now, controller, msgspec.to_builtins(health))
            case ControllerRemoved(controller):
                return _json_line("controller", now, controller, {"removed": True})
            case _:
                assert_never(change)


def _json_line(event: str, now: float, controller: str, members: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"event": event, "now": now, "controller": controller, **members})
