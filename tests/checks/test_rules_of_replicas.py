"""The rules, after the command of the README that adds a label in which the monitors of a pair differ."""

import re
import shlex
import shutil
from collections import defaultdict
from pathlib import Path

from tests.support.programs import output_of, program
from tests.support.rules import PROMETHEUS, RULES, TESTS, Yaml, alerts, narrowed, promtool_tests, seconds

RECORDED = "recording.yml"
README = (PROMETHEUS.parents[1] / "README.md").read_text()


async def test_the_command_of_the_readme_adds_the_label_to_every_list_and_changes_nothing_else(tmp_path: Path) -> None:
    for path in await changed_rules(tmp_path):
        text = path.read_text()
        assert text.replace("(instance, host,", "(instance,") == (RULES / path.name).read_text()
        assert re.findall(r"(?:without|ignoring) \(instance\b(?!, host, )", text) == []


async def test_monitors_that_differ_in_the_label_raise_one_alert_without_it(tmp_path: Path) -> None:
    """Each monitor of the tests gets a host; where an alert has the label ``instance``, it has the host, too."""
    await changed_rules(tmp_path)
    chosen = seen_to_fire()
    files = [tmp_path / "tests" / path.name for path in TESTS if path.name in chosen]
    for path in files:
        head, *tests = re.split(r"\n(?=  - name: )", path.read_text())
        kept = [text for text in tests if any(text.startswith(f"  - name: {name}\n") for name in chosen[path.name])]
        assert len(kept) == len(chosen[path.name])
        path.write_text(with_hosts("\n".join((head, *kept))))
    status, stdout, stderr = await output_of(program("promtool"), "test", "rules", *map(str, narrowed(tmp_path, files)))
    assert (status, stderr) == (0, ""), stdout


async def changed_rules(folder: Path) -> list[Path]:
    """Run the command on a copy of all that we ship for Prometheus. Returns: the files of rules."""
    shutil.copytree(PROMETHEUS, folder, dirs_exist_ok=True)
    (command,) = re.findall(r"`(sed -i 's/without .*?) rules/\*\.yml`", README)
    files = sorted((folder / "rules").glob("*.yml"))
    assert (await output_of(*shlex.split(command), *map(str, files)))[0] == 0
    return files


def seen_to_fire() -> dict[str, set[str]]:
    """
    By file, the names of tests in which every alert fires whose rule the command changes.

    For each alert the shortest, of two monitors where there is one; and those of the recording rules, which are short.
    """
    fires = defaultdict(list)
    for file, test in promtool_tests():
        one_monitor = all('instance="m2"' not in each["series"] for each in test["input_series"])
        for expected in test.get("alert_rule_test", ()):
            if expected["exp_alerts"]:
                fires[expected["alertname"]].append((one_monitor, length_s(test), file, test["name"]))
    names = defaultdict(set, {RECORDED: {test["name"] for file, test in promtool_tests() if file == RECORDED}})
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
