"""What ``watch`` prints for the messages of a stream, and when its wait ends."""

import json
from collections.abc import Sequence

import pytest

from monitor.cli.api.messages import Message, decode_message
from monitor.cli.api.responses import ConnectionLost, WaitTimeout
from monitor.cli.api.sse import Event
from monitor.cli.api.subscription import Connected
from monitor.cli.output.display import Display, JsonDisplay, LineDisplay
from monitor.cli.output.watch_state import Target
from monitor.cli.output.watcher import Watcher
from tests.support.stream_messages import DOWN, NEW, NOW, UP, change, image, part, state

ALL = Target()
STORY = (
    state(part("dc1", image("1", eta={"ends_at": 1240, "earliest": 1180, "latest": 1360})), part("dc2", health=NEW)),
    change(part("dc1", image("1", acknowledged=True, eta={"ends_at": 1240, "earliest": 1180, "latest": 1360}))),
    change(part("dc1", image("1", progress_ratio=0.5, tasks=6, tasks_completed=2), health=None)),
    change(part("dc2", image("2", "failed", name="\x1b[2J", reason="no\nspace"), health=UP)),
    change(part("dc2", health=DOWN)),
    change(part("dc2", health=UP)),
    change(part("dc1", health=None, gone=["1"])),
    change({"controller": "dc2", "removed": True}),
)


def play(display: Display, target: Target = ALL, story: Sequence[Message] = STORY) -> None:
    watcher = Watcher(target, None, display, lambda: NOW)
    for message in story:
        watcher.handle(message)


def test_each_change_is_a_line_and_a_repeated_line_is_omitted(capsys: pytest.CaptureFixture[str]) -> None:
    play(LineDisplay())
    assert capsys.readouterr().out.splitlines() == [
        "dc1  n-1  in_progress  4 min left (3–6)",
        "dc2: not polled yet",
        "dc1  n-1  in_progress  50%  2 of 6",
        "dc2: polled again",
        r"dc2  \x1b[2J  failed  no\nspace",
        "dc2: cannot be polled (connect: refused); its images are as of 1970-01-01 00:15:00Z",
        "dc2: polled again",
        "dc1  n-1  gone",
        r"dc2  \x1b[2J  gone",
        "dc2: no longer watched",
    ]


def test_a_target_with_an_image_prints_only_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    play(LineDisplay(), Target("n-1"), STORY[:-1])
    first, *_, last = capsys.readouterr().out.splitlines()
    assert (first, last) == ("dc1  n-1  in_progress  4 min left (3–6)", "dc1  n-1  gone")


def test_a_target_with_a_controller_prints_only_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    play(LineDisplay(), Target(controller="dc1"))
    assert {line[:3] for line in capsys.readouterr().out.splitlines()} == {"dc1"}


def test_each_change_is_a_json_object_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    play(JsonDisplay())
    out = capsys.readouterr().out
    printed = [json.loads(line) for line in out.splitlines()]
    assert [(each["event"], each["controller"]) for each in printed] == [
        ("controller", "dc1"), ("image", "dc1"), ("controller", "dc2"), ("image", "dc1"), ("image", "dc1"),
        ("controller", "dc2"), ("image", "dc2"), ("controller", "dc2"), ("controller", "dc2"), ("gone", "dc1"),
        ("gone", "dc2"), ("controller", "dc2"),
    ]  # fmt: skip
    assert printed[4] == {
        "event": "image", "now": NOW, "controller": "dc1", **image("1", progress_ratio=0.5, tasks=6, tasks_completed=2)
    }  # fmt: skip
    assert (printed[7]["reason"], printed[9]["uuid"], printed[11]["removed"]) == ("connect", "1", True)
    assert out.isascii()


def test_an_image_received_on_several_lines_is_printed_on_one(capsys: pytest.CaptureFixture[str]) -> None:
    image_text = b'{\n"uuid":\n"1", "name": "\\n\xc3\xa4" }'
    resources = b'{"image": {"objects": [ %b]}}' % image_text
    text = b'{"now": 1000, "parts": [{"controller": "dc1", "resources": %b}]}' % resources
    message = decode_message(Event("state", text, ""))
    assert message
    play(JsonDisplay(), story=[message])
    line = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(line) == {"event": "image", "now": NOW, "controller": "dc1", "uuid": "1", "name": "\nä"}


