"""Which alert keeps which other quiet: a real Alertmanager with the configuration that we ship."""

from collections.abc import Iterator
from pathlib import Path

from tests.support.alertmanager import Alertmanager, alertmanager_running
from tests.support.programs import eventually, free_address
from tests.support.prometheus import shipped
from tests.support.rules import alerts

CANNOT_BE_READ = {"AviControllerDown", "AviControllerDownForOne", "AviControllerFlapping", "AviControllerStale"}
OF_ENGINES = {"AviUpgradeServiceEnginesFailed", "AviUpgradeServiceEngineStuck"}
QUIET: dict[str, tuple[str, set[str]]] = {
    "AviImageUploadFailed": ("image_uuid", {"AviImageNodeEventFailed", "AviImageNodesDiverged"}),
    "AviImageStalled": ("image_uuid", {"AviImageSlow", "AviImageNodesDiverged"}),
    "AviImageNodeEventFailed": ("node", {"AviImageNodesDiverged"}),
    "AviControllerLogInSuspended": ("controller", CANNOT_BE_READ),
    "AviControllerThrottled": ("controller", CANNOT_BE_READ),
    "AviControllerDown": ("controller", {"AviControllerFlapping", "AviControllerStale"}),
    "AviControllerCertificateExpiringSoon": ("controller", {"AviControllerCertificateExpiring"}),
    "AviUpgradeControllersAway": ("controller", CANNOT_BE_READ),
    "AviControllerUpgradeOverdue": ("controller", {*CANNOT_BE_READ, "AviUpgradeControllersAway"}),
    "AviUpgradeFailed": ("unit_uuid", OF_ENGINES),
    "AviUpgradeSuspended": ("unit_uuid", OF_ENGINES),
    "AviUpgradeStalled": ("unit_uuid", {"AviUpgradeServiceEngineStuck"}),
    "AviUpgradeVersionsFull": ("controller", {"AviUpgradeVersionSkew"}),
    "AviMonitorAbsent": ("job", {"AviMonitorDown", "AviMonitorFlapping"}),
    "AviMonitorDown": ("instance", {"AviMonitorFlapping"}),
    "AviMonitorStuck": ("instance", {"AviMonitorLoopBlocked"}),
    "AviMonitorStoreDown": ("instance", {"AviMonitorAuditNotWritable"}),
}
"""By alert: the last label that an alert shares with it which it keeps quiet, and the names of these alerts."""

Fired = tuple[str, str, str]
"""Its name, the site, and whether it is of the same object as the alert that may keep it quiet."""


def labels(site: str, name: str, **others: str) -> dict[str, str]:
    """The labels of an alert. ``site``: the alert of `QUIET` that fires there; no other site knows of it."""
    fixed = {"job": "j", "instance": "m1", "controller": "dc1", "image_uuid": "i1", "node": "n1", "unit_uuid": "u1"}
    return {"alertname": name, "site": site, "object": "same", **fixed, **others}


def fired() -> Iterator[dict[str, str]]:
    """In a site each: an alert of `QUIET`, those that it keeps quiet, the same of other objects, and critical ones."""
    critical = {name for name, alert in alerts().items() if alert["labels"]["severity"] == "critical"}
    for source, (label, quiet) in QUIET.items():
        yield labels(source, source)
        for name in quiet:
            yield labels(source, name)
            yield labels(source, name, **{label: f"other {name}"}, object="other")
        for name in critical - quiet - QUIET.keys():
            yield labels(source, name)


async def states(alertmanager: Alertmanager) -> dict[Fired, str]:
    """By alert: active or suppressed."""
    every = await alertmanager.alerts("Avi.*")
    return {
        (each["labels"]["alertname"], each["labels"]["site"], each["labels"]["object"]): each["status"]["state"]
        for each in every
    }


async def test_an_alert_keeps_those_quiet_that_follow_from_it_and_no_other(tmp_path: Path) -> None:
    nowhere = {f"https://{name}.example.net/alertmanager": "http://127.0.0.1:9/" for name in ("pager", "tickets")}
    expected = {
        (each["alertname"], each["site"], each["object"]): (
            "suppressed" if each["object"] == "same" and each["alertname"] in QUIET[each["site"]][1] else "active"
        )
        for each in fired()
    }
    async with alertmanager_running(shipped("alertmanager.yml", nowhere), tmp_path, free_address()) as alertmanager:
        await alertmanager.fire(fired())
        assert await eventually(lambda: states(alertmanager), expected.__eq__) == expected
