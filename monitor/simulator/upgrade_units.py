"""
The objects UpgradeStatusInfo of one Controller: its cluster, its SE groups and their Service Engines.

Shape: Avi API object UpgradeStatusInfo of the newest version. What stands in an object at rest is as in the one
recording there is: the cluster has integers as times, groups and Service Engines text with nanoseconds, empty text
stands for what is absent, and two groups may have one name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Final

from monitor.simulator.http_types import Json
from monitor.simulator.lifecycle import format_time, to_microseconds
from monitor.simulator.random_values import SeededRandom
from monitor.simulator.upgrade_plan import TASKS, GroupPlan, NodeTask, SePlan, UpgradePlan, phase_at
from monitor.simulator.upgrade_specs import GroupSpec, UnitOptions

DAY_S: Final = 86400.0
CHECK_CODES: Final = ("SYSERR_CHECK_CONFIG_BACKUP", "SYSERR_CHECK_SE_CONNECTIVITY", "SYSERR_CHECK_DISK_SPACE")
SE_STATES: Final = ("completed", "failed", "in_progress", "not_started", "suspended", "skip_suspended")


@dataclass(frozen=True)
class Build:
    """The software of a unit. ``tag``: such as ``30.2.1-9114-20240826.101010``. ``image``: a uuid, or empty."""

    tag: str
    image: str = ""


@dataclass(frozen=True)
class Group:
    """One SE group and its Service Engines, by uuid."""

    spec: GroupSpec
    uuid: str
    cloud_uuid: str
    engines: tuple[str, ...]


def make_groups(specs: tuple[GroupSpec, ...], rng: SeededRandom) -> tuple[Group, ...]:
    """Give the groups and Service Engines uuids, in the form that the cloud gives them."""
    clouds = {spec.cloud: f"cloud-{rng.uuid()}" for spec in specs}
    return tuple(
        Group(
            spec,
            f"serviceenginegroup-{rng.uuid()}",
            clouds[spec.cloud],
            tuple(f"se-i-{rng.token()[:17]}" for _ in range(spec.ses)),
        )
        for spec in specs
    )


@dataclass(frozen=True)
class Units:
    """
    The units at one time. References to clouds have the name behind them, as with ``include_name``.

    ``before``: the build before the plan; ``target``: that of the plan.

    ``skewed``: builds of groups that earlier upgrades left at another build, by group uuid.
    """

    host: str
    cluster_uuid: str
    started_at: float
    groups: tuple[Group, ...]
    before: Build
    target: Build
    skewed: dict[str, Build]
    plan: UpgradePlan | None
    options: UnitOptions

    def objects(self, now: float) -> list[Json]:
        """Return all objects in full."""
        cluster = [self._cluster(now)]
        if self.options.stale_cluster:
            cluster.append(self._stale_cluster())
        others = [each for number, group in enumerate(self.groups) for each in self._group_objects(group, number, now)]
        return [*others, *cluster] if self.options.cluster_last else [*cluster, *others]

    def builds(self, now: float) -> Iterator[tuple[str, Build]]:
        """Return the build of the cluster and of each group, by uuid."""
        yield self.cluster_uuid, self._build_of_cluster(now)
        for number, group in enumerate(self.groups):
            yield group.uuid, self._build_of_group(group, self._group_plan(number), now)

    def pinned(self, now: float) -> set[str]:
        """Return the uuids of the images that an object refers to: the present, the previous and the target ones."""
        refs = {
            str(ref)
            for unit in self.objects(now)
            for ref in (unit.get("image_ref"), unit.get("previous_image_ref"), unit.get("params", {}).get("image_ref"))
            if ref
        }
        return {ref.rpartition("/")[2] for ref in refs}

    # -- the cluster

    def _offset(self, now: float) -> float:
        return round(now - self.plan.started_at, 3) if self.plan else -inf

    def _build_of_cluster(self, now: float) -> Build:
        return self.target if self.plan and self._offset(now) >= self.plan.back else self.before

    def _cluster(self, now: float) -> Json:
        plan, offset = self.plan, self._offset(now)
        since, fsm = phase_at(plan.phases if plan else (), offset)
        build = self._build_of_cluster(now)
        unit = self._unit(self.cluster_uuid, "cluster-0-1", "NODE_CONTROLLER_CLUSTER", build)
        unit["system"] = True  # as recorded on a system that was never upgraded
        if plan is None or since == -inf:
            unit |= self._at_rest(cluster=True)
            return {**unit, **self._dry_run(plan, offset)}
        running = fsm in {"UPGRADE_FSM_STARTED", "UPGRADE_FSM_IN_PROGRESS"}
        changed_at = plan.started_at + since
        tasks_done = _completed(plan.node_tasks, offset)
        failed = fsm in {"UPGRADE_FSM_ABORT_IN_PROGRESS", "UPGRADE_FSM_ABORTED"}
        reason = f"Task MigrateConfig failed on {plan.nodes[-1]}: rolling back" if failed else ""
        unit |= {
            "system": plan.spec.system,
            "upgrade_ops": plan.spec.operation,
            "state": self._state(self.options.fsm if running and self.options.fsm else fsm, changed_at, reason),
            "reason": reason,
            "progress": 100 * tasks_done // len(TASKS) if plan.node_tasks else 0,
            "total_tasks": len(TASKS) if plan.node_tasks else 0,
            "tasks_completed": tasks_done,
            "enqueue_time": format_time(plan.started_at),
            "start_time": format_time(plan.started_at),
            "params": {"image_ref": self._image_ref(self.target)} if self.target.image else {},
            "upgrade_readiness": self._checks(plan, offset),
            "upgrade_events": list(self._events(plan, offset)),
            "_last_modified": str(to_microseconds(plan.started_at + offset)),
        }
        if build is self.target:
            unit |= self._previous(self.before)
        if fsm in {"UPGRADE_FSM_COMPLETED", "UPGRADE_FSM_ABORTED"}:
            unit |= {"end_time": format_time(changed_at), "duration": round(since)}
        return unit

    def _stale_cluster(self) -> Json:
        unit = self._unit(f"{self.cluster_uuid[:-4]}dead", "cluster-0-1", "NODE_CONTROLLER_CLUSTER", self.before)
        changed_at = self.started_at - 400 * DAY_S
        return unit | {"state": self._state("UPGRADE_FSM_IN_PROGRESS", changed_at), "progress": 40}

    def _dry_run(self, plan: UpgradePlan | None, offset: float) -> Json:
        if plan is None or not plan.spec.dry_run or offset < 0:
            return {}
        ended = offset >= plan.spec.controllers_s
        done = len(TASKS) if ended else int(len(TASKS) * offset / plan.spec.controllers_s)
        info = {
            "state": self._state("UPGRADE_FSM_COMPLETED" if ended else "UPGRADE_FSM_IN_PROGRESS", plan.started_at),
            "progress": 100 * done // len(TASKS),
            "total_tasks": len(TASKS),
            "tasks_completed": done,
            "start_time": format_time(plan.started_at),
            "worker": plan.nodes[-1],
        }
        return {"dryrun_info": info}

    def _checks(self, plan: UpgradePlan, offset: float) -> Json:
        spec, ended = plan.spec.checks, offset >= plan.checks_end
        results = ["UPGRADE_PRE_CHECK_ERROR"] * spec.errors + ["UPGRADE_PRE_CHECK_WARNING"] * spec.warnings
        worst = results[0] if results else "UPGRADE_PRE_CHECK_SUCCESS"
        checks: Json = {
            "state": self._state(worst if ended else "UPGRADE_PRE_CHECK_IN_PROGRESS", plan.started_at),
            "total_checks": spec.total,
            "checks_completed": spec.total if ended else int(spec.total * offset / plan.checks_end),
            "start_time": format_time(plan.started_at),
            "upgrade_ops": plan.spec.operation,
        }
        if ended:
            checks["end_time"] = format_time(plan.started_at + plan.checks_end)
            checks["checks"] = [
                {
                    "check_code": CHECK_CODES[number % len(CHECK_CODES)],
                    "state": state,
                    "description": "Checks what an upgrade needs",
                    "details": [f"Item {number} needs attention"],
                }
                for number, state in enumerate(results)
            ]
        return checks | ({"image_ref": self._image_ref(self.target)} if self.target.image else {})

    def _events(self, plan: UpgradePlan, offset: float) -> Iterator[Json]:
        for name in dict.fromkeys(each.name for each in plan.node_tasks):
            tasks = [each for each in plan.node_tasks if each.name == name]
            if tasks[0].begin <= offset:
                events = [self._event(plan, each, offset) for each in tasks]
                yield {"task_name": self.options.task or name, "sub_events": events}

    def _event(self, plan: UpgradePlan, task: NodeTask, offset: float) -> Json:
        event: Json = {"ip": {"addr": task.node, "type": "V4"}, "message": f"{task.name} on {task.node}"}
        event["start_time"] = format_time(plan.started_at + task.begin)
        if offset < task.end:
            return event if self.options.running_status is None else {**event, "status": self.options.running_status}
        end = {"end_time": format_time(plan.started_at + task.end), "duration": round(task.end - task.begin)}
        return {**event, **end, "status": not task.failed}

    # -- groups and Service Engines

    def _group_plan(self, number: int) -> GroupPlan:
        return self.plan.groups[number] if self.plan else GroupPlan(self.groups[number].spec)

    def _build_of_group(self, group: Group, plan: GroupPlan, now: float) -> Build:
        done = self.plan is not None and self._offset(now) >= plan.end > -inf
        return self.target if done else self.skewed.get(group.uuid, self.before)

    def _group_objects(self, group: Group, number: int, now: float) -> Iterator[Json]:
        plan, offset = self._group_plan(number), self._offset(now)
        gone = self.options.vanishing and offset >= 0
        yield self._group(group, plan, offset, now)
        for index in range(0 if gone else len(group.engines)):
            yield self._engine(group, index, plan, offset)

    def _group(self, group: Group, plan: GroupPlan, offset: float, now: float) -> Json:
        build = self._build_of_group(group, plan, now)
        unit = self._unit(group.uuid, group.spec.name, "NODE_SE_GROUP", build)
        unit["obj_cloud_ref"] = self._cloud_ref(group)
        since, fsm = phase_at(plan.phases, offset)
        if self.plan is None or since == -inf:
            note = f"{format_time(self.started_at - DAY_S)} Init segroup({group.spec.name})"
            return {**unit, **self._at_rest(cluster=False), "seg_status": {"notes": [note]}}
        lists = {state: [self._se_ref(group, n) for n in _engines_in(plan, state, offset)] for state in SE_STATES}
        changed_at, started_at = self.plan.started_at + since, self.plan.started_at + plan.begin
        ended = len(lists["completed"]) + len(lists["failed"]) + len(lists["skip_suspended"])
        disrupted = group.spec.disrupted if ended else 0
        operation = "SEGROUP_RESUME" if offset >= plan.resumed else self.plan.spec.operation
        status: Json = {f"se_upgrade_{state}": refs for state, refs in lists.items() if refs}
        status |= {
            "num_se": group.spec.ses,
            "num_vs": group.spec.virtual_services,
            "num_vs_disrupted": disrupted,
            "progress": 100 * ended // max(1, group.spec.ses),
            "state": fsm,
            "notes": [f"{format_time(started_at)} Start segroup({group.spec.name})"],
        }
        if disrupted:
            refs = [f"https://{self.host}/api/virtualservice/vs-{number}" for number in range(disrupted)]
            status |= {"disrupted_vs_ref": refs, "vs_errors": [{"vs_ref": ref} for ref in refs]}
        unit |= {
            "upgrade_ops": operation,
            "state": self._state(fsm, changed_at, _reason(lists)),
            "progress": status["progress"],
            "total_tasks": group.spec.ses,
            "tasks_completed": ended,
            "start_time": format_time(started_at),
            "seg_status": status,
            "se_upgrade_events": [
                {"task": "SE_IMAGE_INSTALL", "se_ref": self._se_ref(group, n), "traffic_status": "TRAFFIC_OK"}
                for n, engine in enumerate(plan.engines)
                if engine.begin <= offset
            ],
            "_last_modified": str(to_microseconds(self.plan.started_at + offset)),
        }
        if fsm == "UPGRADE_FSM_COMPLETED":
            unit |= {"end_time": format_time(changed_at), "duration": round(since - plan.begin)}
            unit |= self._previous(self.skewed.get(group.uuid, self.before))
        return unit

    def _engine(self, group: Group, index: int, plan: GroupPlan, offset: float) -> Json:
        engine = plan.engines[index] if plan.engines else SePlan(inf, inf)
        state = engine.state(offset)
        done = state == "completed"
        build = self.target if done else self.skewed.get(group.uuid, self.before)
        unit = self._unit(group.engines[index], f"{group.spec.name}-se-{index}", "NODE_SE_TYPE", build)
        unit["obj_cloud_ref"] = self._cloud_ref(group)
        if self.plan is None or state == "not_started":
            return unit | self._at_rest(cluster=False)
        fsm = {"in_progress": "UPGRADE_FSM_IN_PROGRESS", "completed": "UPGRADE_FSM_COMPLETED"}.get(
            state, "UPGRADE_FSM_ERROR"
        )
        changed_at = self.plan.started_at + (engine.begin if state == "in_progress" else engine.end)
        started = {"start_time": format_time(self.plan.started_at + engine.begin)}
        ended = {} if state == "in_progress" else {"end_time": format_time(changed_at)}
        state_of = {"state": self._state(fsm, changed_at, cluster=False), "progress": 100 if done else 50}
        return unit | {"upgrade_ops": self.plan.spec.operation} | state_of | started | ended

    # -- what all units have

    def _unit(self, uuid: str, name: str, node_type: str, build: Build) -> Json:
        unit: Json = {
            "uuid": uuid,
            "url": f"https://{self.host}/api/upgradestatusinfo/{uuid}",
            "name": name,
            "node_type": node_type,
            "tenant_ref": f"https://{self.host}/api/tenant/admin",
            "version": build.tag,
            "patch_version": "",
            "previous_version": "",
            "previous_patch_version": "",
            "enable_rollback": False,
            "enable_patch_rollback": False,
        }
        if self.options.history:
            past: Json = {
                "ops": "UPGRADE",
                "version": build.tag,
                "start_time": format_time(self.started_at - 30 * DAY_S),
                "upgrade_events": [{"task_name": "PrepareUpgrade", "sub_events": []}],
            }
            unit["history"] = [past] * self.options.history
        return unit | ({"image_ref": self._image_ref(build)} if build.image else {})

    def _at_rest(self, *, cluster: bool) -> Json:
        if cluster and self.options.old_error_s:
            changed_at = self.started_at - self.options.old_error_s
            times = {"start_time": format_time(changed_at - 600), "end_time": format_time(changed_at)}
            return {"state": self._state("UPGRADE_FSM_ERROR", changed_at, "Disk full"), "progress": 60, **times}
        changed_at = self.started_at - 60 * DAY_S
        return {"state": self._state("UPGRADE_FSM_INIT", changed_at, cluster=cluster), "progress": 0}

    def _previous(self, build: Build) -> Json:
        previous = {"previous_version": build.tag, "enable_rollback": True}
        return {**previous, "previous_image_ref": self._image_ref(build)} if build.image else previous

    def _state(self, fsm: str, changed_at: float, reason: str = "", *, cluster: bool = True) -> Json:
        secs, usecs = divmod(to_microseconds(changed_at), 1_000_000)
        as_text = self.options.stamps == "recorded" and not cluster
        stamp = {"secs": str(secs), "usecs": str(usecs * 1000)} if as_text else {"secs": secs, "usecs": usecs}
        return {"state": fsm, "reason": reason, "last_changed_time": stamp}

    def _image_ref(self, build: Build) -> str:
        return f"https://{self.host}/api/image/{build.image}"

    def _cloud_ref(self, group: Group) -> str:
        return f"https://{self.host}/api/cloud/{group.cloud_uuid}#{group.spec.cloud}"

    def _se_ref(self, group: Group, number: int) -> str:
        return f"https://{self.host}/api/serviceengine/{group.engines[number]}"


def _engines_in(plan: GroupPlan, state: str, offset: float) -> list[int]:
    return [number for number, engine in enumerate(plan.engines) if engine.state(offset) == state]


def _reason(lists: dict[str, list[str]]) -> str:
    failed = lists["failed"] + lists["suspended"]
    return f"Service Engine {failed[0].rpartition('/')[2]} failed to reconnect" if failed else ""


def _completed(tasks: tuple[NodeTask, ...], offset: float) -> int:
    """Return how many tasks have ended well on all nodes."""
    unfinished = {each.name for each in tasks if each.end > offset or each.failed}
    return len({each.name for each in tasks} - unfinished)
