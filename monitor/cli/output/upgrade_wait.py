"""
What was seen of the upgrade of one controller since a wait for it began. Pure.

What was done before the wait began is not what is waited for: an operation has to be under way, or to begin. It is told
from what was there before by its key.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from monitor.cli.api.stream_objects import StreamUnit, UpgradeStatus
from monitor.cli.api.view import ControllerView
from monitor.patching.body import is_version

UpgradeGoal: TypeAlias = Literal["checked", "controllers", "completed"]

BEGIN_WITHIN_S: Final = 600.0
ROLLBACKS: Final = frozenset({"rollback", "rollback_patch"})

_CLOCK_RESOLUTION_S: Final = 1.0  # some components of a Controller write whole seconds


class Wait(Struct, frozen=True, kw_only=True):
    """
    What is waited for. ``version``: the one wanted, such as ``31.2.2``; empty: whichever the operation leads to.

    ``begin_within_s``: within which an operation has to begin. ``strict``: warnings of pre-checks count as errors.
    ``through_suspended``: wait while units are suspended.
    """

    until: UpgradeGoal
    version: str = ""
    begin_within_s: float = BEGIN_WITHIN_S
    strict: bool = False
    through_suspended: bool = False


class Seen(Struct, frozen=True, kw_only=True):
    """
    What was seen of the controller since the wait began.

    ``keys``: the operation of each unit when it was first seen. ``begun``: the units of which an operation was under
    way, or began, since. ``operation``, ``target``: of the first of them; the target is a version, or empty.
    ``resting_since``: since when all of it could be read and none was under way, by the daemon's clock.
    """

    keys: Mapping[str, str] = {}
    begun: frozenset[str] = frozenset()
    operation: str = ""
    target: str = ""
    resting_since: float | None = None


class Scene(Struct, frozen=True):
    """
    The controller at one time, and what was seen of it until then.

    ``units``: the cluster and the groups, as far as they matter for the wait. ``tonight``: those of which the operation
    is the one that is waited for. ``engines``: all Service Engines. ``is_current``: whether the last poll succeeded.
    """

    wait: Wait
    seen: Seen
    upgrade: UpgradeStatus
    cluster: StreamUnit | None
    units: tuple[StreamUnit, ...]
    tonight: tuple[StreamUnit, ...]
    engines: tuple[StreamUnit, ...]
    is_current: bool

    @property
    def has_begun(self) -> bool:
        """Whether an operation has begun that may change something: pre-checks alone do not, once they are over."""
        return any(unit.state not in {"idle", "checked"} for unit in self.tonight)

    @property
    def at_work(self) -> bool:
        """Whether any unit is under way; what says an unknown word may be."""
        return any(unit.active or unit.state == "unknown" for unit in self.tonight)

    @property
    def wanted(self) -> str:
        """The version that is wanted; empty: any."""
        return self.wait.version or (self.seen.target if self.seen.operation not in ROLLBACKS else "")


def observe(wait: Wait, seen: Seen, controller: ControllerView, upgrade: UpgradeStatus, *, now: float) -> Scene:
    """Return the controller now, with what is seen by now. ``now``: by the daemon's clock."""
    units = _relevant_units(wait, controller)
    seen = _note_beginnings(wait, seen, units, upgrade)
    scene = Scene(
        wait,
        seen,
        upgrade,
        controller.cluster,
        units,
        tuple(_tonight(seen, units, controller.cluster)),
        tuple(received.object for received in controller.units.values() if received.object.kind == "se"),
        controller.units_are_current,
    )
    return replace(scene, seen=_note_rest(scene, now=now))


def _relevant_units(wait: Wait, controller: ControllerView) -> tuple[StreamUnit, ...]:
    """Return the cluster, and its groups unless only the Controllers are waited for."""
    cluster = (controller.cluster,) if controller.cluster else ()
    if wait.until == "controllers":
        return cluster
    found = (received.object for received in controller.units.values())
    return *cluster, *(unit for unit in found if unit.kind == "se_group")


def _note_beginnings(wait: Wait, seen: Seen, units: Iterable[StreamUnit], upgrade: UpgradeStatus) -> Seen:
    # A unit that rests, but not from the beginning, had an operation: its key may be told later, and is no new one.
    known = {unit.uuid: unit.operation_key for unit in units if unit.operation_key or unit.state == "idle"}
    keys = known | dict(seen.keys)
    begun = [
        unit
        for unit in units
        if unit.uuid in seen.begun
        or unit.active
        or (unit.state == "suspended" and wait.until != "checked")  # its pre-checks may be of long ago
        or unit.operation_key not in {"", keys.get(unit.uuid, "")}
    ]
    uuids = seen.begun | {unit.uuid for unit in begun}
    operation = seen.operation or next((unit.operation.removeprefix("eval_") for unit in begun), "")
    target = upgrade.to_version.partition("-")[0]
    is_target = is_version(target) and any(unit.uuid == upgrade.cluster and unit.active for unit in begun)
    rests_since = seen.resting_since if uuids == seen.begun else None
    return Seen(
        keys=keys,
        begun=uuids,
        operation=operation,
        target=target if is_target else seen.target,
        resting_since=rests_since,
    )


def _tonight(seen: Seen, units: Iterable[StreamUnit], cluster: StreamUnit | None) -> Iterator[StreamUnit]:
    """
    Yield the units that have begun; with the cluster also the groups that had followed it before the wait began.

    While the cluster waits or is checked, its times may still be those of the operation before.
    """
    has_time = cluster and cluster.uuid in seen.begun and cluster.state not in {"queued", "checking", "checked"}
    began = _began(cluster) if cluster and has_time else None
    for unit in units:
        own = _began(unit)
        if unit.uuid in seen.begun or (began and own and own > began - _CLOCK_RESOLUTION_S):
            yield unit


def _began(unit: StreamUnit) -> float | None:
    return max((at for at in (unit.enqueued_at, unit.started_at) if at is not None), default=None)


def _note_rest(scene: Scene, *, now: float) -> Seen:
    suspended = any(unit.state == "suspended" for unit in scene.tonight)
    rests = scene.is_current and not scene.at_work and not suspended
    since = scene.seen.resting_since if scene.seen.resting_since is not None else now
    return replace(scene.seen, resting_since=since if rests else None)
