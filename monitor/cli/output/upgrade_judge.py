"""
When ``watch --upgrade --until`` ends: what the upgrade of one controller has come to, as far as was seen. Pure.

    (what is waited for, what was seen so far, the controller now) → (what is seen by now, verdict)

Whether an upgrade is done is for the daemon to say (`UpgradeStatus.done`). A version makes it well-defined that it was
done before; without one, only an operation that is seen satisfies.
"""

from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from monitor.cli.api.stream_objects import StreamUnit
from monitor.cli.api.view import ControllerView
from monitor.cli.output.upgrade_text import count_text, describe_checks
from monitor.cli.output.upgrade_wait import ROLLBACKS, Scene, Seen, Wait, observe
from monitor.model.upgrade import Upgrade

GRACE_S: Final = 600.0
"""How long after all else has ended a unit may still begin: groups are upgraded one after the other."""

_MOST_NAMED: Final = 10  # units in one message


class Waiting(Struct, frozen=True):
    """It may still be reached. ``due_at``: when the verdict changes if nothing else does, by the daemon's clock."""

    due_at: float | None = None


class Succeeded(Struct, frozen=True):
    """It is reached."""


class Failed(Struct, frozen=True):
    """It can no longer be reached. ``reason``: foreign text, to be escaped."""

    reason: str


class Lost(Struct, frozen=True):
    """The daemon can no longer tell."""

    reason: str


class NotBegun(Struct, frozen=True):
    """No operation has begun in time."""

    reason: str


Verdict: TypeAlias = Waiting | Succeeded | Failed | Lost | NotBegun


def judge(wait: Wait, seen: Seen, controller: ControllerView | None, *, now: float) -> tuple[Seen, Verdict]:
    """
    Return what is seen by now, and the verdict. ``now``: by the daemon's clock.

    ``controller``: None: the daemon no longer watches it.
    """
    if controller is None or controller.upgrade is None:
        what = "this controller" if controller is None else "the upgrades of this controller"
        return seen, Lost(f"the daemon does not watch {what}")
    if controller.upgrade.readable is False:
        return seen, Lost("the Controller does not let the daemon read the upgrade status")
    if not controller.units:  # a daemon that has just started knows none yet
        return replace(seen, resting_since=None), Waiting()
    scene = observe(wait, seen, controller, controller.upgrade, now=now)
    verdict = _judge_checks(scene) if wait.until == "checked" else _judge_upgrade(scene)
    return scene.seen, verdict or _judge_rest(scene, now=now)


def _judge_checks(scene: Scene) -> Verdict | None:
    """The pre-checks of the cluster, or else of the groups."""
    checked = [unit for unit in scene.tonight if unit is scene.cluster] or list(scene.tonight)
    if not scene.has_begun and scene.cluster and _is_checked_for(scene.cluster, scene.wait.version):
        checked = [scene.cluster]
    if failed := [
        f"{unit.label}: {text}" for unit in checked if (text := _check_failure(unit, strict=scene.wait.strict))
    ]:
        return Failed(_joined(failed))
    return Succeeded() if checked and all(map(_checks_are_over, checked)) else None


def _is_checked_for(unit: StreamUnit, version: str) -> bool:
    """Whether it was checked for this version, or is at it, with no operation since."""
    if unit.state in {"idle", "completed"}:
        return is_at(unit, version)
    return unit.state == "checked" and is_version_of(unit.target, version)


def _check_failure(unit: StreamUnit, *, strict: bool) -> str:
    """Return why the pre-checks are not passed; empty when they are, or are not over."""
    if unit.state in {"failed", "check_failed"}:
        return _state_text(unit)
    if not _checks_are_over(unit):
        return ""
    checks = unit.checks
    errors, warnings = (checks.errors, checks.warnings) if checks else (0, 0)
    warned = warnings > 0 or unit.fsm.endswith("PRE_CHECK_WARNING")
    return f"its pre-checks ended with {describe_checks(unit)}" if errors or (strict and warned) else ""


def _checks_are_over(unit: StreamUnit) -> bool:
    """Whether something follows them, or they have a result. Of a unit at rest, there may be their counts only."""
    if unit.state == "idle":
        return unit.checks is not None and unit.checks.state not in Upgrade.ACTIVE_STATES
    return unit.state in {"checked", "running", "aborting", "suspended", "completed"}


