"""
The PromQL that several panels share.

Every query takes the maximum over its identity first: two daemons may watch the same Controllers (an HA pair), and a
join of doubled series is an error in Prometheus.
"""

from collections.abc import Sequence
from typing import NamedTuple

PLACE = 'job=~"$job", cluster=~"$cluster"'
"""Matches the installations that are chosen; targets need not have the label cluster."""
IMAGE = "controller, image_uuid"
UNIT = "controller, unit_uuid"
IMAGES = 'resource="image"'
"""Matches the reads of images, which decide whether a poll was good, and not those of upgrade status."""
UPGRADES = 'resource="upgrade"'
"""Matches the reads of upgrade status."""

EVENT_CODES = {"pending": 1, "running": 2, "succeeded": 3, "failed": 4}
IMAGE_CODES = {"unknown": 1, "started": 2, "in_progress": 3, "completed": 4, "failed": 5}
UNIT_CODES = {
    "idle": 1,
    "completed": 2,
    "checked": 3,
    "queued": 4,
    "checking": 5,
    "running": 6,
    "unknown": 7,
    "aborting": 8,
    "check_failed": 9,
    "suspended": 10,
    "failed": 11,
}
"""States as numbers, because a timeline draws numbers; the worse is the higher, and wins where two daemons differ."""

PHASE_CODES = {
    "none": 1,
    "checking": 2,
    "controllers": 3,
    "away": 4,
    "service_engines": 5,
    "suspended": 6,
    "rolling_back": 7,
}
"""In the order of a night, so that the daemon that is further wins: one may have found the Controllers back before."""


