"""Tables of units: on a terminal as many columns as it has room for, elsewhere all. Foreign text is escaped."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from monitor.cli.api.stream_objects import StreamUnit
from monitor.cli.output.tables import (
    STATE_STYLES,
    FirstThatFits,
    duration_or_empty,
    empty_table,
    fact_table,
    percent_text,
    progress_bar,
    safe_text,
    state_text,
    time_or_empty,
)
from monitor.cli.output.upgrade_text import checks_text, count_text, disrupted_text, engines_text, unit_versions
from monitor.model.upgrade import ENGINE_STATES


class UnitRow(Struct, frozen=True):
    """
    One unit in the table. ``phase``: of its controller; empty without one. ``versions``: from and to which it goes.

    ``remark``: its last column.
    """

    controller: str
    phase: str
    unit: StreamUnit
    versions: str
    remark: Text = Text()


class _Layout(Struct, frozen=True):
    """
    Columns of the bar, of gaps and of wrapped remarks.

    ``all``: whether there is room for all columns; without it, only what needs an operator is shown of some, and
    not which controller it is when there is one.
    """

    bar: int
    gap: int
    remark: int = 0
    all: bool = True


_LAYOUTS: Final = (
    _Layout(20, 2), _Layout(12, 2), _Layout(12, 1), _Layout(0, 1), _Layout(12, 2, all=False), _Layout(6, 1, all=False),
    _Layout(0, 1, all=False), _Layout(0, 1, 10, all=False), _Layout(0, 1, 11, all=False),
)  # fmt: skip
"""The first layout that fits is used. The last one wraps names."""


def unit_table(rows: Iterable[UnitRow]) -> FirstThatFits:
    """Return a table of the units, in this order. Columns that would be empty are left out."""
    rows = list(rows)
    return FirstThatFits(*(_unit_table(rows, layout) for layout in _LAYOUTS))


def _unit_table(rows: Sequence[UnitRow], layout: _Layout) -> Table:
    several = len({row.controller for row in rows}) > 1
    columns: list[tuple[str, list[RenderableType]]] = [
        ("Controller", [safe_text(row.controller if layout.all or several else "") for row in rows]),
        ("Phase", [Text(row.phase if layout.all else "") for row in rows]),
        ("Unit", [safe_text(row.unit.label) for row in rows]),
        ("Version", [safe_text(row.versions if layout.all else "") for row in rows]),
        ("State", [unit_state_text(row.unit) for row in rows]),
        ("Progress", [_bar(row.unit, layout) for row in rows]),
        ("SEs", [_alarming(engines_text(row.unit), "✗") for row in rows]),
        ("VS hit", [_disrupted(row.unit) if layout.all or _is_hit(row.unit) else "" for row in rows]),
        ("Checks", [_checks(row.unit) if layout.all or _is_checking(row.unit) else "" for row in rows]),
        ("", [row.remark for row in rows]),
    ]
    shown = [(heading, cells) for heading, cells in columns if any(cells)]
    table = empty_table(*(heading for heading, _ in shown), gap=layout.gap)
    for column, (heading, _) in zip(table.columns, shown, strict=True):
        if (heading == "" and layout.remark) or (heading == "Unit" and layout is _LAYOUTS[-1]):
            column.no_wrap, column.overflow = False, "fold"
            column.max_width = None if heading else layout.remark
    for cells in zip(*(cells for _, cells in shown), strict=True):
        table.add_row(*cells)
    return table


def _bar(unit: StreamUnit, layout: _Layout) -> RenderableType:
    """Nothing at rest: what the Controller tells there says nothing."""
    if unit.state == "idle" or not percent_text(unit):
        return ""
    return progress_bar(unit, layout.bar, layout.gap)


def _alarming(text: str, mark: str) -> Text:
    return Text(text, STATE_STYLES["failed"] if mark in text else "")


def _is_hit(unit: StreamUnit) -> bool:
    return unit.virtual_services is not None and bool(unit.virtual_services.disrupted)


def _disrupted(unit: StreamUnit) -> Text:
    return Text(disrupted_text(unit), STATE_STYLES["failed"] if _is_hit(unit) else "")


def _is_checking(unit: StreamUnit) -> bool:
    return unit.state in {"checking", "checked", "check_failed"}


def _checks(unit: StreamUnit) -> Text:
    return _alarming(checks_text(unit), "error")


def unit_state_text(unit: StreamUnit, *, short: bool = True) -> Text:
    """Return the state in its colour, dimmed when it is acknowledged."""
    return state_text(unit, acknowledged=unit.standing == "acknowledged", short=short)


def unit_facts(controller: str, unit: StreamUnit, more: Iterable[tuple[str, RenderableType]] = ()) -> Table:
    """Return the properties and the progress of one unit. ``more``: further names and values."""
    return fact_table(
        (
            ("controller", safe_text(controller)),
            ("uuid", safe_text(unit.uuid)),
            ("kind", Text(unit.kind)),
            ("tenant", safe_text(unit.tenant)),
            ("version", safe_text(unit_versions(unit))),
            ("before", safe_text(unit.previous_version)),
            ("operation", safe_text(unit.operation)),
            ("state", unit_state_text(unit, short=False)),
            ("reason", safe_text(unit.reason)),
            ("progress", _bar(unit, _LAYOUTS[0])),
            ("tasks", "" if unit.tasks is None else f"{unit.tasks_completed or 0} of {unit.tasks}"),
            ("engines", _engines_in_words(unit)),
            ("disrupted", safe_text(f"{text} virtual services" if (text := disrupted_text(unit)) else "")),
            ("checks", _checks(unit)),
            ("queued", time_or_empty(unit.enqueued_at)),
            ("started", time_or_empty(unit.started_at)),
            ("ended", time_or_empty(unit.ended_at)),
            ("took", duration_or_empty(unit.duration_s)),
            *more,
        )
    )


def _engines_in_words(unit: StreamUnit) -> Text:
    """``12 of 40 completed, 1 failed``."""
    engines = unit.engines
    if engines is None:
        return Text()
    counts = [(state.replace("_", " "), getattr(engines, state)) for state in ENGINE_STATES[1:]]
    others = "".join(f", {number} {state}" for state, number in counts if number)
    return Text(f"{engines.completed} of {count_text(engines.all, 'Service Engine')} completed{others}")
