"""A recorded night, replayed: a daemon sees the same at the same moments; and how single answers are replayed."""

import asyncio
import json
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from click.testing import CliRunner

from monitor.cli import main
from monitor.daemon.app import Daemon
from monitor.polling.fleet import Entry
from monitor.simulator import SCENARIOS, RecordingError, Replay, Simulator, read_recording
from monitor.simulator.clock import Clock
from tests.support.daemons import scrape, until, watching
from tests.support.nights import START, Moment, Night, polled_anew
from tests.support.programs import line_with
from tests.support.recordings import recording

MOMENTS: Sequence[Moment] = ("checks", "controllers", "away", "unready", "back", "groups", "first_group", "done")
NAMES = re.compile(r'\b(?:image_uuid|unit_uuid|image|unit|tenant|cloud|node)="[^"]*",?')
PACE = re.compile(
    r"(?!avi_)|avi_upgrade_monitor_|avi_controller_(?:polls|logins|poll_failures|unknown_values|poll_duration|poll_interval)"
)
"""What depends on how often a daemon has polled, and when."""


async def series(daemon: Daemon) -> Counter[str]:
    """The lines of a scrape without names, as often as they stand there."""
    text = await scrape(daemon)
    return Counter(NAMES.sub("", line) for line in text.splitlines() if not PACE.match(line))


async def advance_between_polls(clock: Clock, daemon: Daemon, time: float) -> None:
    """Advance to a time as soon as a poll has ended: what that has read is then not of two times."""
    ended = asyncio.Event()

    def advance(_name: str, _entry: Entry | None, _changes: object) -> None:
        if not ended.is_set():
            clock.advance(time - clock.now())
            ended.set()

    unsubscribe = daemon.fleet.subscribe(advance)
    try:
        await ended.wait()
    finally:
        unsubscribe()


async def test_a_night_that_was_recorded_and_is_replayed_gives_the_same_series_at_the_same_moments(
    tmp_path: Path,
) -> None:
    (spec, *_) = SCENARIOS["upgrade-night"].controllers
    simulator = Simulator([spec], start=START, speed=0.0)
    plan = Night(simulator, "dc1")
    times = [START + 30.0, START + 90.0, *(plan.time_of(moment) + 1.0 for moment in MOMENTS)]
    lived: list[Counter[str]] = []
    async with (
        simulator,
        watching(simulator, tmp_path / "live", wall=simulator.clock.now) as daemon,
        recording(simulator, tmp_path, now=simulator.clock.now) as night,
    ):
        await until(daemon, "dc1", lambda entry: entry.session.up)
        for time in times:
            await advance_between_polls(simulator.clock, daemon, time)
            await simulator.wait_timelines()
            await night.polled_anew()
            await polled_anew(daemon, "dc1")
            lived.append(await series(daemon))

    replay = Replay(read_recording(night.folder), speed=0.0)
    async with replay, watching(replay, tmp_path / "again", wall=replay.clock.now) as daemon:
        await until(daemon, "dc1", lambda entry: entry.session.up)
        for time, expected in zip(times, lived, strict=True):
            await advance_between_polls(replay.clock, daemon, time)
            await replay.wait_timelines()
            await polled_anew(daemon, "dc1")
            found = await series(daemon)
            assert (time - START, found - expected, expected - found) == (time - START, Counter(), Counter())
    phases = [line for lines in lived for line in lines if "upgrade_phase{" in line and line.endswith(" 1.0")]
    assert len(set(phases)) == 5


IMAGES = "GET /api/image?page_size=200"
ANSWERS: Sequence[Mapping[str, object]] = (
    {"request": "POST /login", "status": 200, "json": {"version": {"Version": "30.2.1"}}},
    {"request": IMAGES, "status": 200, "json": {"count": 1}, "headers": {"AVI_API_VERSION": "30.2.1"}},
    {"request": IMAGES, "status": 200, "json": {"count": 2}},
    {"request": IMAGES, "status": 502, "html": True, "headers": {"Content-Type": "text/html", "Retry-After": "5"}},
    {"request": IMAGES, "status": 401, "text": "No session"},
    {"request": IMAGES, "status": 200, "unreadable": 77},
    {"request": "POST /login", "status": 503, "html": True},
)
REFUSED = {"failure": "connect", "sent": False}
CLOSED = {"failure": "connect", "sent": True}
SILENT = {"failure": "timeout", "sent": True}


