"""Scrapes of daemons in simulated time, over which promtool evaluates our rules: real time decides nothing."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from monitor.daemon.app import Daemon
from tests.support.daemons import scrape
from tests.support.programs import output_of, program
from tests.support.rules import RULES, rules, seconds

_BUSY: Final = "avi_upgrade_monitor_event_loop_lag_seconds"  # in real time: it tells how busy this machine is
_FIRING: Final = 'count by (alertname, controller) (ALERTS{alertstate="firing"})'
_FAILED: Final = re.compile(r"time: (\w+),\s+exp: nil\s+got: (.*)")  # what promtool prints of a result with series

Alert = tuple[str, str]
"""Its name and the controller."""


class RecordedSeries:
    """
    What a Prometheus would have scraped: one sample of each series that our rules need, for each `record`.

    ``start``: when the first record is made, of the daemons' clock. ``step_s``: from one record to the next.
    """

    def __init__(self, *, start: float, step_s: float) -> None:
        self._start = start
        self._step_s = step_s
        self._names = {name for rule in rules() for name in re.findall(r"\bavi_\w+", rule["expr"])} - {_BUSY}
        self._steps: list[dict[str, float]] = []

    async def record(self, *daemons: Daemon) -> None:
        """Scrape all daemons."""
        step: dict[str, float] = {}
        for number, daemon in enumerate(daemons):
            step[f"up{{{_target(number)}}}"] = 1.0
            for line in (await scrape(daemon)).splitlines():
                sample, _, value = line.rpartition(" ")
                name = sample.partition("{")[0]
                if name in self._names:
                    zero = self._start if name.endswith("_timestamp_seconds") else 0.0  # that of promtool
                    step[_series(sample, number)] = float(value) - zero
        self._steps.append(step)

    async def firing(self, folder: Path) -> dict[Alert, list[float]]:
        """Evaluate the rules that we ship. Returns: at which moments each alert fires, seconds after the start."""
        step = f"{self._step_s:g}s"
        every = dict.fromkeys(key for each in self._steps for key in each)
        series = [{"series": key, "values": " ".join(_value(each.get(key)) for each in self._steps)} for key in every]
        moments = [f"{number * self._step_s:g}s" for number in range(len(self._steps))]
        asked = [{"expr": _FIRING, "eval_time": moment, "exp_samples": []} for moment in moments]
        document = {
            "rule_files": [str(path) for path in sorted(RULES.glob("*.yml"))],
            "evaluation_interval": step,
            "tests": [{"interval": step, "input_series": series, "promql_expr_test": asked}],
        }
        path = folder / "recorded.yml"
        path.write_text(json.dumps(document))
        status, out, err = await output_of(program("promtool"), "test", "rules", str(path))
        found: dict[Alert, list[float]] = {}
        for moment, got in _FAILED.findall(out + err):
            for labels in re.findall(r"\{(.*?)\}", got):
                pairs = dict(re.findall(r'(\w+)="([^"]*)"', labels))
                found.setdefault((pairs["alertname"], pairs.get("controller", "")), []).append(seconds(moment))
        assert bool(found) == bool(status), out + err
        return found


@cache  # most lines are the same but for their value, and to parse them takes longer than all else
def _series(sample: str, daemon: int) -> str:
    """The series of a scraped sample: name and labels as scraped, and the labels of the target."""
    ((parsed,),) = (family.samples for family in text_string_to_metric_families(f"{sample} 0\n"))
    labels = ",".join(f"{key}={json.dumps(value)}" for key, value in parsed.labels.items())
    return f"{parsed.name}{{{labels}{',' if labels else ''}{_target(daemon)}}}"


def _target(daemon: int) -> str:
    return f'job="avi-upgrade-monitor",instance="monitor-{daemon}"'


def _value(value: float | None) -> str:
    return "_" if value is None else f"{value:.6f}"
