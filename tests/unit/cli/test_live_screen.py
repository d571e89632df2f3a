"""The live screen of ``watch``."""

import io
from typing import Any

import pytest
from rich.console import Console

from monitor.cli.api.messages import Message
from monitor.cli.api.responses import ConnectionLost
from monitor.cli.api.subscription import Connected
from monitor.cli.output.live_screen import LiveScreen, Sorted, render_screen, screen_of, sort_images
from monitor.cli.output.target import find_image
from monitor.cli.output.watch_state import Target, WatchState
from monitor.cli.output.watcher import Watcher
from tests.support.stream_messages import DOWN, NOW, after, change, image, part, state
from tests.support.timers import SteppedTimers

ALL = Target()


def render(
    *messages: Message, target: Target = ALL, lost: str = "", as_of: float = NOW, height: int = 20, width: int = 110
) -> list[str]:
    view, _ = after(*messages)
    watch_state = WatchState(target, view, find_image(view, target), lost, as_of if lost else None)
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(render_screen(screen_of(watch_state, target, Sorted(sort_images), now=NOW, height=height)))
    return [" ".join(line.replace("━", "").replace("╸", "").split()) for line in capture.get().splitlines()]


FLEET = state(
    part(
        "dc1",
        image("1", eta={"ends_at": 1240, "earliest": 1180, "latest": 1360}),
        image("2", standing="stalled", changed_at=NOW - 180),
    ),
    part("dc2", image("3", "failed"), image("4", "completed"), health=DOWN),
)


def test_the_fleet_is_sorted_by_the_need_for_attention() -> None:
    assert render(FLEET, lost="no route\x1b") == [
        "Controller Image State Progress Tasks",
        "dc2 n-3 failed as of 00:15:00Z",
        "dc1 n-2 in_progress no move for 3 min",
        "dc1 n-1 in_progress 4 min left (3–6)",
        "dc2 n-4 completed as of 00:15:00Z",
        "dc2: cannot be polled (connect: refused); its images are as of 1970-01-01 00:15:00Z",
        r"Connection lost, as of 00:16:40Z; reconnecting: no route\x1b",
    ]


@pytest.mark.parametrize(
    ("height", "width", "rows"), [(6, 110, 4), (5, 110, 2), (1, 110, 1), (17, 48, 4), (16, 48, 3), (1, 48, 1)]
)
def test_images_that_do_not_fit_are_counted(height: int, width: int, rows: int) -> None:
    lines = render(FLEET, height=height, width=width)
    assert len([line for line in lines if " n-" in line]) == rows
    assert [line for line in lines if line.startswith("and")] == ([f"and {4 - rows} more"] if rows < 4 else [])
    assert len(lines) <= max(height, 4 if width == 110 else 8)
    assert "dc2: cannot be polled" in lines[-1 if width == 110 else -2]


def test_many_outages_leave_room_for_images() -> None:
    outages = [part(f"dc{n}", health=DOWN) for n in range(2, 12)]
    *_, last, rest, lost = render(state(part("dc1", image("1")), *outages), height=10, lost="x")
    assert last.startswith("dc4: ")
    assert rest == "and 7 more controllers that are not polled at present"
    assert lost == "Connection lost, as of 00:16:40Z; reconnecting: x"


LONG = "30.1.2-9642-20240307.181200"


def test_a_long_remark_wraps_before_a_name_does() -> None:
    moving = image(
        "1", standing="stalled", name=LONG, progress_ratio=0.4, tasks=6, tasks_completed=2, changed_at=NOW - 180
    )
    eta = {"ends_at": 1240, "earliest": 1180, "latest": 1360}
    assert render(state(part("dc1", {**moving, "eta": eta})), width=80) == [
        "Controller Image State Progress Tasks",
        f"dc1 {LONG} in_progress 40% 2 of 6 4 min left",
        "(3–6), no",
        "move for 3",
        "min",
    ]


def test_a_target_with_a_controller_shows_only_its_images() -> None:
    assert [line.split()[0] for line in render(FLEET, target=Target(controller="dc1"))[1:]] == ["dc1", "dc1"]


