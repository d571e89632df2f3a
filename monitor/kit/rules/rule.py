"""
What a rule is, and the two shapes that most alerts have.

Expressions are those of an installation that sets nothing; `monitor.kit.rules.render` changes in them what one sets.
"""

from textwrap import dedent, indent
from typing import Final, Literal, NamedTuple

Severity = Literal["critical", "warning", "info"]

STALLED_S: Final = "STALLED_SECONDS"
"""In an expression: the number of seconds after which an upload that does not move has stalled."""
STALLED: Final = "STALLED_WORDS"
"""In a text: the same as words."""


class Record(NamedTuple):
    """A recording rule. ``comment``: written above it."""

    name: str
    expr: str
    comment: str = ""


class Alert(NamedTuple):
    """
    An alerting rule. Its runbook has its name.

    ``lasting``: for how long it must hold, as Prometheus writes durations; empty: it fires at once. In ``summary`` and
    ``description`` a line break is a space.
    """

    name: str
    severity: Severity
    expr: str
    summary: str
    description: str
    lasting: str = ""
    comment: str = ""


Rule = Record | Alert


class Group(NamedTuple):
    """Rules that are evaluated one after the other."""

    name: str
    rules: tuple[Rule, ...]


class RuleFile(NamedTuple):
    """A file of groups that needs no other one. ``head``: the comment at its top."""

    name: str
    head: str
    groups: tuple[Group, ...]


def image_alert(name: str, expr: str, *, also: str = "", firing: bool = False) -> str:
    """
    Make an alert on images of what is wrong with one: with its name, and quiet while it is acknowledged.

    While no monitor can read the controller, the alert stands as it is. ``also``: a label of ``expr`` beside controller
    and image_uuid. ``firing``: stand only once it fires, not while it is pending; for alerts that wait long.
    """
    others = f", {also}" if also else ""
    state = ', alertstate="firing"' if firing else ""
    return f"""\
(
  (
{_inner(expr)}
  )
  * ignoring (image{others}) group_left (image) controller_image:avi_image_info:name
  or
  max without (alertname, alertstate, severity) (ALERTS{{alertname="{name}"{state}}})
    and ignoring (image_uuid, image{others}) controller:avi_controller_up:unread
)
unless ignoring (image{others}) controller_image:avi_image_acknowledged:any"""


def unit_alert(name: str, expr: str, *, leftovers: bool = True, firing: bool = False) -> str:
    """
    Make an alert on units of what is wrong with one, as `image_alert`.

    ``leftovers``: also of units whose operation ended more than seven days ago.
    """
    state = ', alertstate="firing"' if firing else ""
    earlier = "" if leftovers else "\nunless ignoring (unit, cloud) controller_unit:avi_upgrade_state:earlier"
    return f"""\
(
  (
{_inner(expr)}
  )
  * ignoring (unit, cloud) group_left (unit, cloud) controller_unit:avi_upgrade_info:name
  or
  max without (alertname, alertstate, severity) (ALERTS{{alertname="{name}"{state}}})
    and ignoring (unit_uuid, kind, unit, cloud) controller:avi_controller_upgrades_readable:unread
){earlier}
unless ignoring (unit, cloud) controller_unit:avi_upgrade_acknowledged:any"""


def _inner(expr: str) -> str:
    return indent(dedent(expr).strip("\n").rstrip(), "    ")
