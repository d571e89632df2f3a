"""The objects UpgradeStatusInfo of one SE group and its Service Engines. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Final

from monitor.simulator.http_types import Json
from monitor.simulator.lifecycle import format_time
from monitor.simulator.upgrade_group_plan import GroupPlan, SePlan, phase_at
from monitor.simulator.upgrade_objects import Build, Group, PlanAtTime, UnitWriter, modified

GROUP: Final = "NODE_SE_GROUP"
ENGINE: Final = "NODE_SE_TYPE"
SE_STATES: Final = ("completed", "failed", "in_progress", "not_started", "suspended", "skip_suspended")
GROUP_STATES: Final = {  # of seg_status, which has an enumeration of its own
    "UPGRADE_FSM_ENQUEUED": "SEGROUP_UPGRADE_ENQUEUED",
    "UPGRADE_FSM_STARTED": "SEGROUP_UPGRADE_START",
    "UPGRADE_FSM_IN_PROGRESS": "SEGROUP_UPGRADE_IN_PROGRESS",
    "UPGRADE_FSM_SUSPENDED": "SEGROUP_UPGRADE_SUSPENDED",
    "UPGRADE_FSM_COMPLETED": "SEGROUP_UPGRADE_COMPLETE",
}
ENGINE_FSM: Final = {"in_progress": "UPGRADE_FSM_IN_PROGRESS", "completed": "UPGRADE_FSM_COMPLETED"}
DURATIONS: Final[dict[str, Callable[[int], str]]] = {
    "seconds": str,
    "clock": lambda seconds: str(timedelta(seconds=seconds)),
    "text": lambda seconds: f"{seconds} sec",
}


@dataclass(frozen=True)
class GroupWriter:
    """Writes one SE group. ``before``: its build before the plan."""

    write: UnitWriter
    group: Group
    plan: GroupPlan
    planned: PlanAtTime
    before: Build

    def objects(self) -> Iterator[Json]:
        """Return the group and its Service Engines."""
        yield self._group()
        gone = self.write.options.vanishing and self.planned.offset >= 0
        for number in range(0 if gone else len(self.group.engines)):
            yield self._engine(number)

    @property
    def build(self) -> Build:
        """The group's build."""
        return self.planned.target if self.planned.offset >= self.plan.end > -inf else self.before

    def _group(self) -> Json:
        spec, planned, plan = self.group.spec, self.planned, self.plan
        unit = self._unit(self.group.uuid, spec.name, GROUP, self.build)
        since, fsm = phase_at(plan.phases, planned.offset)
        if since == -inf:
            note = f"{format_time(self.write.rests_since)} Init segroup({spec.name})"
            return {**unit, **self.write.at_rest(node_type=GROUP), "seg_status": {"notes": [note]}}
        lists = {state: [self._engine_ref(n) for n in self._engines_in(state)] for state in SE_STATES}
        ended = sum(len(lists[state]) for state in ("completed", "failed", "skip_suspended"))
        bad = (*lists["failed"], *lists["suspended"])
        reason = f"Service Engine {bad[0].rpartition('#')[2]} failed to reconnect" if bad else ""
        times = {"enqueue_time": planned.format_time(plan.queued)}
        times |= {"start_time": planned.format_time(plan.begin)} if planned.offset >= plan.begin else {}
        progress = 100 * ended // max(1, spec.ses)
        unit |= {
            "upgrade_ops": "SEGROUP_RESUME" if planned.offset >= plan.resumed else planned.plan.spec.operation,
            "state": self.write.state(fsm, planned.time(since), reason, as_text=True),
            "progress": progress,
            "total_tasks": spec.ses,
            "tasks_completed": ended,
            **times,
            "seg_status": {
                **{f"se_upgrade_{state}": refs for state, refs in lists.items() if refs},
                **self._disruption(disrupted=spec.disrupted if ended else 0),
                "num_se": spec.ses,
                "num_vs": spec.virtual_services,
                "progress": progress,
                "state": GROUP_STATES[fsm],
                "notes": [f"{time} Start segroup({spec.name})" for name, time in times.items() if name == "start_time"],
                "reason": [reason] if reason else [],
                **({"se_upgrade_errors": [{"task": "SE_UPGRADE_ERROR", "se_ref": ref} for ref in bad]} if bad else {}),
                **times,
            },
            "se_upgrade_events": self._engine_events(),
            **modified(planned.time(plan.latest_change(planned.offset))),
        }
        return self._ended(unit, since) if fsm == "UPGRADE_FSM_COMPLETED" else unit

    def _ended(self, unit: Json, since: float) -> Json:
        seconds, end = round(since - self.plan.begin), {"end_time": self.planned.format_time(since)}
        status = {**unit["seg_status"], **end, "duration": DURATIONS[self.write.options.duration](seconds)}
        return {**unit, **end, "duration": seconds, "seg_status": status, **self.write.previous(self.before)}

    def _disruption(self, *, disrupted: int) -> Json:
        refs = [self.write.ref("virtualservice", f"virtualservice-{n}", f"vs-{n}") for n in range(disrupted)]
        told: Json = {"disrupted_vs_ref": refs, "vs_errors": [{"vs_ref": ref} for ref in refs]} if refs else {}
        return {**told, "num_vs_disrupted": disrupted, "traffic_status": _traffic(disrupted=bool(refs))}

    def _engine_events(self) -> list[Json]:
        return [
            {"task": "SE_IMAGE_INSTALL", "se_ref": self._engine_ref(n), "traffic_status": _traffic(disrupted=False)}
            for n, engine in enumerate(self.plan.engines)
            if engine.begin <= self.planned.offset
        ]

    def _engines_in(self, state: str) -> list[int]:
        return [n for n, engine in enumerate(self.plan.engines) if engine.state(self.planned.offset) == state]

    def _engine(self, number: int) -> Json:
        engine = self.plan.engines[number] if self.plan.engines else SePlan(inf, inf)
        state = engine.state(self.planned.offset)
        done = state == "completed"
        unit = self._unit(
            self.group.engines[number], self._engine_name(number), ENGINE, self.planned.target if done else self.before
        )
        if state == "not_started":
            return unit | self.write.at_rest(node_type=ENGINE)
        changed_at = self.planned.time(engine.begin if state == "in_progress" else engine.end)
        return {
            **unit,
            "upgrade_ops": self.planned.plan.spec.operation,
            "state": self.write.state(ENGINE_FSM.get(state, "UPGRADE_FSM_ERROR"), changed_at, as_text=True),
            "progress": 100 if done else 50,
            "start_time": self.planned.format_time(engine.begin),
            **({} if state == "in_progress" else {"end_time": format_time(changed_at)}),
            **modified(changed_at),
        }

    def _unit(self, uuid: str, name: str, node_type: str, build: Build) -> Json:
        cloud = self.write.ref("cloud", self.group.cloud_uuid, self.group.spec.cloud)
        tenant = {"tenant_ref": self.write.tenant_ref(self.group.spec.tenant)}
        return {**self.write.unit(uuid, name, node_type, build), "obj_cloud_ref": cloud, **tenant}

    def _engine_name(self, number: int) -> str:
        return f"{self.group.spec.name}-se-{number}"

    def _engine_ref(self, number: int) -> str:
        return self.write.ref("serviceengine", self.group.engines[number], self._engine_name(number))


def _traffic(*, disrupted: bool) -> str:
    return "TRAFFIC_DISRUPTED" if disrupted else "TRAFFIC_NOT_DISRUPTED"
