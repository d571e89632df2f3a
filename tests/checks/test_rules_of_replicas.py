"""The rules of an installation whose monitors differ in one more label: `kit rules --keep` names those that stay."""

import re
from collections import defaultdict
from pathlib import Path

from monitor.kit.rules.settings import Settings
from monitor.kit.rules.write import rule_files
from tests.support.programs import output_of, program
from tests.support.rules import TESTS, Yaml, alerts, narrowed, promtool_tests, seconds

KEPT = Settings(keep=("cluster", "site", "region", "namespace"))


def test_no_list_of_the_labels_in_which_monitors_differ_is_left() -> None:
    """A list that is written in another way than all others keeps the labels that were to go."""
    for text in rule_files(KEPT, "prometheus").values():
        assert re.findall(r"(?:without|ignoring) \([^)]*\b(?:instance|pod)\b", text) == []


async def test_monitors_that_differ_in_the_label_raise_one_alert_without_it(tmp_path: Path) -> None:
    """Each monitor of the tests gets a host; where an alert has the label ``instance``, it has the host, too."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "tests").mkdir()
    for name, text in rule_files(KEPT, "prometheus").items():
        (tmp_path / "rules" / name).write_text(text)
    chosen = seen_to_fire()
    for path in TESTS:
        if path.name in chosen:
            (tmp_path / "tests" / path.name).write_text(with_hosts(narrowed_text(path, chosen[path.name])))
    files = sorted((tmp_path / "tests").iterdir())
    status, stdout, stderr = await output_of(program("promtool"), "test", "rules", *map(str, narrowed(tmp_path, files)))
    assert (status, stderr) == (0, ""), stdout


def narrowed_text(path: Path, names: set[str]) -> str:
    """The file with the tests of these names alone."""
    head, *tests = re.split(r"\n(?=  - name: )", path.read_text())
    kept = [text for text in tests if any(text.startswith(f"  - name: {name}\n") for name in names)]
    assert len(kept) == len(names)
    return "\n".join((head, *kept))


def seen_to_fire() -> dict[str, set[str]]:
    """
    By file, the names of tests in which every alert fires in whose rule monitors are put together.

    For each alert the shortest, of two monitors where there is one.
    """
    fires = defaultdict(list)
    for file, test in promtool_tests():
        one_monitor = all('instance="m2"' not in each["series"] for each in test["input_series"])
        for expected in test.get("alert_rule_test", ()):
            if expected["exp_alerts"]:
                fires[expected["alertname"]].append((one_monitor, length_s(test), file, test["name"]))
    names = defaultdict(set)
    for alert, rule in alerts().items():
        if "(instance," in rule["expr"]:
            *_, file, name = min(fires[alert])
            names[file].add(name)
    return names


def length_s(test: Yaml) -> int:
    """To its last moment."""
    kinds = ("alert_rule_test", "promql_expr_test")
    return max(seconds(expected["eval_time"]) for kind in kinds for expected in test.get(kind, ()))


def with_hosts(text: str) -> str:
    text = re.sub(r'instance="([^"]+)"', r'\g<0>, host="\1"', text)
    return re.sub(r"instance: ([^,}]+)", r"\g<0>, host: \1", text)
