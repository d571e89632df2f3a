"""
The course of one upgrade as a pure function of its spec and a simulated time: states, tasks, and what clients notice.

No recording of an upgrade that runs is published, so the tasks are invented, in the style of the names that the
vendor's texts mention. Offsets are seconds after the start of the upgrade.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import inf

from monitor.simulator.specs import EventKind, TimelineEvent
from monitor.simulator.upgrade_group_plan import GroupPlan, Phases, latest, plan_groups, starts
from monitor.simulator.upgrade_specs import GroupSpec, UpgradeSpec

TASKS_BEFORE_REBOOT = ("PrepareUpgrade", "CopyImage", "ExtractImage", "ExportConfiguration", "MigrateConfig")
TASKS_AWAY = ("SwitchAndReboot", "StartServices", "ImportConfiguration")
TASKS = (*TASKS_BEFORE_REBOOT, *TASKS_AWAY)
FAILING_TASK = "MigrateConfig"
GROUPS_WAIT_S = 5.0  # between the return of the Controllers and the first Service Engine


@dataclass(frozen=True)
class NodeTask:
    """One task on one node. ``end`` is infinite for a task that never ends."""

    name: str
    node: str
    begin: float
    end: float
    failed: bool = False


@dataclass(frozen=True)
class UpgradePlan:
    """One upgrade. ``started_at``: seconds since the epoch. ``nodes``: of the Controller; the first is the leader."""

    spec: UpgradeSpec
    started_at: float
    nodes: tuple[str, ...]
    group_specs: tuple[GroupSpec, ...]

    @property
    def checks_begin(self) -> float:
        """When the first pre-check begins."""
        return self.checks_end * 0.1

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
        spec = self.spec
        unready_s = spec.outage_s + spec.unready_s + spec.bad_gateway_s
        return inf if spec.outcome == "never_back" else self.away + unready_s

    @cached_property
    def groups(self) -> tuple[GroupPlan, ...]:
        """The SE groups, in the order of their specs."""
        wait_s = GROUPS_WAIT_S if self.spec.system else self.spec.groups_after_s
        if self.back == inf or not wait_s:
            return tuple(map(GroupPlan, self.group_specs))
        return tuple(plan_groups(self.group_specs, self.back + wait_s, self.spec.groups_at_once))

    @property
    def end(self) -> float:
        """When the last unit completes; infinite if it never does."""
        return max([self.back, *(group.end for group in self.groups)])

    @property
    def cluster_end(self) -> float:
        """When the cluster completes: with its Controllers, or with all units if it is an upgrade of the system."""
        return self.end if self.spec.system else self.back

    @property
    def over(self) -> float:
        """From when on another upgrade can be started; infinite for one that never ends."""
        if self.spec.dry_run:
            return self.spec.controllers_s
        return self.end if self.away < inf else max(at for at in starts(self.phases) if at < inf)

    @cached_property
    def phases(self) -> Phases:
        """(from, FSM state) of the cluster, in order."""
        return tuple(self._phases())

    def _phases(self) -> Iterator[tuple[float, str]]:
        spec, checks_end = self.spec, self.checks_end
        if spec.dry_run:
            return
        yield 0.0, "UPGRADE_PRE_CHECK_STARTED"
        yield self.checks_begin, "UPGRADE_PRE_CHECK_IN_PROGRESS"
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
            if self.cluster_end > self.back:
                yield self.back, "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS"
            yield self.cluster_end, "UPGRADE_FSM_COMPLETED"

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

    # -- what changes, and when

    @cached_property
    def check_ends(self) -> tuple[float, ...]:
        """When each pre-check ends."""
        checks = self.spec.checks
        return tuple(checks.seconds * number / checks.total for number in range(1, checks.total + 1))

    @cached_property
    def dry_run_ends(self) -> tuple[float, ...]:
        """When each task of a dry run ends."""
        each_s = self.spec.controllers_s / len(TASKS)
        return tuple(each_s * number for number in range(1, len(TASKS) + 1)) if self.spec.dry_run else ()

    def latest_change(self, offset: float) -> float:
        """Return when the cluster last changed."""
        checks = () if self.spec.dry_run else self.check_ends
        tasks = (at for each in self.node_tasks for at in (each.begin, each.end))
        return latest((0.0, *starts(self.phases), *checks, *self.dry_run_ends, *tasks), offset)

    def is_away(self, offset: float) -> bool:
        """Whether the Controllers refuse connections."""
        return self.away <= offset and (self.back == inf or offset < self.away + self.spec.outage_s)

    def refuses_logins(self, offset: float) -> bool:
        """Whether the Controllers have just returned and refuse every log-in."""
        return self.back <= offset < self.back + self.spec.refuses_logins_s

    def timeline(self, *, zero: float) -> tuple[TimelineEvent, ...]:
        """Return what a client notices: refused writes and connections, errors. ``zero``: ``at`` counts from here."""
        return self._events((*self._before_return(), *self._after_return()), zero)

    def closing_timeline(self, *, zero: float) -> tuple[TimelineEvent, ...]:
        """Return what a client notices at the end of the plan, which is another when an SE group was resumed."""
        return self._events(self._at_end() if self.spec.system else (), zero)

    def _events(self, moments: Iterable[tuple[float, EventKind]], zero: float) -> tuple[TimelineEvent, ...]:
        at, version = self.started_at - zero, self.spec.version
        return tuple(
            TimelineEvent(at=at + offset, kind=kind, version=version if kind == "ready" and offset == self.back else "")
            for offset, kind in moments
        )

    def _before_return(self) -> Iterator[tuple[float, EventKind]]:
        if self.stops_at_checks:
            return
        yield self.checks_end, "upgrading"
        if self.away == inf:
            yield self.phases[-2][0], "upgraded"
        else:
            yield self.away, "down"

    def _after_return(self) -> Iterator[tuple[float, EventKind]]:
        spec = self.spec
        if self.back == inf:
            return
        if spec.unready_s:
            yield self.away + spec.outage_s, "unready"
        if spec.bad_gateway_s:
            yield self.back - spec.bad_gateway_s, "bad_gateway"
        yield self.back, "ready"
        if self.cluster_end > self.back:  # the configuration stays locked until the Service Engines are done
            yield self.back, "upgrading"
        yield from self._at_end()

    def _at_end(self) -> Iterator[tuple[float, EventKind]]:
        end = self.cluster_end
        if end == inf:
            return
        yield end, "upgraded"
        if self.spec.portal_restart_s:
            yield end + 1.0, "bad_gateway"
            yield end + 1.0 + self.spec.portal_restart_s, "ready"
