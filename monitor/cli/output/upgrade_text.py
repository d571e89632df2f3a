"""One line, or a cell of a table, about a unit or the upgrade of a controller. Pure. All texts are to be escaped."""

from collections.abc import Iterator, Mapping
from typing import Final

from monitor.cli.api.messages import Health
from monitor.cli.api.stream_objects import StreamUnit, UpgradeStatus
from monitor.cli.api.view import ControllerView
from monitor.cli.output.format import format_duration, format_remaining, time_of_day
from monitor.cli.output.tables import format_time, percent_text
from monitor.model.upgrade import UpgradePhase

PHASES: Final[Mapping[UpgradePhase, str]] = {
    "none": "", "checking": "pre-checks", "controllers": "upgrading the Controllers",
    "away": "the Controllers are away, rebooting", "service_engines": "upgrading the Service Engines",
    "suspended": "suspended", "rolling_back": "rolling back",
}  # fmt: skip


def count_text(number: int, noun: str) -> str:
    """``1 group``, ``2 groups``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def versions_text(before: str, after: str) -> str:
    """``30.2.1 → 31.2.2``, or the only one that is known or differs."""
    return f"{before} → {after}" if before and after and before != after else before or after


def unit_versions(unit: StreamUnit, *, to_version: str = "") -> str:
    """
    Return the version of a unit with its patch, and while it is under way the one that it is upgraded to.

    ``to_version``: that of its controller, for units that do not tell their own.
    """
    version = f"{unit.version}-{unit.patch}" if unit.version and unit.patch else unit.version
    at_work = unit.active or unit.state in {"checked", "suspended"}
    return versions_text(version, (unit.target.partition("-")[0] or to_version) if at_work else "")


def engines_text(unit: StreamUnit) -> str:
    """``12/40 1✗``: how many Service Engines of a group are upgraded, and how many have failed or are suspended."""
    engines = unit.engines
    if engines is None:
        return ""
    bad = engines.failed + engines.suspended
    return f"{engines.completed}/{engines.all}" + (f" {bad}✗" if bad else "")


def disrupted_text(unit: StreamUnit) -> str:
    """``2/25``: how many virtual services of a group were disrupted."""
    counts = unit.virtual_services
    if counts is None or counts.disrupted is None:
        return ""
    return f"{counts.disrupted}/{counts.all}" if counts.all is not None else str(counts.disrupted)


def checks_text(unit: StreamUnit) -> str:
    """``11/20``: the pre-checks that are done while they go on; ``1 warning``, ``passed``: what they gave."""
    checks = unit.checks
    if checks is None or unit.state in {"idle", "queued"}:
        return ""
    if unit.state != "checking":
        return _check_results(unit) or "passed"
    counts = "" if checks.checks is None else f"{checks.completed or 0}/{checks.checks}"
    return " ".join(filter(None, (counts, _check_results(unit))))


def describe_checks(unit: StreamUnit) -> str:
    """``1 error, 2 warnings``; without any: ``a warning``, or ``no error``."""
    return _check_results(unit) or ("a warning" if unit.fsm.endswith("PRE_CHECK_WARNING") else "no error")


def _check_results(unit: StreamUnit) -> str:
    checks = unit.checks
    counts = {"error": checks.errors, "warning": checks.warnings} if checks else {}
    return ", ".join(count_text(number, noun) for noun, number in counts.items() if number)


def describe_unit_progress(controller: ControllerView, unit: StreamUnit, *, now: float) -> str:
    """Return remaining time and stall of a unit under way; of an outdated one, the time of its last read."""
    if not controller.units_are_current:
        return f"as of {time_of_day(controller.units_read.seen_at)}"
    if not unit.active:
        return ""
    parts = [format_remaining(unit.eta, now=now)] if unit.eta else []
    if unit.standing == "stalled":
        parts.append(f"no move for {format_duration(max(0.0, now - (unit.changed_at or now)))}")
    return ", ".join(parts)


def describe_unit(name: str, controller: ControllerView, unit: StreamUnit, *, now: float) -> str:
    """Return one line: controller, unit, versions, state, progress and what needs attention."""
    engines, disrupted, checks = engines_text(unit), disrupted_text(unit), checks_text(unit)
    hit = unit.virtual_services and unit.virtual_services.disrupted
    details = (
        percent_text(unit).strip() if unit.state != "idle" else "",
        f"{engines} SEs" if engines else "",
        f"{disrupted} VSs disrupted" if hit else "",
        f"checks {checks}" if checks and unit.state in {"checking", "checked", "check_failed"} else "",
        describe_unit_progress(controller, unit, now=now),
        unit.reason if unit.state in {"failed", "check_failed", "suspended"} else "",
    )
    versions = unit_versions(unit, to_version=controller.upgrade.to_version if controller.upgrade else "")
    state = unit.state + " (acknowledged)" * (unit.standing == "acknowledged")
    return "  ".join(filter(None, (name, unit.label, versions, state, *details)))


def is_quiet(unit: StreamUnit) -> bool:
    """Whether it is not worth a line: a unit at rest, or a Service Engine that needs no one."""
    return unit.standing != "failed" if unit.kind == "se" else unit.state == "idle"


def describe_upgrade(name: str, controller: ControllerView, *, now: float) -> str:
    """Return one line about the upgrade of a controller as a whole; empty where nothing is known."""
    line, upgrade = describe_phase(name, controller), controller.upgrade
    if not line or upgrade is None:
        return line
    if upgrade.away_since is not None:
        return f"{line}, {away_text(upgrade, controller, now=now)}"
    return f"{line}, {format_remaining(upgrade.eta, now=now)}" if upgrade.eta and upgrade.phase != "none" else line


def describe_phase(name: str, controller: ControllerView) -> str:
    """Return the same without what changes with the time."""
    text = ", ".join(filter(None, _phase_parts(controller)))
    return f"{name}: {text}" if text else ""


def _phase_parts(controller: ControllerView) -> Iterator[str]:
    upgrade = controller.upgrade
    if upgrade is None or upgrade.readable is False:
        yield "upgrades are not watched" if upgrade is None else "the daemon may not read the upgrade status"
    elif upgrade.phase == "none":
        if upgrade.done is not None and controller.cluster:
            yield f"{'done' if upgrade.done else 'not done'}, at {controller.cluster.version or 'an unknown version'}"
        yield behind_text(upgrade)
    elif upgrade.phase is not None:
        yield PHASES[upgrade.phase]
        versions = versions_text(upgrade.from_version, upgrade.to_version)
        yield f"{upgrade.operation.replace('_', ' ')} {versions}".strip()
        yield behind_text(upgrade) if upgrade.phase == "suspended" else ""


def behind_text(upgrade: UpgradeStatus) -> str:
    """``1 group and 2 SEs left behind``. While the upgrade goes on, that says nothing."""
    nouns = {"se_group": "group", "se": "SE", "controller": "cluster", "unknown": "unit"}
    counts = [count_text(number, nouns.get(kind, kind)) for kind, number in upgrade.left_behind.items() if number]
    return f"{' and '.join(counts)} left behind" if counts else ""


def away_text(upgrade: UpgradeStatus, controller: ControllerView, *, now: float) -> str:
    """Return since when the Controllers are away, and of when what is shown is."""
    away_s = max(0.0, now - (upgrade.away_since or now))
    seen_at = controller.units_read.seen_at
    shown = "" if seen_at is None else f"; units are as of {time_of_day(seen_at)}"
    held = "" if upgrade.held_until is None else f", held until {time_of_day(upgrade.held_until)}"
    return f"away for {format_duration(away_s)}{shown}{held}"


def describe_return(name: str, before: UpgradeStatus, controller: ControllerView, *, now: float) -> str:
    """Return the line for Controllers that answer again, with what is done next."""
    away_s = max(0.0, now - (before.away_since or now))
    version = controller.cluster.version if controller.cluster else controller.health.version
    at = f", at {version}" if version else ""
    phase = PHASES[controller.upgrade.phase] if controller.upgrade and controller.upgrade.phase else ""
    return f"{name}: the Controllers are back after {format_duration(away_s)}{at}" + (f"; {phase}" if phase else "")


def describe_read_time(controller: ControllerView, *, now: float) -> str:
    """``as of 02:14:07Z``: of when the units are."""
    return f"as of {time_of_day(now if controller.units_are_current else controller.units_read.seen_at)}"


def describe_unit_outage(name: str, controller: ControllerView) -> str:
    """Return why the units of a controller are outdated or missing; empty when they are not, or it is away."""
    health, away = controller.health, controller.upgrade and controller.upgrade.away_since is not None
    if away or controller.units_are_current or controller.upgrade is None:
        return ""
    cause = f": {health.cause}" if health.cause else ""
    problem = f"cannot be polled ({health.reason}{cause})" if health.reason else f"not polled yet{cause}"
    seen_at = controller.units_read.seen_at
    return f"{name}: {problem}" + ("" if seen_at is None else f"; its units are as of {format_time(seen_at)}")


def unit_recovery_line(name: str, controller: ControllerView, before: Health | None) -> str:
    """Return an empty line when no outage was printed before; a return from an upgrade has a line of its own."""
    had_outage = before and not before.up and before.reason not in {None, "upgrading"}
    return f"{name}: polled again" if had_outage and controller.units_are_current else ""
