"""What ``watch`` is told to watch, and everything that it displays."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from monitor.cli.api.responses import Rejected
from monitor.cli.api.view import FleetView, ObjectKey, T
from monitor.cli.output.format import time_of_day
from monitor.cli.output.upgrade_wait import Wait
from monitor.config.validation import printable, quoted


class Target(Struct, frozen=True):
    """``image``: a uuid or a name; empty: all images. ``controller``: the only one; empty: all."""

    image: str = ""
    controller: str = ""


class UpgradeTarget(Struct, frozen=True):
    """
    ``unit``: a uuid, ``group@cloud``, a name, or the name of a controller for its cluster; empty: all units.

    ``controller``: the only one; empty: all. ``wait``: what is waited for; None: watch for ever.
    """

    unit: str = ""
    controller: str = ""
    wait: Wait | None = None


class WatchState(Struct, frozen=True):
    """
    Everything that is displayed. ``key``: the target's image or unit, once found. ``lost``: why there is no connection.

    ``as_of``: while the connection is lost, the daemon's time when it was last heard; None before its first message.
    """

    target: Target | UpgradeTarget
    view: FleetView = FleetView()
    key: ObjectKey | None = None
    lost: str = ""
    as_of: float | None = None

    def now(self, monotonic: float) -> float:
        """Return the daemon's time by the client's ``monotonic`` clock. It stands while the connection is lost."""
        return (self.view.clock_offset_s or 0.0) + monotonic if self.as_of is None else self.as_of


def require_controller(view: FleetView, controller: str) -> None:
    """Raises: Rejected when there is no such controller; empty: any will do."""
    if controller and controller not in view.controllers:
        raise Rejected(f"there is no controller {quoted(controller)} that you may see")


def choose(found: Sequence[tuple[str, T]], text: str, noun: str, describe: Callable[[T], str]) -> ObjectKey | None:
    """
    Return the object that ``text`` means, of those that match it, with their controllers; None while none does.

    ``noun``: of several. ``describe``: returns what tells one from the others.
    Raises: Rejected when several match, unless exactly one of them is active.
    """
    active = [(name, each) for name, each in found if each.active]
    if len(found) > 1 and len(active) != 1:
        lines = "".join(f"\n  {printable(f'{name}  {describe(each)}')}" for name, each in found)
        raise Rejected(f"{quoted(text)} matches {len(found)} {noun}; give --controller or a uuid:{lines}")
    return next(((name, each.uuid) for name, each in active or found), None)


def as_of_text(state: WatchState) -> str:
    """Return ``, as of 12:00:03Z`` while the connection is lost; empty while nothing is known."""
    return "" if state.as_of is None else f", as of {time_of_day(state.as_of)}"


def lost_text(state: WatchState) -> str:
    """Return why there is no connection, and since when; empty while there is one."""
    return f"no connection to the daemon{as_of_text(state)}: {state.lost}" if state.lost else ""


def no_response_text(state: WatchState) -> str:
    """Return what is to be said at a timeout before the first message."""
    return "timed out: no response from the daemon yet" + (f": {state.lost}" if state.lost else "")
