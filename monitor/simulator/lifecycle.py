"""
The life of one upload, as a pure function of (plan, simulated time).

A plan is tasks × nodes with offsets and an outcome. Nothing runs in the background: whoever asks twice between two
changes gets the same object, byte for byte, and whoever asks late gets what would have happened. Nobody has published
the events of a real upload; names and order of the tasks are invented, their shape is the vendor's.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from math import inf
from typing import Literal

from monitor.simulator.http_types import Json
from monitor.simulator.random_values import Seeded
from monitor.simulator.specs import Outcome, UploadSpec

SUCCESS = "SYSERR_SUCCESS"
PENDING = "SYSERR_PENDING"


@dataclass(frozen=True)
class Task:
    """A step of every upload: how much of the time it takes, on which nodes, and the finer steps on the leader."""

    name: str
    share: float
    where: Literal["leader", "followers", "everywhere"]
    steps: tuple[str, ...] = ()


TASKS = (
    Task("Validate package", 0.10, "everywhere"),
    Task("Extract package", 0.28, "everywhere", ("controller package", "service engine package", "migration scripts")),
    Task("Read metadata", 0.05, "leader"),
    Task("Copy to repository", 0.20, "everywhere"),
    Task("Replicate to followers", 0.30, "followers"),
    Task("Finalize", 0.05, "everywhere"),
)  # the shares leave 0.02 at the start, in which the upload is accepted and no task runs yet


@dataclass(frozen=True)
class Trouble:
    """How an upload fails on one node: in which task, under which status, in which words."""

    task: str
    status: str
    message: str


TROUBLES = (
    Trouble("Validate package", "SYSERR_MC_IMAGE_VALIDATION_ERR", "Signature of the package could not be verified"),
    Trouble(
        "Copy to repository", "SYSERR_MC_DISK_INSUFFICIENT_ERR", "Insufficient disk space: 10 GB needed, 3 GB free"
    ),
)


@dataclass(frozen=True)
class Span:
    """What one node does for one task, in seconds after the start; ``end`` is infinite where it hangs for ever."""

    task: int
    node: str
    begin: float
    end: float
    planned_end: float
    status: str = SUCCESS
    message: str = ""


@dataclass(frozen=True)
class Plan:
    """One upload, from its first second to its last. ``halt`` is when nothing more happens, for whatever reason."""

    built: Json
    started: float
    outcome: Outcome
    spans: tuple[Span, ...]
    halt: float
    reason: str = ""
    smooth: bool = True

    @cached_property
    def changes(self) -> tuple[float, ...]:
        """Every offset at which the object changes, in order, the start first."""
        events = {moment for span in self.spans for moment in (span.begin, span.end) if moment <= self.halt}
        percents = (_millis(self.halt * tick / 200) for tick in range(1, 200)) if self.smooth else ()
        moved, last = {0.0, self.halt, *events}, 0
        for moment in percents:
            if (now := _progress(self, moment)) != last:
                moved, last = moved | {moment}, now
        return tuple(sorted(moved))

    def phase(self, now: float) -> float:
        """The offset of the last change; the object is a function of this alone. Negative before the start."""
        offset = _millis(now - self.started)
        if offset >= self.halt:
            return self.halt
        return self.changes[bisect_right(self.changes, offset) - 1] if offset >= 0 else -1.0


def planned(spec: UploadSpec, built: Json, *, nodes: tuple[str, ...], started: float, rng: Seeded) -> Plan:
    """Lay out an upload on these nodes, the leader first."""
    spans = tuple(_spans(spec.duration, nodes, rng))
    if spec.outcome == "completed":
        return Plan(built, started, spec.outcome, spans, max(span.end for span in spans), smooth=spec.smooth)
    trouble = _trouble(spec, rng)
    spoiled = _spoiled_span(spans, trouble, nodes[spec.failing_node])
    halt = max(span.end for span in spans if span.task == spoiled.task)
    stuck = spec.outcome == "stuck"
    bad = Span(
        spoiled.task, spoiled.node, spoiled.begin, inf if stuck else halt, spoiled.planned_end,
        PENDING if stuck else trouble.status, "" if stuck else trouble.message,
    )  # fmt: skip
    reason = "" if stuck else f"{trouble.task} failed on {bad.node}: {trouble.message}"
    spans = tuple(bad if span is spoiled else span for span in spans)
    return Plan(built, started, spec.outcome, spans, halt, reason, spec.smooth)


def _spans(duration: float, nodes: tuple[str, ...], rng: Seeded) -> Iterator[Span]:
    start = 0.02 * duration
    for index, task in enumerate(TASKS):
        length = task.share * duration
        workers = _workers(task, nodes)
        for place, node in enumerate(workers):
            begin = _millis(start + length * rng.between(0.01, 0.10))
            early = 0.0 if place == len(workers) - 1 else rng.between(0.02, 0.30)  # the last one ends the task
            end = _millis(start + length * (1 - early))
            yield Span(index, node, begin, end, end)
        start += length


def _workers(task: Task, nodes: tuple[str, ...]) -> tuple[str, ...]:
    followers = nodes[1:] or nodes  # a cluster of one replicates to itself
    return {"leader": nodes[:1], "followers": followers, "everywhere": nodes}[task.where]


def _trouble(spec: UploadSpec, rng: Seeded) -> Trouble:
    usual = rng.pick(TROUBLES)
    return Trouble(spec.failing_task, usual.status, usual.message) if spec.failing_task else usual


def _spoiled_span(spans: tuple[Span, ...], trouble: Trouble, node: str) -> Span:
    candidates = [span for span in spans if TASKS[span.task].name == trouble.task]
    return next((span for span in candidates if span.node == node), candidates[-1])


def rendered(plan: Plan, offset: float) -> Json:
    """
    The Image at one offset of ``plan.changes``.

    Shape: Avi API object Image, with ``status`` (gone since 22.1.1) beside ``img_state`` (there since 21.1.3).
    Unset fields are absent, not null. Times are UTC, ``YYYY-MM-DD HH:MM:SS``.
    """
    state, since = _state(plan, offset)
    ended = state in {"IMAGE_FSM_COMPLETED", "IMAGE_FSM_FAILED"}
    image = {
        **plan.built,
        "_last_modified": str(micros(plan.started + offset)),
        "status": _legacy_status(plan, state),
        "img_state": {"state": state, "reason": plan.reason if ended else "", "last_changed_time": _stamp(plan, since)},
        "progress": 100 if state == "IMAGE_FSM_COMPLETED" else min(99, _progress(plan, offset)),
        "total_tasks": len(TASKS),
        "tasks_completed": len(_completed_tasks(plan, offset)),
        "start_time": spoken(plan.started),
        "events": [_task_events(plan, index, offset) for index in _begun_tasks(plan, offset)],
    }
    return {**image, "end_time": spoken(plan.started + offset), "duration": round(offset)} if ended else image


def _state(plan: Plan, offset: float) -> tuple[str, float]:
    """The state, and the offset at which it was reached."""
    first = min(span.begin for span in plan.spans)
    if offset < first:
        return "IMAGE_FSM_STARTED", 0.0
    if offset >= plan.halt and plan.outcome != "stuck":
        return ("IMAGE_FSM_FAILED" if plan.outcome == "failed" else "IMAGE_FSM_COMPLETED"), plan.halt
    return "IMAGE_FSM_IN_PROGRESS", first


def _legacy_status(plan: Plan, state: str) -> str:
    failed = next((span.status for span in plan.spans if span.message), "SYSERR_FAILURE")
    return {"IMAGE_FSM_COMPLETED": SUCCESS, "IMAGE_FSM_FAILED": failed}.get(state, PENDING)


def _progress(plan: Plan, offset: float) -> int:
    """Percent of the planned work, rounded down; one that hangs or failed counts for the time it had."""
    if not plan.smooth:
        return 100 * len(_completed_tasks(plan, offset)) // len(TASKS)
    whole = sum(span.planned_end - span.begin for span in plan.spans)
    done = sum(max(0.0, min(offset, span.planned_end) - span.begin) for span in plan.spans)
    return int(100 * done / whole) if whole else 0


def _completed_tasks(plan: Plan, offset: float) -> list[int]:
    unfinished = {span.task for span in plan.spans if span.end > offset or span.status != SUCCESS}
    return [index for index in range(len(TASKS)) if index not in unfinished]


def _begun_tasks(plan: Plan, offset: float) -> list[int]:
    return sorted({span.task for span in plan.spans if span.begin <= offset})


def _task_events(plan: Plan, index: int, offset: float) -> Json:
    spans = [span for span in plan.spans if span.task == index]
    nodes_events = [_event(plan, span, offset) for span in spans]
    steps = [_event(plan, step, offset) for step in _steps(spans[0], TASKS[index].steps) if step.begin <= offset]
    told: Json = {"task_name": TASKS[index].name, "nodes_events": nodes_events}
    return {**told, "sub_events": steps} if steps else told


def _steps(span: Span, names: tuple[str, ...]) -> Iterator[Span]:
    """The leader's span cut into finer steps, one after the other; the last shares the fate of the whole."""
    length = (span.planned_end - span.begin) / max(1, len(names))
    for place, name in enumerate(names[:-1]):
        begin, end = span.begin + place * length, span.begin + (place + 1) * length
        yield Span(span.task, span.node, begin, end, end, SUCCESS, name)
    for name in names[-1:]:
        yield replace(span, begin=span.planned_end - length, message=span.message or name)


def _event(plan: Plan, span: Span, offset: float) -> Json:
    event: Json = {"ip": {"addr": span.node, "type": "V4"}}
    if span.begin > offset:
        return event  # waits for its turn: no times and no status
    event["start_time"] = spoken(plan.started + span.begin)
    if span.end > offset:
        return {**event, "status": PENDING}
    ended = {"end_time": spoken(plan.started + span.end), "duration": round(span.end - span.begin)}
    event = {**event, **ended, "status": span.status, "sub_tasks": list(TASKS[span.task].steps)}
    return {**event, "message": span.message} if span.message else event


def _stamp(plan: Plan, offset: float) -> Json:
    secs, usecs = divmod(micros(plan.started + offset), 1_000_000)
    return {"secs": secs, "usecs": usecs}


def _millis(offset: float) -> float:
    """To the millisecond: finer differences drown in a float that counts from 1970."""
    return round(offset, 3)


def micros(moment: float) -> int:
    """Seconds as whole microseconds."""
    return round(moment * 1_000_000)


def spoken(moment: float) -> str:
    """A moment as the Controller writes it, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")
