"""The rules, their tests and their runbooks: promtool and amtool accept them, and all that they name exists."""

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from inspect import signature
from pathlib import Path

import click
import msgspec
import pytest
import yaml

from grafana import looks
from monitor.cli import main
from monitor.config.settings import Settings
from monitor.kit.rules.settings import STALLED_AFTER_S
from monitor.kit.rules.settings import Settings as RuleSettings
from monitor.kit.rules.write import rule_files
from monitor.metrics.self_metrics import SelfMetrics
from monitor.model.upgrade import UnitKind, Upgrade
from monitor.polling.resources import FAMILIES, TrackingSettings
from monitor.polling.upgrade import stalled_after_s
from monitor.web.stream.event_stream import EventStream
from tests.support.dashboards import boards
from tests.support.documentation import DOCUMENTATION, page
from tests.support.programs import output_of, program
from tests.support.rules import (
    PROMETHEUS,
    RULES,
    RUNBOOKS,
    TESTS,
    Yaml,
    alerts,
    expectations,
    hurried,
    narrowed,
    promtool_tests,
    rules,
)

HEADINGS = ["## What it means", "## What to look at first", "## What to do"]
FILES = [path for path in sorted(PROMETHEUS.rglob("*")) if path.suffix in {".yml", ".md", ".tmpl"}]
BASE = "https://github.com/avi-upgrade-monitor/avi-upgrade-monitor/blob/main/deploy/prometheus/runbooks"
Moments = defaultdict[tuple[str, str], list[int]]  # by file and test
BY_TARGET = {"monitor:up:known", "AviMonitorAbsent"}

OF_A_TARGET = {"job", "instance"}  # the labels that Prometheus adds to every series
# Those that service discovery and central rulers add; `node` of a target is beside one of ours, or where we have none
OF_AN_INSTALLATION = {"cluster", "site", "region", "namespace", "pod", "container", "node"}


# --- what the program writes, and promtool checks


def test_the_committed_rules_are_what_the_program_writes() -> None:
    """A rule that was changed in a file of rules, or in the table alone."""
    written = rule_files(RuleSettings(), "prometheus")
    assert written.keys() == {path.name for path in RULES.iterdir()}
    for name, text in written.items():
        assert (RULES / name).read_text() == text, f"{name}: avi-upgrade-monitor kit rules --output ."


async def test_promtool_accepts_the_scrape_config_and_the_rules_that_it_names() -> None:
    status, stdout, stderr = await output_of(program("promtool"), "check", "config", str(PROMETHEUS / "prometheus.yml"))
    assert (status, stderr) == (0, "")
    assert "2 rule files found" in stdout


async def test_promtool_finds_no_duplicate_rule() -> None:
    files = [str(path) for path in RULES.glob("*.yml")]
    status, stdout, stderr = await output_of(program("promtool"), "check", "rules", *files)
    assert (status, stderr) == (0, "")
    assert sum(map(int, re.findall(r"(\d+) rules found", stdout))) == len(rules())
    assert "duplicate" not in stdout


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
async def test_the_rules_pass_their_promtool_tests(path: Path, tmp_path: Path) -> None:
    files = map(str, narrowed(tmp_path, [path]))
    status, stdout, stderr = await output_of(program("promtool"), "test", "rules", *files)
    assert (status, stderr) == (0, ""), stdout
    assert stdout.count("SUCCESS") == sum(file == path.name for file, _ in promtool_tests())


def options() -> Iterator[tuple[str, str]]:
    """Yield the options that the scrape config has in comments: first key, and text without the comment signs."""
    for block in re.findall(
        r"(?:^    # (?:  )*[a-z_]+:.*\n)+", (PROMETHEUS / "prometheus.yml").read_text(), re.MULTILINE
    ):
        yield block.split()[1].strip(":"), re.sub(r"^    # ", "    ", block, flags=re.MULTILINE)


@pytest.mark.parametrize("key", ["authorization", "basic_auth", "scheme"])
async def test_promtool_accepts_the_scrape_config_with_the_options_in_its_comments(key: str, tmp_path: Path) -> None:
    options_by_key = dict(options())
    assert options_by_key.keys() == {"authorization", "basic_auth", "scheme"}
    text = (PROMETHEUS / "prometheus.yml").read_text() + options_by_key[key]
    text = text.replace("/etc/prometheus", str(tmp_path)).replace("rules/*.yml", f"{RULES}/*.yml")
    for name in re.findall(rf"{tmp_path}/([\w.-]+)", text):
        (tmp_path / name).write_text("")
    (tmp_path / "prometheus.yml").write_text(text)
    status, stdout, stderr = await output_of(
        program("promtool"), "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")
    )
    assert (status, stderr) == (0, ""), stdout


