"""The rules as an installation sets them: which values are refused, and what promtool says of the others."""

import re
from pathlib import Path
from textwrap import indent

import pytest
import yaml

from monitor.kit.rules.settings import Settings, parse_keep, parse_label, parse_selector, parse_stalled_s
from monitor.kit.rules.write import Format, all_rules, rule_files
from tests.support.dashboards import boards, variables
from tests.support.programs import output_of, program
from tests.support.rules import TESTS, narrowed

LABEL = Settings(labels=(("team", "net"),))
EVERYTHING = Settings(
    selector='job=~"avi.*", cluster!=`x`',
    keep=("cluster",),
    stalled_after_s=900,
    labels=(("team", "net"), ("on", "call")),
)
FORMATS: tuple[Format, ...] = ("prometheus", "operator", "mimir")


async def test_promtool_reads_the_rules_of_an_installation_that_sets_everything(tmp_path: Path) -> None:
    """A label list, a selector or a number that was put where PromQL has no place for it."""
    (tmp_path / "rules.yml").write_text(all_rules(EVERYTHING, "prometheus"))
    status, stdout, stderr = await output_of(program("promtool"), "check", "rules", str(tmp_path / "rules.yml"))
    assert (status, stderr) == (0, "")
    assert f"{all_rules(Settings(), 'prometheus').count(' expr: ')} rules found" in stdout


def test_the_formats_hold_the_same_groups() -> None:
    """A format that loses a group, or indents the text of an expression into another one."""
    prometheus, operator, mimir = (yaml.load(all_rules(EVERYTHING, each), yaml.CSafeLoader) for each in FORMATS)
    assert (operator["apiVersion"], operator["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert operator["spec"] == prometheus
    assert mimir == {"namespace": "avi-upgrade-monitor", **prometheus}


async def run_tests(folder: Path, settings: Settings, tests: dict[str, str]) -> None:
    """Run tests of ours, by the names of their files, against the rules of an installation."""
    (folder / "rules").mkdir()
    (folder / "tests").mkdir()
    for name, text in rule_files(settings, "prometheus").items():
        (folder / "rules" / name).write_text(text)
    for name, text in tests.items():
        (folder / "tests" / name).write_text(text)
    files = narrowed(folder, sorted((folder / "tests").iterdir()))
    status, stdout, stderr = await output_of(program("promtool"), "test", "rules", *map(str, files))
    assert (status, stderr) == (0, ""), stdout


def chosen(file: str, *words: str) -> str:
    """The tests of a file of ours in whose names one of the words stands."""
    (path,) = (path for path in TESTS if path.name == file)
    head, *tests = re.split(r"\n(?=  - name: )", path.read_text())
    kept = [test for test in tests if any(word in test.splitlines()[0] for word in words)]
    assert len(kept) == len(words)
    return "\n".join((head, *kept))


async def test_a_label_of_every_alert_is_on_alerts_that_stand_while_a_controller_is_not_read(tmp_path: Path) -> None:
    """An alert that reads itself finds the label there: it would be raised twice, which Prometheus refuses."""
    text = chosen("first-contact.yml", "cannot be read for hours")
    await run_tests(tmp_path, LABEL, {"held.yml": re.sub(r"(severity: \w+)", r"\1, team: net", text)})


async def test_the_selector_names_the_job_by_which_monitors_are_known(tmp_path: Path) -> None:
    """A monitor under another name of a job, of which no scrape was ever good, would be missed by the default."""
    text = chosen("first-contact.yml", "Under an operator").replace("monitoring/avi-upgrade-monitor", "net/watch")
    await run_tests(tmp_path, Settings(selector='job="net/watch"'), {"operator.yml": text})


async def test_the_text_of_an_alert_is_of_its_own_cluster(tmp_path: Path) -> None:
    """In a central ruler a job may have the same name in each cluster; versions of another one would be listed."""
    running = {"eu": ("1.0.0", "0.9.0"), "us": ("1.1.0", "1.1.0")}
    name = 'avi_upgrade_monitor_build_info{job="a", '
    series = [
        {"series": f'{name}cluster="{cluster}", instance="m{number}", version="{version}"}}', "values": "1x90"}
        for cluster, versions in running.items()
        for number, version in enumerate(versions)
    ]
    groups = yaml.load(all_rules(Settings(keep=("cluster",)), "prometheus"), yaml.CSafeLoader)["groups"]
    (rule,) = (each for group in groups for each in group["rules"] if each.get("alert") == "AviMonitorVersionsDiffer")
    rule["annotations"] = {"listed": rule["annotations"]["description"].partition("They run:")[2]}
    labels = {"severity": "info", "job": "a", "cluster": "eu"}
    fires = {"exp_labels": labels, "exp_annotations": {"listed": " 0.9.0. 1.0.0."}}
    asked = {"alertname": "AviMonitorVersionsDiffer", "eval_time": "80m", "exp_alerts": [fires]}
    test = {"interval": "1m", "input_series": series, "alert_rule_test": [asked]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "texts", "rules": [rule]}]}))
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [test]}))
    status, stdout, stderr = await output_of(program("promtool"), "test", "rules", str(tmp_path / "test.yml"))
    assert (status, stderr) == (0, ""), stdout


