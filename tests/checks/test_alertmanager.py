"""The example of an Alertmanager: amtool accepts it, routes and windows do what they say, the template renders."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.support.programs import output_of, program
from tests.support.rules import PROMETHEUS, alerts


async def test_amtool_accepts_the_example_of_an_alertmanager() -> None:
    status, stdout, stderr = await output_of(program("amtool"), "check-config", str(PROMETHEUS / "alertmanager.yml"))
    assert (status, stderr) == (0, ""), stdout


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "pager"), ("warning", "tickets"), ("info", "tickets")])
async def test_amtool_routes_alerts_by_their_severity(severity: str, receiver: str) -> None:
    command = ("config", "routes", "test", "--config.file", str(PROMETHEUS / "alertmanager.yml"))
    status, stdout, _ = await output_of(
        program("amtool"), *command, f"severity={severity}", "alertname=AviImageUploadFailed"
    )
    assert (status, stdout) == (0, f"{receiver}\n")


async def test_alerts_of_others_whose_names_begin_alike_take_no_route_of_ours() -> None:
    """A page for a critical alert of another team, with a name such as AviatorDown."""
    command = ("config", "routes", "test", "--config.file", str(PROMETHEUS / "alertmanager.yml"))
    _, stdout, _ = await output_of(program("amtool"), *command, "severity=critical", "alertname=AviatorDown")
    assert stdout == "tickets\n"


def test_a_change_window_mutes_no_critical_alert() -> None:
    routes = yaml.safe_load((PROMETHEUS / "alertmanager.yml").read_text())["route"]["routes"]
    muted = {'"critical"' in str(route["matchers"]): route.get("mute_time_intervals") for route in routes}
    assert muted == {True: None, False: ["change-window"]}


ALERTS = [
    {
        "status": status,
        "labels": {"alertname": "AviImageStalled", "severity": "critical", "controller": "dc1"},
        "annotations": {
            "summary": f"Image i{number} stands",
            "description": "Why.",
            "runbook_url": "https://r",
            **more,
        },
    }
    for number, status, more in ((1, "firing", {"page_url": "https://p"}), (2, "resolved", {}))
]


async def test_a_notification_has_the_links_that_its_alerts_have(tmp_path: Path) -> None:
    """A template that fails leaves the receiver without any notification."""
    common = {"alertname": "AviImageStalled", "controller": "dc1", "cluster": "eu"}
    data = {"receiver": "r", "status": "firing", "alerts": ALERTS, "groupLabels": {}, "commonLabels": common}
    (tmp_path / "data.json").write_text(json.dumps(data | {"commonAnnotations": {}, "externalURL": "https://a"}))
    command = (program("amtool"), "template", "render", f"--template.glob={PROMETHEUS}/templates/*.tmpl")
    files = f"--template.data={tmp_path}/data.json"
    title = await output_of(*command, files, '--template.text={{ template "avi.title" . }}')
    assert title == (0, "[FIRING 1] AviImageStalled on dc1 (eu)", "")
    text = await output_of(*command, files, '--template.text={{ template "avi.text" . }}')
    firing = "Image i1 stands (critical)\nWhy.\nRunbook: https://r\nLive: https://p\n\n"
    assert text == (0, firing + "Resolved: Image i2 stands (critical)\nWhy.\nRunbook: https://r\n\n", "")


def test_alertmanager_inhibits_only_alerts_that_exist() -> None:
    named = set(
        re.findall(r"\bAvi(?:Image|Controller|Monitor|Upgrade)\w+", (PROMETHEUS / "alertmanager.yml").read_text())
    )
    assert named <= alerts().keys()
