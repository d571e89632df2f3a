"""
The course of the SE groups in an upgrade: when each of them begins, stops and ends, and its Service Engines. Pure.

Offsets are seconds after the start of the upgrade.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Literal, TypeAlias

from monitor.simulator.upgrade_specs import GroupSpec

SeState: TypeAlias = Literal["not_started", "in_progress", "completed", "failed", "suspended", "skip_suspended"]
Phases: TypeAlias = tuple[tuple[float, str], ...]
"""(from, FSM state), in order."""

_STOPPED = frozenset({"UPGRADE_FSM_COMPLETED", "UPGRADE_FSM_SUSPENDED"})


@dataclass(frozen=True)
class SePlan:
    """One Service Engine: ``result`` from ``end`` on."""

    begin: float
    end: float
    result: SeState = "completed"

    def state(self, offset: float) -> SeState:
        """Return its state."""
        if offset < self.begin:
            return "not_started"
        return "in_progress" if offset < self.end else self.result


@dataclass(frozen=True)
class GroupPlan:
    """
    One SE group. ``resumed``: from then on, its operation is the resume.

    ``queued``: when it is told to begin; ``begin``: when it does, because others were before it. Both are infinite for
    a group that takes no part.
    """

    spec: GroupSpec
    queued: float = inf
    begin: float = inf
    engines: tuple[SePlan, ...] = ()
    phases: Phases = ()
    resumed: float = inf

    @property
    def end(self) -> float:
        """When the group completes; infinite if it never does; the beginning of time if it takes no part."""
        return next((at for at, state in self.phases if state == "UPGRADE_FSM_COMPLETED"), inf if self.phases else -inf)

    @property
    def stop(self) -> float:
        """When the next group can begin in its place: it completes, or is suspended. Infinite for one that is stuck."""
        return next((at for at, state in self.phases if state in _STOPPED), inf)

    def latest_change(self, offset: float) -> float:
        """Return when the group last changed."""
        return latest((*starts(self.phases), *(at for each in self.engines for at in (each.begin, each.end))), offset)


def phase_at(phases: Phases, offset: float) -> tuple[float, str]:
    """Return the last of the phases that has begun; ``(-inf, "UPGRADE_FSM_INIT")`` before the first."""
    begun = [phase for phase in phases if phase[0] <= offset]
    return begun[-1] if begun else (-inf, "UPGRADE_FSM_INIT")


def starts(phases: Phases) -> Iterator[float]:
    """Return when each phase begins."""
    return (at for at, _ in phases)


def latest(moments: Iterable[float], offset: float) -> float:
    """Return the last of the moments that has come; ``-inf`` before the first."""
    return max((at for at in moments if at <= offset), default=-inf)


def plan_groups(specs: tuple[GroupSpec, ...], begin: float, at_once: int) -> Iterator[GroupPlan]:
    """Plan the groups in their order. ``at_once``: how many are upgraded at the same time; 0: all."""
    free_at = [begin] * (at_once or len(specs))
    for spec in specs:
        if spec.outcome == "left_behind":
            yield GroupPlan(spec)
            continue
        place = free_at.index(min(free_at))
        plan = _plan_group(spec, begin, free_at[place])
        free_at[place] = plan.stop
        yield plan


def _plan_group(spec: GroupSpec, queued: float, begin: float) -> GroupPlan:
    waits = ((queued, "UPGRADE_FSM_ENQUEUED"),) if begin > queued else ()
    started = (*waits, (begin, "UPGRADE_FSM_STARTED"), (begin + 1.0, "UPGRADE_FSM_IN_PROGRESS"))
    engines = tuple(
        SePlan(begin + number // spec.at_once * spec.se_s, begin + (number // spec.at_once + 1) * spec.se_s)
        for number in range(spec.ses)
    )
    plan = GroupPlan(spec, queued, begin, engines, started)
    if engines and spec.outcome == "stuck_se":
        return _stick(plan)
    if engines and spec.outcome == "suspended":
        return _suspend(plan)
    if engines and spec.outcome == "failed_ses_continue":
        engines = (*engines[:-1], replace(engines[-1], result="failed"))
    last = max((engine.end for engine in engines), default=begin)
    return replace(plan, engines=engines, phases=(*started, (last, "UPGRADE_FSM_COMPLETED")))


def _stick(plan: GroupPlan) -> GroupPlan:
    """Return the group with a Service Engine in its middle that never ends, and none after it."""
    middle = len(plan.engines) // 2
    stuck = replace(plan.engines[middle], end=inf)
    rest = [SePlan(inf, inf)] * (len(plan.engines) - middle - 1)
    return replace(plan, engines=(*plan.engines[:middle], stuck, *rest))


def _suspend(plan: GroupPlan) -> GroupPlan:
    """Return the group suspended at the Service Engine in its middle, which is skipped if the group is resumed."""
    spec, middle = plan.spec, len(plan.engines) // 2
    stop = plan.engines[middle].end
    pause_s = spec.resumed_after_s or inf
    skipped = replace(plan.engines[middle], result="skip_suspended" if spec.resumed_after_s else "suspended")
    rest = [
        engine if engine.begin < stop else SePlan(engine.begin + pause_s, engine.end + pause_s)
        for engine in plan.engines[middle + 1 :]
    ]
    engines = (*plan.engines[:middle], skipped, *rest)
    phases = (*plan.phases, (stop, "UPGRADE_FSM_SUSPENDED"))
    if pause_s == inf:
        return replace(plan, engines=engines, phases=phases)
    resumed = stop + pause_s
    end = max(resumed, *(engine.end for engine in engines))
    phases = (*phases, (resumed, "UPGRADE_FSM_IN_PROGRESS"), (end, "UPGRADE_FSM_COMPLETED"))
    return replace(plan, engines=engines, phases=phases, resumed=resumed)
