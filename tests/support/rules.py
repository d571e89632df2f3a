"""The rules, runbooks and rule tests in deploy/prometheus, read as their tools read them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = PROMETHEUS / "rules"
RUNBOOKS = sorted((PROMETHEUS / "runbooks").glob("*.md"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))

Yaml = dict[str, Any]

FASTER = 60
_DURATIONS = {"scrape_interval", "scrape_timeout", "evaluation_interval", "for"}
_DURATIONS |= {"group_wait", "group_interval", "repeat_interval"}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Expectation(NamedTuple):
    """What one test of promtool's expects of one alert at one moment."""

    file: str
    test: str
    alert: str
    at_s: int
    fires: bool


@cache
def rules() -> list[Yaml]:
    """Of all files."""
    return [rule for path in sorted(RULES.glob("*.yml")) for group in _read(path)["groups"] for rule in group["rules"]]


@cache
def alerts() -> dict[str, Yaml]:
    """By name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


@cache
def promtool_tests() -> list[tuple[str, Yaml]]:
    """The tests, each with the name of its file."""
    return [(path.name, test) for path in TESTS for test in _read(path)["tests"]]


def _read(path: Path) -> Yaml:
    read: Yaml = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    return read


@cache
def expectations() -> tuple[Expectation, ...]:
    """
    What is expected of alerts, in the order of the files.

    Either by name, or of all whose name matches in an ``ALERTS{alertname=~…}`` that is expected to be empty. That an
    alert is quiet where none of its series is, is no expectation.
    """
    return tuple(_expectations())


def _expectations() -> Iterator[Expectation]:
    for file, test in promtool_tests():
        for expected in test.get("alert_rule_test", ()):
            fires = bool(expected["exp_alerts"])
            if fires or is_about(test, expected["alertname"]):
                yield Expectation(file, test["name"], expected["alertname"], seconds(expected["eval_time"]), fires)
        for expected in test.get("promql_expr_test", ()):
            matched = re.match(r'ALERTS\{alertname=~?"([^"]+)"', expected["expr"])
            if matched and not expected["exp_samples"]:
                for alert in filter(re.compile(matched[1]).fullmatch, alerts()):
                    if is_about(test, alert):
                        yield Expectation(file, test["name"], alert, seconds(expected["eval_time"]), fires=False)


def narrowed(folder: Path, tests: Iterable[Path]) -> list[Path]:
    """
    Write each test into a file of its own in the folder, with the alerts that it asks for. Returns: the files.

    promtool evaluates every rule at every step of a test, which takes most of its time. The alerts that no expectation
    of a test names do not change its result: no rule is made of an alert.
    """
    written = []
    for path in tests:
        head, *texts = re.split(r"\n(?=  - name: )", path.read_text())
        (names,) = re.findall(r"^rule_files: \[(.*)\]$", head, re.MULTILINE)
        groups = [group for name in names.split(", ") for group in _read(path.parent / name)["groups"]]
        for number, text in enumerate(texts):
            kept = [{**group, "rules": [rule for rule in group["rules"] if _asks_for(text, rule)]} for group in groups]
            alone = folder / f"{path.stem}-{number}.yml"
            rules_file = alone.with_suffix(".rules")
            rules_file.write_text(yaml.dump({"groups": kept}, Dumper=yaml.CSafeDumper, width=10_000))
            alone.write_text(f"{head.replace(names, rules_file.name)}\n{text}\n")
            written.append(alone)
    return written


def _asks_for(test: str, rule: Yaml) -> bool:
    """Whether an expectation of the test is of the alert. All recording rules are kept: they are few."""
    name = rule.get("alert")
    if name is None or re.search(rf"alertname: {name}\b", test):
        return True
    asked = re.findall(r"\bALERTS\w*(?:\{(.*?)\})?", test)
    matchers = [re.search(r'alertname=~?"([^"]+)"', each) for each in asked]
    return any(matcher is None or re.fullmatch(matcher[1], name) for matcher in matchers)


def is_about(test: Yaml, alert: str) -> bool:
    """Whether a test has a series that the alert is made of, itself or by a recording rule."""
    recorded = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    expression = alerts()[alert]["expr"]
    expressions = (expression, *(recorded[name] for name in recorded if name in expression))
    named = {name for each in expressions for name in re.findall(r"\b(?:avi_\w+|up(?=\{))", each)}
    return bool(named & {series["series"].split("{")[0] for series in test["input_series"]})


def seconds(duration: str) -> int:
    """As Prometheus writes durations."""
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))


def hurried(settings: Any) -> Any:  # noqa: ANN401  whatever YAML holds
    """
    The same configuration or rules, sixty times as fast: a minute lasts a second, and nothing less than that.

    That is: every interval, wait and ``for``; in expressions the ranges and offsets, and the steps of subqueries, which
    may be shorter; and, in those that ask how long ago something was, the seconds that they compare it with. Nothing
    else is changed.
    """
    if isinstance(settings, list):
        return [hurried(each) for each in settings]
    if isinstance(settings, Mapping):
        return {key: _hurried_value(key, value) for key, value in settings.items()}
    return settings


def _hurried_value(key: str, value: Any) -> Any:  # noqa: ANN401  whatever YAML holds
    if key in _DURATIONS:
        return _shorter(value)
    return _hurried_expression(value) if key == "expr" else hurried(value)


def _hurried_expression(expression: str) -> str:
    expression = re.sub(r"(?<=\[)\w+(?=[\]:])|(?<=offset )\w+", lambda found: _shorter(found[0]), expression)
    expression = re.sub(r"(?<=:)\w+(?=\])", lambda found: f"{seconds(found[0]) * 1000 // FASTER}ms", expression)
    if "time()" in expression:
        expression = re.sub(r"(?<=[<>] )\d+", lambda found: f"{int(found[0]) / FASTER:g}", expression)
    return expression


def _shorter(duration: str) -> str:
    return f"{max(1, seconds(duration) // FASTER)}s"
