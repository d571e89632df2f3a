"""The report on one upgrade, for the change ticket: made from its log. Pure. Times are Unix seconds; null: unknown."""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Annotated

from msgspec import Meta, Struct

from monitor.model.upgrade import ENGINE_STATES, CheckResult, Engines, UnitKind, Upgrade, UpgradePhase, UpgradeState
from monitor.model.upgrade_log import UpgradeEvent, UpgradeLog
from monitor.polling.upgrade import from_and_to


class PhaseSpan(Struct, frozen=True):
    """One phase, of `UpgradePhase`. ``ended_at``: null while it lasts."""

    phase: str
    began_at: float
    ended_at: float | None
    seconds: float


class EngineReport(Struct, frozen=True, kw_only=True):
    """
    The Service Engines of a group. ``typical_seconds``, ``longest_seconds``: of those that were seen from begin to end.

    ``failed_uuids``, ``suspended_uuids``: which ones they are.
    """

    expected: int | None
    completed: int
    failed: int
    in_progress: int
    not_started: int
    suspended: int
    skipped: int
    failed_uuids: tuple[str, ...]
    suspended_uuids: tuple[str, ...]
    typical_seconds: float | None
    longest_seconds: float | None


class CheckReport(Struct, frozen=True):
    """A pre-check that did not simply pass."""

    code: str
    result: CheckResult
    description: str
    details: tuple[str, ...]


class UnitReport(Struct, frozen=True, kw_only=True):
    """
    One unit that took part. ``began_at``, ``ended_at``: when the daemon saw it turn active, and at rest again.

    ``virtual_services_disrupted``: the most at once.
    """

    uuid: str
    kind: UnitKind
    name: str
    cloud: str
    operation: str
    state: UpgradeState
    reason: str
    left_behind: bool
    from_version: str
    to_version: str
    began_at: float | None
    ended_at: float | None
    seconds: float | None
    service_engines: EngineReport | None
    virtual_services_disrupted: int | None
    checks: int | None
    check_exceptions: tuple[CheckReport, ...]


class AnnotatedUnit(Struct, frozen=True):
    """A change of a unit's annotations, and who made it; null: the annotation was removed."""

    at: float
    actor: str
    unit: str
    annotations: Mapping[str, str | None]


class UpgradeReport(Struct, frozen=True, kw_only=True):
    """
    One upgrade of a controller, as the daemon saw it.

    ``ended_at``: null while it goes on. ``done``: whether the cluster and every group that took part are, at the
    cluster's version. ``away_seconds``: for how long the Controllers did not answer. ``left_behind``: names of groups;
    empty while it goes on. ``engine_names``: of Service Engines by uuid.
    """

    controller: str
    began_at: float
    ended_at: float | None
    seconds: float
    operation: str
    from_version: str
    to_version: str
    phase: UpgradePhase
    done: bool | None
    left_behind: list[str]
    away_seconds: float
    phases: list[PhaseSpan]
    units: Annotated[list[UnitReport], Meta(description="The cluster first, then the groups in the order of begin.")]
    annotations: list[AnnotatedUnit]
    engine_names: Mapping[str, str]
    events: Annotated[list[UpgradeEvent], Meta(description="What changed, the oldest first.")]
    events_left_out: int


def report_on(controller: str, log: UpgradeLog, annotated: Iterable[AnnotatedUnit], *, now: float) -> UpgradeReport:
    """Return the report. ``annotated``: the changes of annotations on the controller since the upgrade began."""
    cluster = log.units.get(log.cluster)
    from_version, to_version = from_and_to(cluster) if cluster else ("", "")
    phases = _phases(log, now=now)
    took_part = {log.cluster, *(event.unit for event in log.events)}
    units = [_unit(log, unit, now=now) for uuid, unit in log.units.items() if uuid in took_part]
    names = {uuid: unit.name for uuid, unit in log.units.items()}
    return UpgradeReport(
        controller=controller,
        began_at=log.began_at,
        ended_at=log.ended_at,
        seconds=_seconds(log.began_at, log.ended_at or now),
        operation=cluster.operation_label if cluster else "",
        from_version=from_version,
        to_version=to_version,
        phase=log.phase,
        done=log.done,
        left_behind=[names[uuid] or uuid for uuid in log.left_behind if uuid in names],
        away_seconds=sum(each.seconds for each in phases if each.phase == "away"),
        phases=phases,
        units=sorted(units, key=lambda unit: (unit.uuid != log.cluster, unit.began_at or 0.0, unit.name)),
        annotations=[each for each in annotated if each.unit in log.units],
        engine_names=log.engine_names,
        events=list(log.events),
        events_left_out=log.events_left_out,
    )


def _phases(log: UpgradeLog, *, now: float) -> list[PhaseSpan]:
    begins = [(event.at, event.after) for event in log.events if event.what == "phase"]
    ends = [at for at, _ in begins[1:]]
    spans: list[PhaseSpan] = []
    for (at, phase), end in zip(begins, [*ends, None], strict=True):
        if phase != "none":
            spans.append(PhaseSpan(phase, at, end, _seconds(at, now if end is None else end)))
    return spans


def _unit(log: UpgradeLog, unit: Upgrade, *, now: float) -> UnitReport:
    events = [event for event in log.events if event.what == "unit" and event.unit == unit.uuid]
    began_at = events[0].at if events else None
    ended_at = events[-1].at if events and not unit.active else None
    from_version, to_version = from_and_to(unit)
    return UnitReport(
        uuid=unit.uuid,
        kind=unit.kind,
        name=unit.name,
        cloud=unit.cloud,
        operation=unit.operation_label,
        state=unit.state,
        reason=unit.reason,
        left_behind=unit.uuid in log.left_behind,
        from_version=from_version,
        to_version=to_version,
        began_at=began_at,
        ended_at=ended_at,
        seconds=None if began_at is None else _seconds(began_at, now if ended_at is None else ended_at),
        service_engines=_engines(log, unit) if unit.engines and unit.engines.listed else None,
        virtual_services_disrupted=log.disrupted.get(unit.uuid),
        checks=unit.checks.checks if unit.checks else None,
        check_exceptions=tuple(
            CheckReport(check.code, check.result, check.description, check.details)
            for check in (unit.checks.exceptions if unit.checks else ())
        ),
    )


def _engines(log: UpgradeLog, group: Upgrade) -> EngineReport:
    engines = group.engines or Engines()
    took_s = _engine_seconds(log, group.uuid)
    return EngineReport(
        expected=engines.expected,
        **{state: len(getattr(engines, state)) for state in ENGINE_STATES},
        failed_uuids=engines.failed,
        suspended_uuids=engines.suspended,
        typical_seconds=median(took_s) if took_s else None,
        longest_seconds=max(took_s, default=None),
    )


def _engine_seconds(log: UpgradeLog, group: str) -> list[float]:
    """Return how long each Service Engine took whose begin and end were seen."""
    began: dict[str, float] = {}
    took_s: list[float] = []
    for event in log.events:
        if event.what != "service_engine" or event.unit != group:
            continue
        if event.after == "in_progress" and event.before:
            began[event.engine] = event.at
        elif event.after == "completed" and event.engine in began:
            took_s.append(_seconds(began.pop(event.engine), event.at))
    return took_s


def _seconds(begin: float, end: float) -> float:
    return round(max(0.0, end - begin), 1)
