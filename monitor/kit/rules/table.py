"""All rules, in the files in which they are shipped."""

from collections.abc import Iterator
from typing import Final

from monitor.kit.rules import controllers, images, monitors, upgrade_ends, upgrade_records, upgrades
from monitor.kit.rules.rule import Group, Rule, RuleFile

_ALERTS: Final = """\
Alerts of avi-upgrade-monitor. Each has a runbook in runbooks/ and its tests in tests/; `promtool test rules` runs them.
Those on upgrades are in upgrades.yml.

Severity: critical, an operator should look now; warning, today; info, when there is time.

Where several monitors watch one controller, their series are aggregated first, so that an image or a controller raises
one alert, not one for each monitor. An image that is acknowledged on one monitor counts as acknowledged.

Aggregations and joins name the labels in which the monitors of a pair differ (instance, node, pod), not those that
stay: so cluster, site and each other label that tells installations apart stays on the alert, and is compared. Where
your targets have one more label that differs between the monitors of a pair, name those that stay: --keep.

Alerts that an image does not move use only monitors whose last poll was good: without polls, nothing seems to move.

A lost scrape ends the series of its target. So that it does not resolve an alert and raise it anew, gauges of
controllers and monitors count for five minutes (last_over_time), and alerts on images stand as they are (ALERTS) while
no monitor can read the controller."""

_UPGRADES: Final = """\
Alerts on upgrades: of the Controllers themselves, of SE groups and of their Service Engines. What alerts.yml says at its
top about severities, two monitors, labels and lost scrapes holds here, too; neither file needs the other.

A unit is what is upgraded as one: the cluster of Controllers, or an SE group. A unit that is acknowledged raises no alert,
and neither does an SE group of the same night where the cluster is."""

FILES: Final = (
    RuleFile(
        "alerts.yml",
        _ALERTS,
        (
            Group("avi-upgrade-monitor-images", images.RULES),
            Group("avi-upgrade-monitor-controllers", controllers.RULES),
            Group("avi-upgrade-monitor-itself", monitors.RULES),
        ),
    ),
    RuleFile(
        "upgrades.yml",
        _UPGRADES,
        (Group("avi-upgrade-monitor-upgrades", (*upgrade_records.RULES, *upgrades.RULES, *upgrade_ends.RULES)),),
    ),
)


def every_rule() -> Iterator[Rule]:
    """Yield the rules of all files."""
    for file in FILES:
        for group in file.groups:
            yield from group.rules