def standing_still(job: str) -> list[dict[str, str]]:
    """The series of an image that has not moved since minute 0."""
    image = f'job="{job}", controller="dc1", image_uuid="u"'
    values = {
        f'avi_controller_up{{job="{job}", controller="dc1"}}': "1x30",
        f'avi_image_info{{{image}, image="i"}}': "1x30",
        f'avi_image_state{{{image}, state="started"}}': "1x30",
        f"avi_image_progress_ratio{{{image}}}": "0.5x30",
        f"avi_image_progress_changed_timestamp_seconds{{{image}}}": "0x30",
    }
    return [{"series": series, "values": each} for series, each in values.items()]


async def test_an_upload_stalls_after_the_time_that_is_set_and_where_the_selector_matches(tmp_path: Path) -> None:
    """A number that does not reach the expression, and series of another job that raise an alert all the same."""
    asked = 'count by (job) (ALERTS{alertname="AviImageStalled", alertstate="firing"})'
    fires = {"labels": '{job="a"}', "value": 1}
    moments: dict[str, list[object]] = {"15m": [], "18m": [fires]}
    test = {
        "interval": "1m",
        "input_series": standing_still("a") + standing_still("b"),
        "promql_expr_test": [{"expr": asked, "eval_time": at, "exp_samples": seen} for at, seen in moments.items()],
    }
    head = "rule_files: [../rules/alerts.yml]\nevaluation_interval: 1m\ntests:\n  - name: stalled\n"
    text = head + indent(yaml.safe_dump(test), "    ")
    await run_tests(tmp_path, Settings(selector='job="a"', stalled_after_s=900), {"stalled.yml": text})
    assert "for 15 minutes or more" in " ".join((tmp_path / "rules" / "alerts.yml").read_text().split())


def test_alerts_lead_to_runbook_dashboard_and_page_where_the_installation_has_them() -> None:
    """A dashboard or a variable of another name: the link opens an empty one."""
    urls = Settings(runbooks="https://wiki/avi", grafana="https://grafana/g", page="https://watch")
    groups = yaml.load(all_rules(urls, "prometheus"), yaml.CSafeLoader)["groups"]
    links = {rule["alert"]: rule["annotations"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert {(each["runbook_url"]) for each in links.values()} == {f"https://wiki/avi/{name}.md" for name in links}
    known = {
        f"https://grafana/g/d/{board['uid']}": {each["name"] for each in variables(board)}
        for board in boards().values()
    }
    for each in links.values():
        url, _, query = each["dashboard_url"].partition("?")
        assert set(re.findall(r"var-(\w+)=", query)) <= known[url]
    assert links["AviMonitorDown"]["page_url"] == "https://watch/"
    assert "dashboard_url" not in all_rules(Settings(), "prometheus")


async def test_the_links_of_a_controller_with_a_strange_name_are_whole(tmp_path: Path) -> None:
    """A name with a space or a & ends the link, and the dashboard shows all controllers."""
    series = [{"series": 'avi_controller_upgrades_readable{controller="dc 1&2"}', "values": "0x90"}]
    expected = {
        "dashboard_url": "https://g/d/avi-upgrade-monitor-upgrade?var-controller=dc+1%262",
        "page_url": "https://w/#/upgrade/dc%201%262",
    }
    settings = Settings(grafana="https://g", page="https://w")
    (rule,) = (
        rule
        for group in yaml.load(all_rules(settings, "prometheus"), yaml.CSafeLoader)["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "AviUpgradesUnreadable"
    )
    rule["annotations"] = {name: rule["annotations"][name] for name in expected}
    fires = {"exp_labels": {"severity": "info", "controller": "dc 1&2"}, "exp_annotations": expected}
    asked = {"alertname": "AviUpgradesUnreadable", "eval_time": "80m", "exp_alerts": [fires]}
    test = {"interval": "1m", "input_series": series, "alert_rule_test": [asked]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "links", "rules": [rule]}]}))
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [test]}))
    status, stdout, stderr = await output_of(program("promtool"), "test", "rules", str(tmp_path / "test.yml"))
    assert (status, stderr) == (0, ""), stdout


