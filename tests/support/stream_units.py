"""Units in messages of the daemon's event stream, as the command line receives them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tests.support.stream_messages import NOW, UP

CLUSTER: Final = "cluster-1"
GROUP: Final = "serviceenginegroup-1"
OLD, NEW = "30.2.1", "31.2.2"
BUILDS: Final = {OLD: "30.2.1-9114-20240826.101010", NEW: "31.2.2-9123-20250615.024303"}
BEGAN: Final = NOW - 600.0
RANKS: Final = {"failed": 0, "stalled": 1, "active": 2, "unknown": 3, "acknowledged": 4, "completed": 5}
STANDINGS: Final = {
    "failed": "failed", "suspended": "failed", "check_failed": "failed", "unknown": "unknown",
    "idle": "completed", "checked": "completed", "completed": "completed",
}  # fmt: skip


def unit(uuid: str, kind: str, state: str, *, version: str = OLD, **more: object) -> dict[str, object]:
    standing = STANDINGS.get(state, "active")
    told = {"uuid": uuid, "kind": kind, "state": state, "version": version, "tag": BUILDS.get(version, "")}
    known = {"name": uuid, "operation": "" if state == "idle" else "upgrade", "changed_at": NOW, "newer": [1]}
    return {**told, **known, "standing": standing, "standing_rank": RANKS[standing], **more}


def cluster(state: str, *, version: str = OLD, key: str = "", **more: object) -> dict[str, object]:
    """``key``: of its operation."""
    began = {"started_at": None if state in {"idle", "queued"} else BEGAN, "operation_key": key, "system": True}
    return unit(CLUSTER, "controller", state, version=version, **{"name": "cluster-0-1", **began, **more})


def group(
    state: str, uuid: str = GROUP, *, version: str = OLD, key: str = "", engines: Mapping[str, int] | None = None,
    **more: object,
) -> dict[str, object]:  # fmt: skip
    """``engines``: how many Service Engines are in each state."""
    counts = {"expected": sum(engines.values()), **engines} if engines else None
    told = {"name": "internet", "cloud": "aws", "operation_key": key, "engines": counts}
    return unit(uuid, "se_group", state, version=version, **{**told, **more})


def upgrade(phase: str | None = "none", *, done: bool | None = None, **more: object) -> dict[str, object]:
    """What the units of a controller amount to."""
    known = {"readable": True, "cluster": CLUSTER, "operation": "upgrade", "from_version": OLD, "to_version": NEW}
    return {"phase": phase, "done": done, "left_behind": {}, **known, **more}


def units_part(
    controller: str,
    *units: dict[str, object],
    status: Mapping[str, object] | None = None,
    health: Mapping[str, Any] | None = UP,
    gone: Iterable[str] = (),
) -> dict[str, object]:
    """A part of a message. ``health``: of the session and of the read of units. ``status``: None: unchanged."""
    resource: dict[str, object] = {"objects": list(units), "gone": list(gone)}
    told: dict[str, object] = {"controller": controller}
    if status is not None:
        told["upgrade"] = status
    if health is not None:
        read = {key: health[key] for key in ("stale", "seen_at")}
        told["session"] = {key: value for key, value in health.items() if key not in read}
        resource["health"] = read
        return {**told, "resources": {"image": {"health": read}, "upgrade": resource}}
    return {**told, "resources": {"upgrade": resource}}
