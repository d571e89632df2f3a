"""
Decode one UpgradeStatusInfo or UpgradeStatusSummary of a Controller. Pure.

Tolerant by design, as `monitor.avi.image`: unknown enum values are kept and counted, empty texts are absent, and an
object that cannot be decoded raises :class:`BadObject` without affecting others.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

import msgspec

from monitor.avi import upgrade_wire as wire
from monitor.avi.objects import MESSAGE_LENGTH, decode_object, merge_events, merge_spans
from monitor.avi.paging import uuid_of
from monitor.avi.upgrade_enums import EVALUATION_STATES, KINDS, OPERATIONS, PREFIXES, RESULTS, STATES, TASKS
from monitor.avi.values import (
    clip,
    last_segment,
    parse_code,
    parse_duration,
    parse_microseconds,
    parse_progress,
    parse_tasks,
    parse_time,
    parse_timestamp,
)
from monitor.avi.wire import Number, Status
from monitor.model.errors import BadObject
from monitor.model.tracked import Event, EventState
from monitor.model.upgrade import (
    ENGINE_STATES,
    Check,
    Checks,
    DryRun,
    Engines,
    ImageRef,
    ImageRole,
    OperationName,
    UnitKind,
    Upgrade,
    UpgradeState,
    Version,
)

T = TypeVar("T")

UPGRADE_UNKNOWN_FIELDS: Final = (
    "node_type", "upgrade_state", "upgrade_ops", "task", "event_status", "progress", "tasks", "duration", "time",
    "events",
)  # fmt: skip
"""As `monitor.avi.image.UNKNOWN_FIELDS`, of upgrade status."""

_MAX_NOTES = 20  # the last ones; a group writes some for each Service Engine
_DURATION: Final = re.compile(r"(?:(\d{1,6}):(\d\d):(\d\d)|(\d{1,9}) ?sec(?:onds?|s)?)(?:\.\d+)?\Z")

_whole: Final[msgspec.json.Decoder[wire.UpgradeAlone]] = msgspec.json.Decoder(wire.Upgrade)
_alone: Final = msgspec.json.Decoder(wire.UpgradeAlone)


def decode_upgrade(raw: msgspec.Raw) -> tuple[Upgrade, tuple[str, ...]]:
    """
    Decode one object of either kind, and name the fields with unknown values (of UPGRADE_UNKNOWN_FIELDS).

    Units: as `monitor.avi.image.decode_image`. Progress is not read in the state ``idle``, where it means nothing.
    Raises: BadObject naming the JSON path of the first wrong value.
    """
    unknown: list[str] = []
    fields = decode_object(raw, _whole, _alone, unknown)
    uuid = uuid_of(fields)
    if not uuid:
        raise BadObject("neither `uuid` nor `url` - at `$`")
    group = fields.seg_status or wire.GroupStatus()
    operation, evaluation = _operation(fields.upgrade_ops or "", unknown)
    status = _status(fields.state)
    state = _state(status.state, unknown, evaluation=evaluation or operation == "dry_run")
    upgrade = Upgrade(
        uuid=uuid,
        kind=_kind(fields.node_type or "", uuid, unknown),
        name=clip(fields.name or ""),
        tenant=clip(last_segment(fields.tenant_ref or "")),
        cloud=clip(last_segment(fields.obj_cloud_ref or "")),
        state=state,
        fsm=parse_code(status.state or ""),
        reason=clip(fields.reason or status.reason or _joined(group.reason)),
        operation=operation,
        evaluation=evaluation,
        system=bool(fields.system),
        version=_version(fields.version, fields.patch_version, fields.patch_list),
        previous=_version(fields.previous_version, fields.previous_patch_version, fields.previous_patch_list),
        progress_ratio=None if state == "idle" else _progress(fields.progress, group.progress, unknown),
        tasks=parse_tasks(fields.total_tasks, unknown),
        tasks_completed=parse_tasks(fields.tasks_completed, unknown),
        state_changed_at=parse_timestamp(status.last_changed_time, unknown),
        enqueued_at=parse_time(fields.enqueue_time or group.enqueue_time, unknown),
        started_at=parse_time(fields.start_time or group.start_time, unknown),
        ended_at=parse_time(fields.end_time or group.end_time, unknown),
        last_modified_at=parse_microseconds(fields.last_modified, unknown),
        duration_s=_duration(fields.duration, group.duration, unknown),
        rollback_possible=fields.enable_rollback,
        patch_rollback_possible=fields.enable_patch_rollback,
        images=_images(fields, in_use=state in Upgrade.ACTIVE_STATES or state == "suspended"),
        engines=_engines(group, unknown) if fields.seg_status else None,
        checks=_checks(fields.upgrade_readiness, unknown) if fields.upgrade_readiness else None,
        dry_run=_dry_run(fields.dryrun_info, unknown) if fields.dryrun_info else None,
        notes=tuple(map(clip, (group.notes or [])[-_MAX_NOTES:])),
        events=merge_events(_events(fields, unknown)),
    )
    return upgrade, tuple(unknown)


def decode_spans(raw: msgspec.Raw) -> Upgrade:
    """
    Return a unit with what each node did for each task, from the first start to the last end of all its events.

    Raises: BadObject, as `decode_upgrade`.
    """
    upgrade, _ = decode_upgrade(raw)
    fields = decode_object(raw, _whole, _alone, [])
    return msgspec.structs.replace(upgrade, events=merge_spans(_events(fields, [])))


def _kind(node_type: str, uuid: str, unknown: list[str]) -> UnitKind:
    if node_type and node_type not in KINDS:
        unknown.append("node_type")
    prefix = uuid.partition("-")[0]
    return KINDS.get(node_type) or PREFIXES.get(prefix, "unknown")


def _operation(value: str, unknown: list[str]) -> tuple[OperationName, bool]:
    """Return the operation, and whether it is an evaluation."""
    name = value.removeprefix("EVAL_")
    if value and name not in OPERATIONS:
        unknown.append("upgrade_ops")
    return OPERATIONS.get(name, "unknown" if value else ""), name != value


def _status(state: wire.State) -> Status:
    return Status(state=state) if isinstance(state, str) else state or Status()


def _state(value: str | None, unknown: list[str], *, evaluation: bool) -> UpgradeState:
    if not value:
        return "idle"
    if value not in STATES:
        unknown.append("upgrade_state")
    return (EVALUATION_STATES if evaluation else STATES).get(value, "unknown")


def _version(tag: str | None, patch: str | None, patches: Iterable[wire.Patch] | None) -> Version:
    """``patches``: in the order in which they were applied."""
    listed = [each.patch_version for each in patches or () if each.patch_version]
    return Version(clip(tag or ""), clip(patch or (listed[-1] if listed else "")))


def _progress(percent: Number, of_group: Number, unknown: list[str]) -> float | None:
    return parse_progress(of_group if percent in {None, ""} else percent, unknown)


def _duration(seconds: Number, of_group: Number, unknown: list[str]) -> float | None:
    """The form of a group's duration is not known: seconds, ``H:MM:SS`` and ``N sec`` are read."""
    duration = of_group if seconds in {None, ""} else seconds
    match = _DURATION.match(duration) if isinstance(duration, str) else None
    if match is None:
        return parse_duration(duration, unknown)
    hours, minutes, rest, whole = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + rest + whole)