# --- which values are refused

SELECTORS = [
    'job="x"', ' job = "x" , cluster=~"a|b" ', "job='x'", "job=`a\\d`", 'job=~"a\\\\d+"', 'job!~"(?i)x"',
    'a="",b!="é"', 'a="\\u00e9\\x41"',
]  # fmt: skip
BAD_SELECTORS = [
     '{job="x"}', "job", "job=x", 'job="x', 'job=="x"', 'job="x" cluster="y"', '1b="x"', 'job=~"("', 'job=~"a\\d"',
    'job=~"(?=x)"', 'job=~"(a)\\\\1"', 'job="x\ny"',
]  # fmt: skip
NO_MATCHERS = ["", 'job="x"} or up{a="b"']  # which would be PromQL, but of another meaning


async def errors_of(folder: Path, selectors: list[str]) -> int:
    """How many of the selectors promtool refuses, each in a rule of its own."""
    made = [{"record": f"rule:{number}", "expr": f"up{{{text}}}"} for number, text in enumerate(selectors)]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "selectors", "rules": made}]}))
    _, _, stderr = await output_of(program("promtool"), "check", "rules", str(folder / "rules.yml"))
    return stderr.count("could not parse expression")


async def test_selectors_that_prometheus_reads_are_taken(tmp_path: Path) -> None:
    assert [parse_selector(text) for text in SELECTORS] == [text.strip() for text in SELECTORS]
    assert await errors_of(tmp_path, SELECTORS) == 0


@pytest.mark.parametrize("text", [*BAD_SELECTORS, *NO_MATCHERS])
def test_a_selector_that_prometheus_refuses_is_refused_with_what_was_expected(text: str) -> None:
    """Rules that are written with it would stop a Prometheus at its next reload."""
    with pytest.raises(ValueError, match=r"found .*, expected "):
        parse_selector(text)


async def test_prometheus_refuses_what_is_refused(tmp_path: Path) -> None:
    """A pattern that Prometheus would have read, and that an operator has to write in another way."""
    assert await errors_of(tmp_path, BAD_SELECTORS) == len(BAD_SELECTORS)


@pytest.mark.parametrize("text", ["", "5", "0s", "300ms", "1.5m", "m", "-5m", "5m1h"])
def test_a_duration_that_is_none_or_no_whole_seconds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"found .*, expected a duration"):
        parse_stalled_s(text)


@pytest.mark.parametrize(
    "text", ["", "team", "team=", "=net", "my-team=net", "1=x", "severity=critical", "controller=x", "a={{ b"]
)
def test_a_label_that_an_alert_cannot_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"found .*, expected "):
        parse_label(text)


@pytest.mark.parametrize("text", ["", "cluster,", "a b", "cluster,instance", "pod", "__name__"])
def test_labels_that_cannot_stay_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"found .*, expected "):
        parse_keep(text)


def test_values_are_taken_as_they_are_meant() -> None:
    assert parse_keep("cluster, site") == ("cluster", "site")
    assert parse_label("team=net=work") == ("team", "net=work")
    assert parse_stalled_s("1h30m") == 5400