def write_recording(folder: Path, *exchanges: tuple[float, int | Mapping[str, object]], more: str = "") -> Path:
    """Write a recording. ``exchanges``: a time, and the number of an answer above, or the failure of a list."""
    folder.mkdir(exist_ok=True)
    (folder / "recording.json").write_text('{"format": 1}\n')
    answers = [{"answer": number, **answer} for number, answer in enumerate(ANSWERS, 1)]
    (folder / "answers.jsonl").write_text("".join(f"{json.dumps(answer)}\n" for answer in answers))
    lines = [
        {"at": START + at, "request": ANSWERS[came - 1]["request"], "answer": came}
        if isinstance(came, int)
        else {"at": START + at, "request": IMAGES, **came}
        for at, came in exchanges
    ]
    (folder / "exchanges.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines) + more)
    return folder


class Browser:
    """A client of a replayed Controller."""

    def __init__(self, replay: Replay, http: aiohttp.ClientSession) -> None:
        self.replay = replay
        self.http = http

    async def go_to(self, at: float) -> None:
        """Advance to so many seconds after the start."""
        self.replay.clock.advance(START + at - self.replay.clock.now())
        await self.replay.wait_timelines()

    async def log_in(self, password: str | None = None) -> int:
        """Return the status."""
        (controller,) = self.replay.controllers.values()
        form = {"username": controller.username, "password": controller.password if password is None else password}
        async with self.http.post(f"{controller.url}/login", data=form) as response:
            return response.status

    async def get(self, path: str = "/api/image?page_size=200") -> tuple[int, Any]:
        """Return the status, and the body: as JSON where it is."""
        (controller,) = self.replay.controllers.values()
        async with self.http.get(f"{controller.url}{path}") as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith("{") and text.endswith("}") else text


@asynccontextmanager
async def replaying(folder: Path) -> AsyncIterator[Browser]:
    """Replay with time that stands still."""
    jar = aiohttp.CookieJar(unsafe=True)  # of an address, too
    async with Replay(read_recording(folder), speed=0.0) as replay, aiohttp.ClientSession(cookie_jar=jar) as http:
        browser = Browser(replay, http)
        yield browser


async def test_each_request_is_answered_as_the_last_one_like_it(tmp_path: Path) -> None:
    write_recording(tmp_path, (0, 1), (10, 2), (20, 3))
    async with replaying(tmp_path) as browser:
        await browser.log_in()
        seen = []
        for at in (0, 10, 19.9, 20, 1e6):
            await browser.go_to(at)
            seen.append(await browser.get())
        assert [body["count"] for _, body in seen] == [1, 1, 1, 2, 2]
        assert await browser.get("/api/image?page_size=200&page=2") == (
            404,
            {"error": "There is no answer to this request in the recording"},
        )


@pytest.mark.parametrize(
    ("came", "answer"),
    [
        (4, (502, "<html>\r\n<head><title>502 Bad Gateway</title></head>")),
        (5, (401, "No session")),
        (6, (200, "{")),
    ],
)
async def test_a_bad_answer_is_replayed_with_its_status(tmp_path: Path, came: int, answer: tuple[int, str]) -> None:
    write_recording(tmp_path, (0, 1), (0, 2), (10, came), (20, 3))
    async with replaying(tmp_path) as browser:
        await browser.go_to(10)
        await browser.log_in()
        status, text = await browser.get()
        assert (status, text.startswith(answer[1])) == (answer[0], True)
        await browser.go_to(20)
        assert await browser.get() == (200, {"count": 2})


async def test_a_connection_that_was_refused_or_closed_is_so_again(tmp_path: Path) -> None:
    write_recording(tmp_path, (0, 1), (0, 2), (10, CLOSED), (20, REFUSED), (30, 3))
    async with replaying(tmp_path) as browser:
        await browser.log_in()
        await browser.go_to(10)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await browser.get()
        await browser.go_to(20)
        with pytest.raises(aiohttp.ClientConnectorError):
            await browser.get()
        await browser.go_to(30)
        assert await browser.get() == (200, {"count": 2})


async def test_a_recording_may_begin_while_connections_are_refused(tmp_path: Path) -> None:
    write_recording(tmp_path, (0, REFUSED), (10, 1), (10, 2))
    async with replaying(tmp_path) as browser:
        await browser.replay.wait_timelines()
        with pytest.raises(aiohttp.ClientConnectorError):
            await browser.get()
        await browser.go_to(10)
        assert await browser.log_in() == 200
        assert await browser.get() == (200, {"count": 1})


async def test_a_request_that_was_not_answered_in_time_waits_for_the_next_outcome(tmp_path: Path) -> None:
    write_recording(tmp_path, (0, 1), (0, 2), (10, SILENT), (15, SILENT), (20, 3))
    async with replaying(tmp_path) as browser, asyncio.TaskGroup() as tasks:
        await browser.log_in()
        await browser.go_to(10)
        request = tasks.create_task(browser.get(), name="silent")
        await browser.get("/api/other")  # the first request has come by then
        await browser.go_to(15)
        await browser.get("/api/other")
        assert not request.done()
        await browser.go_to(20)
        assert await request == (200, {"count": 2})


async def test_sessions_are_needed_and_end_when_those_of_the_recording_did(tmp_path: Path) -> None:
    write_recording(tmp_path, (0, 1), (0, 2), (10, 5), (10, 1), (10, 3))
    async with replaying(tmp_path) as browser:
        await browser.log_in()
        assert (await browser.get())[0] == 200
        await browser.go_to(10)
        assert await browser.get() == (401, "Authentication credentials were not provided.")
        assert await browser.log_in("wrong") == 401
        assert (await browser.get())[0] == 401
        assert await browser.log_in() == 200
        assert await browser.get() == (200, {"count": 2})
        (controller,) = browser.replay.controllers.values()
        async with browser.http.post(f"{controller.url}/logout") as response:
            assert response.status == 200
        assert (await browser.get())[0] == 401


async def test_a_log_in_that_failed_fails_again(tmp_path: Path) -> None:
    write_recording(tmp_path, (0, 1), (0, 2), (10, 7), (20, 1))
    async with replaying(tmp_path) as browser:
        statuses = []
        for at in (0, 10, 20):
            await browser.go_to(at)
            statuses.append(await browser.log_in())
    assert statuses == [200, 503, 200]


def test_a_recording_that_was_killed_is_read_without_its_last_line(tmp_path: Path) -> None:
    recording = read_recording(write_recording(tmp_path, (0, 1), (10, 2), more='{"at": 17400000'))
    assert recording.ended_at == START + 10


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("recording.json", '{"format": 2}', "its format is 2, expected 1"),
        ("recording.json", "{", "no recording that can be read"),
        ("answers.jsonl", "", "there is no answer 1 in answers.jsonl"),
        ("answers.jsonl", "{}\n", "no recording that can be read: Object missing required field `answer`"),
        ("exchanges.jsonl", "", "the recording is empty"),
    ],
)
def test_what_is_no_recording_is_an_error_that_says_why(tmp_path: Path, name: str, text: str, message: str) -> None:
    write_recording(tmp_path, (0, 1))
    (tmp_path / name).write_text(text)
    with pytest.raises(RecordingError, match=re.escape(f"{tmp_path}: {message}")):
        read_recording(tmp_path)


def test_simulate_says_that_a_folder_has_no_recording(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["simulate", "--replay", str(tmp_path), "--config-dir", str(tmp_path / "config")])
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{tmp_path}: no recording that can be read" in result.stderr
    assert not (tmp_path / "config").exists()


async def test_simulate_replays_and_writes_a_config_that_polls_as_often_as_the_recording_did(tmp_path: Path) -> None:
    folder = write_recording(tmp_path / "night", (0, 1), (0, 2), (3 * 3600, 3))
    command = (sys.executable, "-W", "error", "-m", "monitor", "simulate", "--replay", str(folder), "--speed", "20")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, "--config-dir", str(tmp_path / "config"), stdout=pipe)
    assert "A recording of 3h;" in await line_with(process.stdout, "recording")
    await line_with(process.stdout, "Ctrl-C ends.")
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 0
    config = yaml.safe_load((tmp_path / "config" / "config.yml").read_text())
    assert config["poll"] == {"active_interval": "250ms", "idle_interval": "3s"}
