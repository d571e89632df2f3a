"""
Units, and the upgrade of a whole controller, as ``/api/events`` sends them. Pure.

Times are Unix seconds; null means not known. A Service Engine has the same members as a group, most of them null.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from monitor.model.tracked import Eta, Standing, TrackedObject, is_acknowledged
from monitor.model.upgrade import (
    ENGINE_STATES,
    Checks,
    Engines,
    UnitKind,
    Upgrade,
    UpgradePhase,
    UpgradeProgress,
    UpgradeState,
)
from monitor.polling.fleet import Entry
from monitor.polling.standing import RANKS
from monitor.polling.upgrade import stalled_after_s, target_of


class EngineCounts(Struct, frozen=True, kw_only=True, gc=False):
    """How many Service Engines of a group are in each state. ``expected``: how many there are."""

    completed: int
    failed: int
    in_progress: int
    not_started: int
    suspended: int
    skipped: int
    expected: int | None


class OldestEngine(Struct, frozen=True, kw_only=True, gc=False):
    """The Service Engine of a group that is longest in progress, and since when, by the daemon's clock."""

    uuid: str
    since: float


class VirtualServiceCounts(Struct, frozen=True, kw_only=True, gc=False):
    """How many virtual services a group has, and how many the operation has disrupted."""

    all: int | None
    disrupted: int | None


class CheckCounts(Struct, frozen=True, kw_only=True, gc=False):
    """The pre-checks of an operation: how many there are, are done, gave a warning, and gave an error."""

    state: UpgradeState
    checks: int | None
    completed: int | None
    warnings: int
    errors: int


class UnitStatus(Struct, frozen=True, kw_only=True, gc=False):
    """
    One unit, and what it does or did last.

    ``enqueued_at``, ``started_at``, ``ended_at`` and ``duration_seconds`` are by the Controller's clock.
    """

    uuid: str
    kind: UnitKind
    name: str
    cloud: str
    tenant: str
    version: Annotated[str, Meta(description="As `31.2.2`.")]
    tag: Annotated[str, Meta(description="The whole build.")]
    patch: str
    previous_version: str
    target: Annotated[str, Meta(description="The name of the image that it is upgraded to at present, or empty.")]
    operation: Annotated[str, Meta(description="What it does or did last; `eval_` before it: only checks.")]
    system: bool
    state: UpgradeState
    fsm: Annotated[str, Meta(description="The Controller's own word for the state.")]
    reason: str
    standing: Annotated[Standing, Meta(description="What it means to an operator, as the daemon decides.")]
    standing_rank: Annotated[int, Meta(description="The place of its standing in the order of display; 0 comes first.")]
    progress_ratio: float | None
    tasks: int | None
    tasks_completed: int | None
    engines: Annotated[EngineCounts | None, Meta(description="Of a group; null while the Controller lists none.")]
    oldest_engine: OldestEngine | None
    virtual_services: VirtualServiceCounts | None
    checks: CheckCounts | None
    enqueued_at: float | None
    started_at: float | None
    ended_at: float | None
    duration_seconds: float | None
    changed_at: Annotated[float, Meta(description="When anything of the operation moved last.")]
    first_seen_at: float
    stalled_after_seconds: Annotated[float, Meta(description="After how long without a move it has stalled.")]
    eta: Eta | None
    image_uuids: Annotated[Mapping[str, str], Meta(description="The image that it refers to, by role.")]
    acknowledged: bool
    annotations: Mapping[str, str]
    operation_key: Annotated[str, Meta(description="Another one for each operation; empty before the first.")]


class UpgradeStatus(Struct, frozen=True, kw_only=True, gc=False):
    """
    What the units of one controller amount to. Of a controller that is not watched any more, nothing is known.

    ``readable``: whether the Controller lets the daemon read them. ``done``: null while nothing was ever done.
    ``left_behind``: how many of a kind took part, and are not at the cluster's version, or have failed. ``cluster``:
    the uuid of the one whose upgrade this is; empty: there is none. ``operation``: what it does or did last.
    ``away_since``: when the first poll failed, because the Controllers are gone for their upgrade. ``held_until``:
    until when objects are shown meanwhile. Both by the daemon's clock; null: the Controllers are not away.
    """

    readable: bool | None = None
    phase: UpgradePhase | None = None
    done: bool | None = None
    left_behind: Mapping[UnitKind, int] = {}
    cluster: str = ""
    operation: str = ""
    from_version: str = ""
    to_version: str = ""
    eta: Annotated[Eta | None, Meta(description="When the upgrade of the whole controller will end.")] = None
    away_since: float | None = None
    held_until: float | None = None


