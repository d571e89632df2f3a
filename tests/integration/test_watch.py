"""``watch`` against a daemon that runs, restarts, refuses or is not there; and the README's snippet, as it stands."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from monitor.cli import main
from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, SimulatedController, Simulator, UploadSpec
from tests.support.daemons import PATIENCE_S, until, watching
from tests.support.operators import EVE, TOKENS

ROOT = Path(__file__).parents[2]
DC1 = ControllerSpec(
    name="dc1",
    uploads=(
        UploadSpec(name="done", duration=60.0, started_ago=1000.0),
        UploadSpec(name="broken", duration=60.0, started_ago=1000.0, outcome="failed"),
        UploadSpec(name="running", duration=1000.0, started_ago=500.0),
        UploadSpec(name="doomed", duration=1000.0, started_ago=100.0, outcome="failed"),
        UploadSpec(name="stuck", duration=100.0, started_ago=1000.0, outcome="stalled"),
    ),
)


class Place:
    """A daemon on two Controllers whose clock stands still until it is moved."""

    def __init__(self, daemon: Daemon, simulator: Simulator) -> None:
        self.daemon = daemon
        self.url = daemon.url
        self.clock = simulator.clock
        self.dc1, self.dc2 = (simulator.controllers[name] for name in ("dc1", "dc2"))

    async def __call__(self, *arguments: str, width: int = 0, token: str = "") -> Result:
        """``watch`` as a person runs it, to its end; ``width``: of the terminal, if it is one."""
        variables: dict[str, str | None] = {"AVI_UPGRADE_MONITOR_URL": self.url, "AVI_UPGRADE_MONITOR_TOKEN": token}
        if width:
            variables |= {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": str(width)}
        result = await asyncio.to_thread(CliRunner(env=variables).invoke, main, ["watch", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result


@asynccontextmanager
async def place(folder: Path, **settings: Any) -> AsyncIterator[Place]:  # noqa: ANN401  as watching
    with capture_logs():  # else they would stand between what a command prints
        async with (
            Simulator([DC1, ControllerSpec(name="dc2")], speed=0.0) as simulator,
            watching(simulator, folder, **settings) as daemon,
        ):
            for name in ("dc1", "dc2"):
                await until(daemon, name, lambda entry: entry.health.up)
            yield Place(daemon, simulator)


class Running:
    """A command that runs. ``out`` and ``err``: the lines that were read so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out: list[str] = []
        self.err: list[str] = []

    async def says(self, text: str) -> None:
        """Wait for a line of standard output that holds the text."""
        await _line_with(self.process.stdout, text, self.out)

    async def warns(self, text: str) -> None:
        """Wait for a line of standard error that holds the text."""
        await _line_with(self.process.stderr, text, self.err)

    async def ends(self) -> int:
        """Its exit status, once it has ended by itself."""
        async with asyncio.timeout(PATIENCE_S):
            out, err = await self.process.communicate()
        self.out += out.decode().splitlines()
        self.err += err.decode().splitlines()
        assert "Traceback" not in "".join(self.err), self.err
        assert self.process.returncode is not None
        return self.process.returncode


async def _line_with(stream: asyncio.StreamReader | None, text: str, seen: list[str]) -> None:
    assert stream is not None
    async with asyncio.timeout(PATIENCE_S):
        while line := (await stream.readline()).decode():
            seen.append(line.rstrip("\n"))
            if text in line:
                return
    pytest.fail(f"{text!r} did not come, but {seen}")


@asynccontextmanager
async def started(*command: str, **variables: str) -> AsyncIterator[Running]:
    """A command; killed if the test does not end it."""
    pipe = asyncio.subprocess.PIPE
    environment = {**os.environ, **variables}
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environment)
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def command(there: Place, *arguments: str) -> tuple[str, ...]:
    return sys.executable, "-W", "error", "-m", "monitor", "watch", "--url", there.url, *arguments


# -- until


