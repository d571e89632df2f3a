"""A real Prometheus scrapes the daemon on simulated Controllers, and is asked what it saw."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import yaml

from monitor.daemon.app import Daemon
from monitor.polling.fleet import Entry
from monitor.simulator import ControllerSpec, Simulator, UploadSpec
from tests.support.daemons import polled, scrape, until, watching
from tests.support.operators import TOKENS, patch
from tests.support.programs import eventually, output_of, program, started

README = Path(__file__).parents[2] / "README.md"

Sample = tuple[dict[str, str], float]


class Prometheus:
    """The query API of a running Prometheus."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ready(self) -> bool:
        try:
            async with self._session.get(f"{self._url}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def query(self, expression: str) -> list[Sample]:
        async with self._session.get(f"{self._url}/api/v1/query", params={"query": expression}) as response:
            answer = await response.json()
        return [(series["metric"], float(series["value"][1])) for series in answer["data"]["result"]]


@asynccontextmanager
async def prometheus_on(daemon: Daemon, folder: Path) -> AsyncIterator[tuple[Prometheus, Path]]:
    """A Prometheus that scrapes the daemon once a second, and its log."""
    binary = program("prometheus")
    target = daemon.url.removeprefix("http://")
    scrapes = [{"job_name": "avi", "static_configs": [{"targets": [target]}]}]
    settings = {"global": {"scrape_interval": "1s"}, "scrape_configs": scrapes}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    address, log = f"127.0.0.1:{_free_port()}", folder / "prometheus.log"
    command = (
        binary,
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address={address}",
    )
    async with started(*command, log=log), aiohttp.ClientSession() as session:
        prometheus = Prometheus(f"http://{address}", session)
        await eventually(prometheus.ready, bool)
        yield prometheus, log


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_prometheus_sees_progress_state_and_node_events_and_that_an_image_is_gone(tmp_path: Path) -> None:
    upload = UploadSpec(duration=60.0, started_ago=30.0, outcome="failed")
    spec = ControllerSpec(name="dc1", images=1, uploads=(upload,))
    async with (
        Simulator([spec], speed=0.0) as simulator,
        watching(simulator, tmp_path) as daemon,
        prometheus_on(daemon, tmp_path) as (prometheus, log),
    ):
        entry = await polled(daemon, "dc1")
        uploading, finished = sorted(
            entry.snapshot.images, key=lambda uuid: not entry.snapshot.images[uuid].image.active
        )
        progress = f'avi_image_progress_ratio{{image_uuid="{uploading}"}}'
        ((_, ratio),) = await eventually(lambda: prometheus.query(progress), bool)
        assert 0.0 < ratio < 1.0
        simulator.clock.advance(60.0)
        failed = f'avi_image_state{{image_uuid="{uploading}",state="failed"}} == 1'
        await eventually(lambda: prometheus.query(failed), bool)
        events = await prometheus.query(f'avi_image_node_event_state{{image_uuid="{uploading}",state="failed"}}')
        assert [labels["status"].startswith("SYSERR_") for labels, _ in events] == [True]
        assert await prometheus.query(f'avi_image_info{{image_uuid="{finished}"}}')
        simulator.controllers["dc1"].remove(finished)
        await until(daemon, "dc1", lambda entry: finished not in entry.snapshot.images)
        await scrapes_more(daemon, 3)  # two whole ones lie between the beginnings of three
        assert await prometheus.query(f'{{image_uuid="{finished}"}}') == []
        assert await prometheus.query("up") == [({"__name__": "up", "instance": daemon.url[7:], "job": "avi"}, 1.0)]
        said = log.read_text()  # before it is told to end, which it says as a warning
    assert [line for line in said.splitlines() if "level=warn" in line or "level=error" in line] == []
    assert "Server is ready" in said


async def test_the_queries_of_the_readme_are_answered(tmp_path: Path) -> None:
    alert, queries = re.findall(r"```promql\n(.*?)```", README.read_text(), re.DOTALL)
    async with (
        Simulator.of("fleet", speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS) as daemon,
        prometheus_on(daemon, tmp_path) as (prometheus, _),
    ):
        simulator.clock.advance(400.0)
        failed = any_image("failed")
        await until(daemon, "fra", failed)
        await scrapes_more(daemon, 2)
        stalled, failed_images, nodes, progress = [await prometheus.query(query) for query in queries.split("\n\n")]
        ((labels, _),) = await prometheus.query(alert)
        assert (await patch(daemon, labels["image_uuid"], {"annotations": {"acknowledged": "yes"}})).status == 200
        await scrapes_more(daemon, 2)
        assert await prometheus.query(alert) == []  # somebody knows
    assert stalled == []  # nothing stands still for ten minutes in a test
    assert [labels["controller"] for labels, _ in failed_images] == ["fra"]
    assert all(labels["image"] for labels, _ in failed_images)
    assert [labels["controller"] for labels, _ in nodes] == ["fra"]
    assert {labels["controller"] for labels, _ in progress} == set(simulator.controllers)


def any_image(state: str) -> Callable[[Entry], bool]:
    return lambda entry: any(track.image.state == state for track in entry.snapshot.images.values())


async def scrapes_more(daemon: Daemon, number: int) -> None:
    """Wait until so many more scrapes were answered."""

    async def answered() -> float:
        value = daemon.context.self_metrics.registry.get_sample_value(
            "avi_upgrade_monitor_http_request_duration_seconds_count",
            {"route": "/metrics", "method": "GET", "code": "200"},
        )
        return value or 0.0

    before = await answered()
    await eventually(answered, lambda now: now >= before + number)


async def test_promtool_has_nothing_to_say_of_the_demo_fleet(tmp_path: Path) -> None:
    promtool = program("promtool")
    async with Simulator.of("fleet", speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        async with asyncio.TaskGroup() as tasks:
            for name in simulator.controllers:
                tasks.create_task(polled(daemon, name), name=name)
        text = await scrape(daemon)
    assert await output_of(promtool, "check", "metrics", stdin=text.encode()) == (0, "", "")
