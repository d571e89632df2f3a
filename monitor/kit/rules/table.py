"""All rules, in the files in which they are shipped."""

from collections.abc import Iterator
from typing import Final

from monitor.kit.rules import controllers, images, monitors, recording, upgrade_ends, upgrade_records, upgrades
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

_RECORDING: Final = """\
What people ask Prometheus by hand, and may build their own dashboards on. Ours need none of these, as they are to work
where only the scrape is set up; nor do the alerts: each file of rules works without the others. So there are two answers
to when an upload is done: on our dashboards it is by the pace since its start, which is steady; here it is by the last
five minutes, which tell at once that it has become slower.

Names are level:metric:operation; the level controller_image is one series a job, controller and image, controller_unit
one a job, controller and unit that is upgraded, and all for each cluster, site and what else tells your installations
apart: the labels that go are those in which the monitors of a pair differ. Where several monitors watch one controller,
the one that has seen the image move fastest is believed: one that lost sight of the controller sees nothing move."""

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
    RuleFile("recording.yml", _RECORDING, (Group("avi-upgrade-monitor-recording", recording.RULES),)),
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