@pytest.mark.parametrize(
    ("image", "state", "status", "words"),
    [
        pytest.param("done", "completed", 0, "", id="completed-before"),
        pytest.param("broken", "failed", 0, "", id="failed-before"),
        pytest.param("broken", "completed", 1, "dc1  broken: failed: ", id="failed-instead"),
        pytest.param("done", "failed", 1, "dc1  done: completed", id="completed-instead"),
    ],
)
async def test_what_was_reached_before_is_reached(
    tmp_path: Path, image: str, state: str, status: int, words: str
) -> None:
    async with place(tmp_path) as there:
        result = await there("--image", image, "--until", state)
        assert (result.exit_code, words in result.stderr, bool(result.stderr)) == (status, True, bool(words))
        (line,) = result.stdout.splitlines()
        assert line.startswith(f"dc1  {image}  ")


async def test_an_upload_is_waited_for_until_it_is_completed(tmp_path: Path) -> None:
    async with place(tmp_path) as there, started(*command(there, "--image", "running", "--until", "completed")) as it:
        await it.says("dc1  running  in_progress")
        there.clock.advance(100.0)
        await it.says("dc1  running  in_progress")
        there.clock.advance(1000.0)
        assert (await it.ends(), it.err) == (0, [])
        assert it.out[-1] == "dc1  running  completed  100%  6 of 6"


async def test_an_upload_that_fails_ends_the_wait_with_its_reason(tmp_path: Path) -> None:
    async with place(tmp_path) as there, started(*command(there, "--image", "doomed", "--until", "completed")) as it:
        await it.says("dc1  doomed  in_progress")
        there.clock.advance(1000.0)
        assert await it.ends() == 1
        (line,) = it.err
        assert re.match(r"avi-upgrade-monitor: dc1  doomed: failed: \w.* failed on 10\.", line)


async def test_an_image_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    async with place(tmp_path) as there, started(*command(there, "--image", "new", "--until", "completed")) as it:
        await it.warns('no image of the uuid or name "new" yet; waiting for it')
        there.dc2.upload("new", duration=100.0)
        await it.says("dc2  new  started")
        there.clock.advance(100.0)
        assert (await it.ends(), len(it.err)) == (0, 1)