def describe_unit(tracked: TrackedObject[Upgrade]) -> UnitStatus:
    """Return the status of one unit."""
    unit, mark, target = tracked.object, tracked.mark, target_of(tracked.object)
    return UnitStatus(
        uuid=unit.uuid,
        kind=unit.kind,
        name=unit.name,
        cloud=unit.cloud,
        tenant=unit.tenant,
        version=unit.version.version,
        tag=unit.version.tag,
        patch=unit.version.patch,
        previous_version=unit.previous.version,
        target=target.name if target else "",
        operation=unit.operation_label,
        system=unit.system,
        state=unit.state,
        fsm=unit.fsm,
        reason=unit.reason,
        standing=tracked.standing,
        standing_rank=RANKS[tracked.standing],
        progress_ratio=unit.progress_ratio,
        tasks=unit.tasks,
        tasks_completed=unit.tasks_completed,
        engines=_engines(unit.engines) if unit.engines else None,
        oldest_engine=_oldest_engine(tracked),
        virtual_services=_virtual_services(unit.engines) if unit.engines else None,
        checks=_checks(unit.checks) if unit.checks else None,
        enqueued_at=unit.enqueued_at,
        started_at=unit.started_at,
        ended_at=unit.ended_at,
        duration_seconds=unit.duration_s,
        changed_at=mark.changed_at,
        first_seen_at=mark.first_seen_at,
        stalled_after_seconds=stalled_after_s(unit),
        eta=tracked.progress.forecast if tracked.progress else None,
        image_uuids={image.role: image.uuid for image in reversed(unit.images)},  # the first of a role
        acknowledged=is_acknowledged(tracked.annotations),
        annotations=tracked.annotations,
        operation_key=mark.operation.key if mark.operation else "",
    )


def _engines(engines: Engines) -> EngineCounts | None:
    counts = {state: len(getattr(engines, state)) for state in ENGINE_STATES}
    return EngineCounts(**counts, expected=engines.expected) if engines.listed else None


def _oldest_engine(tracked: TrackedObject[Upgrade]) -> OldestEngine | None:
    progress = tracked.progress
    times = progress.engines.since if isinstance(progress, UpgradeProgress) else {}
    since, uuid = min(((since, uuid) for uuid, since in times.items()), default=(0.0, ""))
    return OldestEngine(uuid=uuid, since=since) if uuid else None


def _virtual_services(engines: Engines) -> VirtualServiceCounts | None:
    counts = engines.virtual_services, engines.virtual_services_disrupted
    return None if counts == (None, None) else VirtualServiceCounts(all=counts[0], disrupted=counts[1])


def _checks(checks: Checks) -> CheckCounts:
    results = Counter(check.result for check in checks.exceptions)
    return CheckCounts(
        state=checks.state,
        checks=checks.checks,
        completed=checks.checks_completed,
        warnings=results["warning"],
        errors=results["error"],
    )


def describe_upgrade(entry: Entry) -> UpgradeStatus | None:
    """Return what the units of a controller amount to; None where they are not watched."""
    overview, session = entry.overview, entry.session
    if overview is None:
        return None
    held = session.away and not entry.collections["upgrade"].health.stale
    return UpgradeStatus(
        readable=overview.readable,
        phase=overview.phase,
        done=overview.done,
        left_behind=overview.left_behind,
        cluster=overview.cluster,
        operation=overview.operation,
        from_version=overview.from_version,
        to_version=overview.to_version,
        eta=overview.eta,
        away_since=session.failing_since if session.away else None,
        held_until=session.held_until if held else None,
    )
