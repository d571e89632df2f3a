"""What ``watch`` makes of the stream: what is known, what changed, what is waited for, how it is said and drawn."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from monitor.cli.api.client import calling
from monitor.cli.api.responses import ConnectionLost, Failure, Rejected, ServerError, TargetFailed, WaitTimeout
from monitor.cli.api.sse import Event
from monitor.cli.api.subscription import Heard, Opened, follow
from monitor.cli.api.view import (
    Change,
    Eta,
    Health,
    ImageGone,
    ImageTold,
    Known,
    Message,
    View,
    Watched,
    apply,
    decode_message,
)
from monitor.cli.commands.watch import Order, Watcher
from monitor.cli.options import Access
from monitor.cli.output.display import Display, Jsons, Lines
from monitor.cli.output.format import absence_of, going, lasting, left
from monitor.cli.output.live_screen import drawing
from monitor.cli.output.target import Scene, Wanted, find, reached

NOW = 1000.0
ALL = Wanted()
UP: dict[str, Any] = {"up": True, "stale": False, "reason": None, "seen_at": 990.0}
DOWN: dict[str, Any] = {"up": False, "stale": False, "reason": "connect", "cause": "refused", "seen_at": 900.0}
NEW: dict[str, Any] = {"up": False, "stale": False, "reason": None, "seen_at": None}


def image(uuid: str, state: str = "in_progress", **more: object) -> dict[str, object]:
    return {"uuid": uuid, "name": f"n-{uuid}", "state": state, "changed_at": NOW, "newer": [1], **more}


def part(controller: str, *images: dict[str, object], health: object = UP, **more: object) -> dict[str, object]:
    return {"controller": controller, "health": health, "images": list(images), **more}


def state(*parts: dict[str, object], now: float = NOW) -> Message:
    return read("state", {"now": now, "version": "0.1.0", "parts": parts})


def change(part: dict[str, object], now: float = NOW) -> Message:
    return read("change", {"now": now, "part": part})


def read(kind: str, told: object) -> Message:
    message = decode_message(Event(kind, msgspec.json.encode(told), ""))
    assert message is not None
    return message


def after(*messages: Message, at: float = NOW) -> tuple[View, tuple[Change, ...]]:
    """The view after all, and what the last of them changed."""
    view = View()
    changes: tuple[Change, ...] = ()
    for message in messages:
        view, changes = apply(view, message, at=at)
    return view, changes


def said(changes: Iterable[Change]) -> list[tuple[str, ...]]:
    """Each in two words."""
    return [(type(each).__name__, each.controller, *_whose(each)) for each in changes]


def _whose(change: Change) -> tuple[str, ...]:
    match change:
        case ImageTold(_, told):
            return (told.image.uuid,)
        case ImageGone(_, image):
            return (image.uuid,)
        case _:
            return ()


# -- what is known


def test_a_state_tells_everything_and_a_change_what_is_other() -> None:
    first = state(part("dc1", image("1"), image("2")), part("dc2"))
    assert said(after(first)[1]) == [
        ("HealthTold", "dc1"), ("ImageTold", "dc1", "1"), ("ImageTold", "dc1", "2"), ("HealthTold", "dc2"),
    ]  # fmt: skip
    view, changes = after(first, change(part("dc1", image("2", progress_ratio=0.5), health=None, gone=["1"])))
    assert said(changes) == [("ImageTold", "dc1", "2"), ("ImageGone", "dc1", "1")]
    assert view.controllers["dc1"].images["2"].image.progress_ratio == 0.5
    assert view.controllers["dc1"].health.up


def test_a_state_again_replaces_everything() -> None:
    first = state(part("dc1", image("1"), image("2")), part("dc2", image("3")))
    view, changes = after(first, state(part("dc1", image("1"), image("2", "failed"))))
    assert said(changes) == [("ImageTold", "dc1", "2"), ("ImageGone", "dc2", "3"), ("ControllerGone", "dc2")]
    assert list(view.controllers) == ["dc1"]


def test_a_controller_that_is_removed_takes_its_images_with_it() -> None:
    view, changes = after(state(part("dc1", image("1"))), change({"controller": "dc1", "removed": True}))
    assert (said(changes), view.controllers) == ([("ImageGone", "dc1", "1"), ("ControllerGone", "dc1")], {})


def test_a_daemon_that_has_just_begun_does_not_say_that_images_are_gone() -> None:
    began = state(part("dc1", health=NEW))
    assert said(after(state(part("dc1", image("1"))), began)[1]) == [("HealthTold", "dc1")]
    again = change(part("dc1", image("1")))
    assert said(after(state(part("dc1", image("1"))), began, again)[1]) == [
        ("HealthTold", "dc1"), ("ImageTold", "dc1", "1"),
    ]  # fmt: skip


def test_a_good_poll_after_a_good_poll_is_no_change() -> None:
    later = change(part("dc1", health={**UP, "seen_at": 995.0}))
    view, changes = after(state(part("dc1")), later)
    assert (changes, view.controllers["dc1"].health.seen_at) == ((), 995.0)
    assert said(after(state(part("dc1")), change(part("dc1", health=DOWN)))[1]) == [("HealthTold", "dc1")]


def test_an_image_keeps_the_members_that_are_not_known() -> None:
    told = after(state(part("dc1", image("1"))))[0].controllers["dc1"].images["1"]
    assert json.loads(told.raw) == image("1")


@pytest.mark.parametrize(
    ("now", "at", "ahead_s"),
    [
        pytest.param(1010.0, 10.0, 1000.0, id="a-message-in-time"),
        pytest.param(1008.0, 10.0, 1000.0, id="one-that-was-kept-for-us"),
        pytest.param(1012.0, 10.0, 1002.0, id="one-after-a-sleep-of-ours"),
    ],
)
def test_the_daemons_clock_is_kept_beside_the_readers(now: float, at: float, ahead_s: float) -> None:
    view, _ = apply(View(), state(now=1000.0), at=0.0)
    assert apply(view, change(part("dc1"), now=now), at=at)[0].ahead_s == ahead_s
    assert apply(view, state(now=now), at=at)[0].ahead_s == now - at


@pytest.mark.parametrize("told", [b"{", b"[]", b'{"now":0}', b'{"now":-1,"parts":[]}', b'{"now":0,"parts":"\xff"}'])
def test_a_message_that_cannot_be_read_is_said_to_be_none(told: bytes) -> None:
    with pytest.raises(ServerError, match="not what this version knows"):
        decode_message(Event("state", told, ""))


@pytest.mark.parametrize("bad", [{"name": "u"}, {"uuid": "1", "state": "eaten"}, {"uuid": "1", "eta": 7}])
def test_an_image_that_cannot_be_read_is_said_to_be_none(bad: dict[str, object]) -> None:
    with pytest.raises(ServerError, match="not what this version knows"):
        after(state({"controller": "dc1", "images": [bad]}))


def test_an_event_of_another_kind_is_none_of_ours() -> None:
    assert decode_message(Event("rumour", b"...", "")) is None


# -- which is meant, and what is waited for

TWINS = state(part("dc1", image("1", name="x")), part("dc2", image("2", "failed", name="x")))


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
        pytest.param(Wanted("1"), ("dc1", "1"), id="uuid"),
        pytest.param(Wanted("x", "dc2"), ("dc2", "2"), id="name-and-controller"),
        pytest.param(Wanted("x"), ("dc1", "1"), id="of-several-the-one-under-way"),
        pytest.param(Wanted("y"), None, id="none"),
        pytest.param(Wanted("1", "dc2"), None, id="on-another-controller"),
        pytest.param(Wanted(), None, id="all"),
    ],
)
def test_an_image_is_meant_by_its_uuid_or_its_name(wanted: Wanted, key: tuple[str, str] | None) -> None:
    assert find(after(TWINS)[0], wanted) == key


@pytest.mark.parametrize("states", [("failed", "completed"), ("started", "in_progress")])
def test_a_name_of_several_is_refused_with_all_of_them(states: tuple[str, str]) -> None:
    view, _ = after(state(part("dc1", *(image(str(n), each, name="x\x1b") for n, each in enumerate(states)))))
    with pytest.raises(Rejected, match=f'2 images are meant by "x.*\n  dc1  0  {states[0]}\n  dc1  1  {states[1]}'):
        find(view, Wanted("x\x1b"))


def test_a_controller_that_is_not_there_is_refused() -> None:
    with pytest.raises(Rejected, match='there is no controller "dc9" that you may see'):
        find(after(TWINS)[0], Wanted("x", "dc9"))


@pytest.mark.parametrize(
    ("found", "there"),
    [
        (image("1", "completed"), True),
        (image("1", "in_progress"), False),
        (image("1", "started"), False),
        (image("1", "unknown"), False),
    ],
)
def test_it_is_reached_in_the_state_that_is_waited_for(found: dict[str, object], there: bool) -> None:
    assert reached(after(state(part("dc1", found)))[0], ("dc1", "1"), "completed") is there


def test_a_daemon_that_has_not_read_the_controller_yet_is_waited_for() -> None:
    assert not reached(after(state(part("dc1", health=NEW)))[0], ("dc1", "1"), "completed")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (state(part("dc1", image("1", "failed", reason="disk\x1b full"))), r"dc1  n-1: failed: disk\\x1b full"),
        (state(part("dc1", image("1", "failed"))), "dc1  n-1: failed$"),
        (state(part("dc1")), "dc1  1: the image is gone"),
        (state(), "dc1: the controller is watched no more"),
    ],
)
def test_what_cannot_come_any_more_is_said(message: Message, words: str) -> None:
    with pytest.raises(TargetFailed, match=words) as caught:
        reached(after(message)[0], ("dc1", "1"), "completed")
    assert caught.value.exit_status == 1


def test_who_waits_for_a_failure_misses_it_when_the_image_completes() -> None:
    with pytest.raises(TargetFailed, match="n-1: completed"):
        reached(after(state(part("dc1", image("1", "completed"))))[0], ("dc1", "1"), "failed")


# -- in words

ETA = Eta(NOW + 240, NOW + 180, NOW + 360)


@pytest.mark.parametrize(
    ("eta", "text"),
    [
        (ETA, "4 min left (3–6)"),
        (Eta(NOW + 240, NOW + 235, NOW + 245), "4 min left"),
        (Eta(NOW + 40, NOW - 5, NOW + 95), "40 s left (0–95)"),
        (Eta(NOW + 9000, NOW + 7200, NOW + 10800), "2.5 h left (2.0–3.0)"),
        (Eta(NOW - 10, NOW - 20, NOW + 30), "0 s left (0–30)"),
        (Eta(NOW - 20, NOW - 30, NOW - 10), "overdue"),
    ],
)
def test_what_is_left_is_told_with_its_uncertainty(eta: Eta, text: str) -> None:
    assert left(eta, now=NOW) == text


@given(st.floats(0, 1e300), st.floats(0, 1e300), st.floats(0, 1e300), st.floats(0, 1e12))
def test_any_times_have_words(ends: float, earliest: float, latest: float, now: float) -> None:
    assert left(Eta(ends, earliest, latest), now=now)
    assert lasting(ends)


@pytest.mark.parametrize(
    ("watched", "health", "text"),
    [
        pytest.param(Watched(uuid="1", state="started", changed_at=NOW, eta=ETA), UP, "4 min left (3–6)", id="goes"),
        pytest.param(
            Watched(uuid="1", state="in_progress", changed_at=NOW - 180, eta=ETA),
            UP,
            "4 min left (3–6), no move for 3 min",
            id="stands-still",
        ),
        pytest.param(Watched(uuid="1", state="in_progress", changed_at=NOW - 60), UP, "", id="moved-just-now"),
        pytest.param(Watched(uuid="1", state="in_progress"), UP, "", id="nothing-is-known"),
        pytest.param(Watched(uuid="1", state="completed", changed_at=0.0), UP, "", id="done"),
        pytest.param(Watched(uuid="1", state="started", eta=ETA), DOWN, "as of 00:15:00Z", id="not-read"),
        pytest.param(Watched(uuid="1"), {**UP, "stale": True, "seen_at": None}, "as of some time ago", id="never-read"),
    ],
)
def test_how_an_upload_goes_is_told_as_far_as_it_is_known(watched: Watched, health: object, text: str) -> None:
    assert going(Known(msgspec.convert(health, Health)), watched, now=NOW) == text


@pytest.mark.parametrize(
    ("health", "text"),
    [
        (UP, ""),
        (DOWN, "dc1: not read at present (connect: refused); its images are as of 1970-01-01 00:15:00Z"),
        (NEW, "dc1: not read at present (not yet)"),
        (
            {**UP, "stale": True},
            "dc1: not read at present (not lately); its images are as of 1970-01-01 00:16:30Z",
        ),
    ],
)
def test_a_controller_that_is_not_read_is_told_with_the_reason(health: object, text: str) -> None:
    assert absence_of("dc1", Known(msgspec.convert(health, Health))) == text


# -- as it is shown

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


def played(display: Display, wanted: Wanted = ALL, story: Sequence[Message] = STORY) -> None:
    watcher = Watcher(Order(wanted), display, lambda: NOW)
    for message in story:
        watcher.hear(message)


def test_each_change_is_a_line_and_what_looks_the_same_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    played(Lines())
    assert capsys.readouterr().out.splitlines() == [
        "dc1  n-1  in_progress  4 min left (3–6)",
        "dc2: not read at present (not yet)",
        "dc1  n-1  in_progress  50%  2 of 6",
        "dc2: read again",
        r"dc2  \x1b[2J  failed  no\nspace",
        "dc2: not read at present (connect: refused); its images are as of 1970-01-01 00:15:00Z",
        "dc2: read again",
        "dc1  n-1  gone",
        r"dc2  \x1b[2J  gone",
        "dc2: watched no more",
    ]


def test_of_one_image_only_its_own_lines_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    played(Lines(), Wanted("n-1"), STORY[:-1])
    first, *_, last = capsys.readouterr().out.splitlines()
    assert (first, last) == ("dc1  n-1  in_progress  4 min left (3–6)", "dc1  n-1  gone")


def test_of_one_controller_only_its_own_lines_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    played(Lines(), Wanted(controller="dc1"))
    assert {line[:3] for line in capsys.readouterr().out.splitlines()} == {"dc1"}


def test_each_change_is_a_json_object_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    played(Jsons())
    out = capsys.readouterr().out
    told = [json.loads(line) for line in out.splitlines()]
    assert [(each["event"], each["controller"]) for each in told] == [
        ("controller", "dc1"), ("image", "dc1"), ("controller", "dc2"), ("image", "dc1"), ("image", "dc1"),
        ("controller", "dc2"), ("image", "dc2"), ("controller", "dc2"), ("controller", "dc2"), ("gone", "dc1"),
        ("gone", "dc2"), ("controller", "dc2"),
    ]  # fmt: skip
    assert told[4] == {
        "event": "image", "now": NOW, "controller": "dc1", **image("1", progress_ratio=0.5, tasks=6, tasks_completed=2)
    }  # fmt: skip
    assert (told[7]["reason"], told[9]["uuid"], told[11]["removed"]) == ("connect", "1", True)
    assert out.isascii()


def test_an_image_that_came_on_several_lines_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = b'{"now": 1000, "parts": [{"controller": "dc1", "images": [ {\n"uuid":\n"1", "name": "\\n\xc3\xa4" }]}]}'
    message = decode_message(Event("state", text, ""))
    assert message
    played(Jsons(), story=[message])
    line = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(line) == {"event": "image", "now": NOW, "controller": "dc1", "uuid": "1", "name": "\nä"}


@pytest.mark.parametrize(("display", "start"), [(Lines(), "avi-upgrade-monitor: "), (Jsons(), '{"detail":"')])
def test_what_is_no_change_is_said_beside_them(
    display: Display, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    watcher = Watcher(Order(Wanted("x")), display, lambda: NOW)
    watcher.open()
    for _ in range(2):
        watcher.hear(state(part("dc1")))
        watcher.lose("a\x1bb")
    watcher.open()
    shown = capsys.readouterr()
    assert [line.startswith(start) for line in shown.err.splitlines()] == [True] * 3
    waits, lost, again = (line.replace("\\", "") for line in shown.err.splitlines())
    assert 'no image of the uuid or name "x" yet; waiting for it' in waits
    assert "connection lost, trying again: a" in lost
    assert "connected again" in again
    assert "\x1b" not in shown.err


def test_an_image_that_is_gone_may_come_again_under_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    later = change(part("dc2", image("2", name="n-1")))
    played(Lines(), Wanted("n-1"), [STORY[0], change(part("dc1", gone=["1"])), later])
    assert capsys.readouterr().out.splitlines()[-2:] == ["dc2: read again", "dc2  n-1  in_progress"]


def test_who_waits_stays_with_the_image_that_was_found() -> None:
    watcher = Watcher(Order(Wanted("x"), "completed"), Lines(), lambda: NOW)
    assert not watcher.hear(state(part("dc1", image("1", name="x"))))
    assert not watcher.hear(change(part("dc1", image("2", "completed", name="x"))))
    assert not watcher.hear(state(part("dc1", health=NEW)))
    assert watcher.hear(change(part("dc1", image("1", "completed", name="y"), image("2", "failed", name="x"))))


@pytest.mark.parametrize(
    ("story", "words"),
    [
        pytest.param([], ": no answer of the daemon's yet", id="no-daemon"),
        pytest.param([state(part("dc1", image("2")))], '; no image of the uuid or name "1" was seen', id="no-image"),
        pytest.param([state(part("dc1", health=NEW))], "; dc1: not read at present (not yet)", id="no-controller"),
        pytest.param(
            [state(part("dc1", image("1", progress_ratio=0.5, changed_at=NOW - 600)))],
            "; dc1  n-1  in_progress  50%  no move for 10 min",
            id="stuck",
        ),
        pytest.param(
            [state(part("dc1", image("1"), health=DOWN))],
            "; dc1: not read at present (connect: refused); its images are as of 1970-01-01 00:15:00Z",
            id="controller-away",
        ),
        pytest.param(
            [state(part("dc1", image("1"))), state(part("dc1", health=NEW))], "; dc1  1: not known at present", id="new"
        ),
    ],
)
def test_when_the_time_is_over_it_says_how_far_it_was_and_why(story: Sequence[Message], words: str) -> None:
    watcher = Watcher(Order(Wanted("1"), "completed"), Lines(), lambda: NOW)
    for message in story:
        assert not watcher.hear(message)
    late = watcher.late()
    assert isinstance(late, WaitTimeout)
    assert str(late).startswith("the time is over")
    assert words in str(late)
    watcher.lose("gone\x1b")
    assert str(watcher.late()).endswith(r"gone\x1b" if story else "gone\x1b")


def drawn(*messages: Message, wanted: Wanted = ALL, lost: str = "", height: int = 20, width: int = 110) -> list[str]:
    view, _ = after(*messages)
    scene = Scene(wanted, view, find(view, wanted), lost)
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(drawing(scene, now=NOW, height=height))
    return [" ".join(line.replace("━", "").replace("╸", "").split()) for line in capture.get().splitlines()]


FLEET = state(
    part("dc1", image("1", eta={"ends_at": 1240, "earliest": 1180, "latest": 1360}), image("2", changed_at=NOW - 180)),
    part("dc2", image("3", "failed"), image("4", "completed"), health=DOWN),
)


def test_the_fleet_is_drawn_with_what_needs_somebody_first() -> None:
    assert drawn(FLEET, lost="no route\x1b") == [
        "Controller Image State Progress Tasks",
        "dc2 n-3 failed as of 00:15:00Z",
        "dc1 n-2 in_progress no move for 3 min",
        "dc1 n-1 in_progress 4 min left (3–6)",
        "dc2 n-4 completed as of 00:15:00Z",
        "dc2: not read at present (connect: refused); its images are as of 1970-01-01 00:15:00Z",
        r"Connection lost, trying again: no route\x1b",
    ]


@pytest.mark.parametrize(
    ("height", "width", "rows"), [(6, 110, 4), (5, 110, 2), (1, 110, 1), (17, 48, 4), (16, 48, 3), (1, 48, 1)]
)
def test_what_has_no_room_is_counted(height: int, width: int, rows: int) -> None:
    lines = drawn(FLEET, height=height, width=width)
    assert len([line for line in lines if " n-" in line]) == rows
    assert [line for line in lines if line.startswith("and")] == ([f"and {4 - rows} more"] if rows < 4 else [])
    assert len(lines) <= max(height, 4 if width == 110 else 8)
    assert "dc2: not read at present" in lines[-1 if width == 110 else -2]


def test_many_controllers_that_are_away_leave_room_for_images() -> None:
    away = [part(f"dc{n}", health=DOWN) for n in range(2, 12)]
    *_, last, rest, lost = drawn(state(part("dc1", image("1")), *away), height=10, lost="x")
    assert last.startswith("dc4: ")
    assert rest == "and 7 more controllers that are not read at present"
    assert lost == "Connection lost, trying again: x"


LONG = "30.1.2-9642-20240307.181200"


def test_a_long_remark_is_folded_before_a_bar_or_a_name_is() -> None:
    watched = image("1", name=LONG, progress_ratio=0.4, tasks=6, tasks_completed=2, changed_at=NOW - 180)
    eta = {"ends_at": 1240, "earliest": 1180, "latest": 1360}
    assert drawn(state(part("dc1", {**watched, "eta": eta})), width=80) == [
        "Controller Image State Progress Tasks",
        f"dc1 {LONG} in_progress 40% 2 of 6 4 min left",
        "(3–6), no",
        "move for 3",
        "min",
    ]


def test_of_one_controller_only_its_own_images_are_drawn() -> None:
    assert [line.split()[0] for line in drawn(FLEET, wanted=Wanted(controller="dc1"))[1:]] == ["dc1", "dc1"]


def test_one_image_is_drawn_with_its_facts() -> None:
    eta = {"ends_at": 1240, "earliest": 1180, "latest": 1360, "why": "it stood\x1b still"}
    lines = drawn(state(part("dc1", image("1", eta=eta, changed_at=980, annotations={"a": "b"}))), wanted=Wanted("n-1"))
    assert lines == [
        "n-1",
        "controller dc1",
        "uuid 1",
        "state in_progress",
        "outlook 4 min left (3–6)",
        r"because it stood\x1b still",
        "moved 20 s ago",
        "",
        "Annotations",
        "a b",
    ]


def test_one_image_of_a_controller_that_is_away_is_drawn_as_of_when_it_was_seen() -> None:
    lines = drawn(FLEET, wanted=Wanted("n-4"))
    assert lines[-2:] == [
        "known as of 00:15:00Z",
        "dc2: not read at present (connect: refused); its images are as of 1970-01-01 00:15:00Z",
    ]


def test_an_image_that_is_not_there_yet_is_said_to_be_waited_for() -> None:
    assert drawn(state(part("dc1")), wanted=Wanted("x")) == ['No image of the uuid or name "x" is known yet']
    assert drawn(state(part("dc1"))) == ["No images"]
    assert drawn() == ["Nothing is known yet"]


@pytest.mark.parametrize("told", [{"changed_at": None, "eta": None}, {"state": "completed"}])
def test_what_is_not_known_of_an_image_is_not_drawn(told: dict[str, Any]) -> None:
    names = [line.split()[0] for line in drawn(state(part("dc1", {**image("1"), **told})), wanted=Wanted("1"))]
    assert names == ["n-1", "controller", "uuid", "state"]


# -- the connection

PATIENCE_S = 20.0
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"
FIRST = STREAM + b'event: state\ndata: {"now":1000,"parts":[]}\nid: e-1\n\n'
NEXT = STREAM + b'event: change\ndata: {"now":1001,"part":{"controller":"dc1"}}\nid: e-2\n\n'
AWAY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def daemon(*answers: bytes, silent: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """What answers one request after the other, and hangs up, unless it is silent; what it was asked."""
    heads: list[bytes] = []
    answers_left = iter(answers)
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(next(answers_left, b""))
        await writer.drain()
        if silent:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
        over.set()


class Eager(Random):
    """Waits for as little as there may be."""

    def uniform(self, a: float, _b: float) -> float:
        return a


async def heard(url: str, enough: Callable[[list[Heard]], bool], *, timeout_s: float = PATIENCE_S) -> list[Heard]:
    """What is heard until it is enough."""
    told: list[Heard] = []
    async with (
        asyncio.timeout(PATIENCE_S),
        calling(Access(url=url, timeout_s=timeout_s)) as remote,
        aclosing(follow(remote, Eager(7))) as everything,
    ):
        async for each in everything:
            told.append(each)
            if enough(told):
                break
    return told


def messages(told: Iterable[Heard]) -> list[Message]:
    return [each for each in told if isinstance(each, Message)]


async def test_a_stream_that_ends_is_come_back_to_with_the_last_id() -> None:
    async with daemon(FIRST, NEXT) as (url, heads):
        told = await heard(url, lambda told: len(messages(told)) == 2)
    assert [type(each) for each in told] == [Opened, Message, ConnectionLost, Opened, Message]
    assert [b"Last-Event-ID" in head for head in heads] == [False, True]
    assert b"\r\nLast-Event-ID: e-1\r\n" in heads[1]
    assert b"\r\nAccept: text/event-stream\r\n" in heads[0]


async def test_a_daemon_that_is_away_for_a_while_is_waited_for() -> None:
    torn = STREAM.replace(b"Connection: close", b"Content-Length: 1000") + b"data: "
    async with daemon(FIRST, AWAY, torn, NEXT) as (url, heads):
        told = await heard(url, lambda told: len(messages(told)) == 2)
    assert [type(each) for each in told] == [
        Opened,
        Message,
        ConnectionLost,
        ConnectionLost,
        Opened,
        ConnectionLost,
        Opened,
        Message,
    ]
    assert [str(each).removeprefix(url) for each in told if isinstance(each, ConnectionLost)] == [
        "the daemon has ended the stream",
        "503 Service Unavailable, with nothing and none of the daemon's JSON",
        ": no connection: the connection broke during the reply",
    ]
    assert all(b"Last-Event-ID: e-1" in head for head in heads[1:])


async def test_what_is_not_known_of_a_stream_is_passed_over() -> None:
    odd = STREAM + b'event: rumour\ndata: x\n\nid: e-7\nevent: change\ndata: {"now":1,"part":{"controller":"dc1"}}\n\n'
    async with daemon(odd) as (url, _):
        told = await heard(url, lambda told: len(messages(told)) == 1)
    assert [type(each) for each in told] == [Opened, Message]


async def test_an_id_that_no_header_can_carry_is_not_sent() -> None:
    strange = FIRST.replace(b"e-1", b"\xc3\xa4\x1b")
    async with daemon(strange, NEXT) as (url, heads):
        await heard(url, lambda told: len(messages(told)) == 2)
    assert b"Last-Event-ID" not in heads[1]


async def test_silence_is_a_connection_that_is_dead() -> None:
    async with daemon(FIRST, silent=True) as (url, _):
        *_, lost = await heard(url, lambda told: isinstance(told[-1], ConnectionLost), timeout_s=1.0)
    assert str(lost) == "nothing came for 1 s"


def answer(status: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


ELSEWHERE: Sequence[tuple[str, bytes, type[Failure], str]] = (
    (
        "older",
        answer("404 Not Found", b'{"detail":"x"}'),
        ServerError,
        "the daemon has no /api/events: it is older than",
    ),
    (
        "nobody",
        answer("401 No", b'{"detail":"who","status":401,"title":"Credentials"}'),
        Rejected,
        "401 Credentials: who",
    ),
    ("refused", answer("403 No", b'{"detail":"no","status":403,"title":"Forbidden"}'), Rejected, "403 Forbidden: no"),
    ("full", answer("503 No", b'{"detail":"full","status":503,"title":"Busy"}'), ConnectionLost, "503 Busy: full"),
    ("json", answer("200 OK", b"{}"), ServerError, "/api/events is no stream of events: is this the daemon?"),
    ("page", answer("200 OK", b"<html>", "text/html"), ServerError, "is this the daemon?"),
    ("moved", answer("302 Found"), ServerError, "302 Found"),
    ("no-content", answer("204 No Content"), ServerError, "204 No Content"),
    ("nonsense", STREAM + b"event: state\ndata: {}\n\n", ServerError, "not what this version knows"),
    ("no-http", b"SSH-2.0\r\n", ServerError, "no answer of its own: the reply is not valid HTTP"),
    ("hung-up", b"", ConnectionLost, "no connection: Server disconnected"),
    ("cut", answer("403 No", b"12345")[:-1], ConnectionLost, "the connection broke during the reply"),
)


@pytest.mark.parametrize(("first", "kind", "words"), [row[1:] for row in ELSEWHERE], ids=[row[0] for row in ELSEWHERE])
async def test_what_is_no_stream_is_said_in_words(first: bytes, kind: type[Failure], words: str) -> None:
    async with daemon(first) as (url, _):
        with pytest.raises(kind) as caught:
            await heard(url, lambda _: False)
    assert type(caught.value) is kind
    assert words in str(caught.value)


async def test_a_token_that_is_taken_back_ends_it_at_the_next_connection() -> None:
    refusal = answer("401 No", b'{"detail":"who","status":401,"title":"Credentials"}')
    async with daemon(FIRST, refusal) as (url, heads):
        with pytest.raises(Rejected, match="401 Credentials: who"):
            await heard(url, lambda _: False)
    assert len(heads) == 2


async def test_an_event_that_is_too_large_is_no_daemons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.cli.api.subscription._LARGEST", 16)
    async with daemon(FIRST) as (url, _):
        with pytest.raises(ServerError, match="/api/events: an event has more than 16 bytes"):
            await heard(url, lambda _: False)