async def test_an_image_that_is_removed_ends_the_wait(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        uuid = there.dc2.upload("new", duration=100.0)
        async with started(*command(there, "--image", uuid, "--until", "completed")) as it:
            await it.says("dc2  new  started")
            there.dc2.remove(uuid)
            assert await it.ends() == 1
            assert it.out[-1] == "dc2  new  gone"
            assert it.err[-1] == f"avi-upgrade-monitor: dc2  {uuid}: the image is gone"


async def test_a_daemon_that_restarts_is_waited_for(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(capture_logs())
        simulator = await stack.enter_async_context(Simulator([DC1], speed=0.0))
        async with watching(simulator, tmp_path) as daemon:
            address = daemon.url.removeprefix("http://")
            arguments = ("watch", "--url", daemon.url, "--image", "running", "--until", "completed")
            it = await stack.enter_async_context(started(sys.executable, "-m", "monitor", *arguments))
            await it.says("dc1  running  in_progress")
        await it.warns("connection lost, trying again: ")
        simulator.clock.advance(1000.0)
        async with watching(simulator, tmp_path, listen=address):
            assert await it.ends() == 0
        assert it.err[-1] == "avi-upgrade-monitor: connected again"
        assert it.out[-1].startswith("dc1  running  completed")


async def test_when_the_time_is_over_it_says_how_far_it_was(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        result = await there("--image", "stuck", "--until", "completed", "--timeout", "500ms")
        assert result.exit_code == 3
        assert result.stderr.startswith("avi-upgrade-monitor: the time is over; dc1  stuck  in_progress  ")
        unborn = await there("--image", "x", "--until", "failed", "--timeout", "500ms", "--output", "json")
        assert unborn.exit_code == 3
        assert json.loads(unborn.stderr.splitlines()[-1]) == {
            "detail": 'the time is over; no image of the uuid or name "x" was seen'
        }
        assert (await there("--timeout", "500ms")).exit_code == 3


async def test_a_name_of_several_images_is_refused_with_all_of_them(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        uuids = [controller.upload("twin", duration=100.0) for controller in (there.dc1, there.dc2)]
        for controller in ("dc1", "dc2"):
            uuid = uuids[controller == "dc2"]
            await until(there.daemon, controller, lambda entry, uuid=uuid: uuid in entry.snapshot.images)  # type: ignore[misc]
        result = await there("--image", "twin", "--until", "completed")
        assert (result.exit_code, result.stdout) == (4, "")
        assert [line.split()[:2] for line in result.stderr.splitlines()[1:]] == [["dc1", uuids[0]], ["dc2", uuids[1]]]
        assert (await there("--image", "twin", "--controller", "dc9")).exit_code == 4


# -- who asks, and whom


async def test_who_may_not_read_is_refused(tmp_path: Path) -> None:
    async with place(tmp_path, tokens=TOKENS, anonymous=[]) as there:
        nobody = await there("--image", "done", "--until", "completed")
        assert (nobody.exit_code, nobody.stdout) == (4, "")
        assert "401 Valid credentials are required" in nobody.stderr
        wrong = await there("--image", "done", "--until", "completed", "--output", "json", token="aum_wrong")
        assert (wrong.exit_code, json.loads(wrong.stderr)["status"]) == (4, 401)
        assert "aum_wrong" not in wrong.output
        assert (await there("--image", "done", "--until", "completed", token=EVE)).exit_code == 0


@pytest.mark.parametrize("output", ["text", "json"])
async def test_a_daemon_that_is_not_there_is_not_waited_for(output: str) -> None:
    arguments = ("--url", "http://127.0.0.1:1", "--image", "x", "--until", "completed", "--output", output)
    result = await asyncio.to_thread(CliRunner().invoke, main, ["watch", *arguments])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "http://127.0.0.1:1: no connection: Connection refused" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--until", "completed"], "--until: say of which image, with --image"),
        (["--until", "completed", "--image", ""], "--until: say of which image, with --image"),
        (["--until", "started", "--image", "x"], "'started' is not one of 'completed', 'failed'"),
        (["--timeout", "soon"], "not a duration"),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["watch", "--url", "http://127.0.0.1:1", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.split())


# -- how it is shown, and ends


@pytest.mark.parametrize(
    ("number", "until_it", "status"), [(signal.SIGINT, False, 0), (signal.SIGTERM, False, 0), (signal.SIGINT, True, 1)]
)
async def test_a_signal_ends_it_without_a_word_too_many(
    tmp_path: Path, number: signal.Signals, until_it: bool, status: int
) -> None:
    async with place(tmp_path) as there:
        more = ["--image", "running", "--until", "completed"] if until_it else []
        async with started(*command(there, *more)) as it:
            await it.says("running")
            it.process.send_signal(number)
            assert await it.ends() == status
            assert [line for line in it.err if line] == ["Aborted!"] * until_it


async def test_a_hang_up_ends_it_unless_it_is_to_be_ignored(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        arguments = command(there, "--image", "running", "--until", "completed")
        async with started("nohup", *arguments) as stays, started(*arguments) as goes:
            for it in (stays, goes):
                await it.says("running  in_progress")
                it.process.send_signal(signal.SIGHUP)
            assert await goes.ends() == 1
            there.clock.advance(1000.0)
            assert await stays.ends() == 0


async def test_who_has_read_enough_ends_it_in_silence(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        pipe = f'"$0" -m monitor watch --url {there.url} --output json | head -1'
        async with started("bash", "-c", pipe, sys.executable) as it:
            await it.says('"controller"')
            there.clock.advance(100.0)
            await it.ends()
            assert it.err == []


async def test_every_change_is_a_json_object_on_one_line(tmp_path: Path) -> None:
    async with place(tmp_path) as there, started(*command(there, "--output", "json")) as it:
        await it.says('"stuck"')
        strange = there.dc2.put({"uuid": "image-1", "name": "\x1b[31mä\u2028\nb", "img_state": {"reason": "\u202e"}})
        await it.says(strange)
        there.dc2.remove(strange)
        await it.says('"gone"')
        assert all(line.isascii() for line in it.out)
        told = [json.loads(line) for line in it.out]
        assert {each["event"] for each in told} == {"controller", "image", "gone"}
        assert {each["name"] for each in told if each.get("uuid") == strange} == {"\x1b[31mä\u2028\nb"}
        done = next(each for each in told if each.get("name") == "done")
        assert (done["controller"], done["state"], done["progress_ratio"]) == ("dc1", "completed", 1.0)


@pytest.mark.parametrize("width", [50, 70, 120])
async def test_on_a_terminal_it_is_drawn(tmp_path: Path, width: int) -> None:
    hostile = "\x1b[31mred\x07[bold]b[/bold]"
    async with place(tmp_path) as there:
        there.dc2.put({"uuid": "image-1", "name": hostile, "img_state": {"state": "IMAGE_FSM_COMPLETED"}})
        await until(there.daemon, "dc2", lambda entry: "image-1" in entry.snapshot.images)
        one = await there("--image", "image-1", "--until", "completed", width=width)
        assert (one.exit_code, one.stderr) == (0, "")
        assert r"\x1b[31mred\x07[bold]b[/bold]" in one.stdout
        assert "controller" in one.stdout
        fleet = await there("--timeout", "1s", width=width)
        assert fleet.exit_code == 3
        assert "Progress" in fleet.stdout
        assert ("━━━━" in fleet.stdout) is (width > 50)
        lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", fleet.stdout).splitlines()
        assert max(map(len, lines)) <= width
        assert "\x1b[31mred" not in fleet.stdout + one.stdout


async def test_a_controller_that_goes_away_and_comes_back_is_told(tmp_path: Path) -> None:
    async with place(tmp_path) as there, started(*command(there, "--image", "running")) as it:
        await it.says("running")
        await there.dc1.stop_listening()
        await it.says("dc1: not read at present (connect: ")
        await there.dc1.start_listening()
        await it.says("dc1: read again")


# -- the snippet


def snippet() -> str:
    """What the README tells to put in a script."""
    readme = (ROOT / "README.md").read_text()
    section = readme.split("\n### Wait for an upload in a script\n", 1)[1]
    return re.split(r"^```(?:bash\n)?", section, maxsplit=2, flags=re.MULTILINE)[1]


@asynccontextmanager
async def scripted(there: Place, image: str, *, patience: str) -> AsyncIterator[Running]:
    """The snippet in a script, word for word, with the commands of this very installation."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {"PATH": path, "AVI_UPGRADE_MONITOR_URL": there.url, "IMAGE": image, "PATIENCE": patience}
    async with started("bash", "-c", snippet(), **variables) as it:
        yield it


READY = "running is ready: the upgrade may begin"


async def test_the_snippet_goes_on_when_the_image_is_completed(tmp_path: Path) -> None:
    async with place(tmp_path) as there, scripted(there, "running", patience="1m") as it:
        await it.says("running  in_progress")
        there.clock.advance(1000.0)
        assert (await it.ends(), it.out[-1], it.err) == (0, READY, [])


async def test_the_snippet_ends_when_the_image_fails(tmp_path: Path) -> None:
    async with place(tmp_path) as there, scripted(there, "doomed", patience="1m") as it:
        await it.says("doomed  in_progress")
        there.clock.advance(1000.0)
        assert await it.ends() == 1
        assert "doomed: failed: " in it.err[-1]
        assert "may begin" not in "".join(it.out)


async def test_the_snippet_ends_when_the_time_is_over(tmp_path: Path) -> None:
    async with place(tmp_path) as there, scripted(there, "stuck", patience="2s") as it:
        assert await it.ends() == 3
        assert "the time is over; dc1  stuck  in_progress" in it.err[-1]
        assert "may begin" not in "".join(it.out)


async def test_the_snippet_waits_for_a_controller_that_goes_away_for_as_long_as_there_is_time(tmp_path: Path) -> None:
    async with place(tmp_path) as there:
        await _go(there.dc1, there.daemon)
        async with scripted(there, "running", patience="2s") as it:
            assert await it.ends() == 3
            assert "; dc1: not read at present (connect: " in it.err[-1]
            assert "; its images are as of 2" in it.err[-1]
            assert "may begin" not in "".join(it.out)


async def _go(controller: SimulatedController, daemon: Daemon) -> None:
    await controller.stop_listening()
    await until(daemon, controller.name, lambda entry: not entry.health.up)


async def test_the_snippet_goes_on_when_the_controller_is_back_and_the_image_completed(tmp_path: Path) -> None:
    async with place(tmp_path) as there, scripted(there, "running", patience="1m") as it:
        await it.says("running  in_progress")
        await there.dc1.stop_listening()
        await it.says("dc1: not read at present")
        there.clock.advance(1000.0)
        await there.dc1.start_listening()
        assert (await it.ends(), it.out[-1]) == (0, READY)
