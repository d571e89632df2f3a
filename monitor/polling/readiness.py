"""
The readiness report: what speaks for and against an upgrade of a controller to an image. Pure.

Each line is decided from what polls have brought. Nothing is asked for, and nothing is started: the report ends with
the request that an operator would send to let the Controller run its own pre-checks.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from msgspec import Struct

from monitor.polling.inventory import listed
from monitor.polling.readiness_facts import Facts, Finding, Verdict, span
from monitor.polling.readiness_image import (
    active_versions,
    image_nodes,
    image_patches,
    image_state,
    image_type,
    migration,
)
from monitor.polling.readiness_units import prechecks, rollback, service_engines, units_at_rest

_EXPIRES_SOON_S: Final = 7 * 86400.0  # an upgrade that is resumed or rolled back may take days
_NOT_WHOLE: Final = frozenset({"CLUSTER_UP_HA_COMPROMISED", "CLUSTER_UP_HA_NOT_READY", "CLUSTER_NOT_READY"})
_CLOCK_TOLERANCE_S: Final = 5.0  # the resolution of the header from which it is known is a second


class ReadinessLine(Struct, frozen=True):
    """One line: what it is about, the verdict, and why."""

    name: str
    verdict: Verdict
    reason: str


class ReadinessImage(Struct, frozen=True):
    """The image."""

    uuid: str
    name: str
    version: str
    patch: str
    type: str


class ControllerRequest(Struct, frozen=True):
    """A request to the Controller, which an operator may send."""

    method: str
    path: str
    body: Mapping[str, Any]


class ReadinessReport(Struct, frozen=True):
    """
    The report. ``verdict``: that of the worst line. ``observed_at``: when a poll was last good, Unix seconds.

    ``prechecks``: the request for pre-checks that change nothing; null: the Controller has none that run alone.
    """

    controller: str
    image: ReadinessImage
    verdict: Verdict
    observed_at: float | None
    lines: list[ReadinessLine]
    prechecks: ControllerRequest | None


def readiness(facts: Facts) -> ReadinessReport:
    """Return the report."""
    lines = [_line(name, decide, facts) for name, decide in _LINES.items()]
    image = facts.image
    return ReadinessReport(
        facts.entry.name,
        ReadinessImage(image.uuid, image.name, image.version, image.patch, image.type),
        max((line.verdict for line in lines), key=get_args(Verdict).index),
        facts.entry.collections["image"].health.succeeded_at,
        lines,
        _prechecks_call(facts),
    )


def _line(name: str, decide: Callable[[Facts], Finding], facts: Facts) -> ReadinessLine:
    if decide in _OF_UNITS and facts.unknown:
        return ReadinessLine(name, "warn", f"not known: {facts.unknown}")
    return ReadinessLine(name, *decide(facts))


def _view(facts: Facts) -> Finding:
    """
    Whether the monitor knows the controller as it is now.

    Without the units it does not: an upgrade may be under way.
    """
    health, session = facts.entry.collections["image"].health, facts.entry.session
    if health.succeeded_at is None:
        return "no_go", "the controller was not polled yet"
    age = span(facts.at - health.succeeded_at)
    if health.stale:
        return "no_go", f"the last good poll was {age} ago ({session.reason})"
    if facts.unknown:
        return "no_go", facts.unknown
    if not session.up:
        return "warn", f"the last poll failed ({session.reason}); all lines are as of {age} ago"
    return "go", f"the last good poll was {age} ago"


def _cluster(facts: Facts) -> Finding:
    """Whether all nodes are up. Words that are not known, perhaps of a later release, are a warning."""
    nodes = facts.entry.overview.nodes if facts.entry.overview else None
    if nodes is None:
        return "warn", f"not known: {facts.unknown or 'the state of the nodes was not read'}"
    told = nodes.state or "in a state that it does not tell"
    reason = f"the Controllers' cluster is {told}, nodes: {nodes.count}"
    if nodes.inactive:
        reason += f", not active: {listed(nodes.inactive)}"
    if nodes.state in _NOT_WHOLE:
        return "no_go", reason
    is_whole = nodes.state == "CLUSTER_UP_HA_ACTIVE" or (nodes.state == "CLUSTER_UP_NO_HA" and nodes.count <= 1)
    return ("go" if is_whole and not nodes.inactive else "warn"), reason


def _certificate(facts: Facts) -> Finding:
    expires_at = facts.entry.session.certificate_expires_at
    if expires_at is None:
        return "warn", "not known: the Controller presented no certificate"
    left_s = expires_at - facts.at
    if left_s <= 0:
        return "no_go", f"the Controller's certificate expired {span(left_s)} ago"
    return ("warn" if left_s < _EXPIRES_SOON_S else "go"), f"the Controller's certificate expires in {span(left_s)}"


def _clock(facts: Facts) -> Finding:
    ahead_s = facts.entry.session.clock_ahead_s
    if ahead_s is None:
        return "warn", "not known: the Controller did not tell its time"
    if abs(ahead_s) <= _CLOCK_TOLERANCE_S:
        return "go", f"the Controller's clock agrees with the monitor's to {_CLOCK_TOLERANCE_S:.0f} s"
    direction = "ahead of" if ahead_s > 0 else "behind"
    return "warn", f"the Controller's clock is {span(ahead_s)} {direction} the monitor's"


_LINES: Final[Mapping[str, Callable[[Facts], Finding]]] = {
    "view": _view,
    "image_state": image_state,
    "image_nodes": image_nodes,
    "image_type": image_type,
    "image_patches": image_patches,
    "migration": migration,
    "active_versions": active_versions,
    "units": units_at_rest,
    "service_engines": service_engines,
    "prechecks": prechecks,
    "cluster": _cluster,
    "rollback": rollback,
    "certificate": _certificate,
    "clock": _clock,
}
LINES: Final = tuple(_LINES)
"""The names of the lines, in the order of the report."""

_OF_UNITS: Final = (active_versions, units_at_rest, service_engines, prechecks, rollback)


def _prechecks_call(facts: Facts) -> ControllerRequest | None:
    """``prechecks_only`` came with 22.1.6 and with 30.2.1, but is in no 30.1."""
    if not ((22, 1, 6) <= facts.current < (30,) or facts.current >= (30, 2, 1)):
        return None
    body = {"image_ref": f"/api/image/{facts.image.uuid}", "system": True, "prechecks_only": True}
    return ControllerRequest("POST", "/api/upgrade", body)
