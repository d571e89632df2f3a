"""The live screen of ``watch --upgrade``: the units of all controllers, or one unit with its details. Pure."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from msgspec import Struct
from rich.console import RenderableType
from rich.text import Text

from monitor.cli.api.stream_objects import StreamUnit, UpgradeStatus
from monitor.cli.api.view import ControllerView, FleetView
from monitor.cli.output.format import format_duration, format_remaining
from monitor.cli.output.tables import annotation_table, safe_text
from monitor.cli.output.upgrade_tables import UnitRow, unit_facts
from monitor.cli.output.upgrade_text import (
    describe_unit_outage,
    describe_unit_progress,
    describe_upgrade,
    is_quiet,
    unit_versions,
)
from monitor.cli.output.watch_state import UpgradeTarget, WatchState
from monitor.config.validation import quoted

FleetUnit: TypeAlias = tuple[str, ControllerView, StreamUnit]
"""A unit with its controller's name and state."""


class UnitDetails(Struct, frozen=True):
    """One unit. ``facts``: names and values that depend on the time."""

    controller: str
    unit: StreamUnit
    facts: tuple[tuple[str, Text], ...]


class UnitList(Struct, frozen=True):
    """The first units, as many as the height may have room for, how many there are in all, and lines above them."""

    headers: tuple[str, ...]
    rows: tuple[UnitRow, ...]
    total: int


def sort_units(view: FleetView, controller: str, *, everything: bool = False) -> list[FleetUnit]:
    """
    Return the units that are worth a row, or all, controller by controller: those that need an operator first.

    ``controller``: empty: of all.
    """
    found = (each for each in view.units() if controller in {"", each[0]})
    shown = [each for each in found if everything or is_shown(each[1], each[2])]
    worst: dict[str, int] = {}
    for name, _, unit in shown:
        worst[name] = min(worst.get(name, unit.standing_rank), unit.standing_rank)
    return sorted(shown, key=lambda each: (worst[each[0]], each[0], *unit_sort_key(each[2])))


def is_shown(controller: ControllerView, unit: StreamUnit) -> bool:
    """Whether a unit is worth a row; while there is an upgrade, each group is."""
    at_work = controller.upgrade is not None and controller.upgrade.phase not in {None, "none"}
    return not is_quiet(unit) or (at_work and unit.kind != "se")


def unit_sort_key(unit: StreamUnit) -> tuple[object, ...]:
    """Sort the units of one controller: the cluster first, and then in the daemon's order."""
    return unit.kind != "controller", unit.standing_rank, unit.kind == "se", unit.label, unit.uuid


def unit_row(name: str, controller: ControllerView, unit: StreamUnit, *, now: float) -> UnitRow:
    """Return the row of a unit, with what changes with the time. ``now``: by the daemon's clock."""
    phase = controller.upgrade.phase if controller.upgrade else None
    remark = describe_unit_progress(controller, unit, now=now)
    style = "yellow" if unit.standing == "stalled" or not controller.units_are_current else ""
    to_version = controller.upgrade.to_version if controller.upgrade else ""
    versions = unit_versions(unit, to_version=to_version)
    return UnitRow(name, phase if phase and phase != "none" else "", unit, versions, safe_text(remark, style))


def upgrade_lines(view: FleetView, controller: str, *, now: float) -> Iterator[str]:
    """Yield a line for each controller that is upgraded, or of which something is to be said."""
    for name, each in view.controllers.items():
        if name == controller or (not controller and each.upgrade and _is_notable(each.upgrade)):
            yield describe_upgrade(name, each, now=now)


def _is_notable(upgrade: UpgradeStatus) -> bool:
    is_wrong = upgrade.readable is False or upgrade.done is False or any(upgrade.left_behind.values())
    return is_wrong or upgrade.phase not in {None, "none"}


def unit_screen_body(
    state: WatchState, target: UpgradeTarget, units: list[FleetUnit], *, now: float, rows: int
) -> UnitDetails | UnitList | Text:
    """Return what is to be shown. ``units``: in order. ``rows``: the most that there can be room for."""
    if target.unit:
        return _unit_details(state, target, now=now)
    if state.view.clock_offset_s is None:
        return Text("Waiting for the daemon")
    headers = [line for line in upgrade_lines(state.view, target.controller, now=now) if line]
    limit = max(1, rows // 3)
    more = [f"and {len(headers) - limit:,} more controllers"] if len(headers) > limit else []
    shown = tuple(unit_row(*each, now=now) for each in units[:rows])
    return UnitList((*headers[:limit], *more), shown, len(units))


def _unit_details(state: WatchState, target: UpgradeTarget, *, now: float) -> UnitDetails | Text:
    unit = state.view.unit(state.key) if state.key else None
    if unit is None or state.key is None:
        return safe_text(f"No unit with the uuid or name {quoted(target.unit)} yet", "yellow")
    controller = state.view.controllers[state.key[0]]
    return UnitDetails(state.key[0], unit, tuple(unit_progress_facts(controller, unit, now=now)))


def render_unit_details(details: UnitDetails) -> Iterator[RenderableType]:
    """Yield the lines about one unit."""
    yield safe_text(details.unit.label, "bold")
    yield unit_facts(details.controller, details.unit, details.facts)
    if details.unit.annotations:
        yield from (Text(), Text("Annotations", "bold"), annotation_table(details.unit.annotations))


def unit_progress_facts(controller: ControllerView, unit: StreamUnit, *, now: float) -> Iterator[tuple[str, Text]]:
    """Yield what the time changes about a unit."""
    if not controller.units_are_current:
        yield "known", safe_text(describe_unit_progress(controller, unit, now=now), "yellow")
        return
    if unit.active and unit.eta:
        yield "estimate", safe_text(format_remaining(unit.eta, now=now))
        yield "because", safe_text(unit.eta.why)
    if unit.active and unit.changed_at is not None:
        ago = format_duration(max(0.0, now - unit.changed_at))
        yield "moved", safe_text(f"{ago} ago", "yellow" if unit.standing == "stalled" else "")


def unit_outages(state: WatchState, names: Iterable[str]) -> list[str]:
    """Return why the units of these controllers are outdated."""
    controllers = state.view.controllers
    return [line for name in names if name in controllers and (line := describe_unit_outage(name, controllers[name]))]