@pytest.mark.parametrize(
    ("display", "start"), [(LineDisplay(), "avi-upgrade-monitor: "), (JsonDisplay(), '{"detail":"')]
)
def test_notifications_go_to_standard_error(display: Display, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    watcher = Watcher(Target("x"), None, display, lambda: NOW)
    watcher.handle(Connected())
    for _ in range(2):
        watcher.handle(state(part("dc1")))
        watcher.handle(ConnectionLost("a\x1bb"))
    watcher.handle(Connected())
    shown = capsys.readouterr()
    assert [line.startswith(start) for line in shown.err.splitlines()] == [True] * 3
    not_found, lost, reconnected = (line.replace("\\", "") for line in shown.err.splitlines())
    assert 'no image with the uuid or name "x" yet; waiting for it' in not_found
    assert "connection lost, reconnecting: a" in lost
    assert "reconnected" in reconnected
    assert "\x1b" not in shown.err


def test_another_image_may_take_the_name_of_a_removed_one(capsys: pytest.CaptureFixture[str]) -> None:
    later = change(part("dc2", image("2", name="n-1")))
    play(LineDisplay(), Target("n-1"), [STORY[0], change(part("dc1", gone=["1"])), later])
    assert capsys.readouterr().out.splitlines()[-2:] == ["dc2: polled again", "dc2  n-1  in_progress"]


def test_a_wait_stays_with_the_image_that_was_found() -> None:
    watcher = Watcher(Target("x"), "completed", LineDisplay(), lambda: NOW)
    assert not watcher.handle(state(part("dc1", image("1", name="x"))))
    assert not watcher.handle(change(part("dc1", image("2", "completed", name="x"))))
    assert not watcher.handle(state(part("dc1", health=NEW)))
    assert watcher.handle(change(part("dc1", image("1", "completed", name="y"), image("2", "failed", name="x"))))


@pytest.mark.parametrize(
    ("story", "text"),
    [
        pytest.param([], ": no response from the daemon yet", id="no-daemon"),
        pytest.param([state(part("dc1", image("2")))], '; no image with the uuid or name "1" was found', id="no-image"),
        pytest.param([state(part("dc1", health=NEW))], "; dc1: not polled yet", id="not-polled-yet"),
        pytest.param(
            [state(part("dc1", image("1", standing="stalled", progress_ratio=0.5, changed_at=NOW - 600)))],
            "; dc1  n-1  in_progress  50%  no move for 10 min",
            id="stalled",
        ),
        pytest.param(
            [state(part("dc1", image("1"), health=DOWN))],
            "; dc1: cannot be polled (connect: refused); its images are as of 1970-01-01 00:15:00Z",
            id="outage",
        ),
        pytest.param(
            [state(part("dc1", image("1"))), state(part("dc1", health=NEW))],
            "; dc1  1: not known at present",
            id="daemon-restarted",
        ),
    ],
)
def test_a_timeout_says_how_far_the_image_was_and_what_is_wrong(story: Sequence[Message], text: str) -> None:
    watcher = Watcher(Target("1"), "completed", LineDisplay(), lambda: NOW)
    for message in story:
        assert not watcher.handle(message)
    error = watcher.timeout_error()
    assert isinstance(error, WaitTimeout)
    assert str(error).startswith("timed out")
    assert text in str(error)
    watcher.handle(ConnectionLost("gone\x1b"))
    assert str(watcher.timeout_error()).endswith(r"gone\x1b" if story else "gone\x1b")


def test_a_timeout_while_the_connection_is_lost_speaks_of_the_last_message() -> None:
    clock = [NOW]
    watcher = Watcher(Target("1"), "completed", LineDisplay(), lambda: clock[0])
    watcher.handle(state(part("dc1", image("1", standing="stalled", progress_ratio=0.5, changed_at=NOW - 600))))
    watcher.handle(ConnectionLost("gone"))
    clock[0] += 3600
    watcher.handle(ConnectionLost("still gone"))
    assert str(watcher.timeout_error()) == (
        "timed out; dc1  n-1  in_progress  50%  no move for 10 min; "
        "no connection to the daemon, as of 00:16:40Z: still gone"
    )
