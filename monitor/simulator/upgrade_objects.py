"""
What all objects UpgradeStatusInfo of one Controller have in common: builds, times, references, and how they rest. Pure.

Shape: Avi API object UpgradeStatusInfo of the newest version. What stands in an object at rest is as in the one
recording there is: the cluster has integers as times, groups and Service Engines text with nanoseconds, empty text
stands for what is absent, and two groups may have one name. References have the name of the object behind them.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from monitor.simulator.http_types import Json, encode
from monitor.simulator.lifecycle import format_time, to_microseconds
from monitor.simulator.random_values import SeededRandom
from monitor.simulator.upgrade_plan import UpgradePlan
from monitor.simulator.upgrade_specs import GroupSpec, UnitOptions

CLUSTER: Final = "NODE_CONTROLLER_CLUSTER"
DAY_S: Final = 86400.0
_RESTS_SINCE_S: Final = 60 * DAY_S - 0.104598  # with a fraction, so that its nanoseconds are more than microseconds


@dataclass(frozen=True)
class Build:
    """The software of a unit. ``tag``: such as ``30.2.1-9114-20240826.101010``. ``image``: a uuid, or empty."""

    tag: str
    image: str = ""


@dataclass(frozen=True)
class Group:
    """One SE group and its Service Engines, by uuid."""

    spec: GroupSpec
    uuid: str
    cloud_uuid: str
    engines: tuple[str, ...]


def make_groups(specs: tuple[GroupSpec, ...], rng: SeededRandom) -> tuple[Group, ...]:
    """Give the groups and Service Engines uuids, in the form that the cloud gives them."""
    clouds = {spec.cloud: f"cloud-{rng.uuid()}" for spec in specs}
    return tuple(
        Group(
            spec,
            f"serviceenginegroup-{rng.uuid()}",
            clouds[spec.cloud],
            tuple(f"se-i-{rng.token()[:17]}" for _ in range(spec.ses)),
        )
        for spec in specs
    )


@dataclass(frozen=True)
class PlanAtTime:
    """A plan at one time. ``offset``: seconds after its start. ``target``: its build."""

    plan: UpgradePlan
    offset: float
    target: Build

    def time(self, offset: float) -> float:
        """Return a time of the plan, seconds since the epoch."""
        return self.plan.started_at + offset

    def format_time(self, offset: float) -> str:
        """Format a time of the plan."""
        return format_time(self.time(offset))


@dataclass(frozen=True)
class UnitWriter:
    """Writes what all units have. ``host``: in references. ``started_at``: of the simulation."""

    host: str
    started_at: float
    options: UnitOptions

    def ref(self, kind: str, uuid: str, name: str) -> str:
        """Return a reference to an object, with its name."""
        return f"https://{self.host}/api/{kind}/{uuid}#{name}"

    def tenant_ref(self, name: str) -> str:
        """Return the reference to a tenant; lists put its name behind it."""
        return f"https://{self.host}/api/tenant/{name}"

    def image_ref(self, build: Build) -> str:
        """Return the reference to the image of a build that has one."""
        return self.ref("image", build.image, build.tag)

    def unit(self, uuid: str, name: str, node_type: str, build: Build) -> Json:
        """Return what a unit has whatever it does."""
        history_bytes = self.options.history_bytes if node_type == CLUSTER else 0
        unit: Json = {
            "uuid": uuid,
            "url": f"https://{self.host}/api/upgradestatusinfo/{uuid}",
            "name": name,
            "node_type": node_type,
            "tenant_ref": self.tenant_ref("admin"),
            "version": build.tag,
            "patch_version": "",
            "previous_version": "",
            "previous_patch_version": "",
            "enable_rollback": False,
            "enable_patch_rollback": False,
        }
        if self.options.history or history_bytes:
            unit["history"] = self._history(build, history_bytes)
        return unit | ({"image_ref": self.image_ref(build)} if build.image else {})

    @property
    def rests_since(self) -> float:
        """When a unit at rest changed last, seconds since the epoch."""
        return self.started_at - _RESTS_SINCE_S

    def at_rest(self, *, node_type: str) -> Json:
        """Return what a unit says that nothing was done with; or of the cluster, what failed long ago."""
        if node_type == CLUSTER and self.options.old_error_s:
            at = self.started_at - self.options.old_error_s
            times = {"start_time": format_time(at - 600), "end_time": format_time(at)}
            return {"state": self.state("UPGRADE_FSM_ERROR", at, "Disk full"), "progress": 60, **times, **modified(at)}
        at = self.rests_since
        state = self.state("UPGRADE_FSM_INIT", at, as_text=node_type != CLUSTER)
        return {"state": state, "progress": 0, **modified(at)}

    def state(self, fsm: str, changed_at: float, reason: str = "", *, as_text: bool = False) -> Json:
        """Return a state. ``as_text``: its time as recorded of groups and Service Engines."""
        secs, usecs = divmod(to_microseconds(changed_at), 1_000_000)
        as_text = as_text and self.options.stamps == "recorded"
        stamp = {"secs": str(secs), "usecs": str(usecs * 1000)} if as_text else {"secs": secs, "usecs": usecs}
        return {"state": fsm, "reason": reason, "last_changed_time": stamp}

    def previous(self, build: Build) -> Json:
        """Return what a unit says of its build before the last operation."""
        previous = {"previous_version": build.tag, "enable_rollback": True}
        return {**previous, "previous_image_ref": self.image_ref(build)} if build.image else previous

    def _history(self, build: Build, size: int) -> list[Json]:
        started_at, operations = self.started_at - 30 * DAY_S, self.options.history or 10
        operation: Json = {
            "ops": "UPGRADE",
            "version": build.tag,
            "start_time": format_time(started_at),
            "end_time": format_time(started_at + 600),
            "duration": 600,
            "state": self.state("UPGRADE_FSM_COMPLETED", started_at + 600),
            "upgrade_events": _past_events(size // operations),
        }
        return [operation] * operations


def modified(at: float) -> Json:
    """Return the field that says when an object changed. ``at``: seconds since the epoch."""
    return {"_last_modified": str(to_microseconds(at))}


@lru_cache(maxsize=4)
def _past_events(size: int) -> list[Json]:
    """Return events of about this size in bytes, at least one."""
    event = {"message": "PrepareUpgrade on 10.0.0.11", "start_time": "2025-01-20 21:20:00", "status": True}
    events = {"task_name": "PrepareUpgrade", "sub_events": [event]}
    return [events] * max(1, size // len(encode(events)))
