"""
Follows the upgrades of a controller: when one begins and ends, and what changes meanwhile. Pure.

Checks, Controllers and Service Engines are one upgrade where they follow each other within an hour, and so is the next
attempt after one that failed.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from monitor.model.upgrade import ENGINE_STATES, Engines, Overview, TrackedUpgrade, Upgrade, UpgradePhase
from monitor.model.upgrade_log import UpgradeEvent, UpgradeLog
from monitor.polling.upgrade import left_behind, sort_units

MAX_LOGS: Final = 5  # of a controller, the newest
MAX_EVENTS: Final = 5_000  # of an upgrade; one of 600 Service Engines has about 1,500
SAME_UPGRADE_S: Final = 3600.0

Logs = tuple[UpgradeLog, ...]
"""The upgrades of one controller, the oldest first. Only the last one may go on."""


def follow(logs: Logs, overview: Overview, units: Mapping[str, TrackedUpgrade], *, at: float) -> Logs:
    """
    Return the logs after a poll; the same ones where nothing is to be noted.

    ``overview``: of ``units``, which are by uuid. ``at``: Unix seconds.
    """
    phase, last = overview.phase, logs[-1] if logs else None
    if phase is None or (phase == "none" and (last is None or last.ended_at is not None)):
        return logs
    if last is None or (last.ended_at is not None and at - last.ended_at > SAME_UPGRADE_S):
        return (*logs, _note(UpgradeLog(began_at=at), phase, overview, units, at=at))[-MAX_LOGS:]
    noted = _note(last, phase, overview, units, at=at)
    return logs if noted is last else (*logs[:-1], noted)


def _note(
    log: UpgradeLog, phase: UpgradePhase, overview: Overview, units: Mapping[str, TrackedUpgrade], *, at: float
) -> UpgradeLog:
    """Return the log with what changed; the same one if nothing did."""
    every = [tracked.object for tracked in units.values()]
    shown = [unit for unit in every if unit.kind != "se"]
    changed = {unit.uuid: unit for unit in shown if log.units.get(unit.uuid) is not unit}
    if phase == log.phase and overview.done == log.done and not changed:
        return log
    events = list(_events(log, phase, changed, at=at))
    kept = events[: MAX_EVENTS - len(log.events)]
    goes_on = phase != "none"
    behind = () if goes_on else left_behind(sort_units(every, cluster_uuid=overview.cluster))
    return replace(
        log,
        ended_at=None if goes_on else at,
        phase=phase,
        cluster=overview.cluster,
        done=overview.done,
        left_behind=tuple(unit.uuid for unit in behind),
        units={**log.units, **changed},
        engine_names={**log.engine_names, **{unit.uuid: unit.name for unit in every if unit.kind == "se"}},
        disrupted={**log.disrupted, **_most_disrupted(log, changed)},
        events=(*log.events, *kept),
        events_left_out=log.events_left_out + len(events) - len(kept),
    )


def _events(
    log: UpgradeLog, phase: UpgradePhase, changed: Mapping[str, Upgrade], *, at: float
) -> Iterator[UpgradeEvent]:
    """Return what differs. Of a unit that was not known, its state is told unless it is at rest."""
    if phase != log.phase:
        yield UpgradeEvent(at=at, what="phase", before=log.phase, after=phase)
    for uuid, unit in changed.items():
        known = log.units.get(uuid)
        if known.state != unit.state if known else unit.active or unit.failed:
            known_state = known.state if known else ""
            yield UpgradeEvent(at=at, what="unit", unit=uuid, before=known_state, after=unit.state, reason=unit.reason)
        states = _states_of_engines(known or unit)
        for engine, state in _states_of_engines(unit).items():
            before = states.get(engine, "")
            if state not in {before, "not_started"}:  # where they begin anew, they all are not started
                yield UpgradeEvent(at=at, what="service_engine", unit=uuid, engine=engine, before=before, after=state)


def _states_of_engines(group: Upgrade) -> Mapping[str, str]:
    """Return the state of each Service Engine by its uuid; of one in several lists, the state that is listed first."""
    engines, found = group.engines or Engines(), dict[str, str]()
    for state in ENGINE_STATES:
        for uuid in getattr(engines, state):
            found.setdefault(uuid, state)
    return found


def _most_disrupted(log: UpgradeLog, changed: Mapping[str, Upgrade]) -> Mapping[str, int]:
    """Return the counts of groups that are at work, or were until now: others have that of an earlier upgrade."""
    found: dict[str, int] = {}
    for uuid, group in changed.items():
        known = log.units.get(uuid)
        now = group.engines.virtual_services_disrupted if group.engines else None
        if now is not None and (group.active or group.suspended or (known is not None and known.active)):
            found[uuid] = max(log.disrupted.get(uuid, 0), now)
    return found
