"""The daemon from the outside: what a scrape shows, and how it starts and stops."""

import json
from pathlib import Path

from monitor.simulator import ControllerSpec, Simulator, UploadSpec
from tests.support.daemons import polled, samples, scrape, until, watching

DATA = Path(__file__).parents[1] / "data"


async def test_an_upload_is_exported_from_its_start_to_its_end(tmp_path: Path) -> None:
    spec = ControllerSpec(name="dc1", uploads=(UploadSpec(duration=60.0),))
    async with Simulator([spec], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        await polled(daemon, "dc1")
        assert samples(await scrape(daemon), "avi_image_progress_ratio") == [0.0]
        simulator.clock.advance(30.0)
        await polled(daemon, "dc1", 2)
        (halfway,) = samples(await scrape(daemon), "avi_image_progress_ratio")
        assert 0.0 < halfway < 1.0
        simulator.clock.advance(60.0)
        await until(
            daemon, "dc1", lambda entry: all(t.object.state == "completed" for t in entry.objects("image").values())
        )
        text = await scrape(daemon)
        assert samples(text, "avi_image_progress_ratio") == [1.0]
        assert samples(text, "avi_image_state", state="completed") == [1.0]


async def test_an_image_deleted_on_the_controller_leaves_the_exposition(tmp_path: Path) -> None:
    async with (
        Simulator([ControllerSpec(name="dc1", images=2)], speed=0.0) as simulator,
        watching(simulator, tmp_path) as daemon,
    ):
        entry = await polled(daemon, "dc1")
        kept, gone = entry.objects("image")  # the Controllers run the first
        simulator.controllers["dc1"].remove(gone)
        await until(daemon, "dc1", lambda entry: gone not in entry.objects("image"))
        text = await scrape(daemon)
        assert gone not in text
        assert kept in text


async def test_the_sample_answer_of_the_vendors_documentation_is_exported(tmp_path: Path) -> None:
    sample = json.loads((DATA / "image-seed.json").read_text())
    async with Simulator([ControllerSpec(name="dc1")], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        simulator.controllers["dc1"].put(sample)
        entry = await until(daemon, "dc1", lambda entry: bool(entry.objects("image")))
        text = await scrape(daemon)
    assert entry.collections["image"].health.bad_objects == 0
    assert samples(text, "avi_image_info", image_uuid="string", image="string", type="string") == [1.0]
    assert samples(text, "avi_image_state", state="unknown") == [1.0]
    assert samples(text, "avi_image_node_event_state", node="string", task="string", status="other") == [1.0]


async def test_stopping_logs_out_of_every_controller(tmp_path: Path) -> None:
    specs = [ControllerSpec(name=f"dc{number}") for number in range(3)]
    async with Simulator(specs, speed=0.0) as simulator:
        async with watching(simulator, tmp_path) as daemon:
            for spec in specs:
                await polled(daemon, spec.name)
        assert {name: controller.logouts for name, controller in simulator.controllers.items()} == {
            "dc0": 1, "dc1": 1, "dc2": 1,
        }  # fmt: skip


async def test_a_restart_keeps_when_progress_moved_last(tmp_path: Path) -> None:
    spec = ControllerSpec(name="dc1", uploads=(UploadSpec(duration=60.0, started_ago=20.0),))
    async with Simulator([spec], speed=0.0) as simulator:
        async with watching(simulator, tmp_path, wall=lambda: 1_000.0) as daemon:
            await polled(daemon, "dc1")
        async with watching(simulator, tmp_path, wall=lambda: 2_000.0) as daemon:
            await polled(daemon, "dc1")
            assert samples(await scrape(daemon), "avi_image_progress_changed_timestamp_seconds") == [1_000.0]
            simulator.clock.advance(10.0)
            await polled(daemon, "dc1", 2)
            assert samples(await scrape(daemon), "avi_image_progress_changed_timestamp_seconds") == [2_000.0]
