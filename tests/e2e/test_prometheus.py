"""A real Prometheus scrapes the daemon on simulated Controllers, and is asked what it saw."""

import asyncio
import re
from pathlib import Path

from monitor.simulator import ControllerSpec, Simulator, UploadSpec
from tests.support.daemons import polled, scrape, until, watching
from tests.support.documentation import page
from tests.support.operators import TOKENS, patch
from tests.support.programs import eventually, output_of, program
from tests.support.prometheus import any_image, prometheus_on, scraped


async def test_prometheus_sees_progress_state_and_node_events_and_that_an_image_is_gone(tmp_path: Path) -> None:
    upload = UploadSpec(duration=60.0, started_ago=30.0, outcome="failed")
    spec = ControllerSpec(name="dc1", images=2, uploads=(upload,))
    async with (
        Simulator([spec], speed=0.0) as simulator,
        watching(simulator, tmp_path) as daemon,
        prometheus_on(daemon, tmp_path) as prometheus,
    ):
        entry = await polled(daemon, "dc1")
        images = {uuid: tracked.object for uuid, tracked in entry.objects("image").items()}
        (uploading,) = (uuid for uuid, image in images.items() if image.active)
        _, finished = (uuid for uuid, image in images.items() if not image.active)  # the Controllers run the first
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
        await until(daemon, "dc1", lambda entry: finished not in entry.objects("image"))
        await scraped(daemon, 3)  # two whole ones lie between the beginnings of three
        assert await prometheus.query(f'{{image_uuid="{finished}"}}') == []
        up = [({"__name__": "up", "instance": daemon.url[7:], "job": "avi"}, 1.0)]
        await eventually(lambda: prometheus.query("up"), lambda samples: samples == up)
        log = prometheus.log.read_text()  # before it is told to end, which it logs as a warning
    assert [line for line in log.splitlines() if "level=warn" in line or "level=error" in line] == []
    assert "Server is ready" in log


async def test_the_documented_queries_are_answered(tmp_path: Path) -> None:
    pages = page("how-to/annotate-and-acknowledge.md") + page("how-to/query.md")
    alert, queries = re.findall(r"```promql\n(.*?)```", pages, re.DOTALL)
    async with (
        Simulator.of("fleet", speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS) as daemon,
        prometheus_on(daemon, tmp_path) as prometheus,
    ):
        simulator.clock.advance(400.0)
        for name in simulator.controllers:
            await polled(daemon, name)
        await until(daemon, "fra", any_image("failed"))
        await scraped(daemon, 2)
        stalled, failed_images, nodes, progress = [await prometheus.query(query) for query in queries.split("\n\n")]
        ((labels, _),) = await prometheus.query(alert)
        assert (await patch(daemon, labels["image_uuid"], {"annotations": {"acknowledged": "yes"}})).status == 200
        await scraped(daemon, 2)
        assert await prometheus.query(alert) == []  # it is acknowledged
    assert stalled == []  # no upload of the test stands still for ten minutes
    assert [labels["controller"] for labels, _ in failed_images] == ["fra"]
    assert all(labels["image"] for labels, _ in failed_images)
    assert [labels["controller"] for labels, _ in nodes] == ["fra"]
    assert {labels["controller"] for labels, _ in progress} == set(simulator.controllers)


async def test_promtool_finds_nothing_wrong_with_the_exposition_of_the_demo_fleet(tmp_path: Path) -> None:
    promtool = program("promtool")
    async with Simulator.of("fleet", speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        async with asyncio.TaskGroup() as tasks:
            for name in simulator.controllers:
                tasks.create_task(polled(daemon, name), name=name)
        text = await scrape(daemon)
    assert await output_of(promtool, "check", "metrics", stdin=text.encode()) == (0, "", "")
