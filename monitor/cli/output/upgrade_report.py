"""The report on an upgrade as Markdown, for the change ticket. Names and texts of others are escaped. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from monitor.cli.output.format import format_duration
from monitor.config.validation import printable
from monitor.model.upgrade_log import UpgradeEvent
from monitor.polling.upgrade_report import AnnotatedUnit, EngineReport, UnitReport, UpgradeReport

_SPECIAL: Final = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|#"})
_PHASES: Final[Mapping[str, str]] = {
    "none": "none", "checking": "checks", "controllers": "Controllers", "away": "Controllers away",
    "service_engines": "Service Engines", "suspended": "suspended", "rolling_back": "rolling back",
}  # fmt: skip
_UNIT_COLUMNS: Final = ("unit", "state", "version", "took", "Service Engines", "virtual services disrupted")
_BAD_STATES: Final = frozenset({"failed", "suspended", "check_failed", "aborting"})


def markdown(report: UpgradeReport) -> str:
    """Return the report as one Markdown document. Times are UTC."""
    return "\n".join(_lines(report))


def _lines(report: UpgradeReport) -> Iterator[str]:
    names = {uuid: _text(name) for uuid, name in report.engine_names.items() if name}
    names |= {unit.uuid: _name(unit) for unit in report.units}
    versions = " → ".join(_text(each) for each in (report.from_version, report.to_version) if each)
    yield f"# Upgrade of {_text(report.controller)}" + (f": {versions}" if versions else "")
    yield ""
    yield f"- Result: {_result(report)}"
    if report.operation:
        yield f"- Operation: {_text(report.operation)}"
    yield f"- Began: {_time(report.began_at)}"
    yield f"- Ended: {_time(report.ended_at) if report.ended_at is not None else 'not yet'}"
    so_far = " so far" if report.ended_at is None else ""
    yield f"- Took: {format_duration(report.seconds)}{so_far}"
    yield f"- Controllers did not answer for: {format_duration(report.away_seconds)}"
    phases = ((_word(each.phase), _time(each.began_at), format_duration(each.seconds)) for each in report.phases)
    yield from _table("Phases", ("phase", "began", "took"), phases)
    yield from _table("Units", _UNIT_COLUMNS, map(_unit_row, report.units))
    yield from _list("What went wrong", _troubles(report.units, names))
    yield from _list("Pre-checks that did not pass", _checks(report.units))
    yield from _list("Annotations", (_annotation(each, names) for each in report.annotations))
    events = (_event_row(event, names) for event in report.events)
    yield from _table("Events", ("time", "of", "before", "after"), events)
    if report.events_left_out:
        yield f"\n{report.events_left_out} later events were too many to be kept."
    yield ""


def _result(report: UpgradeReport) -> str:
    if report.ended_at is None:
        return f"**not over**, phase: {_word(report.phase)}"
    if all(each.phase == "checking" for each in report.phases):
        return "over: only pre-checks ran, and nothing was changed"
    if report.done:
        return "**done**: the Controllers and every group that took part are at the new version"
    behind = f"; left behind: {', '.join(map(_text, report.left_behind))}" if report.left_behind else ""
    return f"**not done**{behind}"


def _unit_row(unit: UnitReport) -> Sequence[str]:
    versions = " → ".join(_text(each) for each in (unit.from_version, unit.to_version) if each)
    took = "" if unit.seconds is None else format_duration(unit.seconds)
    disrupted = unit.virtual_services_disrupted
    engines = _engines(unit.service_engines) if unit.service_engines else ""
    return _name(unit), _word(unit.state), versions, took, engines, "" if disrupted is None else str(disrupted)


def _engines(engines: EngineReport) -> str:
    """``12 of 40 completed, 1 failed; 4 min each, 9 min at most``."""
    counts = [("failed", engines.failed), ("suspended", engines.suspended), ("skipped", engines.skipped)]
    expected = "" if engines.expected is None else f" of {engines.expected}"
    text = ", ".join([f"{engines.completed}{expected} completed", *(f"{n} {state}" for state, n in counts if n)])
    if engines.typical_seconds is None or engines.longest_seconds is None:
        return text
    typical, longest = map(format_duration, (engines.typical_seconds, engines.longest_seconds))
    return f"{text}; {typical} each, {longest} at most"


def _troubles(units: Iterable[UnitReport], names: Mapping[str, str]) -> Iterator[str]:
    for unit in units:
        engines, name = unit.service_engines, _name(unit)
        if unit.state in _BAD_STATES:
            yield f"{name}: {_word(unit.state)}" + (f": {_text(unit.reason)}" if unit.reason else "")
        if unit.left_behind:
            yield f"{name}: left behind"
        if engines and engines.failed_uuids:
            yield f"{name}: Service Engines that failed: {_joined(engines.failed_uuids, names)}"
        if engines and engines.suspended_uuids:
            yield f"{name}: Service Engines that are suspended: {_joined(engines.suspended_uuids, names)}"


def _joined(uuids: Iterable[str], names: Mapping[str, str]) -> str:
    return ", ".join(_named(uuid, names) for uuid in uuids)


def _checks(units: Iterable[UnitReport]) -> Iterator[str]:
    for unit in units:
        for check in unit.check_exceptions:
            texts = "; ".join(_text(each) for each in (check.description, *check.details) if each)
            yield f"{_name(unit)}: {check.result}: {_text(check.code)}" + (f": {texts}" if texts else "")


def _annotation(annotated: AnnotatedUnit, names: Mapping[str, str]) -> str:
    """``02:14:07Z alice on group-1: acknowledged = true``."""
    changes = ", ".join(
        f"{_text(key)} removed" if value is None else f"{_text(key)} = {_text(value)}"
        for key, value in annotated.annotations.items()
    )
    return f"{_time(annotated.at)} {_text(annotated.actor)} on {_named(annotated.unit, names)}: {changes}"


def _event_row(event: UpgradeEvent, names: Mapping[str, str]) -> Sequence[str]:
    unit = _named(event.unit, names)
    what = {"phase": "phase", "unit": unit}.get(event.what, f"{_named(event.engine, names)} of {unit}")
    after = f"{_word(event.after)}: {_text(event.reason)}" if event.reason else _word(event.after)
    return _time(event.at), what, _word(event.before), after


def _named(uuid: str, names: Mapping[str, str]) -> str:
    return names.get(uuid) or _text(uuid)


def _word(state: str) -> str:
    """Return a state or a phase as people read it: `not_started` is two words."""
    return _text(_PHASES.get(state, state).replace("_", " "))


def _name(unit: UnitReport) -> str:
    name = _text(unit.name or unit.uuid)
    return f"{name}@{_text(unit.cloud)}" if unit.cloud else name


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Return nothing where there are no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if lines:
        yield from ("", f"## {title}", "", f"| {' | '.join(header)} |", "|" + " --- |" * len(header), *lines)


def _list(title: str, items: Iterable[str]) -> Iterator[str]:
    """Return nothing where there are no items."""
    lines = [f"- {item}" for item in items]
    if lines:
        yield from ("", f"## {title}", "", *lines)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _text(text: str) -> str:
    return printable(text).translate(_SPECIAL)
