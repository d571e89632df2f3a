"""
The target of ``watch --upgrade``: which unit it means, which changes are about it, and how a wait ends. Pure.

A name is looked up until a unit matches. From then on the target is that unit.
"""

from collections.abc import Iterator
from typing import Final, assert_never

from monitor.cli.api.responses import CommandError, TargetFailed, WaitTimeout
from monitor.cli.api.stream_objects import StreamUnit
from monitor.cli.api.view import (
    Change,
    ControllerRemoved,
    ControllerView,
    FleetView,
    HealthChanged,
    ImageChanged,
    ImageRemoved,
    ObjectKey,
    UnitChanged,
    UnitRemoved,
    UpgradeChanged,
)
from monitor.cli.output.upgrade_judge import Failed, Lost, NotBegun, Succeeded, Verdict, Waiting
from monitor.cli.output.upgrade_text import describe_read_time, describe_unit, describe_unit_outage, describe_upgrade
from monitor.cli.output.watch_state import (
    UpgradeTarget,
    WatchState,
    choose,
    lost_text,
    no_response_text,
    require_controller,
)
from monitor.config.validation import printable, quoted

_MOST_UNITS: Final = 5  # in the message of a timeout


def find_unit(view: FleetView, target: UpgradeTarget) -> ObjectKey | None:
    """
    Return the unit that the target means; None while none matches.

    Raises: Rejected when several match, unless exactly one of them is active; when there is no such controller.
    """
    require_controller(view, target.controller)
    found = _matches(view, target) if target.unit else []
    return choose(found, target.unit, "units", lambda unit: f"{unit.uuid}  {unit.label}  {unit.state}")


def _matches(view: FleetView, target: UpgradeTarget) -> list[tuple[str, StreamUnit]]:
    """Return the units with this uuid, else of this name and cloud, else of this name, else of this controller."""
    candidates = [(name, unit) for name, _, unit in view.units() if target.controller in {"", name}]
    for attribute in ("uuid", "label", "name"):
        if found := [(name, unit) for name, unit in candidates if getattr(unit, attribute) == target.unit]:
            return found
    controller = view.controllers.get(target.unit)
    is_meant = controller and target.controller in {"", target.unit}
    return [(target.unit, controller.cluster)] if controller and controller.cluster and is_meant else []


def is_relevant(change: Change, target: UpgradeTarget, key: ObjectKey | None) -> bool:
    """Whether a change is about the target."""
    if target.controller not in {"", change.controller}:
        return False
    match change:
        case UnitChanged(controller, received):
            return not target.unit or (controller, received.object.uuid) == key
        case UnitRemoved(controller, unit):
            return not target.unit or (controller, unit.uuid) == key
        case UpgradeChanged(controller) | HealthChanged(controller) | ControllerRemoved(controller):
            return not target.unit or (key is not None and controller == key[0])
        case ImageChanged() | ImageRemoved():
            return False
        case _:
            assert_never(change)


def verdict_error(name: str, controller: ControllerView | None, verdict: Verdict, *, now: float) -> CommandError | None:
    """Return the error with which a wait ends; None for one that is reached, or may be."""
    match verdict:
        case Succeeded() | Waiting():
            return None
        case Failed(reason):
            return TargetFailed(_verdict_text(name, controller, reason, now=now))
        case Lost(reason):
            return TargetFailed(_verdict_text(name, None, reason, now=now))
        case NotBegun(reason):
            return WaitTimeout(_verdict_text(name, controller, reason, now=now))
        case _:
            assert_never(verdict)


def _verdict_text(name: str, controller: ControllerView | None, reason: str, *, now: float) -> str:
    read_time = f" ({describe_read_time(controller, now=now)})" if controller else ""
    return printable(f"{name}: {reason}{read_time}")


def upgrade_timeout(state: WatchState, target: UpgradeTarget, *, now: float) -> WaitTimeout:
    """Return the error for a timeout: how far the upgrade was, and what prevented polling or the connection."""
    if state.view.clock_offset_s is None:
        return WaitTimeout(no_response_text(state))
    parts = filter(None, (*_timeout_parts(state, target, now=now), lost_text(state)))
    return WaitTimeout("; ".join(map(printable, ("timed out", *parts))))


def _timeout_parts(state: WatchState, target: UpgradeTarget, *, now: float) -> Iterator[str]:
    if target.unit and state.key is None:
        yield f"no unit with the uuid or name {quoted(target.unit)} was found"
    for name, controller in state.view.controllers.items():
        if target.controller not in {"", name} or (state.key and state.key[0] != name):
            continue
        yield describe_upgrade(name, controller, now=now)
        yield describe_unit_outage(name, controller)
        found = [received.object for received in controller.units.values()]
        if state.key:
            shown = [unit for unit in found if unit.uuid == state.key[1]]
        else:
            shown = [unit for unit in found if unit.kind != "se" and (unit.active or unit.standing == "failed")]
        yield from (describe_unit(name, controller, unit, now=now) for unit in shown[:_MOST_UNITS])
