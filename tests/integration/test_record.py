"""A recording: what a Controller answered, once each, without what names the installation."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from stat import S_IMODE

import pytest
from click.testing import CliRunner

from monitor.cli import main
from monitor.cli.commands.simulate import write_config
from monitor.cli.output.recorded_strings import describe_strings, find_strings
from monitor.model.errors import MonitorError
from monitor.simulator import ControllerSpec, Fault, GroupSpec, Simulator, UploadSpec
from tests.support.daemons import QUICK
from tests.support.programs import line_with, output_of
from tests.support.recordings import recording

SPEC = ControllerSpec(
    name="dc1",
    username="canary-user",
    password="canary-password",
    images=1,
    uploads=(UploadSpec(name="canary-image", duration=60.0, started_ago=20.0, outcome="failed"),),
    groups=(GroupSpec(name="canary-group", cloud="canary-cloud", ses=2),),
)
IMAGES = "GET /api/image?page_size=200"
COMMAND = (sys.executable, "-W", "error", "-m", "monitor", "record")


async def test_each_distinct_answer_is_written_once_and_each_exchange_names_its_own(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, recording(simulator, tmp_path) as night:
        dc1 = simulator.controllers["dc1"]
        await dc1.wait_for_requests(3, path="/api/image", answered=True)
        simulator.clock.advance(20.0)
        await dc1.next_request(path="/api/upgradestatussummary")
        await dc1.next_request(path="/api/upgradestatussummary")
    answers, exchanges = night.answers, night.exchanges
    assert [each["answer"] for each in answers] == list(range(1, len(answers) + 1))
    assert len({json.dumps({**each, "answer": 0}) for each in answers}) == len(answers)
    assert [each["answer"] for each in exchanges if each["request"] == IMAGES].count(2) > 1
    assert {answers[each["answer"] - 1]["request"] == each["request"] for each in exchanges} == {True}
    states = [each["json"]["results"][1]["progress"] for each in answers if each["request"] == IMAGES]
    assert len(states) == len(set(states)) == 2
    assert [each["request"] for each in (exchanges[0], exchanges[-1])] == ["POST /login", "POST /logout"]
    assert {each["request"].partition(" ")[0] for each in exchanges[1:-1]} == {"GET"}
    assert sorted(each["at"] for each in exchanges) == [each["at"] for each in exchanges]
    assert night.recorded
    assert (night.recorded.answers, night.recorded.exchanges) == (len(answers), len(exchanges))
    assert dc1.logouts == 1
    assert dc1.sessions == {}


async def test_nothing_that_names_the_installation_is_written_and_no_credential(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, recording(simulator, tmp_path) as night:
        dc1 = simulator.controllers["dc1"]
        dc1.upload(name="canary-reason", outcome="failed", duration=1.0, started_ago=5.0)
        await dc1.wait_for_requests(1)
        await night.polled_anew()
        dc1.faults.add(Fault("unauthorized", times=1, value="canary-group has no session on 192.0.2.7"))
        await dc1.wait_for_requests(4, path="/api/upgradestatussummary", answered=True)
        secrets = [*dc1.sessions, *(session.csrf for session in dc1.sessions.values())]
        uuids = [*dc1.images.names(simulator.clock.now()), dc1.cluster_uuid]
    text = night.text
    assert "has no session on 10." in text
    found = [each for each in ("canary", "127.0.0.1", "192.0.2.7", *dc1.nodes, *secrets, *uuids) if each in text]
    assert found == []
    assert len(secrets) >= 2
    assert S_IMODE(night.folder.stat().st_mode) == 0o700
    assert {S_IMODE(path.stat().st_mode) for path in night.folder.iterdir()} == {0o600}


async def test_texts_can_be_left_out(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        simulator.clock.advance(60.0)
        async with recording(simulator, tmp_path, keep_texts=False) as night:
            await simulator.controllers["dc1"].wait_for_requests(1, path="/api/upgradestatussummary", answered=True)
    (image,) = [
        each for each in night.answers[1]["json"]["results"] if each["img_state"]["state"] == "IMAGE_FSM_FAILED"
    ]
    assert image["img_state"]["reason"] == ""
    assert {each["task_name"] for each in image["events"]} >= {"Validate package"}


async def test_a_recording_ends_before_it_is_larger_than_its_limit(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, recording(simulator, tmp_path, max_bytes=20_000) as night:
        await night.stop.wait()
    assert night.recorded
    assert night.recorded.ended == "it has reached its limit of 20000B"
    sizes = {path.name: path.stat().st_size for path in night.folder.glob("*.jsonl")}
    assert sum(sizes.values()) == night.recorded.bytes <= 20_000
    assert len(night.exchanges) == night.recorded.exchanges > 0


async def test_a_folder_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "notes").write_text("mine")
    async with Simulator([SPEC], speed=0.0) as simulator:
        with pytest.raises(ExceptionGroup) as refused:
            async with recording(simulator, tmp_path):
                pass
        assert simulator.controllers["dc1"].requests == []
    assert refused.group_contains(MonitorError, match="not empty")
    assert [path.name for path in (tmp_path / "night").iterdir()] == ["notes"]


async def test_a_log_in_that_is_refused_leaves_an_empty_folder(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        dc1 = simulator.controllers["dc1"]
        dc1.faults.add(Fault("unauthorized", path="/login"))
        with pytest.raises(ExceptionGroup) as refused:
            async with recording(simulator, tmp_path) as night:
                await night.stop.wait()
        assert len(dc1.requests) == 1
    assert refused.group_contains(MonitorError, match="dc1: nothing is recorded, the log-in failed: login: 401")
    assert list((tmp_path / "night").iterdir()) == []


async def test_ctrl_c_ends_a_recording_with_what_it_has_and_a_kill_loses_the_last_line_at_most(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        dc1 = simulator.controllers["dc1"]
        config = write_config(simulator, tmp_path, {"poll": dict(QUICK)})
        for number, expected in ((signal.SIGINT, 0), (signal.SIGKILL, -9)):
            folder = tmp_path / number.name
            options = ("--config", str(config), "--controller", "dc1", "--to", str(folder))
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*COMMAND, *options, stdout=pipe, stderr=pipe)
            assert "for 3h; Ctrl-C ends it" in await line_with(process.stdout, "Recording dc1")
            await dc1.next_request(path="/api/upgradestatusinfo")  # the last of the first poll
            await dc1.next_request(path="/api/upgradestatussummary")
            process.send_signal(number)
            out, errors = await process.communicate()
            assert (process.returncode, b"Traceback" in errors) == (expected, False)
            whole = [
                json.loads(line) for line in (folder / "exchanges.jsonl").read_text().splitlines(keepends=True)[:-1]
            ]
            assert whole[0]["request"] == "POST /login"
            assert (b"record check" in out) == (number is signal.SIGINT)
        assert dc1.logouts == 1


async def test_the_command_fails_when_a_recording_ends_too_early(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        options = ("--controller", "dc1", "--to", str(tmp_path / "night"), "--max-size", "1KiB")
        config = write_config(simulator, tmp_path, {"poll": dict(QUICK)})
        status, out, errors = await output_of(*COMMAND, "--config", str(config), *options)
    assert (status, "distinct answers" in out) == (1, True)
    assert errors.endswith("avi-upgrade-monitor: the recording ended early: it has reached its limit of 1KiB\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--to", "night"), "--controller and --to are needed"),
        (("--controller", "dc1"), "--controller and --to are needed"),
        (("--controller", "dc9", "--to", "night"), "there is no 'dc9' in config.yml; there are dc1"),
        (("--controller", "dc1", "--to", "night", "--max-size", "much"), "'much' is not a size such as 64KiB"),
    ],
)
async def test_a_wrong_command_line_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        write_config(simulator, tmp_path, {})
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["record", "--config", "config.yml", *options])
    assert (result.exit_code, message in result.stderr) == (2, True)
    assert not (tmp_path / "night").exists()


def test_every_string_is_printed_once_sorted_with_how_often_and_where(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text(
        '{"answer": 1, "json": {"name": "b\\u001b", "notes": ["b\\u001b", "a"]}}\n{"json": {"\\n": "a"}}\n{"json": "a\n'
    )
    found, unreadable = find_strings([tmp_path / "answers.jsonl"])
    assert list(describe_strings(found)) == [
        '       2  "a"  in answers.jsonl json.notes[], answers.jsonl json.\\n',
        '       2  "b\\u001b"  in answers.jsonl json.name, answers.jsonl json.notes[]',
    ]
    assert unreadable == 1


def test_check_prints_the_strings_of_a_folder_and_says_where_there_is_no_recording(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["record", "check", str(tmp_path)])
    assert (result.exit_code, result.stdout, "no recording" in result.stderr) == (1, "", True)
    (tmp_path / "answers.jsonl").write_text('{"json": "seen"}\n{')
    result = CliRunner().invoke(main, ["record", "check", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (0, '       1  "seen"  in answers.jsonl json\n')
    assert result.stderr == "1 line could not be read: was the recording killed?\n"
