"""A daemon without controllers: it starts, is ready, says so in the log, and polls the first one that is added."""

from pathlib import Path

import aiohttp
from structlog.testing import capture_logs

from monitor.cli.commands.simulate import write_config
from monitor.simulator import ControllerSpec, Simulator
from tests.support.daemons import QUICK, polled, samples, scrape, watching
from tests.support.stores import migrated_url


async def test_a_daemon_without_controllers_is_ready_and_polls_the_first_that_is_added(tmp_path: Path) -> None:
    """Would find a first install that crash-loops, or never becomes ready, until it has a controller."""
    with capture_logs() as logs:
        async with (
            Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator,
            Simulator([], speed=0.0) as nothing,
            watching(nothing, tmp_path) as daemon,
        ):
            for path in ("/-/ready", "/-/healthy"):
                assert await status(f"{daemon.url}{path}") == 200
            assert "avi_controller_up{" not in await scrape(daemon)
            assert [(log["file"], log["log_level"]) for log in logs if log["event"] == "no_controllers"] == [
                (f"{tmp_path}/config.yml", "warning")
            ]
            settings = {"listen": "127.0.0.1:0", "database": migrated_url(tmp_path), "poll": dict(QUICK)}
            write_config(simulator, tmp_path, settings)
            difference = await daemon.reloader.reload()
            assert difference.added == ("dc1",)
            await polled(daemon, "dc1")
            assert samples(await scrape(daemon), "avi_controller_up") == [1.0]
    assert [log["event"] for log in logs].count("no_controllers") == 1


async def status(url: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status
