"""
The scenario ``upgrade-night`` at speed 60, watched by two monitors and a real Prometheus with the rules that we ship.

All of it is sixty times as fast: Controllers, polls, scrapes, rules. Real time passes, so `make night` runs it, and not
`make test`; there, tests/e2e/test_upgrade_alerts.py does the same in simulated time.
"""

import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from monitor.cli.commands.simulate import write_config
from monitor.simulator import SCENARIOS, ControllerSpec, Simulator
from tests.support.browser import write_artefact
from tests.support.nights import Night
from tests.support.programs import eventually, free_address, started
from tests.support.prometheus import Course, Prometheus, prometheus_running, shipped, write_rules
from tests.support.rules import FASTER

REST_S: Final = 1800.0  # before the scenario, while the monitors and Prometheus start
AFTER_S: Final = 4500.0  # AviUpgradeLeftBehind waits for an hour
STEP_S: Final = 0.5  # scrapes and evaluations: half a minute, so that a busy machine answers in time
ENGINES: Final = 10
OF_THIS_MACHINE: Final = {"AviMonitorLoopBlocked", "AviMonitorStuck"}
"""Alerts on a monitor that waits for the processor: true where the machine is busy, and sixty times as soon."""
SETTINGS: Final = {
    "poll": {
        "active_interval": "250ms",
        "idle_interval": "1s",
        "timeout": "3s",
        "stale_after": "5s",
        "max_backoff": "1s",
    },
    "upgrades": {"full_interval": "15s", "hold_for": "2m", "return_backoff": "250ms"},
}
"""The defaults, sixty times as fast, but for what a busy machine cannot keep."""


def later(spec: ControllerSpec, seconds: float) -> ControllerSpec:
    """The same, where all begins so many simulated seconds later."""
    uploads = tuple(replace(each, started_ago=each.started_ago - seconds) for each in spec.uploads)
    upgrade = spec.upgrade and replace(spec.upgrade, at=spec.upgrade.at + seconds)
    return replace(spec, uploads=uploads, upgrade=upgrade)


@asynccontextmanager
async def monitors(simulator: Simulator, folder: Path) -> AsyncIterator[list[str]]:
    """Two monitors as operators run them, each with a database of its own. Yields their addresses."""
    async with AsyncExitStack() as stack:
        addresses = [free_address(), free_address()]
        for number, address in enumerate(addresses):
            own = folder / f"monitor-{number}"
            settings = {"listen": address, "database": f"sqlite:///{own}/state.db", **SETTINGS}
            config = write_config(simulator, own, settings)
            command = (sys.executable, "-m", "monitor", "run", "--config", str(config))
            await stack.enter_async_context(started(*command, log=folder / f"monitor-{number}.log"))
        yield addresses


@asynccontextmanager
async def watched_night(folder: Path) -> AsyncIterator[tuple[Night, Prometheus]]:
    """The night, two monitors, and Prometheus with our scrape config and rules, which has scraped both."""
    specs = [later(spec, REST_S) for spec in SCENARIOS["upgrade-night"].controllers]
    async with Simulator(specs, speed=FASTER) as simulator, monitors(simulator, folder) as addresses:
        write_rules(folder)
        settings = shipped("prometheus.yml", {"127.0.0.1:9972": addresses[0]})
        del settings["alerting"]
        settings["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval", "scrape_timeout"), "500ms")
        settings["scrape_configs"][0]["static_configs"][0]["targets"] = addresses
        async with prometheus_running(settings, folder) as prometheus:
            await eventually(lambda: prometheus.query("avi_controller_up == 1"), lambda found: len(found) == 4)
            yield Night(simulator, "dc1"), prometheus


async def test_the_whole_night_is_answered_and_raises_no_alert(tmp_path: Path) -> None:
    """Would find answers that two monitors contradict each other in, and alerts that only real time shows."""
    async with watched_night(tmp_path) as (night, prometheus):
        clock, begins = night.simulator.clock, time.time()
        assert clock.now() < night.time_of("checks"), "the machine is too busy: the upgrade began before it was watched"
        await clock.wait_until(night.time_of("done") + AFTER_S)
        recorded = Recorded(prometheus, begins, time.time(), began_at=begins)
        write_artefact("night-alerts.txt", await recorded.alerts())
        await check_answers(recorded)
        health = await prometheus.health_of_rules()
        assert {name: state for name, state in health.items() if state != "ok"} == {}
        firing = await recorded.courses('ALERTS{alertstate="firing"}')
    assert {labels["alertname"] for labels, _ in firing} - OF_THIS_MACHINE == set()


