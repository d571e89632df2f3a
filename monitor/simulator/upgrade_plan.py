"""
The course of one upgrade as a pure function of its spec and a simulated time: states, tasks, Service Engines.

No recording of an upgrade that runs is published, so the tasks are invented, in the style of the names that the
vendor's texts mention. Offsets are seconds after the start of the upgrade.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Literal, TypeAlias

from monitor.simulator.specs import TimelineEvent
from monitor.simulator.upgrade_specs import GroupSpec, UpgradeSpec

TASKS_BEFORE_REBOOT = ("PrepareUpgrade", "CopyImage", "ExtractImage", "ExportConfiguration", "MigrateConfig")
TASKS_AWAY = ("SwitchAndReboot", "StartServices", "ImportConfiguration")
TASKS = (*TASKS_BEFORE_REBOOT, *TASKS_AWAY)
FAILING_TASK = "MigrateConfig"
GROUPS_WAIT_S = 5.0  # between the return of the Controllers and the first Service Engine

SeState: TypeAlias = Literal["not_started", "in_progress", "completed", "failed", "suspended", "skip_suspended"]


@dataclass(frozen=True)
class NodeTask:
    """One task on one node. ``end`` is infinite for a task that never ends."""

    name: str
    node: str
    begin: float
    end: float
    failed: bool = False


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
    One SE group. ``phases``: (from, FSM state), in order. ``resumed``: from then on, its operation is the resume.

    ``begin`` is infinite for a group that takes no part.
    """

    spec: GroupSpec
    begin: float = inf
    engines: tuple[SePlan, ...] = ()
    phases: tuple[tuple[float, str], ...] = ()
    resumed: float = inf

    @property
    def end(self) -> float:
        """When the group completes; infinite if it never does; the beginning of time if it takes no part."""
        return next((at for at, state in self.phases if state == "UPGRADE_FSM_COMPLETED"), inf if self.phases else -inf)


@dataclass(frozen=True)
class UpgradePlan:
    """One upgrade. ``started_at``: seconds since the epoch. ``nodes``: of the Controller; the first is the leader."""

    spec: UpgradeSpec
    started_at: float
    nodes: tuple[str, ...]
    group_specs: tuple[GroupSpec, ...]

    @property
    def checks_end(self) -> float:
        """When the pre-checks end."""
        return self.spec.checks.seconds

    @property
    def stops_at_checks(self) -> bool:
        """Whether nothing follows the pre-checks."""
        return self.spec.outcome.startswith("check_") or self.spec.operation.startswith("EVAL_") or self.spec.dry_run

    @property
    def away(self) -> float:
        """When the Controllers begin to refuse connections; infinite if they do not."""
        never = self.stops_at_checks or self.spec.outcome == "controller_failed"
        return inf if never else self.checks_end + self.spec.controllers_s

    @property
    def back(self) -> float:
        """When the Controllers answer again, in the new version; infinite if they do not."""
        return inf if self.spec.outcome == "never_back" else self.away + self.spec.outage_s + self.spec.unready_s

    @cached_property
    def groups(self) -> tuple[GroupPlan, ...]:
        """The SE groups, in the order of their specs."""
        if not self.spec.system or self.back == inf:
            return tuple(map(GroupPlan, self.group_specs))
        return tuple(_plan_group(spec, self.back + GROUPS_WAIT_S) for spec in self.group_specs)

    @property
    def end(self) -> float:
        """When the whole upgrade completes; infinite if it never does."""
        return max([self.back, *(group.end for group in self.groups)])

    @property
    def last_change(self) -> float:
        """From when on nothing changes; except for what a person starts."""
        if self.spec.dry_run:
            return self.spec.controllers_s
        return next((at for at, fsm in reversed(self.phases) if at < inf), 0.0) if self.end == inf else self.end

    @cached_property
    def phases(self) -> tuple[tuple[float, str], ...]:
        """(from, FSM state) of the cluster, in order."""
        return tuple(self._phases())

    def _phases(self) -> Iterator[tuple[float, str]]:
        spec, checks_end = self.spec, self.checks_end
        if spec.dry_run:
            return
        yield 0.0, "UPGRADE_PRE_CHECK_STARTED"
        yield checks_end * 0.1, "UPGRADE_PRE_CHECK_IN_PROGRESS"
        if spec.outcome == "check_error":
            yield checks_end, "UPGRADE_PRE_CHECK_ERROR"
        elif spec.outcome == "check_warning_waits":
            yield checks_end, "UPGRADE_PRE_CHECK_WARNING"
        elif self.stops_at_checks:
            yield checks_end, "UPGRADE_PRE_CHECK_SUCCESS"
        else:
            yield checks_end, "UPGRADE_FSM_STARTED"
            yield checks_end + 0.02 * spec.controllers_s, "UPGRADE_FSM_IN_PROGRESS"
            if spec.outcome == "controller_failed":
                yield checks_end + spec.controllers_s, "UPGRADE_FSM_ABORT_IN_PROGRESS"
                yield checks_end + 1.5 * spec.controllers_s, "UPGRADE_FSM_ABORTED"
            if self.end > self.back:
                yield self.back, "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS"
            yield self.end, "UPGRADE_FSM_COMPLETED"

    @cached_property
    def node_tasks(self) -> tuple[NodeTask, ...]:
        """The tasks of the Controllers, in order."""
        return tuple(self._node_tasks()) if not self.stops_at_checks else ()

    def _node_tasks(self) -> Iterator[NodeTask]:
        each_s = self.spec.controllers_s / len(TASKS_BEFORE_REBOOT)
        for number, name in enumerate(TASKS_BEFORE_REBOOT):
            begin = self.checks_end + number * each_s
            for node in self.nodes:
                failed = self.spec.outcome == "controller_failed" and name == FAILING_TASK and node == self.nodes[-1]
                yield NodeTask(name, node, begin, begin + each_s * (1.0 if node == self.nodes[-1] else 0.9), failed)
        if self.away < inf:
            each_s = (self.back - self.away) / len(TASKS_AWAY)
            for number, name in enumerate(TASKS_AWAY):
                begin = self.away + (number * each_s if number else 0.0)  # ``each_s`` is infinite if they never return
                yield from (NodeTask(name, node, begin, begin + each_s) for node in self.nodes)

    def timeline(self, *, zero: float) -> tuple[TimelineEvent, ...]:
        """Return what a client notices: refused writes, connections and log-ins. ``zero``: ``at`` counts from here."""
        at, spec = self.started_at - zero, self.spec
        if self.stops_at_checks:
            return ()
        events = [TimelineEvent(at=at + self.checks_end, kind="upgrading")]
        if self.away == inf:
            return (*events, TimelineEvent(at=at + self.phases[-2][0], kind="upgraded"))
        events.append(TimelineEvent(at=at + self.away, kind="down"))
        if self.back < inf:
            events.append(TimelineEvent(at=at + self.away + spec.outage_s, kind="unready"))
            events.append(TimelineEvent(at=at + self.back, kind="ready", version=spec.version))
            if self.end > self.back:  # the configuration stays locked until the Service Engines are done
                events.append(TimelineEvent(at=at + self.back, kind="upgrading"))
            if self.end < inf:
                events.append(TimelineEvent(at=at + self.end, kind="upgraded"))
                if spec.portal_restart_s:
                    events.append(TimelineEvent(at=at + self.end + 1.0, kind="unready"))
                    events.append(TimelineEvent(at=at + self.end + 1.0 + spec.portal_restart_s, kind="ready"))
        return tuple(events)


