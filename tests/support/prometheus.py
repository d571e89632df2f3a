"""A real Prometheus that scrapes a daemon of the test, and the files of ``deploy/prometheus`` as tests run them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from monitor.daemon.app import Daemon
from monitor.polling.fleet import Entry
from tests.support.programs import eventually, free_address, is_up, program, started
from tests.support.rules import PROMETHEUS, RULES, hurried

Sample = tuple[dict[str, str], float]
"""The labels and the value of one series."""

Course = tuple[dict[str, str], list[tuple[float, float]]]
"""The labels of one series, and its values, each with its time."""


class Prometheus:
    """The HTTP API of a running Prometheus. ``log``: what it wrote so far."""

    def __init__(self, url: str, session: aiohttp.ClientSession, log: Path) -> None:
        self.url = url
        self.log = log
        self._session = session

    async def ready(self) -> bool:
        return await is_up(self._session, f"{self.url}/-/ready")

    async def query(self, expression: str) -> list[Sample]:
        async with self._session.get(f"{self.url}/api/v1/query", params={"query": expression}) as response:
            answer = await response.json()
        return [(series["metric"], float(series["value"][1])) for series in answer["data"]["result"]]

    async def query_range(self, expression: str, begin: float, end: float, *, step_s: float) -> list[Course]:
        """Ask what it was at each step from ``begin`` to ``end``, Unix seconds."""
        params = {"query": expression, "start": str(begin), "end": str(end), "step": str(step_s)}
        async with self._session.get(f"{self.url}/api/v1/query_range", params=params) as response:
            answer = await response.json()
        return [
            (series["metric"], [(float(at), float(value)) for at, value in series["values"]])
            for series in answer["data"]["result"]
        ]

    async def health_of_rules(self, *, since: float = 0.0) -> dict[str, str]:
        """By name: ok, the error of the last evaluation, or unknown where the last one was before ``since``."""
        async with self._session.get(f"{self.url}/api/v1/rules") as response:
            groups = (await response.json())["data"]["groups"]
        return {rule["name"]: _health(rule, since) for group in groups for rule in group["rules"]}


def _health(rule: Mapping[str, str], since: float) -> str:
    is_recent = datetime.fromisoformat(rule["lastEvaluation"]).timestamp() >= since
    return rule.get("lastError") or rule["health"] if is_recent else "unknown"


@asynccontextmanager
async def prometheus_running(settings: Mapping[str, Any], folder: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus with this configuration, ready; its files are in ``folder``."""
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    address, log = free_address(), folder / "prometheus.log"
    command = (
        program("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address={address}",
    )
    async with started(*command, log=log), aiohttp.ClientSession() as session:
        prometheus = Prometheus(f"http://{address}", session, log)
        await eventually(prometheus.ready, bool)
        yield prometheus


@asynccontextmanager
async def prometheus_on(daemon: Daemon, folder: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes the daemon once a second."""
    target = daemon.url.removeprefix("http://")
    scrapes = [{"job_name": "avi", "static_configs": [{"targets": [target]}]}]
    async with prometheus_running({"global": {"scrape_interval": "1s"}, "scrape_configs": scrapes}, folder) as running:
        yield running


def shipped(name: str, replacements: Mapping[str, str]) -> Any:  # noqa: ANN401  YAML
    """
    Return one of our files as tests run it: sixty times as fast, and with the test's addresses.

    ``replacements``: the test's addresses by those in the file, all of which must be there.
    """
    text = yaml.safe_dump(hurried(yaml.safe_load((PROMETHEUS / name).read_text())), sort_keys=False)
    for ours, theirs in replacements.items():
        assert ours in text
        text = text.replace(ours, theirs)
    return yaml.safe_load(text)


def write_rules(folder: Path) -> None:
    """Write our rules, sixty times as fast, where our scrape config finds them."""
    (folder / "rules").mkdir()
    for path in RULES.glob("*.yml"):
        (folder / "rules" / path.name).write_text(yaml.safe_dump(shipped(f"rules/{path.name}", {}), sort_keys=False))


def any_image(state: str) -> Callable[[Entry], bool]:
    """Whether a controller has an image in this state."""
    return lambda entry: any(track.object.state == state for track in entry.objects("image").values())


async def scraped(daemon: Daemon, times: int) -> None:
    """Wait until so many more scrapes were answered."""

    async def answered() -> float:
        value = daemon.context.self_metrics.registry.get_sample_value(
            "avi_upgrade_monitor_http_request_duration_seconds_count",
            {"route": "/metrics", "method": "GET", "code": "200"},
        )
        return value or 0.0

    before = await answered()
    await eventually(answered, lambda now: now >= before + times)
