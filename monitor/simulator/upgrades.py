"""The upgrades of one Controller: the plan that runs or ran last, and what earlier ones left behind."""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from monitor.simulator.image_builds import next_release
from monitor.simulator.images import ImageStore
from monitor.simulator.random_values import SeededRandom
from monitor.simulator.specs import ControllerSpec, TimelineEvent
from monitor.simulator.upgrade_group_plan import phase_at
from monitor.simulator.upgrade_objects import Build, make_groups
from monitor.simulator.upgrade_plan import UpgradePlan
from monitor.simulator.upgrade_specs import UpgradeSpec
from monitor.simulator.upgrade_units import Units

_ROLLBACK: Final = "ROLLBACK"


class Upgrades:
    """
    ``on_start``: called with what clients will notice of a new plan.

    ``options``: may be set at any time. ``started_at``: of the simulation, seconds since the epoch.
    """

    def __init__(
        self,
        spec: ControllerSpec,
        images: ImageStore,
        rng: SeededRandom,
        *,
        host: str,
        nodes: tuple[str, ...],
        cluster_uuid: str,
        build_no: int,
        started_at: float,
    ) -> None:
        self.options = spec.units
        self.on_start: Callable[[tuple[TimelineEvent, ...]], None] = lambda _: None
        self.plan: UpgradePlan | None = None
        self._images = images
        self.cluster_uuid = f"cluster-{cluster_uuid}"
        self._host, self._nodes = host, nodes
        self._build_no, self._started_at = build_no, started_at
        self._groups = make_groups(spec.groups, rng)
        self._before = self._build_of(spec.version, started_at)
        self._previous = self._before
        self._target = self._before
        self._skewed: dict[str, Build] = {}
        if spec.upgrade:
            self.start(spec.upgrade, at=started_at + spec.upgrade.at)

    def start(self, spec: UpgradeSpec, *, at: float) -> None:
        """Start an upgrade at a time, seconds since the epoch; the units then show what the last one left."""
        if self.plan:
            builds = dict(self.units.builds(at))
            self._previous = self._before
            self._before = builds.pop(self.cluster_uuid)
            self._skewed = {uuid: build for uuid, build in builds.items() if build != self._before}
        version = spec.version or next_release(self._before.tag)
        self._target = self._previous if spec.operation == _ROLLBACK else self._build_of(version, at)
        spec = replace(spec, version=self._target.tag.partition("-")[0])
        groups = tuple(group.spec for group in self._groups)
        self.plan = UpgradePlan(spec, at, self._nodes, groups)
        self.on_start(self.plan.timeline(zero=self._started_at))

    def resume(self, now: float) -> int:
        """Resume the groups that are suspended, without the failed Service Engine. Returns: how many there are."""
        if self.plan is None:
            return 0
        offset, resumed, specs = now - self.plan.started_at, 0, []
        for group in self.plan.groups:
            since, fsm = phase_at(group.phases, offset)
            pause_s = max(offset - since, 0.001)  # 0 means that it is never resumed
            specs.append(replace(group.spec, resumed_after_s=pause_s) if fsm == "UPGRADE_FSM_SUSPENDED" else group.spec)
            resumed += specs[-1] is not group.spec
        plan = self.plan
        self.plan = UpgradePlan(plan.spec, plan.started_at, plan.nodes, tuple(specs))
        if resumed:
            self.on_start(self.plan.closing_timeline(zero=self._started_at))
        return resumed

    def is_running(self, now: float) -> bool:
        """Whether an upgrade is under way, or is to come."""
        return self.plan is not None and now - self.plan.started_at < self.plan.over

    def is_away(self, now: float) -> bool:
        """Whether the Controllers refuse connections, because they are upgraded."""
        return self.plan is not None and self.plan.is_away(now - self.plan.started_at)

    def refuses_logins(self, now: float) -> bool:
        """Whether the Controllers have just returned, and refuse every log-in."""
        return self.plan is not None and self.plan.refuses_logins(now - self.plan.started_at)

    @property
    def units(self) -> Units:
        """The units, with the present plan."""
        return Units(
            self._host,
            self.cluster_uuid,
            self._started_at,
            self._groups,
            self._before,
            self._target,
            self._skewed,
            self.plan,
            self.options,
        )

    def _build_of(self, version: str, at: float) -> Build:
        """Return the build of the image of this version that is uploaded, else one without an image."""
        for uuid, image in self._images.documents(at).items():
            if image.get("controller_info", {}).get("build", {}).get("version") == version:
                return Build(str(image["name"]), uuid)
        return Build(f"{version}-{self._build_no}-20240826.101010")
