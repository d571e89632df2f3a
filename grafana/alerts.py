"""
The alerts that fire, as Prometheus has them in its series ``ALERTS``.

A table and not Grafana's own list of alerts: that one asks the data source for its rules, which not each of those that
speak PromQL can be asked for, and it does not lead to the image or the upgrade.
"""

from typing import Final

from grafana import frame, looks
from grafana.looks import BLUE, ORANGE, RED, Shade
from grafana.panels import Head, Panel
from grafana.promql import Scope, is_in
from grafana.tables import columns, label, value

_OURS: Final = 'alertname=~"Avi(Image|Controller|Monitor|Upgrade).*"'
_LABELS: Final = "alertname, controller, image, image_uuid, unit, cloud, node, instance"
_SEVERITIES: Final = (Shade(3, "critical", RED), Shade(2, "warning", ORANGE), Shade(1, "info", BLUE))


def alerts(of: Scope, text: str) -> Panel:
    """What fires of a scope, the most severe first; empty as well where the rules are not evaluated."""
    firing = "\n  or ".join(
        f"{each.value} * {of('ALERTS', _OURS, is_in('firing', 'alertstate'), is_in(each.text, 'severity'))}"
        for each in _SEVERITIES
    )
    rows = (
        value("Severity", f"max by ({_LABELS}) (\n  {firing}\n)", *looks.colored(*_SEVERITIES), *looks.width(100)),
        label("alertname", "Alert"),
        label("controller", "Controller", *frame.TO_UPGRADE),
        label("image", "Image", *frame.TO_IMAGE),
        label("image_uuid", "uuid", *looks.HIDDEN),
        label("unit", "Unit"),
        label("cloud", "Cloud"),
        label("node", "Node"),
        label("instance", "Monitor"),
    )
    return columns(Head("Alerts", text, 24, 6), *rows, by="Severity", descending=True).no_value("No alert fires")
