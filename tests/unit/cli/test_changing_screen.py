"""When a part of the terminal is drawn: as soon as its content has changed, and not otherwise."""

import io

from rich.console import Console
from rich.text import Text

from monitor.cli.output.changing_screen import ChangingScreen
from tests.support.timers import SteppedTimers


class Drawn:
    """A screen of one text, on a terminal of 40 × 10, and what it drew."""

    def __init__(self) -> None:
        self.timers = SteppedTimers()
        self.content = "first"
        self.texts: list[str] = []
        self.looks = 0
        self.console = Console(file=io.StringIO(), width=40, height=10, force_terminal=True)
        self.screen = ChangingScreen(self.console, self._look, self._render, self.timers)

    def _look(self) -> str:
        self.looks += 1
        return self.content

    def _render(self, content: str) -> Text:
        self.texts.append(content)
        return Text(content)

    def change(self, content: str) -> None:
        self.content = content
        self.screen.request_draw()


def test_the_first_request_is_drawn_at_once() -> None:
    drawn = Drawn()
    drawn.screen.request_draw()
    drawn.timers.advance(0.0)
    assert drawn.texts == ["first"]


def test_nothing_is_drawn_while_the_content_stays() -> None:
    drawn = Drawn()
    drawn.screen.request_draw()
    drawn.timers.advance(3600.0)
    drawn.screen.request_draw()
    drawn.timers.advance(3600.0)
    assert drawn.texts == ["first"]
    assert drawn.looks <= 2 * 3600 + 2


def test_what_time_alone_has_changed_is_drawn_within_a_second() -> None:
    drawn = Drawn()
    drawn.screen.request_draw()
    drawn.timers.advance(60.0)
    drawn.content = "a minute later"
    drawn.timers.advance(1.0)
    assert drawn.texts == ["first", "a minute later"]


def test_many_changes_in_a_row_are_drawn_twice_a_second() -> None:
    drawn = Drawn()
    for number in range(1000):
        drawn.change(str(number))
        drawn.timers.advance(0.01)
    assert 18 <= len(drawn.texts) <= 21
    drawn.timers.advance(0.5)
    assert drawn.texts[-1] == "999"


def test_another_size_of_the_terminal_is_drawn() -> None:
    drawn = Drawn()
    drawn.screen.request_draw()
    drawn.timers.advance(5.0)
    drawn.console.size = (60, 20)
    drawn.timers.advance(1.0)
    assert drawn.texts == ["first", "first"]


def test_the_last_change_stays_visible_at_the_end() -> None:
    drawn = Drawn()
    drawn.screen.request_draw()
    drawn.timers.advance(0.1)
    drawn.change("last")
    drawn.screen.stop()
    drawn.timers.advance(60.0)
    assert drawn.texts == ["first", "last"]


def test_a_screen_that_was_never_asked_for_prints_nothing() -> None:
    drawn = Drawn()
    drawn.screen.stop()
    assert isinstance(drawn.console.file, io.StringIO)
    assert (drawn.texts, drawn.console.file.getvalue()) == ([], "")
