"""``upgrades``, ``upgrade`` and ``watch --upgrade`` as an operator runs them, against a daemon on an upgrade."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace
from structlog.testing import capture_logs

from monitor.cli import main
from monitor.simulator import CheckSpec, ControllerSpec, GroupSpec, UnitOptions
from tests.support.command_line import run
from tests.support.nights import Moment, planned, upgrade_night
from tests.support.operators import EVE, ROOT, TOKENS

GROUPS = (
    GroupSpec(ses=3, virtual_services=20, outcome="suspended"),
    GroupSpec(name="internet", cloud="aws", ses=2, disrupted=2),
)
(DC1,) = planned(groups=GROUPS, checks=CheckSpec(warnings=1), groups_at_once=1, units=UnitOptions(history=2))
DC2 = ControllerSpec(name="dc2", version="30.2.1", nodes=1, groups=(GroupSpec(ses=1),))

Command = Callable[..., Awaitable[Result]]


@asynccontextmanager
async def at(folder: Path, moment: Moment | None, *specs: ControllerSpec) -> AsyncIterator[Command]:
    """A daemon that has just seen a moment of the night of dc1, and a function that runs commands."""
    with capture_logs():
        async with upgrade_night(folder, specs or (DC1, DC2), step_s=120.0, tokens=TOKENS) as (daemon, night):
            if moment:
                await night.go_to(moment, after_s=5.0)

            async def run_command(*arguments: str, token: str = ROOT, width: int = 0) -> Result:
                return await run(daemon.url, *arguments, token=token, width=width)

            yield run_command


async def test_upgrades_shows_where_each_controller_stands(tmp_path: Path) -> None:
    async with at(tmp_path, "suspended") as command:
        shown = await command("upgrades")
        assert shown.exit_code == 0, shown.output
        first, _, *rows = shown.stdout.splitlines()
        assert first == "dc1: upgrading the Service Engines, upgrade 30.2.1 → 31.2.2"
        assert [row.split()[:3] for row in rows] == [
            ["dc1", "service_engines", "cluster-0-1"],
            ["dc1", "service_engines", "Default-Group@Default-Cloud"],
            ["dc1", "service_engines", "Default-Group-se-1@Default-Cloud"],
            ["dc1", "service_engines", "internet@aws"],
        ]
        assert "suspended" in rows[1]
        assert "1/3 1✗" in rows[1]
        narrow = await command("upgrades", width=80)
        assert "suspended" in narrow.stdout
        everything = (await command("upgrades", "--all", "--controller", "dc2")).stdout
        assert [line.split()[1] for line in everything.splitlines()[1:]] == [
            "cluster-0-1", "Default-Group@Default-Cloud", "Default-Group-se-0@Default-Cloud"
        ]  # fmt: skip
        engines = (await command("upgrades", "--kind", "se", "--state", "failed")).stdout.splitlines()
        assert [line.split()[:2] for line in engines[2:]] == [["dc1", "service_engines"]]


async def test_upgrades_as_json_has_controllers_and_units(tmp_path: Path) -> None:
    async with at(tmp_path, "suspended") as command:
        shown = json.loads((await command("upgrades", "--output", "json")).stdout)
        assert [(each["controller"], each["phase"], each["done"]) for each in shown["controllers"]] == [
            ("dc1", "service_engines", False), ("dc2", "none", None)
        ]  # fmt: skip
        assert shown["count"] == len(shown["results"]) == 4
        assert [(unit["controller"], unit["state"]) for unit in shown["results"]][1] == ("dc1", "suspended")
        assert shown["results"][1]["engines"]["suspended"] == 1


async def test_nothing_to_show_says_how_much_there_is(tmp_path: Path) -> None:
    async with at(tmp_path, None, DC2, replace(DC2, name="dc1")) as command:
        shown = await command("upgrades")
        assert shown.stdout == "No units to show; --all shows 6 units at rest\n"
        wrong = await command("upgrades", "--controller", "dc9")
        assert (wrong.exit_code, wrong.stderr) == (
            4, 'avi-upgrade-monitor: there is no controller "dc9" that you may see\n'
        )  # fmt: skip


async def test_upgrade_shows_all_about_a_cluster(tmp_path: Path) -> None:
    async with at(tmp_path, "controllers") as command:
        shown = (await command("upgrade", "dc1")).stdout
        lines = [" ".join(line.split()) for line in shown.splitlines()]
        assert lines[:2] == ["cluster-0-1", "controller dc1"]
        assert "version 30.2.1 → 31.2.2" in lines
        assert "checks 1 warning" in lines
        assert [line for line in lines if line.startswith("warning SYSERR_")]
        assert [line for line in lines if line.startswith("PrepareUpgrade")]
        assert (
            len([line for line in lines if re.fullmatch(r"2025\S+ \S+ UPGRADE \S+ UPGRADE_FSM_COMPLETED", line)]) == 2
        )
        assert lines[-3:] == ["No annotations", "", "No audit records"]
        raw = json.loads((await command("upgrade", "dc1", "--output", "json")).stdout)
        assert (raw["node_type"], raw["controller"]) == ("NODE_CONTROLLER_CLUSTER", "dc1")


async def test_upgrade_shows_all_about_a_group(tmp_path: Path) -> None:
    async with at(tmp_path, "suspended") as command:
        shown = (await command("upgrade", "Default-Group@Default-Cloud", "--controller", "dc1", token=EVE)).stdout
        lines = [" ".join(line.split()) for line in shown.splitlines()]
        assert "engines 1 of 3 Service Engines completed, 1 not started, 1 suspended" in lines
        assert "Default-Group-se-1 suspended" in lines
        assert "Notes of the Controller" in lines
        assert lines[-1].startswith("Audit not available: 403 ")
        ambiguous = await command("upgrade", "Default-Group@Default-Cloud")
        assert (ambiguous.exit_code, "matches 2 units" in ambiguous.stderr) == (4, True)
        unknown = await command("upgrade", "x", "--controller", "dc2")
        assert (unknown.exit_code, unknown.stderr) == (
            4, 'avi-upgrade-monitor: "dc2" has no unit with the uuid or name "x"\n'
        )  # fmt: skip


async def test_a_wait_for_an_upgrade_that_does_not_begin_ends_with_3(tmp_path: Path) -> None:
    async with at(tmp_path, None) as command:
        wait = ("watch", "--upgrade", "--controller", "dc2", "--until", "completed")
        late = await command(*wait, "--begin-within", "100ms")
        assert late.exit_code == 3
        assert late.stderr.startswith(
            "avi-upgrade-monitor: dc2: no upgrade began; cluster-0-1 is idle at 30.2.1 (as of "
        )
        timed_out = await command(*wait, "--timeout", "3s", "--output", "json")
        assert timed_out.exit_code == 3
        assert json.loads(timed_out.stderr)["detail"].startswith("timed out")
        done = await command(*wait[:5], "controllers", "--version", "30.2.1")
        assert (done.exit_code, done.stderr) == (0, "")
        other = await command(*wait, "--version", "30.2.1-2p1", "--begin-within", "100ms")
        assert other.exit_code == 3
        wrong = await command(*wait[:3], "dc9", "--until", "completed")
        assert wrong.exit_code == 4


async def test_on_a_terminal_there_is_a_live_screen_of_units(tmp_path: Path) -> None:
    async with at(tmp_path, "suspended") as command:
        failed = await command("watch", "--upgrade", "--controller", "dc1", "--until", "completed", width=100)
        assert failed.exit_code == 1
        assert "Default-Group@Default-Cloud: suspended: " in " ".join(failed.stderr.split())
        one = await command("watch", "--upgrade", "internet@aws", "--timeout", "2s", width=100)
        assert (one.exit_code, "kind" in one.stdout) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--upgrade", "--until", "completed"], "give --controller, and no unit"),
        (["--upgrade", "x", "--controller", "dc1", "--until", "completed"], "give --controller, and no unit"),
        (["--upgrade", "--controller", "dc1", "--until", "failed"], "--until failed is of images"),
        (["--upgrade", "--image", "x"], "--image and --upgrade cannot be combined"),
        (["--image", "x", "--until", "checked"], "--until checked needs --upgrade"),
        (["--image", "x", "--until", "completed", "--version", "31.2.2"], "need --upgrade"),
        (["--upgrade", "--strict"], "need --until"),
        (["--upgrade", "--controller", "dc1", "--until", "completed", "--strict"], "--strict needs --until checked"),
        (
            ["--upgrade", "--controller", "dc1", "--until", "checked", "--through", "suspended"],
            "--through needs --until controllers or completed",
        ),
        (["--upgrade", "--controller", "dc1", "--until", "completed", "--version", "soon"], "a version such as 31.2.2"),
    ],
)
async def test_an_invalid_command_line_ends_with_2(arguments: list[str], words: str) -> None:
    command = ["watch", "--url", "http://127.0.0.1:1", *arguments]
    result = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.split())
