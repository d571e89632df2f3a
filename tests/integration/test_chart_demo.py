"""The demo of the Helm chart as its two containers run it: the daemon with the rendered config, and the simulator."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.charts import config_of, pod_of
from tests.support.programs import eventually, started

pytestmark = pytest.mark.unmeasured


async def test_the_demo_watches_the_simulated_controllers_although_the_daemon_starts_first(tmp_path: Path) -> None:
    """Would find a demo that shows nothing."""
    values = {"demo": True, "config": {"listen": "127.0.0.1:0", "health": {"listen": "127.0.0.1:0"}}}
    folder, config, log = tmp_path / "demo", tmp_path / "config.yml", tmp_path / "daemon.log"
    folder.mkdir()
    text = config_of(values).replace("/demo", str(folder))
    config.write_text(f"database: sqlite:///{tmp_path}/state.db\n{text}")
    (simulator,) = (each for each in pod_of(values)["containers"] if each["name"] == "simulator")
    arguments = [each.replace("/demo", str(folder)).replace("18440", "0") for each in simulator["args"]]

    async def logged() -> str:
        return await asyncio.to_thread(log.read_text)

    monitor = (sys.executable, "-m", "monitor")
    async with started(*monitor, "run", "--config", str(config), log=log) as daemon:
        await eventually(logged, lambda text: '"started"' in text)
        async with started(*monitor, *arguments, log=tmp_path / "simulator.log"):
            await eventually(logged, lambda text: text.count('"controller_up"') == 5)
            daemon.terminate()
            assert await daemon.wait() == 0