def _images(fields: wire.UpgradeAlone, *, in_use: bool) -> tuple[ImageRef, ...]:
    """Return each image once in a role, with its name if one of the references has it."""
    found: dict[tuple[str, ImageRole], ImageRef] = {}
    for ref in _all_refs(fields, in_use=in_use):
        key = ref.uuid, ref.role
        found[key] = found[key] if key in found and found[key].name else ref
    return tuple(found.values())


def _all_refs(fields: wire.UpgradeAlone, *, in_use: bool) -> Iterator[ImageRef]:
    """What a running operation refers to stays in the object after its end, and means nothing then: ``in_use``."""
    yield from _refs("current", fields.image_ref)
    if in_use:
        params = [each for each in (fields.params, fields.seg_params) if each]
        yield from _refs("target", *(each.image_ref for each in params), *(each.patch_ref for each in params))
        if fields.upgrade_readiness:
            yield from _refs("target", fields.upgrade_readiness.image_ref, fields.upgrade_readiness.patch_image_ref)
    yield from _refs("previous", fields.previous_image_ref)
    patches = (each.patch_image_ref for each in fields.patch_list or ())
    yield from _refs("patch", fields.patch_image_ref, fields.se_patch_image_ref, *patches)
    patches = (each.patch_image_ref for each in fields.previous_patch_list or ())
    yield from _refs("previous_patch", fields.previous_patch_image_ref, *patches)


def _refs(role: ImageRole, *refs: str | None) -> Iterator[ImageRef]:
    for ref in refs:
        uuid = _uuid_in(ref or "")
        if uuid:
            yield ImageRef(uuid, role, clip((ref or "").partition("#")[2]))


