"""What ``watch`` is told to watch, and everything that it displays."""

from msgspec import Struct

from monitor.cli.api.view import FleetView, ObjectKey
from monitor.cli.output.format import time_of_day
from monitor.cli.output.upgrade_wait import Wait


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


def as_of_text(state: WatchState) -> str:
    """Return ``, as of 12:00:03Z`` while the connection is lost; empty while nothing is known."""
    return "" if state.as_of is None else f", as of {time_of_day(state.as_of)}"


def lost_text(state: WatchState) -> str:
    """Return why there is no connection, and since when; empty while there is one."""
    return f"no connection to the daemon{as_of_text(state)}: {state.lost}" if state.lost else ""


def no_response_text(state: WatchState) -> str:
    """Return what is to be said at a timeout before the first message."""
    return "timed out: no response from the daemon yet" + (f": {state.lost}" if state.lost else "")