def _judge_upgrade(scene: Scene) -> Verdict | None:
    wait, cluster, tonight = scene.wait, scene.cluster, scene.tonight
    failed = [f"{unit.label}: {text}" for unit in tonight if (text := _failure(unit, scene))]
    if failed:
        return Failed(_joined(failed))
    if cluster is None or (not scene.has_begun and not wait.version):
        return None
    is_wanted = not scene.wanted or is_at(cluster, scene.wanted)
    if wait.until == "controllers":
        already = not scene.has_begun and cluster.state in {"idle", "checked", "check_failed"}
        is_reached = scene.is_current and (cluster.controllers_done or already)
    else:
        is_reached = scene.upgrade.done is True and not scene.at_work
    return Succeeded() if is_reached and is_wanted else None


def _failure(unit: StreamUnit, scene: Scene) -> str:
    """Return why the upgrade cannot be completed because of one of its units; empty when it can."""
    if unit.state in {"failed", "check_failed"} or (unit.state == "suspended" and not scene.wait.through_suspended):
        return _state_text(unit)
    engines = unit.engines
    if engines and unit.state == "completed" and (lost := engines.failed + engines.suspended):
        return f"completed, but {lost} of {count_text(engines.all, 'Service Engine')} failed"
    rolled_back = unit.state == "completed" and unit.operation in ROLLBACKS
    wanted = scene.seen.operation in ROLLBACKS or (scene.wait.version and is_at(unit, scene.wait.version))
    return f"rolled back, at {unit.version or 'an unknown version'}" if rolled_back and not wanted else ""


def _judge_rest(scene: Scene, *, now: float) -> Verdict:
    """Wait as long as something is under way or cannot be seen, and for some time after that."""
    if scene.seen.resting_since is None:
        return Waiting()
    due_at = scene.seen.resting_since + (GRACE_S if scene.has_begun else scene.wait.begin_within_s)
    if now < due_at:
        return Waiting(due_at)
    return Failed(_joined(_missing(scene))) if scene.has_begun else NotBegun(_not_begun_text(scene))


# Why


def _state_text(unit: StreamUnit) -> str:
    word = unit.state.replace("_", " ")
    details = [describe_checks(unit)] if unit.state == "check_failed" else []
    return ": ".join(filter(None, (word, *details, unit.reason)))


def _missing(scene: Scene) -> list[str]:
    """What keeps the upgrade from being complete although it has ended."""
    cluster = scene.cluster
    if cluster is None:
        return ["the daemon knows no cluster of Controllers, so nothing tells whether it is done"]
    if scene.wanted and not is_at(cluster, scene.wanted):
        return [f"{cluster.label}: {cluster.state}, at {cluster.version or 'no version'}, not {scene.wanted}"]
    units = scene.units if cluster.system else scene.tonight
    others = [unit for unit in (*units, *scene.engines) if unit.tag != cluster.tag and not _is_other(unit, scene)]
    behind = [f"{unit.label}: {unit.state}, still at {unit.version}, not {cluster.version}" for unit in others]
    unfinished = [f"{unit.label}: {unit.state}" for unit in units if unit.state != "completed" and unit not in others]
    kinds = [f"{number} {kind}" for kind, number in scene.upgrade.left_behind.items() if number]
    return behind + unfinished or [f"left behind: {', '.join(kinds)}" if kinds else "the daemon does not call it done"]


def _is_other(unit: StreamUnit, scene: Scene) -> bool:
    """Whether it is a Service Engine of which nothing tells that it took part."""
    return unit.kind == "se" and not scene.upgrade.left_behind.get("se")


def _not_begun_text(scene: Scene) -> str:
    """Say what there is instead: the end of an earlier operation, or checks that nothing followed."""
    cluster = scene.cluster
    wanted = "no pre-checks began" if scene.wait.until == "checked" else "no upgrade began"
    if cluster is None:
        return f"{wanted}; the daemon knows no cluster of Controllers"
    at = f" at {cluster.version}" if cluster.version else ""
    checks = f", its pre-checks with {describe_checks(cluster)}" if cluster.state == "checked" else ""
    return f"{wanted}; {cluster.label} is {cluster.state.replace('_', ' ')}{at}{checks}"


def _joined(reasons: list[str]) -> str:
    more = len(reasons) - _MOST_NAMED
    return "; ".join(reasons[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def is_at(unit: StreamUnit, version: str) -> bool:
    """Whether a unit is at a version: ``31.2.2``, with its patch ``31.2.2-2p1``, or with its build ``31.2.2-9123``."""
    return version in {unit.version, f"{unit.version}-{unit.patch}"} or is_version_of(unit.tag, version)


def is_version_of(tag: str, version: str) -> bool:
    """Whether the text of a build, or the name of its image, begins with this version, which is not empty."""
    return version != "" and f"{tag}-".startswith(f"{version}-")