def _uuid_in(ref: str) -> str:
    """Return the uuid that a reference ends with; empty for one by name: ``/api/image/?name=…``."""
    uuid = last_segment(ref.partition("#")[0])
    return "" if uuid.startswith("?") else clip(uuid)


def _engines(group: wire.GroupStatus, unknown: list[str]) -> Engines:
    told = {
        "completed": group.se_upgrade_completed,
        "failed": group.se_upgrade_failed,
        "in_progress": group.se_upgrade_in_progress,
        "not_started": group.se_upgrade_not_started,
        "suspended": group.se_upgrade_suspended,
        "skipped": group.se_upgrade_skip_suspended,
    }
    at_start = {
        "already_upgraded": group.se_already_upgraded_at_start,
        "disconnected": group.se_disconnected_at_start,
        "powered_off": group.se_poweredoff_at_start,
        "ip_missing": group.se_ip_missing_at_start,
    }
    lists = {state: tuple(dict.fromkeys(filter(None, map(_uuid_in, told[state] or ())))) for state in ENGINE_STATES}
    listed = any(refs is not None for refs in (*told.values(), *at_start.values()))
    return Engines(
        **lists,
        at_start={condition: len(set(refs or ())) for condition, refs in at_start.items()} if listed else {},
        listed=listed,
        expected=parse_tasks(group.num_se, unknown),
        virtual_services=parse_tasks(group.num_vs, unknown),
        virtual_services_disrupted=parse_tasks(group.num_vs_disrupted, unknown),
        rebooting=_uuid_in(group.se_reboot_in_progress_ref or ""),
        errors=len(group.se_upgrade_errors or ()),
    )


def _checks(readiness: wire.Readiness, unknown: list[str]) -> Checks:
    return Checks(
        state=_state(_status(readiness.state).state, unknown, evaluation=True),
        image_uuid=_uuid_in(readiness.image_ref or "") or _uuid_in(readiness.patch_image_ref or ""),
        checks=parse_tasks(readiness.total_checks, unknown),
        checks_completed=parse_tasks(readiness.checks_completed, unknown),
        started_at=parse_time(readiness.start_time, unknown),
        ended_at=parse_time(readiness.end_time, unknown),
        exceptions=tuple(map(_check, readiness.checks or ())),
    )


def _check(check: wire.Check) -> Check:
    return Check(
        parse_code(check.check_code or "") or "other",
        RESULTS.get(_status(check.state).state or "", "other"),
        (check.description or "")[:MESSAGE_LENGTH],
        tuple(text[:MESSAGE_LENGTH] for text in (*(check.details or ()), *(check.error_details or ()))),
    )


def _dry_run(dry_run: wire.DryRunInfo, unknown: list[str]) -> DryRun:
    state = _state(_status(dry_run.state).state, unknown, evaluation=False)
    progress = None if state == "idle" else parse_progress(dry_run.progress, unknown)
    return DryRun(state=state, progress_ratio=progress, worker=clip(dry_run.worker or ""))


def _joined(reason: list[str] | str | None) -> str:
    return "; ".join(filter(None, reason)) if isinstance(reason, list) else reason or ""


def _events(upgrade: wire.UpgradeAlone, unknown: list[str]) -> Iterator[Event]:
    maps = upgrade.upgrade_events if isinstance(upgrade, wire.Upgrade) else None
    for task in maps or ():
        if task.task and not task.task_name and task.task not in TASKS:
            unknown.append("task")
        name = clip(task.task_name or task.task or "unknown")
        for fields in (*(task.nodes_events or ()), *(task.sub_events or ())):
            yield _event(name, fields, unknown)


def _event(task: str, fields: wire.UpgradeEvent, unknown: list[str]) -> Event:
    return Event(
        task,
        clip((fields.ip and fields.ip.addr) or "unknown"),
        _event_state(fields, unknown),
        "",
        parse_time(fields.start_time, unknown),
        parse_time(fields.end_time, unknown),
        parse_duration(fields.duration, unknown),
        (fields.message or "")[:MESSAGE_LENGTH],
    )


def _event_state(fields: wire.UpgradeEvent, unknown: list[str]) -> EventState:
    """Return the state; without a ``status``, and while it is false, the times tell it."""
    succeeded = {"true": True, "false": False}.get(str(fields.status).lower())
    if succeeded is None and (fields.status or fields.end_time):
        unknown.append("event_status")
    if succeeded:
        return "succeeded"
    if fields.end_time:
        return "succeeded" if succeeded is None else "failed"
    return "running" if fields.start_time else "pending"