def phase_at(phases: tuple[tuple[float, str], ...], offset: float) -> tuple[float, str]:
    """Return the last of the phases that has begun; ``(-inf, "UPGRADE_FSM_INIT")`` before the first."""
    begun = [phase for phase in phases if phase[0] <= offset]
    return begun[-1] if begun else (-inf, "UPGRADE_FSM_INIT")


def _plan_group(spec: GroupSpec, begin: float) -> GroupPlan:
    if spec.outcome == "left_behind":
        return GroupPlan(spec)
    engines = [
        SePlan(begin + number // spec.at_once * spec.se_s, begin + (number // spec.at_once + 1) * spec.se_s)
        for number in range(spec.ses)
    ]
    last = max((engine.end for engine in engines), default=begin)
    started = ((begin, "UPGRADE_FSM_STARTED"), (begin + 1.0, "UPGRADE_FSM_IN_PROGRESS"))
    if not engines or spec.outcome == "completed":
        return GroupPlan(spec, begin, tuple(engines), (*started, (last, "UPGRADE_FSM_COMPLETED")))
    if spec.outcome == "failed_ses_continue":
        engines[-1] = SePlan(engines[-1].begin, engines[-1].end, "failed")
        return GroupPlan(spec, begin, tuple(engines), (*started, (last, "UPGRADE_FSM_COMPLETED")))
    middle = len(engines) // 2
    stop = engines[middle].end
    if spec.outcome == "stuck_se":
        engines[middle] = SePlan(engines[middle].begin, inf)
        engines[middle + 1 :] = [SePlan(inf, inf)] * (len(engines) - middle - 1)
        return GroupPlan(spec, begin, tuple(engines), started)
    pause_s = spec.resumed_after_s or inf
    skipped = SePlan(engines[middle].begin, stop, "skip_suspended" if spec.resumed_after_s else "suspended")
    rest = [
        engine if engine.begin < stop else SePlan(engine.begin + pause_s, engine.end + pause_s)
        for engine in engines[middle + 1 :]
    ]
    suspended = (*started, (stop, "UPGRADE_FSM_SUSPENDED"))
    engines[middle:] = [skipped, *rest]
    if pause_s == inf:
        return GroupPlan(spec, begin, tuple(engines), suspended)
    end = max(engine.end for engine in (*engines, SePlan(0.0, stop + pause_s)))
    resumed = ((stop + pause_s, "UPGRADE_FSM_IN_PROGRESS"), (end, "UPGRADE_FSM_COMPLETED"))
    return GroupPlan(spec, begin, tuple(engines), (*suspended, *resumed), stop + pause_s)
