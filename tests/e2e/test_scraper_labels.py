"""A real Prometheus that gives its target the labels that Kubernetes scrape configs add, one of them `node` as ours."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Simulator, UploadSpec
from tests.support.daemons import scrape, until, watching
from tests.support.programs import eventually, free_address
from tests.support.prometheus import Prometheus, any_image, prometheus_running, shipped, write_rules

WORKER = "ip-10-0-1-7.ec2.internal"
KUBERNETES = {"namespace": "monitoring", "pod": "avi-upgrade-monitor-0", "node": WORKER}


@asynccontextmanager
async def scraped_by(folder: Path, *, honor_labels: bool) -> AsyncIterator[tuple[Daemon, Prometheus]]:
    """A daemon that has seen tasks fail on a node, and a Prometheus with our scrape config and rules on it."""
    upload = UploadSpec(duration=60.0, started_ago=30.0, outcome="failed")
    async with (
        Simulator([ControllerSpec(name="dc1", images=1, uploads=(upload,))], speed=0.0) as simulator,
        watching(simulator, folder) as daemon,
    ):
        simulator.clock.advance(60.0)
        await until(daemon, "dc1", any_image("failed"))
        settings = shipped("prometheus.yml", {"127.0.0.1:9093": free_address()})
        (job,) = settings["scrape_configs"]
        assert job["honor_labels"] is True
        job["honor_labels"] = honor_labels
        job["static_configs"] = [{"targets": [daemon.url.removeprefix("http://")], "labels": KUBERNETES}]
        write_rules(folder)
        async with prometheus_running(settings, folder) as prometheus:
            yield daemon, prometheus


async def test_an_alert_names_the_node_of_the_controller_and_not_the_one_that_runs_the_monitor(tmp_path: Path) -> None:
    async with scraped_by(tmp_path, honor_labels=True) as (daemon, prometheus):
        firing = 'ALERTS{alertname="AviImageNodeEventFailed", alertstate="firing"}'
        alerts = await eventually(lambda: prometheus.query(firing), bool)
        failed = re.compile(r'^avi_image_node_events\{.*node="([^"]+)",state="failed"\} [1-9]', re.MULTILINE)
        nodes = set(failed.findall(await scrape(daemon)))
        assert {labels["node"] for labels, _ in alerts} == nodes
        assert WORKER not in nodes
        assert {labels["namespace"] for labels, _ in alerts} == {"monitoring"}
        assert await prometheus.query('{exported_node!=""}') == []
        ((up, _),) = await prometheus.query("avi_controller_up")
        assert (up["node"], up["pod"]) == (WORKER, "avi-upgrade-monitor-0")  # where we have no such label, it stays


async def test_a_scrape_config_that_renames_our_labels_raises_an_alert(tmp_path: Path) -> None:
    async with scraped_by(tmp_path, honor_labels=False) as (_, prometheus):
        firing = 'ALERTS{alertname="AviMonitorLabelsRenamed", alertstate="firing"}'
        ((labels, _),) = await eventually(lambda: prometheus.query(firing), bool)
        assert labels["pod"] == "avi-upgrade-monitor-0"
