"""``watch`` against a daemon that runs, restarts, rejects or does not exist; and the documented script."""

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
from tests.support.daemons import UNHURRIED, until, watching
from tests.support.documentation import page
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.operators import EVE, TOKENS

ROOT = Path(__file__).parents[2]
DC1 = ControllerSpec(
    name="dc1",
    uploads=(
        UploadSpec(name="done", duration=60.0, started_ago=1000.0),
        UploadSpec(name="broken", duration=60.0, started_ago=1000.0, outcome="failed"),
        UploadSpec(name="running", duration=1000.0, started_ago=500.0),
        UploadSpec(name="failing", duration=1000.0, started_ago=100.0, outcome="failed"),
        UploadSpec(name="stalled", duration=100.0, started_ago=1000.0, outcome="stalled"),
    ),
)


class Setup:
    """A daemon on two Controllers whose clock does not move by itself."""

    def __init__(self, daemon: Daemon, simulator: Simulator) -> None:
        self.daemon = daemon
        self.url = daemon.url
        self.clock = simulator.clock
        self.dc1, self.dc2 = (simulator.controllers[name] for name in ("dc1", "dc2"))

    async def __call__(self, *arguments: str, width: int = 0, token: str = "") -> Result:
        """Run ``watch`` to its end. ``width``: of the terminal; 0: standard output is none."""
        variables: dict[str, str | None] = {"AVI_UPGRADE_MONITOR_URL": self.url, "AVI_UPGRADE_MONITOR_TOKEN": token}
        if width:
            variables |= {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": str(width)}
        result = await asyncio.to_thread(CliRunner(env=variables).invoke, main, ["watch", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result

    async def timed_out(self, *arguments: str) -> Result:
        """Run ``watch`` with a timeout that is long enough for the first response, however busy the machine is."""
        for timeout_s in (0.5, 5, WAIT_TIMEOUT_S):
            result = await self(*arguments, "--timeout", f"{round(timeout_s * 1000)}ms")
            assert result.exit_code == 3
            if "no response from the daemon yet" not in result.stderr:
                return result
        raise AssertionError("no response from the daemon")


@asynccontextmanager
async def set_up(folder: Path, **settings: Any) -> AsyncIterator[Setup]:  # noqa: ANN401  as watching
    with capture_logs():  # keeps the log out of the output of the command
        async with (
            Simulator([DC1, ControllerSpec(name="dc2")], speed=0.0) as simulator,
            watching(simulator, folder, poll=UNHURRIED, **settings) as daemon,
        ):
            for name in ("dc1", "dc2"):
                await until(daemon, name, lambda entry: entry.session.up)
            yield Setup(daemon, simulator)


class Running:
    """A command that is running. ``out`` and ``err``: the lines read so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out: list[str] = []
        self.err: list[str] = []

    async def prints(self, text: str) -> None:
        """Wait for a line of standard output with the text."""
        await _line_with(self.process.stdout, text, self.out)

    async def warns(self, text: str) -> None:
        """Wait for a line of standard error with the text."""
        await _line_with(self.process.stderr, text, self.err)

    async def wait(self) -> int:
        """Wait for its end, and return the exit code."""
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            out, err = await self.process.communicate()
        self.out += out.decode().splitlines()
        self.err += err.decode().splitlines()
        assert "Traceback" not in "".join(self.err), self.err
        assert self.process.returncode is not None
        return self.process.returncode


async def _line_with(stream: asyncio.StreamReader | None, text: str, seen: list[str]) -> None:
    assert stream is not None
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        while line := (await stream.readline()).decode():
            seen.append(line.rstrip("\n"))
            if text in line:
                return
    pytest.fail(f"{text!r} was not printed, but {seen}")


@asynccontextmanager
async def started(*command: str, **variables: str) -> AsyncIterator[Running]:
    """Start a command; kill it if the test does not end it."""
    pipe = asyncio.subprocess.PIPE
    environment = {**os.environ, **variables}
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environment)
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def command(setup: Setup, *arguments: str) -> tuple[str, ...]:
    return sys.executable, "-W", "error", "-m", "monitor", "watch", "--url", setup.url, *arguments


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
async def test_a_state_that_was_reached_before_ends_the_wait_at_once(
    tmp_path: Path, image: str, state: str, status: int, words: str
) -> None:
    async with set_up(tmp_path) as setup:
        result = await setup("--image", image, "--until", state)
        assert (result.exit_code, words in result.stderr, bool(result.stderr)) == (status, True, bool(words))
        (line,) = result.stdout.splitlines()
        assert line.startswith(f"dc1  {image}  ")


async def test_a_completed_upload_ends_the_wait(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup, started(*command(setup, "--image", "running", "--until", "completed")) as cli:
        await cli.prints("dc1  running  in_progress")
        setup.clock.advance(100.0)
        await cli.prints("dc1  running  in_progress")
        setup.clock.advance(1000.0)
        assert (await cli.wait(), cli.err) == (0, [])
        assert cli.out[-1] == "dc1  running  completed  100%  6 of 6"


async def test_an_upload_that_fails_ends_the_wait_with_its_reason(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup, started(*command(setup, "--image", "failing", "--until", "completed")) as cli:
        await cli.prints("dc1  failing  in_progress")
        setup.clock.advance(1000.0)
        assert await cli.wait() == 1
        (line,) = cli.err
        assert re.match(r"avi-upgrade-monitor: dc1  failing: failed: \w.* failed on 10\.", line)


async def test_watch_waits_for_an_image_that_does_not_exist_yet(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup, started(*command(setup, "--image", "new", "--until", "completed")) as cli:
        await cli.warns('no image with the uuid or name "new" yet; waiting for it')
        setup.dc2.upload("new", duration=100.0)
        await cli.prints("dc2  new  started")
        setup.clock.advance(100.0)
        assert (await cli.wait(), len(cli.err)) == (0, 1)


async def test_an_image_that_is_removed_ends_the_wait(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup:
        uuid = setup.dc2.upload("new", duration=100.0)
        async with started(*command(setup, "--image", uuid, "--until", "completed")) as cli:
            await cli.prints("dc2  new  started")
            setup.dc2.remove(uuid)
            assert await cli.wait() == 1
            assert cli.out[-1] == "dc2  new  gone"
            assert cli.err[-1] == f"avi-upgrade-monitor: dc2  {uuid}: the image is gone"


async def test_watch_reconnects_to_a_restarted_daemon(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(capture_logs())
        simulator = await stack.enter_async_context(Simulator([DC1], speed=0.0))
        async with watching(simulator, tmp_path) as daemon:
            address = daemon.url.removeprefix("http://")
            arguments = ("watch", "--url", daemon.url, "--image", "running", "--until", "completed")
            cli = await stack.enter_async_context(started(sys.executable, "-m", "monitor", *arguments))
            await cli.prints("dc1  running  in_progress")
        await cli.warns("connection lost, reconnecting: ")
        simulator.clock.advance(1000.0)
        async with watching(simulator, tmp_path, listen=address):
            assert await cli.wait() == 0
        assert cli.err[-1] == "avi-upgrade-monitor: reconnected"
        assert cli.out[-1].startswith("dc1  running  completed")


async def test_a_timeout_says_how_far_the_image_was(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup:
        result = await setup.timed_out("--image", "stalled", "--until", "completed")
        assert result.stderr.startswith("avi-upgrade-monitor: timed out; dc1  stalled  in_progress  ")
        missing = await setup.timed_out("--image", "x", "--until", "failed", "--output", "json")
        assert json.loads(missing.stderr.splitlines()[-1]) == {
            "detail": 'timed out; no image with the uuid or name "x" was found'
        }
        assert (await setup("--timeout", "500ms")).exit_code == 3


async def test_an_ambiguous_name_is_rejected_with_all_images_that_match(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup:
        uuids = [controller.upload("twin", duration=100.0) for controller in (setup.dc1, setup.dc2)]
        for controller in ("dc1", "dc2"):
            uuid = uuids[controller == "dc2"]
            await until(setup.daemon, controller, lambda entry, uuid=uuid: uuid in entry.objects("image"))  # type: ignore[misc]
        result = await setup("--image", "twin", "--until", "completed")
        assert (result.exit_code, result.stdout) == (4, "")
        assert [line.split()[:2] for line in result.stderr.splitlines()[1:]] == [["dc1", uuids[0]], ["dc2", uuids[1]]]
        assert (await setup("--image", "twin", "--controller", "dc9")).exit_code == 4


# -- access


async def test_a_client_without_access_is_rejected(tmp_path: Path) -> None:
    async with set_up(tmp_path, tokens=TOKENS, anonymous=[]) as setup:
        anonymous = await setup("--image", "done", "--until", "completed")
        assert (anonymous.exit_code, anonymous.stdout) == (4, "")
        assert "401 Valid credentials are required" in anonymous.stderr
        wrong = await setup("--image", "done", "--until", "completed", "--output", "json", token="aum_wrong")
        assert (wrong.exit_code, json.loads(wrong.stderr)["status"]) == (4, 401)
        assert "aum_wrong" not in wrong.output
        assert (await setup("--image", "done", "--until", "completed", token=EVE)).exit_code == 0


@pytest.mark.parametrize("output", ["text", "json"])
async def test_watch_does_not_wait_for_a_daemon_that_was_never_reached(output: str) -> None:
    arguments = ("--url", "http://127.0.0.1:1", "--image", "x", "--until", "completed", "--output", output)
    result = await asyncio.to_thread(CliRunner().invoke, main, ["watch", *arguments])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "http://127.0.0.1:1: no connection: Connection refused" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--until", "completed"], "--until needs --image"),
        (["--until", "completed", "--image", ""], "--until needs --image"),
        (["--until", "started", "--image", "x"], "'started' is not one of 'completed', 'failed'"),
        (["--timeout", "soon"], "not a duration"),
    ],
)
def test_an_invalid_command_line_ends_with_2(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["watch", "--url", "http://127.0.0.1:1", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.split())


# -- output, and signals


@pytest.mark.parametrize(
    ("number", "waits", "status"), [(signal.SIGINT, False, 0), (signal.SIGTERM, False, 0), (signal.SIGINT, True, 1)]
)
async def test_a_signal_ends_it_without_further_output(
    tmp_path: Path, number: signal.Signals, waits: bool, status: int
) -> None:
    async with set_up(tmp_path) as setup:
        more = ["--image", "running", "--until", "completed"] if waits else []
        async with started(*command(setup, *more)) as cli:
            await cli.prints("running")
            cli.process.send_signal(number)
            assert await cli.wait() == status
            assert [line for line in cli.err if line] == ["Aborted!"] * waits


async def test_sighup_ends_it_unless_nohup_ignores_it(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup:
        arguments = command(setup, "--image", "running", "--until", "completed")
        async with started("nohup", *arguments) as ignoring, started(*arguments) as handling:
            for cli in (ignoring, handling):
                await cli.prints("running  in_progress")
                cli.process.send_signal(signal.SIGHUP)
            assert await handling.wait() == 1
            setup.clock.advance(1000.0)
            assert await ignoring.wait() == 0


async def test_a_closed_pipe_ends_it_silently(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup:
        pipe = f'"$0" -m monitor watch --url {setup.url} --output json | head -1'
        async with started("bash", "-c", pipe, sys.executable) as cli:
            await cli.prints('"controller"')
            setup.clock.advance(100.0)
            await cli.wait()
            assert cli.err == []


async def test_every_change_is_a_json_object_on_one_line(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup, started(*command(setup, "--output", "json")) as cli:
        await cli.prints('"stalled"')
        strange = setup.dc2.put({"uuid": "image-1", "name": "\x1b[31mä\u2028\nb", "img_state": {"reason": "\u202e"}})
        await cli.prints(strange)
        setup.dc2.remove(strange)
        await cli.prints('"gone"')
        assert all(line.isascii() for line in cli.out)
        printed = [json.loads(line) for line in cli.out]
        assert {each["event"] for each in printed} == {"controller", "image", "gone"}
        assert {each["name"] for each in printed if each.get("uuid") == strange} == {"\x1b[31mä\u2028\nb"}
        done = next(each for each in printed if each.get("name") == "done")
        assert (done["controller"], done["state"], done["progress_ratio"]) == ("dc1", "completed", 1.0)


@pytest.mark.parametrize("width", [50, 70, 120])
async def test_on_a_terminal_there_is_a_live_screen(tmp_path: Path, width: int) -> None:
    hostile = "\x1b[31mred\x07[bold]b[/bold]"
    async with set_up(tmp_path) as setup:
        setup.dc2.put({"uuid": "image-1", "name": hostile, "img_state": {"state": "IMAGE_FSM_COMPLETED"}})
        await until(setup.daemon, "dc2", lambda entry: "image-1" in entry.objects("image"))
        one = await setup("--image", "image-1", "--until", "completed", width=width)
        assert (one.exit_code, one.stderr) == (0, "")
        assert r"\x1b[31mred\x07[bold]b[/bold]" in one.stdout
        assert "controller" in one.stdout
        fleet = await setup("--timeout", "1s", width=width)
        assert fleet.exit_code == 3
        assert "Progress" in fleet.stdout
        assert ("━━━━" in fleet.stdout) is (width > 50)
        lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", fleet.stdout).splitlines()
        assert max(map(len, lines)) <= width
        assert "\x1b[31mred" not in fleet.stdout + one.stdout


async def test_an_outage_of_a_controller_and_its_end_are_printed(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup, started(*command(setup, "--image", "running")) as cli:
        await cli.prints("running")
        await setup.dc1.stop_listening()
        await cli.prints("dc1: cannot be polled (connect: ")
        await setup.dc1.start_listening()
        await cli.prints("dc1: polled again")


# -- the documented script


def documented_script() -> str:
    return re.split(r"^```(?:bash\n)?", page("how-to/wait-for-an-upload.md"), maxsplit=2, flags=re.MULTILINE)[1]


@asynccontextmanager
async def scripted(setup: Setup, image: str, *, limit: str) -> AsyncIterator[Running]:
    """Run the documented script with the command of this installation."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {"PATH": path, "AVI_UPGRADE_MONITOR_URL": setup.url, "IMAGE": image, "TIMEOUT": limit}
    async with started("bash", "-c", documented_script(), **variables) as cli:
        yield cli


READY = "running is ready: the upgrade may begin"


async def test_the_script_continues_when_the_image_is_completed(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup, scripted(setup, "running", limit="1m") as cli:
        await cli.prints("running  in_progress")
        setup.clock.advance(1000.0)
        assert (await cli.wait(), cli.out[-1], cli.err) == (0, READY, [])


async def test_the_script_ends_when_the_image_fails(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup, scripted(setup, "failing", limit="1m") as cli:
        await cli.prints("failing  in_progress")
        setup.clock.advance(1000.0)
        assert await cli.wait() == 1
        assert "failing: failed: " in cli.err[-1]
        assert "may begin" not in "".join(cli.out)


async def test_the_script_ends_at_the_timeout(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup, scripted(setup, "stalled", limit="2s") as cli:
        assert await cli.wait() == 3
        assert "timed out; dc1  stalled  in_progress" in cli.err[-1]
        assert "may begin" not in "".join(cli.out)


async def test_the_script_waits_for_a_controller_until_the_timeout(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup:
        await _stop_listening(setup.dc1, setup.daemon)
        async with scripted(setup, "running", limit="2s") as cli:
            assert await cli.wait() == 3
            assert "; dc1: cannot be polled (connect: " in cli.err[-1]
            assert "; its images are as of 2" in cli.err[-1]
            assert "may begin" not in "".join(cli.out)


async def _stop_listening(controller: SimulatedController, daemon: Daemon) -> None:
    await controller.stop_listening()
    await until(daemon, controller.name, lambda entry: not entry.session.up)


async def test_the_script_continues_when_the_controller_is_back_and_the_image_is_completed(tmp_path: Path) -> None:
    async with set_up(tmp_path) as setup, scripted(setup, "running", limit="1m") as cli:
        await cli.prints("running  in_progress")
        await setup.dc1.stop_listening()
        await cli.prints("dc1: cannot be polled")
        setup.clock.advance(1000.0)
        await setup.dc1.start_listening()
        assert (await cli.wait(), cli.out[-1]) == (0, READY)
