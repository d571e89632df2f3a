"""What queries of the dashboards answer to series that are made for them, as promtool evaluates them."""

import re
from pathlib import Path

import yaml

from tests.support.dashboards import asked, boards, filled
from tests.support.programs import output_of, program

EVERY = [each for name, board in boards().items() for each in asked(name, board)]
ANYWHERE = {"job": ".*", "cluster": ".*"}  # what is chosen where all is


HEALTH = {
    "up": 'avi_controller_up{} 1, avi_controller_stale{resource="image"} 0',
    "without-upgrade-status": 'avi_controller_up{} 1, avi_controller_stale{resource="upgrade"} 1',
    "upgrading": "avi_controller_up{} 0, avi_controller_upgrade_in_progress{} 1",
    "down": 'avi_controller_up{} 0, avi_controller_stale{resource="image"} 0, avi_controller_upgrade_in_progress{} 0',
    "stale": 'avi_controller_up{} 0, avi_controller_stale{resource="image"} 1',
    "suspended": "avi_controller_up{} 0, avi_controller_auth_suspended{} 1",
}
CODES = {"up": 1, "without-upgrade-status": 1, "upgrading": 2, "down": 3, "stale": 4, "suspended": 5}


async def test_the_health_of_a_controller_is_the_worst_that_is_known_of_it(tmp_path: Path) -> None:
    (health,) = (query.query for query in EVERY if (query.board, query.title) == ("fleet", "Health"))
    series = [
        {"series": each.split()[0].replace("{", f'{{controller="{name}", '), "values": each.split()[1]}
        for name, every in HEALTH.items()
        for each in every.split(", ")
    ]
    codes = [{"labels": f'{{controller="{name}"}}', "value": code} for name, code in CODES.items()]
    asked_now = {"expr": filled(health, ANYWHERE | {"controller": ".*"}), "eval_time": "0s", "exp_samples": codes}
    (tmp_path / "test.yml").write_text(
        yaml.safe_dump({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [asked_now]}]})
    )
    status, stdout, stderr = await output_of(program("promtool"), "test", "rules", str(tmp_path / "test.yml"))
    assert (status, stderr) == (0, ""), stdout


async def test_an_acknowledged_cluster_counts_for_the_groups_of_its_night_as_in_the_alerts(tmp_path: Path) -> None:
    seen, unseen = (
        filled(query.query, ANYWHERE | {"controller": "dc1"})
        for ref in ("B", "A")
        for query in EVERY
        if (query.board, query.title, query.ref) == ("upgrade", "Failed and unseen", ref)
    )
    began_s = {"c": 0, "before": -3600, "with": 0, "after": 3600, "days-later": 172800}
    series = [{"series": 'avi_controller_upgrade_phase{controller="dc1", phase="none"}', "values": "1"}]
    for uuid, start_s in began_s.items():
        labels = f'controller="dc1", unit_uuid="{uuid}", kind="{"controller" if uuid == "c" else "se_group"}"'
        series += [
            {"series": f'avi_upgrade_state{{{labels}, state="failed"}}', "values": "1"},
            {"series": f"avi_upgrade_start_timestamp_seconds{{{labels}}}", "values": f"{start_s}"},
            {"series": f"avi_upgrade_acknowledged{{{labels}}}", "values": f"{int(uuid == 'c')}"},
        ]
    asked_now = [
        {"expr": query, "eval_time": "0s", "exp_samples": [{"labels": "{}", "value": count}]}
        for query, count in ((seen, 3), (unseen, 2))
    ]
    (tmp_path / "test.yml").write_text(
        yaml.safe_dump({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": asked_now}]})
    )
    status, stdout, stderr = await output_of(program("promtool"), "test", "rules", str(tmp_path / "test.yml"))
    assert (status, stderr) == (0, ""), stdout


async def test_the_alerts_of_a_fleet_are_those_of_its_controllers_and_of_monitors(tmp_path: Path) -> None:
    """An alert of another Controller or of another team, one that is pending, and one without a controller."""
    (alerts,) = (query.query for query in EVERY if (query.board, query.title) == ("fleet", "Alerts"))
    series = {
        '{alertname="AviImageSlow", alertstate="firing", severity="warning", controller="dc1", image="i"}': 2,
        '{alertname="AviMonitorDown", alertstate="firing", severity="critical", instance="m1"}': 3,
        '{alertname="AviImageSlow", alertstate="firing", severity="warning", controller="dc2"}': 0,
        '{alertname="AviImageStalled", alertstate="pending", severity="critical", controller="dc1"}': 0,
        '{alertname="AviatorDown", alertstate="firing", severity="critical", controller="dc1"}': 0,
    }
    shown = [
        {"labels": re.sub(r'alertstate="\w+", severity="\w+", ', "", labels), "value": code}
        for labels, code in series.items()
        if code
    ]
    query = filled(alerts, ANYWHERE | {"controller": "dc1"})
    test = {
        "interval": "1m",
        "input_series": [{"series": f"ALERTS{labels}", "values": "1"} for labels in series],
        "promql_expr_test": [{"expr": query, "eval_time": "0s", "exp_samples": shown}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"tests": [test]}))
    status, stdout, stderr = await output_of(program("promtool"), "test", "rules", str(tmp_path / "test.yml"))
    assert (status, stderr) == (0, ""), stdout
