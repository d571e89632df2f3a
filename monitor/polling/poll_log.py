"""
The log events of polls and objects.

At warning: a controller that goes down, is suspended or is up again, an object that failed, and one that cannot be
decoded. At info: other changes of objects, and a controller that goes down because it is being upgraded. At debug: each
poll, and objects that moved or were edited.
"""

from collections.abc import Mapping
from typing import assert_never

from structlog.typing import FilteringBoundLogger

from monitor.model.health import SessionHealth
from monitor.model.snapshot import Altered, Appeared, Change, Vanished
from monitor.model.tracked import Tracked


def poll(
    log: FilteringBoundLogger,
    before: SessionHealth,
    after: SessionHealth,
    *,
    took_s: float,
    late_s: float,
    last_success_at: float | None,
) -> None:
    """Log the end of a poll. A change of health is a warning; a new reason of a failure that lasts is at info."""
    outcome = after.reason or "good"
    log.debug(
        "poll", outcome=outcome, took_s=round(took_s, 4), late_s=round(late_s, 4), next_in_s=round(after.interval_s, 1)
    )
    if after.up and not before.up:
        log.warning("controller_up", version=after.version, api_version=after.api_version)
    elif after.reason and after.reason != before.reason:
        was_good = before.up or before.upgrading or before.reason is None
        write = log.warning if (was_good or after.auth_suspended) and not after.upgrading else log.info
        event = "controller_auth_suspended" if after.auth_suspended else "controller_down"
        write(event, reason=after.reason, cause=after.cause, last_success_at=last_success_at)


def objects(log: FilteringBoundLogger, resource: str, changes: tuple[Change, ...], *, first: bool) -> None:
    """Log the changes that a read found: one event for each object, but one for all objects of the first read."""
    if first and changes:
        active = sum(isinstance(change, Appeared) and change.after.active for change in changes)
        log.info("objects_listed", resource=resource, objects=len(changes), active=active)
        return
    for change in changes:
        match change:
            case Appeared(after):
                log.info("object_appeared", **_facts(resource, after))
            case Vanished(before):
                log.info("object_vanished", **_facts(resource, before))
            case Altered(before, after, moved) if after.state == before.state:
                log.debug("object_moved" if moved else "object_edited", **_facts(resource, after))
            case Altered(_, after) if after.state == "failed":
                log.warning("object_failed", cause=after.reason, **_facts(resource, after))
            case Altered(before, after):
                log.info("object_state_changed", before=before.state, **_facts(resource, after))
            case _:
                assert_never(change)


def _facts(resource: str, tracked: Tracked) -> Mapping[str, object]:
    return {
        "resource": resource,
        "uuid": tracked.uuid,
        "name": tracked.name,
        "state": tracked.state,
        "progress_ratio": tracked.progress_ratio,
        "tasks_completed": tracked.tasks_completed,
    }


def bad_objects(log: FilteringBoundLogger, resource: str, undecodable: Mapping[str, str], *, unidentified: int) -> None:
    """Log objects that could not be decoded, and objects without uuid. Call it once for each, when it is first seen."""
    for uuid, cause in undecodable.items():
        log.warning("bad_object", resource=resource, uuid=uuid, cause=cause)
    if unidentified:
        log.warning("bad_object", resource=resource, uuid="", cause="neither `uuid` nor `url`", objects=unidentified)
