"""
What the units of one controller amount to: phase, whether the upgrade is done, who was left behind, images, versions.

Pure. The Controller's COMPLETED is of one unit, and says nothing of the Service Engines that failed, or of the groups
that stayed behind; `done` does. It is never true by mistake: what cannot be compared counts as not done.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from monitor.model.upgrade import (
    Engines,
    ImageRef,
    ImageRole,
    Overview,
    UnitKind,
    Upgrade,
    UpgradePhase,
    Version,
)

MAX_VERSIONS: Final = 20
"""Pairs of version and patch of one kind that are counted apart; the others are ``other``."""

_VERSION: Final = re.compile(r"[0-9]+(\.[0-9]+)+(-[0-9]+p[0-9]+)?(?![^-])")  # 31.2.2-9123-…, 31.2.2-2p1-…
_CLOCK_RESOLUTION_S: Final = 1.0  # some components of a Controller write whole seconds
_OTHER: Final = "other"
_OF_PATCHES: Final = frozenset({"patch", "rollback_patch"})
_WORST_FIRST: Final = ("failed", "suspended", "aborting", "running", "checking", "queued")


class Units(Struct, frozen=True):
    """
    The units of one controller, of which ``cluster`` drives phase and `done`; other clusters are not here.

    ``others``: all but clusters and SE groups.
    """

    cluster: Upgrade | None = None
    groups: tuple[Upgrade, ...] = ()
    others: tuple[Upgrade, ...] = ()

    @property
    def below(self) -> tuple[Upgrade, ...]:
        """All units but the cluster."""
        return *self.groups, *self.others


def sort_units(units: Iterable[Upgrade], *, cluster_uuid: str = "") -> Units:
    """
    Sort the units of one controller. ``cluster_uuid``: as ``GET /api/cluster`` names it; needed where several are told.

    Of several clusters the one with this uuid drives, or else the one whose state changed last: the status of a cluster
    that no longer exists may stand there for years.
    """
    units = tuple(units)
    clusters = [unit for unit in units if unit.kind == "controller"]
    named = [unit for unit in clusters if unit.uuid == cluster_uuid]
    return Units(
        max(named or clusters, key=lambda unit: (unit.state_changed_at or 0.0, unit.uuid), default=None),
        tuple(unit for unit in units if unit.kind == "se_group"),
        tuple(unit for unit in units if unit.kind not in {"controller", "se_group"}),
    )


# Where the controller stands


def is_under_way(units: Units) -> bool:
    """
    Whether the Controllers may be gone at any time: the cluster waits, runs or aborts what is no mere check.

    Once they are done, and only Service Engines are left, they have no reason to be gone: an outage is one.
    """
    cluster = units.cluster
    if cluster is None or cluster.only_checks or cluster.controllers_done:
        return False
    return cluster.state in {"queued", "running", "aborting"}


def blocks_configuration(units: Units) -> bool:
    """Whether an upgrade of the whole system goes on after the Controllers are done: until then all is read-only."""
    cluster = units.cluster
    if cluster is None or not cluster.system or cluster.started_at is None:
        return False
    at_work = any(group.active and took_part(group, cluster) for group in units.groups)
    return cluster.controllers_done or (cluster.state == "completed" and at_work)


def phase_of(units: Units, *, failing: bool = False) -> UpgradePhase:
    """Return the phase. ``failing``: the polls after the one that read these units failed."""
    cluster, below = units.cluster, units.below
    every = (*below, cluster) if cluster else below
    upgrading = is_under_way(units)
    if upgrading and failing:
        return "away"
    if any(unit.rolls_back for unit in every):
        return "rolling_back"
    if upgrading:
        return "controllers"
    if any(unit.active and not unit.only_checks for unit in below):
        return "service_engines"
    if any(unit.state == "suspended" for unit in every):
        return "suspended"
    if cluster is not None and cluster.controllers_done:
        return "service_engines"
    return "checking" if any(unit.active for unit in every) else "none"


def stalled_after_s(unit: Upgrade) -> float:
    """Return for how long a unit may not move: a large Service Engine alone is given 20 min to come back."""
    return 15 * 60.0 if unit.kind == "controller" else 25 * 60.0


# Whether the upgrade is done


def took_part(unit: Upgrade, cluster: Upgrade) -> bool:
    """
    Whether a unit takes part in what the cluster does, or did last.

    It does if it began at or after the cluster, or if the upgrade is of the whole system. A unit that says nothing of
    its times does, too, unless nothing was ever done with it: to take it for one that has nothing to do would be worse.
    So a group that was made after the upgrade of the system, which is idle at its version, takes no part.
    """
    fresh = unit.state == "idle" and unit.started_at is None and unit.enqueued_at is None
    if cluster.system and cluster.started_at is not None:
        return not (fresh and is_at_version_of(unit, cluster))
    began = [at for at in (cluster.enqueued_at, cluster.started_at) if at is not None]
    own = [at for at in (unit.enqueued_at, unit.started_at) if at is not None]
    if not began or not own:
        return not fresh
    return max(own) + _CLOCK_RESOLUTION_S > min(began)


def is_left_behind(unit: Upgrade, cluster: Upgrade) -> bool:
    """Whether a unit took part, and is not at the cluster's version, or has failed or suspended Service Engines."""
    return took_part(unit, cluster) and (not is_at_version_of(unit, cluster) or _has_failed_engines(unit))


