"""The object UpgradeStatusInfo of the cluster: pre-checks, the tasks of the Controllers, a dry run. Pure."""

from collections.abc import Iterator
from typing import Final

from monitor.simulator.http_types import Json
from monitor.simulator.upgrade_group_plan import phase_at
from monitor.simulator.upgrade_objects import CLUSTER, DAY_S, Build, PlanAtTime, UnitWriter, modified
from monitor.simulator.upgrade_plan import FAILING_TASK, TASKS, NodeTask

NAME: Final = "cluster-0-1"
CHECK_CODES: Final = ("SYSERR_CHECK_CONFIG_BACKUP", "SYSERR_CHECK_SE_CONNECTIVITY", "SYSERR_CHECK_DISK_SPACE")
_ENDED: Final = frozenset({"UPGRADE_FSM_COMPLETED", "UPGRADE_FSM_ABORTED"})


def cluster_object(write: UnitWriter, uuid: str, planned: PlanAtTime, before: Build) -> Json:
    """Return the cluster. ``before``: its build before the plan."""
    plan, offset = planned.plan, planned.offset
    is_back = offset >= plan.back
    unit = write.unit(uuid, NAME, CLUSTER, planned.target if is_back else before)
    unit["system"] = True  # as recorded on a system that was never upgraded
    if offset < 0 or plan.spec.dry_run:
        return {**unit, **write.at_rest(node_type=CLUSTER), **_dry_run(write, planned)}
    since, fsm = phase_at(plan.phases, offset)
    reason = f"Task {FAILING_TASK} failed on {plan.nodes[-1]}: rolling back" if "ABORT" in fsm else ""
    tasks_done = _completed(plan.node_tasks, offset)
    unit |= {
        "system": plan.spec.system,
        "upgrade_ops": plan.spec.operation,
        "state": write.state(_shown(write, fsm), planned.time(since), reason),
        "reason": reason,
        "progress": 100 * tasks_done // len(TASKS),
        "total_tasks": len(TASKS) if plan.node_tasks else 0,
        "tasks_completed": tasks_done,
        "enqueue_time": planned.format_time(0.0),
        "start_time": planned.format_time(0.0),
        "params": {"image_ref": write.image_ref(planned.target)} if planned.target.image else {},
        "upgrade_readiness": _checks(write, planned),
        "upgrade_events": list(_events(write, planned)),
        "system_report_refs": [write.ref("systemreport", f"systemreport-{uuid.partition('-')[2]}", "upgrade")],
        **modified(planned.time(plan.latest_change(offset))),
    }
    if offset >= plan.away:
        unit["state"]["rebooted"] = True
    if is_back:
        unit |= write.previous(before)
    return unit | ({"end_time": planned.format_time(since), "duration": round(since)} if fsm in _ENDED else {})


def stale_cluster(write: UnitWriter, uuid: str, build: Build) -> Json:
    """Return what is left of another cluster, whose upgrade seems to run since long ago."""
    at = write.started_at - 400 * DAY_S
    unit = write.unit(f"{uuid[:-4]}dead", NAME, CLUSTER, build)
    return {**unit, "state": write.state("UPGRADE_FSM_IN_PROGRESS", at), "progress": 40, **modified(at)}


def _shown(write: UnitWriter, fsm: str) -> str:
    """Return the state, or the text that is shown in its place while the Controllers are upgraded."""
    return write.options.fsm or fsm if fsm in {"UPGRADE_FSM_STARTED", "UPGRADE_FSM_IN_PROGRESS"} else fsm


def _dry_run(write: UnitWriter, planned: PlanAtTime) -> Json:
    plan, ends = planned.plan, planned.plan.dry_run_ends
    if not ends or planned.offset < 0:
        return {}
    done = sum(end <= planned.offset for end in ends)
    state = "UPGRADE_FSM_COMPLETED" if done == len(ends) else "UPGRADE_FSM_IN_PROGRESS"
    info = {
        "state": write.state(state, planned.time(ends[-1] if done == len(ends) else 0.0)),
        "progress": 100 * done // len(ends),
        "total_tasks": len(ends),
        "tasks_completed": done,
        "operation": "UPGRADE_DRYRUN",
        "start_time": planned.format_time(0.0),
        "worker": plan.nodes[-1],
        **({"end_time": planned.format_time(ends[-1])} if done == len(ends) else {}),
    }
    return {"dryrun_info": info, **modified(planned.time(plan.latest_change(planned.offset)))}


def _checks(write: UnitWriter, planned: PlanAtTime) -> Json:
    """Return the pre-checks. ``checks`` has only those that ended badly."""
    plan, spec = planned.plan, planned.plan.spec.checks
    ended, begun = planned.offset >= plan.checks_end, planned.offset >= plan.checks_begin
    results = ["UPGRADE_PRE_CHECK_ERROR"] * spec.errors + ["UPGRADE_PRE_CHECK_WARNING"] * spec.warnings
    worst = results[0] if results else "UPGRADE_PRE_CHECK_SUCCESS"
    state = worst if ended else f"UPGRADE_PRE_CHECK_{'IN_PROGRESS' if begun else 'STARTED'}"
    checks: Json = {
        "state": write.state(state, planned.time(plan.checks_end if ended else 0.0)),
        "total_checks": spec.total,
        "checks_completed": sum(end <= planned.offset for end in plan.check_ends),
        "start_time": planned.format_time(0.0),
        "upgrade_ops": plan.spec.operation,
    }
    if ended:
        checks["end_time"] = planned.format_time(plan.checks_end)
        checks["checks"] = [_check(number, state) for number, state in enumerate(results)]
    return checks | ({"image_ref": write.image_ref(planned.target)} if planned.target.image else {})


def _check(number: int, state: str) -> Json:
    return {
        "check_code": CHECK_CODES[number % len(CHECK_CODES)],
        "state": state,
        "description": "Checks what an upgrade needs",
        "details": [f"Item {number} needs attention"],
        "error_details": [f"Item {number} is not as expected"],
    }


def _events(write: UnitWriter, planned: PlanAtTime) -> Iterator[Json]:
    tasks = planned.plan.node_tasks
    for name in dict.fromkeys(each.name for each in tasks if each.begin <= planned.offset):
        events = [_event(write, planned, each) for each in tasks if each.name == name]
        yield {"task_name": write.options.task or name, "sub_events": events}


def _event(write: UnitWriter, planned: PlanAtTime, task: NodeTask) -> Json:
    event: Json = {"ip": {"addr": task.node, "type": "V4"}, "message": f"{task.name} on {task.node}"}
    event["start_time"] = planned.format_time(task.begin)
    if planned.offset < task.end:
        return event if write.options.running_status is None else {**event, "status": write.options.running_status}
    event |= {"end_time": planned.format_time(task.end), "duration": round(task.end - task.begin)}
    return event if write.options.ends_without_status else {**event, "status": not task.failed}


def _completed(tasks: tuple[NodeTask, ...], offset: float) -> int:
    """Return how many tasks have ended well on all nodes."""
    unfinished = {each.name for each in tasks if each.end > offset or each.failed}
    return len({each.name for each in tasks} - unfinished)
