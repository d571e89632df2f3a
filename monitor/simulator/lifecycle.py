"""
The Image object of one upload, as a pure function of a plan and a simulated time.

A plan has one entry for each task on each node, with offsets, and an outcome. Nothing runs in the background: between
two changes the object is the same, byte for byte, however often it is read. No events of real uploads are published, so
the names and the order of the tasks are invented; their JSON has the shape of the vendor's API.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from math import inf
from typing import Literal

from monitor.simulator.http_types import Json
from monitor.simulator.random_values import SeededRandom
from monitor.simulator.specs import UploadOutcome, UploadSpec

SUCCESS = "SYSERR_SUCCESS"
PENDING = "SYSERR_PENDING"


@dataclass(frozen=True)
class Task:
    """A task of every upload: its share of the duration, the nodes that do it, and its steps on the leader."""

    name: str
    share: float
    nodes: Literal["leader", "followers", "all"]
    steps: tuple[str, ...] = ()


TASKS = (
    Task("Validate package", 0.10, "all"),
    Task("Extract package", 0.28, "all", ("controller package", "service engine package", "migration scripts")),
    Task("Read metadata", 0.05, "leader"),
    Task("Copy to repository", 0.20, "all"),
    Task("Replicate to followers", 0.30, "followers"),
    Task("Finalize", 0.05, "all"),
)  # the shares leave 0.02 at the start, when the upload is accepted and no task runs yet


@dataclass(frozen=True)
class Failure:
    """The task in which an upload fails on one node, with status and message."""

    task: str
    status: str
    message: str


FAILURES = (
    Failure("Validate package", "SYSERR_MC_IMAGE_VALIDATION_ERR", "Signature of the package could not be verified"),
    Failure(
        "Copy to repository", "SYSERR_MC_DISK_INSUFFICIENT_ERR", "Insufficient disk space: 10 GB needed, 3 GB free"
    ),
)


@dataclass(frozen=True)
class NodeTask:
    """One task (an index into ``TASKS``) on one node. Times are offsets in seconds; ``end`` is infinite in a stall."""

    task: int
    node: str
    begin: float
    end: float
    planned_end: float
    status: str = SUCCESS
    message: str = ""


@dataclass(frozen=True)
class UploadPlan:
    """
    One upload. Offsets are seconds after ``started_at``.

    ``base``: the fields of the Image that do not change. ``last_change``: the offset after which nothing changes, the
    end of the upload or the start of its stall. ``reason``: the text of a failure. ``smooth``: whether progress grows
    with time; otherwise it grows only when a task ends.
    """

    base: Json
    started_at: float
    outcome: UploadOutcome
    node_tasks: tuple[NodeTask, ...]
    last_change: float
    reason: str = ""
    smooth: bool = True

    @cached_property
    def changes(self) -> tuple[float, ...]:
        """Every offset at which the object changes, in order, starting with 0."""
        ends = {offset for each in self.node_tasks for offset in (each.begin, each.end) if offset <= self.last_change}
        ticks = (_to_millis(self.last_change * tick / 200) for tick in range(1, 200)) if self.smooth else ()
        changes, last_percent = {0.0, self.last_change, *ends}, 0
        for offset in ticks:
            if (percent := _progress(self, offset)) != last_percent:
                changes, last_percent = changes | {offset}, percent
        return tuple(sorted(changes))

    def latest_change(self, now: float) -> float:
        """Return the offset of the last change until now; the object depends on it alone. It is -1 before the start."""
        offset = _to_millis(now - self.started_at)
        if offset >= self.last_change:
            return self.last_change
        return self.changes[bisect_right(self.changes, offset) - 1] if offset >= 0 else -1.0


def plan_upload(
    spec: UploadSpec, base: Json, *, nodes: tuple[str, ...], started_at: float, rng: SeededRandom
) -> UploadPlan:
    """Plan an upload to these nodes; the first is the leader."""
    node_tasks = tuple(_node_tasks(spec.duration, nodes, rng))
    if spec.outcome == "completed":
        end = max(each.end for each in node_tasks)
        return UploadPlan(base, started_at, spec.outcome, node_tasks, end, smooth=spec.smooth)
    failure = rng.choice(FAILURES)
    failure = replace(failure, task=spec.failing_task) if spec.failing_task else failure
    planned = _failing_node_task(node_tasks, failure, nodes[spec.failing_node])
    last_change = max(each.end for each in node_tasks if each.task == planned.task)
    if spec.outcome == "stalled":
        changed, reason = replace(planned, end=inf, status=PENDING), ""
    else:
        changed = replace(planned, end=last_change, status=failure.status, message=failure.message)
        reason = f"{failure.task} failed on {changed.node}: {failure.message}"
    node_tasks = tuple(changed if each is planned else each for each in node_tasks)
    return UploadPlan(base, started_at, spec.outcome, node_tasks, last_change, reason, spec.smooth)


def _node_tasks(duration: float, nodes: tuple[str, ...], rng: SeededRandom) -> Iterator[NodeTask]:
    start = 0.02 * duration
    for index, task in enumerate(TASKS):
        length = task.share * duration
        followers = nodes[1:] or nodes  # a cluster of one node replicates to itself
        workers = {"leader": nodes[:1], "followers": followers, "all": nodes}[task.nodes]
        for worker, node in enumerate(workers):
            begin = _to_millis(start + length * rng.uniform(0.01, 0.10))
            early = 0.0 if worker == len(workers) - 1 else rng.uniform(0.02, 0.30)  # the last one ends the task
            end = _to_millis(start + length * (1 - early))
            yield NodeTask(index, node, begin, end, end)
        start += length


def _failing_node_task(node_tasks: tuple[NodeTask, ...], failure: Failure, node: str) -> NodeTask:
    """Return the failing task on this node; on the last node that does it, where this one does not."""
    candidates = [each for each in node_tasks if TASKS[each.task].name == failure.task]
    return next((each for each in candidates if each.node == node), candidates[-1])


def render_image(plan: UploadPlan, offset: float) -> Json:
    """
    Return the Image at one offset of ``plan.changes``.

    Shape: Avi API object Image, with ``status`` (until 22.1.1) and ``img_state`` (since 21.1.3). Fields without a value
    are absent, not null. Times are UTC, ``YYYY-MM-DD HH:MM:SS``.
    """
    state, since = _state(plan, offset)
    ended = state in {"IMAGE_FSM_COMPLETED", "IMAGE_FSM_FAILED"}
    secs, usecs = divmod(to_microseconds(plan.started_at + since), 1_000_000)
    changed_at = {"secs": secs, "usecs": usecs}
    begun = sorted({each.task for each in plan.node_tasks if each.begin <= offset})
    image = {
        **plan.base,
        "_last_modified": str(to_microseconds(plan.started_at + offset)),
        "status": _legacy_status(plan, state),
        "img_state": {"state": state, "reason": plan.reason if ended else "", "last_changed_time": changed_at},
        "progress": 100 if state == "IMAGE_FSM_COMPLETED" else min(99, _progress(plan, offset)),
        "total_tasks": len(TASKS),
        "tasks_completed": len(_completed_tasks(plan, offset)),
        "start_time": format_time(plan.started_at),
        "events": [_task_events(plan, index, offset) for index in begun],
    }
    return {**image, "end_time": format_time(plan.started_at + offset), "duration": round(offset)} if ended else image


def _state(plan: UploadPlan, offset: float) -> tuple[str, float]:
    """Return the state, and the offset at which it began."""
    first = min(each.begin for each in plan.node_tasks)
    if offset < first:
        return "IMAGE_FSM_STARTED", 0.0
    if offset >= plan.last_change and plan.outcome != "stalled":
        return ("IMAGE_FSM_FAILED" if plan.outcome == "failed" else "IMAGE_FSM_COMPLETED"), plan.last_change
    return "IMAGE_FSM_IN_PROGRESS", first


def _legacy_status(plan: UploadPlan, state: str) -> str:
    failed = next((each.status for each in plan.node_tasks if each.message), "SYSERR_FAILURE")
    return {"IMAGE_FSM_COMPLETED": SUCCESS, "IMAGE_FSM_FAILED": failed}.get(state, PENDING)


def _progress(plan: UploadPlan, offset: float) -> int:
    """Return the percentage of planned work, rounded down; a failed or stalled task counts until its planned end."""
    if not plan.smooth:
        return 100 * len(_completed_tasks(plan, offset)) // len(TASKS)
    total = sum(each.planned_end - each.begin for each in plan.node_tasks)
    done = sum(max(0.0, min(offset, each.planned_end) - each.begin) for each in plan.node_tasks)
    return int(100 * done / total) if total else 0


def _completed_tasks(plan: UploadPlan, offset: float) -> list[int]:
    unfinished = {each.task for each in plan.node_tasks if each.end > offset or each.status != SUCCESS}
    return [index for index in range(len(TASKS)) if index not in unfinished]


def _task_events(plan: UploadPlan, index: int, offset: float) -> Json:
    node_tasks = [each for each in plan.node_tasks if each.task == index]
    nodes_events = [_event(plan, each, offset) for each in node_tasks]
    steps = [_event(plan, step, offset) for step in _steps(node_tasks[0], TASKS[index].steps) if step.begin <= offset]
    events: Json = {"task_name": TASKS[index].name, "nodes_events": nodes_events}
    return {**events, "sub_events": steps} if steps else events


def _steps(node_task: NodeTask, names: tuple[str, ...]) -> Iterator[NodeTask]:
    """Divide a task of the leader into steps, one after the other; the last one ends as the task does."""
    length = (node_task.planned_end - node_task.begin) / max(1, len(names))
    for index, name in enumerate(names[:-1]):
        begin, end = node_task.begin + index * length, node_task.begin + (index + 1) * length
        yield NodeTask(node_task.task, node_task.node, begin, end, end, SUCCESS, name)
    for name in names[-1:]:
        yield replace(node_task, begin=node_task.planned_end - length, message=node_task.message or name)


def _event(plan: UploadPlan, node_task: NodeTask, offset: float) -> Json:
    event: Json = {"ip": {"addr": node_task.node, "type": "V4"}}
    if node_task.begin > offset:
        return event  # not begun: no times and no status
    event["start_time"] = format_time(plan.started_at + node_task.begin)
    if node_task.end > offset:
        return {**event, "status": PENDING}
    ended = {
        "end_time": format_time(plan.started_at + node_task.end),
        "duration": round(node_task.end - node_task.begin),
    }
    event = {**event, **ended, "status": node_task.status, "sub_tasks": list(TASKS[node_task.task].steps)}
    return {**event, "message": node_task.message} if node_task.message else event


def _to_millis(offset: float) -> float:
    """Round to milliseconds: a float that counts seconds since 1970 does not hold finer differences."""
    return round(offset, 3)


def to_microseconds(time: float) -> int:
    """Convert seconds to whole microseconds."""
    return round(time * 1_000_000)


@lru_cache(maxsize=4096)  # the same times are in each response
def format_time(time: float) -> str:
    """Format seconds since the epoch as a Controller does, in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")