def done(units: Units) -> bool | None:
    """
    Return whether the upgrade is done: the cluster is, and each SE group that took part, at the cluster's version.

    No Service Engine that took part may be failed, suspended or at another version. None while nothing was ever done
    with the cluster.
    """
    cluster = units.cluster
    if cluster is None or cluster.state == "idle":
        return None
    groups = [group for group in units.groups if took_part(group, cluster)]
    return (
        cluster.state == "completed"
        and cluster.version.tag != ""
        and not any(is_left_behind(unit, cluster) for unit in (*groups, *units.others))
        and all(group.state == "completed" for group in groups)
    )


def left_behind(units: Units) -> tuple[Upgrade, ...]:
    """Return the units that were left behind; none while nothing was ever done with the cluster."""
    cluster = units.cluster
    if cluster is None or cluster.state == "idle":
        return ()
    return tuple(unit for unit in units.below if is_left_behind(unit, cluster))


def is_at_version_of(unit: Upgrade, cluster: Upgrade) -> bool:
    """
    Whether it is at the cluster's version. Patches of Controllers and Service Engines differ by design.

    Where the cluster was patched, the version tells nothing: then the unit has to have the same patch, or to have been
    patched since.
    """
    if not unit.version.is_build_of(cluster.version):
        return False
    if cluster.operation not in _OF_PATCHES or unit.version.patch == cluster.version.patch:
        return True
    since = (cluster.started_at or 0.0) - _CLOCK_RESOLUTION_S
    return unit.operation == cluster.operation and (unit.started_at or 0.0) > since


def _has_failed_engines(unit: Upgrade) -> bool:
    engines = unit.engines or Engines()
    return bool(engines.failed or engines.suspended) or (unit.kind == "se" and unit.state in {"failed", "suspended"})


# Images and versions


def target_of(unit: Upgrade) -> ImageRef | None:
    """Return the image that a unit is upgraded to at present, or is checked for; None when it is not told."""
    return next((image for image in unit.images if image.role == "target"), None)


def from_and_to(cluster: Upgrade) -> tuple[str, str]:
    """
    Return the texts of the versions from and to which the cluster's operation goes, or went; empty: not known.

    Which of both the cluster is at tells its state or, while it runs, the name of the image it is upgraded to.
    """
    if not cluster.has_begun:
        return "", ""
    here, previous = cluster.version, cluster.previous
    if cluster.operation in _OF_PATCHES:
        previous = Version(here.tag, previous.patch)
    target = target_of(cluster)
    to = _version_in(target.name) if target else ""
    arrived = cluster.state == "completed" or cluster.controllers_done or to == here.text
    return (previous.text, here.text) if arrived else (here.text, to)


def _version_in(name: str) -> str:
    """Return the version, and the patch, that the name of an image begins with; without one the whole name."""
    match = _VERSION.match(name)
    return match[0] if match else name


def image_users(units: Iterable[Upgrade]) -> Mapping[tuple[str, ImageRole], int]:
    """Return how many units refer to each image in each role. Each reference pins: the Controller refuses a delete."""
    return Counter((image.uuid, image.role) for unit in units for image in unit.images)


def versions(units: Iterable[Upgrade]) -> Mapping[tuple[UnitKind, str, str], int]:
    """Return how many units of a kind run which version with which patch; the rarest beyond MAX_VERSIONS as other."""
    counts = Counter((unit.kind, unit.version.version, unit.version.patch) for unit in units)
    kept: Counter[tuple[UnitKind, str, str]] = Counter()
    pairs: Counter[UnitKind] = Counter()
    for (kind, version, patch), units_there in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        pairs[kind] += 1
        kept[(kind, version, patch) if pairs[kind] <= MAX_VERSIONS else (kind, _OTHER, _OTHER)] += units_there
    return kept


def overview_of(
    units: Sequence[Upgrade], images: Collection[str], *, cluster_uuid: str = "", failing: bool = False
) -> Overview:
    """Return what all units amount to. ``images``: the uuids of the controller's images. Else as `sort_units`."""
    sorted_units = sort_units(units, cluster_uuid=cluster_uuid)
    users = image_users(units)
    pinned = {uuid for uuid, _ in users}
    behind = Counter(unit.kind for unit in left_behind(sorted_units))
    finished, cluster = done(sorted_units), sorted_units.cluster
    from_version, to_version = from_and_to(cluster) if cluster else ("", "")
    return Overview(
        readable=True,
        phase=phase_of(sorted_units, failing=failing),
        units=versions(units),
        done=finished,
        under_way=is_under_way(sorted_units),
        blocked=blocks_configuration(sorted_units),
        left_behind={} if finished is None else {"se_group": 0, "se": 0, **behind},
        cluster=cluster.uuid if cluster else "",
        operation=cluster.operation_label if cluster else "",
        from_version=from_version,
        to_version=to_version,
        image_users=users,
        images_pinned={uuid: uuid in pinned for uuid in images},
    )


# Service Engines that have series of their own


def engines_without_series(units: Iterable[Upgrade], *, most: int) -> frozenset[str]:
    """Return the uuids of all Service Engines but the ``most`` worst of those that do or need something."""
    engines = [unit for unit in units if unit.kind == "se"]
    ranked = [unit for state in _WORST_FIRST for unit in engines if unit.state == state]
    return frozenset(unit.uuid for unit in engines) - {unit.uuid for unit in ranked[:most]}