async def test_promtool_accepts_every_query_of_the_runbooks(tmp_path: Path) -> None:
    queries = [
        query for path in RUNBOOKS for query in re.findall(r" *```promql\n(.*?)```", path.read_text(), re.DOTALL)
    ]
    assert len(queries) >= len(RUNBOOKS)
    made = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": made}]}))
    status, _, stderr = await output_of(program("promtool"), "check", "rules", str(tmp_path / "queries.yml"))
    assert (status, stderr) == (0, "")


async def test_promtool_and_amtool_accept_what_the_readme_inhibits_alerts_of_other_teams_with(tmp_path: Path) -> None:
    text = page("how-to/quiet-other-alerts.md")
    rule, config = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "rules.yml").write_text(rule)
    (tmp_path / "alertmanager.yml").write_text(config)
    status, _, stderr = await output_of(program("promtool"), "check", "rules", str(tmp_path / "rules.yml"))
    assert (status, stderr) == (0, "")
    ((name, labels),) = ((each["alert"], each["labels"]) for each in yaml.safe_load(rule)["groups"][0]["rules"])
    command = ("config", "routes", "test", "--config.file", str(tmp_path / "alertmanager.yml"))
    route = await output_of(program("amtool"), *command, f"alertname={name}", f"severity={labels['severity']}")
    assert route[:2] == (0, "nowhere\n")
    (inhibition,) = yaml.safe_load(config)["inhibit_rules"]
    assert inhibition["source_matchers"] == [f'alertname="{name}"']


# --- every alert is complete


@pytest.mark.parametrize("name", alerts())
def test_every_alert_has_a_severity_texts_and_its_runbook(name: str) -> None:
    alert = alerts()[name]
    assert set(alert["labels"]) == {"severity"}
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"{BASE}/{name}.md"
    assert "$value" not in alert["annotations"]["summary"], (
        "the title of a notification would change with each evaluation"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROMETHEUS)))
def test_rules_tests_and_runbooks_name_the_actor(path: Path) -> None:
    assert re.findall(r"(?i)\b(?:who|any|some|every|no)(?:ever|body)\b", path.read_text()) == []


@pytest.mark.parametrize("name", alerts())
def test_every_alert_is_tested_to_fire_to_stay_quiet_and_to_resolve(name: str) -> None:
    fires: Moments = defaultdict(list)
    quiet: Moments = defaultdict(list)
    for expected in expectations():
        if expected.alert == name:
            (fires if expected.fires else quiet)[expected.file, expected.test].append(expected.at_s)
    assert fires, "no test sees it fire"
    assert quiet.keys() - fires.keys(), "no test has its series and sees it quiet"
    assert any(max(quiet[each], default=0) > max(fires[each]) for each in fires), "no test sees it resolve"


def test_every_test_is_of_an_alert_that_exists() -> None:
    assert {expected.alert for expected in expectations()} == alerts().keys()


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS} == alerts().keys()


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_says_what_it_means_what_to_look_at_and_what_to_do(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(f"# {path.stem}\n\nSeverity: {alerts()[path.stem]['labels']['severity']}\n")
    assert re.findall(r"^## .*", text, re.MULTILINE) == HEADINGS
    links = re.findall(r"\]\((\w+)\.md\)", text)
    assert set(links) <= alerts().keys()


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_says_the_impact_in_a_line_and_where_to_look(path: Path) -> None:
    """A dashboard that has another uid, or the log of a platform that is left out."""
    head = path.read_text().split("\n## ")[0]
    assert re.search(r"\n\nImpact: [^\n]+\.\n\nDashboard: ", head)
    ((title, uid),) = re.findall(r"Dashboard: \*(\w+)\*, `/d/([\w-]+)` of your Grafana\. Page: `/", head)
    assert {board["uid"]: board["title"] for board in boards().values()}[uid] == f"Avi images: {title}"
    logs = "`journalctl --unit avi-upgrade-monitor`", "`docker compose logs monitor`", "`kubectl logs --selector "
    assert [each for each in logs if each not in head] == []


def test_one_number_decides_when_an_image_has_stalled() -> None:
    (in_the_alert,) = re.findall(r"> (\d+)\n", alerts()["AviImageStalled"]["expr"])
    by_default = {field.name: field.default for field in msgspec.structs.fields(Settings)}["stalled_after_s"]
    of_the_stream = signature(EventStream).parameters["stalled_after_s"].default
    numbers = by_default, TrackingSettings().stalled_after_s, of_the_stream, looks.STALLED_AFTER_S, STALLED_AFTER_S
    assert {float(in_the_alert)} == set(numbers)


def test_one_number_of_each_kind_decides_when_a_unit_has_stalled() -> None:
    rule = alerts()["AviUpgradeStalled"]["expr"]
    in_the_alert = [float(number) for number in re.findall(r"unmoved_seconds\{kind!?=\"controller\"\} > (\d+)\n", rule)]
    kinds: tuple[UnitKind, ...] = ("se_group", "controller")
    assert in_the_alert == [stalled_after_s(Upgrade(uuid="u", kind=kind)) for kind in kinds]
    assert in_the_alert == [number for number, _ in reversed(looks.UNIT_STALL)]


# --- all that is named exists


def known_series() -> dict[str, set[str]]:
    """Every series that a scrape can have, with its labels."""
    series = {family.name: {*family.identity, *family.labels} for family in FAMILIES if family.kind != "histogram"}
    for family in FAMILIES:
        if family.kind == "histogram":
            suffixes = {"_bucket": {"le"}, "_count": set[str](), "_sum": set[str]()}
            series |= {family.name + suffix: {*family.identity, *labels} for suffix, labels in suffixes.items()}
    own = SelfMetrics()
    own.requested("/metrics", "GET", 200, 0.1, "my-1")
    return series | {sample.name: set(sample.labels) for each in own.registry.collect() for sample in each.samples}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROMETHEUS)))
