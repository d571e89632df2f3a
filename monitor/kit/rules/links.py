"""Where an alert leads to: its runbook, its dashboard in Grafana and its place on the page of the monitor."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from monitor.kit.rules.settings import Settings

# In a query a space may be +, as urlquery of Go's templates writes it; elsewhere it is %20
_CONTROLLER: Final = "{{ $labels.controller | urlquery }}"
_CONTROLLER_PART: Final = '{{ $labels.controller | urlquery | reReplaceAll "[+]" "%20" }}'
_IMAGE: Final = "{{ $labels.image_uuid | urlquery }}"


class _Place(NamedTuple):
    """``dashboard``: its uid and variables; ``fragment``: of the page."""

    dashboard: str
    fragment: str


_PLACES: Final[Mapping[str, _Place]] = {
    "AviImage": _Place(
        f"image?var-controller={_CONTROLLER}&var-image={_IMAGE}", f"#/image/{_CONTROLLER_PART}/{_IMAGE}"
    ),
    "AviUpgrade": _Place(f"upgrade?var-controller={_CONTROLLER}", f"#/upgrade/{_CONTROLLER_PART}"),
    "AviController": _Place(f"fleet?var-controller={_CONTROLLER}", ""),
    "AviMonitor": _Place("monitor", ""),
}
"""By the first words of an alert's name."""


def links(alert: str, settings: Settings) -> Mapping[str, str]:
    """Return the annotations of an alert that are URLs: those of which the installation has said where they are."""
    place = next(place for prefix, place in _PLACES.items() if alert.startswith(prefix))
    found = {"runbook_url": f"{settings.runbooks}/{alert}.md"}
    if settings.grafana:
        found["dashboard_url"] = f"{settings.grafana}/d/avi-upgrade-monitor-{place.dashboard}"
    if settings.page:
        found["page_url"] = f"{settings.page}/{place.fragment}"
    return found