class Recorded:
    """What Prometheus has of a night, from ``begin`` to ``end``, Unix seconds."""

    def __init__(self, prometheus: Prometheus, begin: float, end: float, *, began_at: float) -> None:
        self._prometheus = prometheus
        self._begin = begin
        self._end = end
        self._began_at = began_at

    async def courses(self, expression: str) -> list[Course]:
        return await self._prometheus.query_range(expression, self._begin, self._end, step_s=STEP_S)

    async def words(self, expression: str, label: str) -> list[str]:
        """Each value of a label in turn, without repetitions, where one series is the one that counts at a time."""
        found = sorted((at, labels[label]) for labels, values in await self.courses(expression) for at, _ in values)
        return [word for word, _ in groupby(word for _, word in found)]

    async def numbers(self, expression: str) -> list[float]:
        """Each value of the only series in turn, without repetitions."""
        ((_, values),) = await self.courses(expression)
        return [number for number, _ in groupby(value for _, value in values)]

    async def alerts(self) -> str:
        """Each alert that was pending or firing, and when, in minutes of the night."""
        lines = []
        for labels, values in await self.courses("ALERTS"):
            minutes = [(at - self._began_at) * FASTER / 60 for at, _ in values]
            of = ", ".join(
                f"{key}={labels[key]}" for key in ("controller", "unit", "image", "instance") if key in labels
            )
            name, state = labels["alertname"], labels["alertstate"]
            lines.append(f"{name} {state} {min(minutes):.1f}-{max(minutes):.1f} min ({len(values)} evaluations): {of}")
        return "".join(f"{line}\n" for line in sorted(lines))


async def check_answers(recorded: Recorded) -> None:
    """Both monitors tell the same course of the night; checks of half a second may fall between two scrapes."""
    cluster = 'avi_upgrade_state{controller="dc1",kind="controller"} == 1'
    phase = 'avi_controller_upgrade_phase{controller="dc1"} == 1'
    engines = "sum by (instance) (avi_upgrade_service_engines{%s})"
    for instance in {labels["instance"] for labels, _ in await recorded.courses("up == 1")}:
        of = f' and on (instance) (up{{instance="{instance}"}})'
        phases = await recorded.words(phase + of, "phase")
        assert without(phases, {"checking"}) == ["none", "controllers", "away", "service_engines", "none"]
        states = await recorded.words(cluster + of, "state")
        assert without(states, {"checking", "checked", "queued"}) == ["idle", "running", "completed"]
        done = await recorded.numbers(f'avi_controller_upgrade_done{{controller="dc1"}}{of}')
        assert done == [0.0, 1.0]
        completed = await recorded.numbers(engines % 'state="completed"' + of)
        assert completed == sorted(completed)
        assert completed[-1] == ENGINES
        assert (await recorded.numbers(engines % 'state=~"failed|suspended"' + of)) == [0.0]
    await check_joins(recorded)


async def check_joins(recorded: Recorded) -> None:
    """The image leads to the upgrade that uses it, and each group with Service Engines to its name, all night."""
    to_its_upgrade = (
        'avi_upgrade_state{state="running"} == 1 and on (instance, controller, unit_uuid) '
        'avi_upgrade_image_info{role="target",kind="controller"}'
    )
    assert len(await recorded.courses(to_its_upgrade)) == 2
    by_unit = (
        'max by (unit, cloud) (avi_upgrade_service_engines{controller="dc1",state="completed"} '
        "* on (instance, controller, unit_uuid) group_left (unit, cloud) avi_upgrade_info)"
    )
    ended = {(labels["unit"], labels["cloud"]): values[-1][1] for labels, values in await recorded.courses(by_unit)}
    groups = SCENARIOS["upgrade-night"].controllers[0].groups
    assert ended == {(group.name, group.cloud): float(group.ses) for group in groups}


def without(words: Iterable[str], some: set[str]) -> list[str]:
    """Without these words, and what is then repeated."""
    return [word for word, _ in groupby(word for word in words if word not in some)]
