"""All objects UpgradeStatusInfo of one Controller at one time: its cluster, its SE groups and their Service Engines."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Final

from monitor.simulator.http_types import Json
from monitor.simulator.upgrade_cluster import cluster_object, stale_cluster
from monitor.simulator.upgrade_groups import GroupWriter
from monitor.simulator.upgrade_objects import Build, Group, PlanAtTime, UnitWriter
from monitor.simulator.upgrade_plan import UpgradePlan
from monitor.simulator.upgrade_specs import UnitOptions, UpgradeSpec

_NONE: Final = UpgradeSpec()


@dataclass(frozen=True)
class Units:
    """
    The units at one time.

    ``before``: the build before the plan; ``target``: that of the plan. ``skewed``: builds of groups that earlier
    upgrades left at another build, by group uuid.
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
        """Return all objects in full, in the newest API version."""
        write, planned = UnitWriter(self.host, self.started_at, self.options), self._plan_at(now)
        clusters = [cluster_object(write, self.cluster_uuid, planned, self.before)]
        if self.options.stale_cluster:
            clusters.insert(0, stale_cluster(write, self.cluster_uuid, self.before))
        others = [each for group in self._groups(write, planned) for each in group.objects()]
        return [*others, *clusters] if self.options.cluster_last else [*clusters, *others]

    def cluster(self, now: float) -> Json:
        """Return the object of the cluster that exists."""
        write = UnitWriter(self.host, self.started_at, self.options)
        return cluster_object(write, self.cluster_uuid, self._plan_at(now), self.before)

    def builds(self, now: float) -> Iterator[tuple[str, Build]]:
        """Return the build of the cluster and of each group, by uuid."""
        write, planned = UnitWriter(self.host, self.started_at, self.options), self._plan_at(now)
        yield self.cluster_uuid, self.target if planned.offset >= planned.plan.back else self.before
        for group in self._groups(write, planned):
            yield group.group.uuid, group.build

    def users(self, now: float) -> dict[str, list[Json]]:
        """Return the objects that refer to an image, by its uuid: as the present, the previous or the target one."""
        found: dict[str, list[Json]] = {}
        for unit in self.objects(now):
            owners = (unit, *(unit.get(part, {}) for part in ("params", "upgrade_readiness")))
            refs = {str(each.get(name, "")) for each in owners for name in ("image_ref", "previous_image_ref")}
            for uuid in {ref.partition("#")[0].rpartition("/")[2] for ref in refs if ref}:
                found.setdefault(uuid, []).append(unit)
        return found

    def _plan_at(self, now: float) -> PlanAtTime:
        plan = self.plan or UpgradePlan(_NONE, inf, (), tuple(group.spec for group in self.groups))
        return PlanAtTime(plan, round(now - plan.started_at, 3), self.target)

    def _groups(self, write: UnitWriter, planned: PlanAtTime) -> Iterator[GroupWriter]:
        for group, plan in zip(self.groups, planned.plan.groups, strict=True):
            yield GroupWriter(write, group, plan, planned, self.skewed.get(group.uuid, self.before))
