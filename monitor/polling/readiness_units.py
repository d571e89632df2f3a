"""The lines of a readiness report about the units: at rest, their Service Engines, pre-checks, the way back. Pure."""

from collections.abc import Iterable
from typing import Final

from monitor.model.upgrade import Check, Checks, Engines, Upgrade
from monitor.polling.inventory import listed, name_of
from monitor.polling.readiness_facts import Facts, Finding, dotted, span
from monitor.polling.upgrade import left_behind

_OLD_FAILURE_S: Final = 7 * 86400.0  # as in the alert on failed upgrades: an older one may be a leftover
_OLD_CHECKS_S: Final = 86400.0
_CONDITIONS: Final = ("disconnected", "powered_off", "ip_missing")


def units_at_rest(facts: Facts) -> Finding:
    """Whether nothing is under way, and nothing has failed."""
    every = facts.every_unit
    if not every:
        return "warn", "not known: the Controller lists no units"
    busy = [unit for unit in every if unit.active or unit.suspended]
    if busy:
        return "no_go", f"under way: {_with_states(busy)}"
    failed = [unit for unit in every if unit.state == "failed"]
    recent = [unit for unit in failed if unit.uuid not in facts.acknowledged and not _is_old(unit, at=facts.at)]
    if recent:
        return "no_go", f"failed: {_with_states(recent)}"
    if failed:
        return "warn", f"failed long ago, or acknowledged: {_with_states(failed)}"
    behind = left_behind(facts.units)
    if behind:
        return "warn", f"left behind by the last upgrade: {listed(list(map(name_of, behind)))}"
    unknown = [unit for unit in every if unit.state == "unknown"]
    if unknown:
        return "warn", f"in a state that is not known: {listed(list(map(name_of, unknown)))}"
    return "go", f"all {len(every)} units are at rest"


def _is_old(unit: Upgrade, *, at: float) -> bool:
    failed_at = unit.ended_at or unit.state_changed_at
    return failed_at is not None and at - failed_at > _OLD_FAILURE_S


def _with_states(units: Iterable[Upgrade]) -> str:
    return listed([f"{name_of(unit)} ({unit.state})" for unit in units])


def service_engines(facts: Facts) -> Finding:
    """Whether the Service Engines were well and connected when their groups last told of them."""
    groups = facts.units.groups
    if not groups:
        return "go", "there are no SE groups"
    told = [(group, group.engines) for group in groups if group.engines and group.engines.listed]
    if not told:
        return "warn", "not known: no SE group lists its Service Engines, as long as it was never upgraded"
    troubled = [f"{name_of(group)}: {trouble}" for group, engines in told if (trouble := _trouble(engines))]
    if troubled:
        return "warn", f"in or before the last operation, {listed(troubled)}"
    return (
        "go",
        f"{len(told)} of {len(groups)} SE groups list their Service Engines: none has failed or was disconnected",
    )


def _trouble(engines: Engines) -> str:
    counts = {"failed": len(engines.failed), "suspended": len(engines.suspended), **engines.at_start}
    names = ("failed", "suspended", *_CONDITIONS)
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in names if counts.get(name))


def prechecks(facts: Facts) -> Finding:
    """Whether the pre-checks for this image have passed, and not long ago."""
    ran = [(unit, unit.checks) for unit in facts.every_unit if unit.checks and unit.checks.state != "idle"]
    ours = [(unit, checks) for unit, checks in ran if checks.image_uuid == facts.image.uuid]
    if not ours:
        return "warn", f"none for this image are known{'; the last ones were for another one' if ran else ''}"
    errors = [text for unit, checks in ours for text in _exceptions(unit, checks, errors=True)]
    failed = [name_of(unit) for unit, checks in ours if checks.state == "check_failed"]
    if errors or failed:
        return "no_go", f"failed: {listed(errors or failed)}"
    pending = [f"{name_of(unit)} ({checks.state})" for unit, checks in ours if checks.state != "checked"]
    if pending:
        return "warn", f"not passed: {listed(pending)}"
    warnings = [text for unit, checks in ours for text in _exceptions(unit, checks, errors=False)]
    if warnings:
        return "warn", f"passed with warnings: {listed(warnings)}"
    ended_at = min(checks.ended_at or 0.0 for _, checks in ours)
    if not ended_at:
        return "warn", "passed, but it is not known when"
    age_s = facts.at - ended_at
    return ("warn" if age_s > _OLD_CHECKS_S else "go"), f"passed {span(age_s)} ago"


def _exceptions(unit: Upgrade, checks: Checks, *, errors: bool) -> Iterable[str]:
    return (
        f"{name_of(unit)}: {_check_text(check)}" for check in checks.exceptions if (check.result == "error") is errors
    )


def _check_text(check: Check) -> str:
    return ": ".join(filter(None, (check.code, check.description, "; ".join(check.details))))


def rollback(facts: Facts) -> Finding:
    """Whether the Controllers could go back at present, and to what; after an upgrade they go back to the present."""
    cluster = facts.units.cluster
    if cluster is None:
        return "warn", "not known: the Controllers are not among the units"
    after = f"after the upgrade they would go back to {dotted(facts.current) or 'the present version'}"
    if not cluster.previous.tag:
        return "go", f"there is nothing to go back to at present; {after}"
    if cluster.rollback_possible is None:
        return "warn", f"not known whether the Controllers could go back to {cluster.previous.text} at present; {after}"
    if not cluster.rollback_possible:
        return "warn", f"the Controllers could not go back to {cluster.previous.text} at present; {after}"
    return "go", f"the Controllers could go back to {cluster.previous.text} at present; {after}"
