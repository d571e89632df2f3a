"""The script of the README for a whole night, from the upload to the report, with and without success."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.simulator import CheckSpec, ControllerSpec, GroupSpec, Simulator, UpgradeSpec, UploadSpec
from tests.support.daemons import until, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.nights import START, Night, polled_anew

ROOT = Path(__file__).parents[2]
OLD, NEW = "30.2.1", "31.2.2"
UPLOAD = UploadSpec(duration=60.0, started_ago=600.0, version=NEW)
GOOD = ControllerSpec(name="good", version=OLD, uploads=(UPLOAD,), groups=(GroupSpec(ses=2, se_s=30.0),))
FAILED = ControllerSpec(
    name="failed", version=OLD, uploads=(UPLOAD,), groups=(GroupSpec(ses=2, se_s=30.0, outcome="failed_ses_continue"),)
)
UPGRADE = UpgradeSpec(version=NEW, controllers_s=60.0, outage_s=60.0, checks=CheckSpec(total=2))


def readme_script() -> str:
    section = (ROOT / "README.md").read_text().split("\n### Script a whole night\n", 1)[1]
    return re.split(r"^```(?:bash\n)?", section, maxsplit=2, flags=re.MULTILINE)[1]


@asynccontextmanager
async def scripted(folder: Path, url: str, controller: str, image: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the script in a folder with the command of this installation, and a program that starts no upgrade."""
    start = folder / "start-upgrade"
    start.write_text('#!/bin/sh\necho "started $*"\n')
    start.chmod(0o700)
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        readme_script(),
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AVI_UPGRADE_MONITOR_URL": url,
            "CONTROLLER": controller,
            "IMAGE": image,
            "VERSION": NEW,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def prints(process: asyncio.subprocess.Process, text: str) -> None:
    """Wait for a line of standard output with the text."""
    assert process.stdout
    while text not in (line := (await process.stdout.readline()).decode()):
        assert line, f"{text!r} was not printed"


@pytest.mark.parametrize(
    ("spec", "status", "error", "report"),
    [
        (GOOD, 0, "", "done"),
        (FAILED, 1, "completed, but 1 of 2 Service Engines failed", "not done"),
    ],
    ids=["success", "failed-engines"],
)
async def test_the_script_upgrades_and_reports(
    tmp_path: Path, spec: ControllerSpec, status: int, error: str, report: str
) -> None:
    with capture_logs():
        simulator = Simulator([spec], start=START, speed=0.0)
        async with simulator, watching(simulator, tmp_path, wall=simulator.clock.now) as daemon:
            await until(daemon, spec.name, lambda entry: entry.session.up)
            (image,) = daemon.fleet.entries[spec.name].objects("image")
            async with scripted(tmp_path, daemon.url, spec.name, image) as script, asyncio.timeout(WAIT_TIMEOUT_S):
                await prints(script, f"started {spec.name} {image}")
                controller = simulator.controllers[spec.name]
                controller.upgrades.start(UPGRADE, at=simulator.clock.now())
                await prints(script, "pre-checks")
                night = Night(simulator, spec.name, seen=lambda: polled_anew(daemon, spec.name))
                await night.advance(300.0)
                _, stderr = await script.communicate()
    assert script.returncode == status, stderr.decode()
    assert error in stderr.decode()
    text = (tmp_path / f"report-{spec.name}.md").read_text()
    assert report in text, text
