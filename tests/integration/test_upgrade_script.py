"""The script of the documentation for a whole night, from the upload to the report, however the upgrade ends."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from monitor.simulator import CheckSpec, ControllerSpec, GroupSpec, Simulator, UpgradeSpec, UploadSpec
from tests.support.daemons import until, watching
from tests.support.documentation import page
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.nights import START, Night, polled_anew

ROOT = Path(__file__).parents[2]
OLD, NEW = "30.2.1", "31.2.2"
UPLOAD = UploadSpec(duration=60.0, started_ago=600.0, version=NEW)
GOOD = ControllerSpec(name="good", version=OLD, uploads=(UPLOAD,), groups=(GroupSpec(ses=2, se_s=30.0),))
FAILED = replace(GOOD, groups=(GroupSpec(ses=2, se_s=30.0, outcome="failed_ses_continue"),))
SUSPENDED = replace(GOOD, groups=(GroupSpec(ses=2, se_s=30.0, outcome="suspended"),))
UPGRADE = UpgradeSpec(version=NEW, controllers_s=60.0, outage_s=60.0, checks=CheckSpec(total=2))
ROLLED_BACK = replace(UPGRADE, outcome="controller_failed")
NEVER_BACK = replace(UPGRADE, outcome="never_back")


def documented_script() -> str:
    return re.split(r"^```(?:bash\n)?", page("how-to/script-a-whole-night.md"), maxsplit=2, flags=re.MULTILINE)[1]


@asynccontextmanager
async def scripted(
    folder: Path, url: str, controller: str, image: str, script: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """
    Run the script in a folder with the command of this installation.

    Its program to start an upgrade prints a line, and goes on when the script gets one: the test starts the upgrade.
    """
    start = folder / "start-upgrade"
    start.write_text('#!/bin/sh\necho "started $*"\nread -r _\n')
    start.chmod(0o700)
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script,
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AVI_UPGRADE_MONITOR_URL": url,
            "CONTROLLER": controller,
            "IMAGE": image,
            "VERSION": NEW,
        },
        stdin=asyncio.subprocess.PIPE,
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


async def goes_on(process: asyncio.subprocess.Process) -> None:
    """Let the program that starts upgrades end."""
    assert process.stdin
    process.stdin.write(b"\n")
    await process.stdin.drain()


@pytest.mark.parametrize(
    ("spec", "upgrade", "expected"),
    [
        (GOOD, UPGRADE, (0, "", "**done**")),
        (FAILED, UPGRADE, (1, "completed, but 1 of 2 Service Engines failed", "**not done**")),
        (SUSPENDED, UPGRADE, (1, "suspended", "**not over**, phase: suspended")),
        (GOOD, ROLLED_BACK, (1, "failed", "**not done**")),
    ],
    ids=["success", "failed-engines", "suspended-group", "rollback"],
)
async def test_the_script_upgrades_and_reports(
    tmp_path: Path, spec: ControllerSpec, upgrade: UpgradeSpec, expected: tuple[int, str, str]
) -> None:
    status, error, report = expected
    async with begun(tmp_path, spec, upgrade, documented_script()) as (script, night):
        await goes_on(script)
        await prints(script, "pre-checks")
        await night.advance(300.0)
        _, stderr = await script.communicate()
    assert script.returncode == status, stderr.decode()
    assert error in stderr.decode()
    text = (tmp_path / "report-good.md").read_text()
    assert report in text, text


async def test_the_script_ends_when_its_time_is_over_while_the_controllers_never_return(tmp_path: Path) -> None:
    hasty = documented_script().replace("--timeout 6h", "--timeout 1s")
    assert hasty != documented_script()
    async with begun(tmp_path, GOOD, NEVER_BACK, hasty) as (script, night):
        await night.go_to("away", after_s=30.0)
        await goes_on(script)
        _, stderr = await script.communicate()
    assert script.returncode == 3, stderr.decode()
    assert "**not over**, phase: Controllers away" in (tmp_path / "report-good.md").read_text()


@asynccontextmanager
async def begun(
    folder: Path, spec: ControllerSpec, upgrade: UpgradeSpec, script: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Night]]:
    """The script until it has started the upgrade, and the night that follows."""
    with capture_logs():
        simulator = Simulator([spec], start=START, speed=0.0)
        async with simulator, watching(simulator, folder, wall=simulator.clock.now) as daemon:
            await until(daemon, spec.name, lambda entry: entry.session.up)
            (image,) = daemon.fleet.entries[spec.name].objects("image")
            async with (
                scripted(folder, daemon.url, spec.name, image, script) as process,
                asyncio.timeout(WAIT_TIMEOUT_S),
            ):
                await prints(process, f"started {spec.name} {image}")
                simulator.controllers[spec.name].upgrades.start(upgrade, at=simulator.clock.now())
                yield process, Night(simulator, spec.name, seen=lambda: polled_anew(daemon, spec.name))