class Scope(NamedTuple):
    """The matchers of a dashboard; a call with a family returns the selector."""

    matchers: str

    def __call__(self, family: str, *more: str) -> str:
        """``family{matchers, more}``."""
        return f"{family}{{{', '.join((self.matchers, *more))}}}"

    def each(self, family: str, *more: str, by: str = IMAGE) -> str:
        """One sample for each identity."""
        return f"max by ({by}) ({self(family, *more)})"

    def active(self) -> str:
        """The images that are being processed, each 1."""
        return f"({self.each('avi_image_state', is_in('started|in_progress'))} == 1)"

    def failed(self) -> str:
        """The failed images, each 1."""
        return f"({self.each('avi_image_state', is_in('failed'))} == 1)"

    def image_code(self) -> str:
        """The state of each image as one of ``IMAGE_CODES``."""
        return self._code("avi_image_state", IMAGE_CODES, IMAGE)

    def event_code(self, by: str, family: str = "avi_image_node_event_state", *more: str) -> str:
        """The state of each task on each node as one of ``EVENT_CODES``."""
        return self._code(family, EVENT_CODES, by, *more)

    def unit_code(self, family: str = "avi_upgrade_state") -> str:
        """The state of each unit as one of ``UNIT_CODES``."""
        return self._code(family, UNIT_CODES, UNIT)

    def phase_code(self) -> str:
        """The phase of each controller as one of ``PHASE_CODES``."""
        return self._code("avi_controller_upgrade_phase", PHASE_CODES, "controller", label="phase")

    def health_code(self) -> str:
        """The worst health that is known of each controller; where two daemons differ, the better one."""
        worst = " == 1)\n  or ".join(
            f"{code} * ({series}"
            for code, series in (
                (5, self("avi_controller_auth_suspended")),
                (2, self("avi_controller_upgrade_in_progress")),
                (4, f"max without (resource) ({self('avi_controller_stale', IMAGES)})"),  # the others have none
            )
        )
        up = self("avi_controller_up")
        return f"min by (controller) (\n  {worst} == 1)\n  or 3 + ({up} == 0)\n  or 1 * ({up} == 1)\n)"

    def units(self, states: str) -> str:
        """The units in one of these states, each 1."""
        return f"({self.each('avi_upgrade_state', is_in(states), by=UNIT)} == 1)"

    def acknowledged_units(self) -> str:
        """The units of which alerts are quiet: acknowledged, or SE groups that began within a day of such a cluster."""
        own = f"({self.each('avi_upgrade_acknowledged', by=UNIT)} == 1)"
        cluster, others = is_in("controller", "kind"), is_not("controller", "kind")
        queued, started = "avi_upgrade_enqueue_timestamp_seconds", "avi_upgrade_start_timestamp_seconds"
        group = f"({self.each(started, others, by=UNIT)} or {self.each(queued, others, by=UNIT)})"
        night = f"({self.each(queued, cluster, by=UNIT)} or {self.each(started, cluster, by=UNIT)})"
        begun = f"max by (controller) ({of(night, own, on=UNIT)})"
        return f"({own} or {group} - on (controller) group_left () {begun} > -1 < 86400)"

    def named(self, query: str, label: str = "image") -> str:
        """The same with the image's name or another label; one while a rename has reached one daemon of two."""
        names = f"topk by ({IMAGE}) (1, {self('avi_image_info')})"
        return f"{query}\n* on ({IMAGE}) group_left ({label}) {names}"

    def unit_named(self, query: str) -> str:
        """The same with the unit's name: ``group@cloud`` for a group, as names of groups are unique in a cloud only."""
        joined = f'label_join({self("avi_upgrade_info")}, "unit", "@", "unit", "cloud")'
        names = f'label_replace({joined}, "unit", "$1", "unit", "(.*)@")'
        return f"{query}\n* on ({UNIT}) group_left (unit) topk by ({UNIT}) (1, {names})"

    def unit_labels(self, *labels: str, family: str = "avi_upgrade_info", more: Sequence[str] = ()) -> str:
        """These labels of each unit; one set of them while a change has reached one daemon of two."""
        return f"topk by ({UNIT}) (1, {self.each(family, *more, by=', '.join((UNIT, *labels)))})"

    def seconds_since_read(self, resource: str) -> str:
        """Seconds since the last good read of each controller. ``resource``: ``IMAGES`` or ``UPGRADES``."""
        read = self.each("avi_controller_last_poll_success_timestamp_seconds", resource, by="controller")
        return f"clamp_min(time() - {read}, 0)"

    def seconds_away(self) -> str:
        """Since when the controllers that are away for an upgrade have not answered, in seconds."""
        away = f"({self.each('avi_controller_upgrade_phase', is_in('away', 'phase'), by='controller')} == 1)"
        return of(self.seconds_since_read(IMAGES), away, on="controller")

    def seconds_to_end(self, bound: str) -> str:
        """Seconds until the operation of each unit ends, by this bound of its forecast; 0 once that has passed."""
        end = self.each("avi_upgrade_forecast_end_timestamp_seconds", is_in(bound, "bound"), by=UNIT)
        return f"clamp_min({end} - time(), 0)"

    def seconds_to_end_of_all(self, bound: str) -> str:
        """The same of the upgrade of each whole controller."""
        family = "avi_controller_upgrade_forecast_end_timestamp_seconds"
        return f"clamp_min({self.each(family, is_in(bound, 'bound'), by='controller')} - time(), 0)"

    def units_at(self, kind: str) -> str:
        """How many units of the kind are at the version of their Controllers; 0 rather than no series."""
        own = self.each("avi_controller_upgrade_units", is_in("controller", "kind"), by="controller, version")
        there = f"sum by (controller) ({self._versions(kind)} and on (controller, version) {own})"
        return f"({there} or 0 * {self.units_of(kind)})"

    def units_of(self, kind: str) -> str:
        """How many units of the kind there are."""
        return f"sum by (controller) ({self._versions(kind)})"

    def engines(self, states: str) -> str:
        """How many Service Engines of each group are in one of these states."""
        return f"sum by ({UNIT}) ({self.each('avi_upgrade_service_engines', is_in(states), by=f'{UNIT}, state')})"

    def _versions(self, kind: str) -> str:
        return self.each("avi_controller_upgrade_units", is_in(kind, "kind"), by="controller, version, patch")

    def time_left(self) -> str:
        """Seconds to the end at the average pace since the start; no series without a start from the Controller."""
        gone = f"(time() - {self.each('avi_image_start_timestamp_seconds')})"
        return f"clamp_min({gone} * (1 / ({self.each('avi_image_progress_ratio')} > 0) - 1), 0)"

    def seconds_without_move(self) -> str:
        """Seconds since progress, a task or an event moved; no series where the Controller reports none of them."""
        since = f"clamp_min(time() - {self.each('avi_image_progress_changed_timestamp_seconds')}, 0)"
        moving = ("avi_image_progress_ratio", "avi_image_tasks_completed", "avi_image_node_events")
        return f"({since} and ({' or '.join(self.each(family) for family in moving)}))"

    def _code(self, family: str, codes: dict[str, int], by: str, *more: str, label: str = "state") -> str:
        coded = (f"{code} * ({self(family, is_in(value, label), *more)} == 1)" for value, code in codes.items())
        return f"max by ({by}) (\n  " + "\n  or ".join(coded) + "\n)"


def is_in(values: str, label: str = "state") -> str:
    """A matcher: the state, or another label, is one of these, written ``a|b``."""
    return f'{label}{"=~" if "|" in values else "="}"{values}"'


def is_not(values: str, label: str = "state") -> str:
    """A matcher: the state, or another label, is none of these, written ``a|b``; an empty text is the absent label."""
    return f'{label}{"!~" if "|" in values else "!="}"{values}"'


def of(query: str, others: str, on: str = IMAGE) -> str:
    """Keep the samples of the query whose images, or what ``on`` identifies, are in the other query."""
    return f"{query}\nand on ({on}) {others}"


def count(query: str) -> str:
    """Count the samples; 0 rather than no series if there are none."""
    return f"count({query}) or vector(0)"