def test_a_single_image_is_shown_with_its_details() -> None:
    eta = {"ends_at": 1240, "earliest": 1180, "latest": 1360, "why": "it stood\x1b still"}
    lines = render(
        state(part("dc1", image("1", eta=eta, changed_at=980, annotations={"a": "b"}))), target=Target("n-1")
    )
    assert lines == [
        "n-1",
        "controller dc1",
        "uuid 1",
        "state in_progress",
        "estimate 4 min left (3–6)",
        r"because it stood\x1b still",
        "moved 20 s ago",
        "",
        "Annotations",
        "a b",
    ]


def test_a_single_image_of_a_controller_with_an_outage_shows_the_time_of_its_last_poll() -> None:
    lines = render(FLEET, target=Target("n-4"))
    assert lines[-2:] == [
        "known as of 00:15:00Z",
        "dc2: cannot be polled (connect: refused); its images are as of 1970-01-01 00:15:00Z",
    ]


def test_an_empty_screen_says_what_it_waits_for() -> None:
    assert render(state(part("dc1")), target=Target("x")) == ['No image with the uuid or name "x" yet']
    assert render(state(part("dc1"))) == ["No images"]
    assert render() == ["Waiting for the daemon"]


@pytest.mark.parametrize("members", [{"changed_at": None, "eta": None}, {"state": "completed"}])
def test_unknown_details_are_omitted(members: dict[str, Any]) -> None:
    names = [line.split()[0] for line in render(state(part("dc1", {**image("1"), **members})), target=Target("1"))]
    assert names == ["n-1", "controller", "uuid", "state"]


# -- when it is drawn


class Watched:
    """``watch`` on a terminal, at a clock that a test advances; the daemon's clock begins at NOW with it."""

    def __init__(self) -> None:
        self.timers = SteppedTimers()
        self._file = io.StringIO()
        console = Console(file=self._file, width=110, height=20, force_terminal=True)
        self.screen = LiveScreen(console, self.timers.time, self.timers)
        self.watcher = Watcher(ALL, None, self.screen, self.timers.time)

    def drawn(self, seconds: float) -> list[str]:
        """Let so much time pass, and return what was written to the terminal on the way."""
        self._file.seek(0)
        self._file.truncate()
        written: list[str] = []
        for _ in range(round(seconds * 4)):
            self.timers.advance(0.25)
            if text := self._file.getvalue():
                written.append(text)
                self._file.seek(0)
                self._file.truncate()
        return written


STALLED = state(part("dc1", image("1", standing="stalled", changed_at=NOW - 3600)))


def test_while_nothing_happens_it_is_drawn_only_when_a_clock_shows_another_minute() -> None:
    watched = Watched()
    watched.watcher.handle(STALLED)
    assert len(watched.drawn(1)) == 1
    drawn = watched.drawn(1200)
    assert len(drawn) == 20
    assert "no move for 80 min" in drawn[-1]


def test_without_a_clock_on_it_it_is_drawn_once() -> None:
    watched = Watched()
    watched.watcher.handle(state(part("dc1", image("1", "completed"), image("2", "failed")), part("dc2", health=DOWN)))
    assert len(watched.drawn(1)) == 1
    assert watched.drawn(3600) == []


def test_a_change_is_drawn_within_half_a_second() -> None:
    watched = Watched()
    watched.watcher.handle(STALLED)
    watched.drawn(2)
    watched.watcher.handle(change(part("dc1", image("1", "completed")), now=NOW + 2))
    (text,) = watched.drawn(0.5)
    assert "completed" in text


def test_while_the_connection_is_lost_the_clocks_stand_as_of_the_last_message() -> None:
    watched = Watched()
    watched.watcher.handle(STALLED)
    watched.drawn(30)
    watched.watcher.handle(ConnectionLost("no data for 10 s", silent_s=10.0))
    (text,) = watched.drawn(1)
    assert "no move for 60 min" in text
    assert "Connection lost, as of 00:17:00Z; reconnecting: no data for 10 s" in text
    watched.watcher.handle(ConnectionLost("no data for 10 s", silent_s=10.0))
    assert watched.drawn(7200) == []
    watched.watcher.handle(Connected())
    (text,) = watched.drawn(1)
    assert "no move for 3.0 h" in text
    assert "Connection lost" not in text