def test_every_metric_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r"(?<![:\w])(?:avi_(?:image|controller|upgrade)|process)_\w+", path.read_text()))
    assert named - known_series().keys() - {"avi_image_"} == set()  # the last one is a prefix


def test_every_series_of_the_tests_has_the_labels_of_a_real_scrape() -> None:
    series = [each["series"] for _, test in promtool_tests() for each in test["input_series"]]
    for text in series:
        name, labels = text.split("{")
        found = {label.removeprefix("exported_") for label in re.findall(r'(\w+)="', labels)}
        own = set() if name == "up" else known_series()[name]
        assert found - (OF_AN_INSTALLATION - own) == OF_A_TARGET | own, text


def test_the_recording_rules_that_runbooks_and_tests_name_exist() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    name = re.compile(r"\b(?:controller(?:_image|_unit)?|monitor):\w+:\w+")
    named = {found for path in FILES for found in name.findall(path.read_text())}
    assert named == recorded


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_no_rule_drops_or_ignores_labels_that_tell_installations_apart(rule: Yaml) -> None:
    assert re.findall(r"\bby \(", rule["expr"]) == []
    # A target is known by these two, however it was relabelled; that a job has no target any more is asked of the job
    joins = set(re.findall(r"\bon \(([^)]*)\)", rule["expr"]))
    assert joins <= ({"job, instance", "job"} if rule.get("alert", rule.get("record")) in BY_TARGET else set())


def commands() -> Iterator[str]:
    for path in RUNBOOKS:
        yield from re.findall(r"`(avi-upgrade-monitor [^`]+)`", path.read_text())


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_command_of_the_runbooks_exists(line: str) -> None:
    command: click.Command = main
    program_name, *words = shlex.split(line)
    while isinstance(command, click.Group) and not (command.invoke_without_command and words[0].startswith("-")):
        command = command.commands[words.pop(0)]
    with command.make_context(program_name, words):  # raises for an unknown option or argument
        pass


def test_the_config_keys_and_log_events_of_the_runbooks_stand_in_the_readme() -> None:
    text = "".join(path.read_text() for path in RUNBOOKS)
    words = set(re.findall(r"`((?:poll|events|upgrades|tls)\.\w+|[a-z]+_[a-z_]+)(?:: \w+)?`", text))
    assert {word for word in words - known_series().keys() if word not in DOCUMENTATION} == set()


# --- what the end-to-end test changes


def test_hurried_rules_are_sixty_times_as_fast_and_otherwise_unchanged() -> None:
    rule = {"alert": "A", "expr": "time() - max(a) > 600 and increase(b[15m]) > 3 or c offset 6h", "for": "2m"}
    assert hurried([rule]) == [
        {"alert": "A", "expr": "time() - max(a) > 10 and increase(b[15s]) > 0.05 or c offset 360s", "for": "2s"}
    ]
    assert hurried({"expr": "count_over_time((up == 0)[15m:30s]) > 15"}) == {
        "expr": "count_over_time((up == 0)[15s:500ms]) > 15"  # as many steps
    }
    assert hurried({"expr": "increase(b[15m]) > 100", "other": "10m"}) == {
        "expr": "increase(b[15s]) > 100",
        "other": "10m",
    }
    assert hurried({"global": {"scrape_interval": "15s"}}) == {"global": {"scrape_interval": "1s"}}
