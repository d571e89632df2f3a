"""What ``upgrades`` and ``upgrade`` print: the state of the stream as tables, or as JSON."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct
from rich.console import RenderableType
from rich.text import Text

from monitor.cli.api.responses import AuditRecord, CommandError
from monitor.cli.api.stream_objects import StreamUnit
from monitor.cli.api.unit_details import Operation, UnitEngine, UnitTasks
from monitor.cli.api.view import ControllerView, FleetView, ObjectKey
from monitor.cli.output.format import format_duration
from monitor.cli.output.printing import annotations_part, audit_part, print_json
from monitor.cli.output.tables import STATE_STYLES, event_table, plain_table, print_output, safe_text
from monitor.cli.output.upgrade_screen import (
    sort_units,
    unit_progress_facts,
    unit_row,
    upgrade_lines,
)
from monitor.cli.output.upgrade_tables import unit_facts, unit_table
from monitor.cli.output.upgrade_text import count_text, describe_unit_outage
from monitor.model.upgrade import UnitKind, UpgradeState

_MAX_NOTES = 10  # the last ones


class Selection(Struct, frozen=True):
    """Which units are shown. ``controller``: empty: all. ``state``, ``kind``: None: all that are worth a row."""

    controller: str
    state: UpgradeState | None
    kind: UnitKind | None
    show_all: bool


def print_upgrades(view: FleetView, selection: Selection, *, now: float) -> None:
    """Print where each controller stands, its units, and why they are outdated or missing."""
    found = list(_selected(view, selection))
    lines = [safe_text(line, "bold") for line in upgrade_lines(view, selection.controller, now=now) if line]
    table = unit_table(unit_row(*each, now=now) for each in found)
    hidden = sum(1 for _ in view.units()) - len(found) if not selection.controller else 0
    nothing = f"No units to show; --all shows {count_text(hidden, 'unit')} at rest" if hidden else "No units"
    outages = [
        safe_text(line, "yellow")
        for name, controller in view.controllers.items()
        if selection.controller in {"", name} and (line := describe_unit_outage(name, controller))
    ]
    print_output(*lines, table if found else nothing, *outages)


def _selected(view: FleetView, selection: Selection) -> Iterator[tuple[str, ControllerView, StreamUnit]]:
    chosen = selection.show_all or selection.state is not None or selection.kind is not None
    for name, controller, unit in sort_units(view, selection.controller, everything=chosen):
        if selection.state in {None, unit.state} and selection.kind in {None, unit.kind}:
            yield name, controller, unit


def print_upgrade_list(view: FleetView, selection: Selection) -> None:
    """Print ``{"controllers": [upgrade, …], "count": n, "results": [unit, …]}``, as the stream has them."""
    controllers = [
        {
            "controller": name,
            "up": each.health.up,
            "units_seen_at": each.units_read.seen_at,
            **(msgspec.to_builtins(each.upgrade) if each.upgrade else {"readable": None}),
        }
        for name, each in view.controllers.items()
        if selection.controller in {"", name}
    ]
    units = [
        msgspec.json.encode({"controller": name})[:-1] + b"," + controller.units[unit.uuid].raw[1:]
        for name, controller, unit in _selected(view, selection)
    ]
    print_json(
        b'{"controllers":%b,"count":%d,"results":[%b]}'
        % (msgspec.json.encode(controllers), len(units), b",".join(units))
    )


def print_unit(
    view: FleetView,
    key: ObjectKey,
    tasks: UnitTasks,
    earlier: Sequence[Operation],
    audit: Sequence[AuditRecord] | CommandError,
    *,
    now: float,
) -> None:
    """Print everything about one unit. ``audit``: its last records, or why the client cannot read them."""
    controller, unit = view.controllers[key[0]], view.unit(key)
    assert unit is not None  # noqa: S101  the key was found in this view
    facts = unit_facts(key[0], unit, unit_progress_facts(controller, unit, now=now))
    events: list[RenderableType] = ["", event_table(tasks.events)] if tasks.events else []
    print_output(
        safe_text(unit.label, "bold"),
        facts,
        *_checks(tasks),
        *events,
        *_engines(tasks.engines, now=now),
        *_notes(tasks.notes),
        *_earlier(earlier),
        "",
        *annotations_part(unit.annotations),
        "",
        *audit_part(audit),
    )


def _checks(tasks: UnitTasks) -> Iterator[RenderableType]:
    """The pre-checks that did not pass, with the Controller's texts."""
    if tasks.checks:
        yield from ("", Text("Pre-checks that did not pass", "bold"))
        rows = (
            (
                safe_text(check.result, STATE_STYLES["failed"] if check.result == "error" else "yellow"),
                safe_text(check.code),
                safe_text(": ".join(filter(None, (check.description, "; ".join(check.details))))),
            )
            for check in tasks.checks
        )
        yield plain_table(("Result", "Check", "What it says"), rows)


def _engines(engines: Sequence[UnitEngine], *, now: float) -> Iterator[RenderableType]:
    if engines:
        yield ""
        yield plain_table(("Service Engine", "State", "Time"), (_engine_cells(engine, now=now) for engine in engines))


def _engine_cells(engine: UnitEngine, *, now: float) -> tuple[Text, ...]:
    styles = {"in_progress": "cyan", "completed": "green", "failed": "bold red", "suspended": "bold red"}
    took = f"took {format_duration(engine.took_s)}" if engine.took_s is not None else ""
    time = f"for {format_duration(max(0.0, now - engine.since))}" if engine.since is not None else took
    name = safe_text(engine.name or engine.uuid)
    return name, safe_text(engine.state.replace("_", " "), styles.get(engine.state, "dim")), Text(time)


def _earlier(operations: Sequence[Operation]) -> Iterator[RenderableType]:
    if operations:
        yield ""
        yield Text("Earlier operations", "bold")
        rows = ((each.ended, each.operation, each.version, each.state) for each in operations)
        yield plain_table(("Ended", "Operation", "Version", "State"), (map(safe_text, row) for row in rows))


def _notes(notes: Sequence[str]) -> Iterator[RenderableType]:
    if notes:
        yield ""
        yield Text("Notes of the Controller", "bold")
        yield from map(safe_text, notes[-_MAX_NOTES:])
