"""What reaches the log, in which form, and what never does."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from monitor.daemon import logging as log
from monitor.model.secret import Secret


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes while a test runs; logging is put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_is_one_object_a_line(stream: io.StringIO) -> None:
    log.configure("info", "json", stream)
    structlog.get_logger().bind(controller="dc1").warning("controller_down", reason="connect")
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event == {"event": "controller_down", "level": "warning", "controller": "dc1", "reason": "connect"}


def test_console_is_for_people(stream: io.StringIO) -> None:
    log.configure("info", "console", stream)
    structlog.get_logger().info("started", address="127.0.0.1:9972")
    assert "started" in stream.getvalue()
    assert "address=127.0.0.1:9972" in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_lines_for_the_journal_begin_with_their_priority(stream: io.StringIO, form: Literal["json", "console"]) -> None:
    log.configure("info", form, stream, journal=True)
    structlog.get_logger().warning("controller_down")
    logging.getLogger("asyncio").error("Task exception was never retrieved")
    assert [line[:3] for line in stream.getvalue().splitlines()] == ["<4>", "<3>"]


def test_control_characters_are_escaped_on_a_console(stream: io.StringIO) -> None:
    log.configure("info", "console", stream)
    structlog.get_logger().info("request", path="/\x1b[31mred\x1b]0;title\x07", words=["\x1b[2J"], line="a\nb")
    assert "\x1b" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 1


def test_events_below_the_level_are_not_logged(stream: io.StringIO) -> None:
    log.configure("warning", "json", stream)
    structlog.get_logger().info("started")
    assert stream.getvalue() == ""


def test_messages_of_libraries_have_the_same_format(stream: io.StringIO) -> None:
    log.configure("info", "json", stream)
    logging.getLogger("asyncio").error("Task exception was never retrieved; password=%s", "hunter22")
    event = json.loads(stream.getvalue())
    assert event["event"] == "Task exception was never retrieved; password=<secret>"
    assert event["level"] == "error"


def test_a_traceback_is_logged_without_the_secrets_in_it(stream: io.StringIO) -> None:
    log.configure("info", "json", stream)
    secret = Secret("correct-horse")
    try:
        raise RuntimeError(f"log-in with {secret.reveal()} failed")  # noqa: TRY301  it is what the test is about
    except RuntimeError:
        structlog.get_logger().exception("poll_exception")
    event = json.loads(stream.getvalue())
    assert "RuntimeError: log-in with <secret> failed" in event["exception"]
    assert "correct-horse" not in stream.getvalue()


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"password": "hunter22"}, id="key"),
        pytest.param({"X-CSRFToken": "hunter22"}, id="header-key"),
        pytest.param({"cause": "Cookie: hunter22; path=/"}, id="header-in-text"),
        pytest.param({"cause": "bad header 'Authorization: Bearer hunter22'"}, id="bearer-in-text"),
        pytest.param({"cause": "authorization: basic hunter22"}, id="basic-in-text"),
        pytest.param({"cause": "csrftoken=hunter22&x=1"}, id="pair-in-text"),
        pytest.param({"reply": {"inner": ["a", {"token": 1}, "sessionid=hunter22"]}}, id="nested"),
        pytest.param({"error": ValueError("password='hunter22'")}, id="exception"),
    ],
)
def test_secrets_are_masked_anywhere_in_an_event(event: dict[str, object]) -> None:
    masked = log.mask(None, "", event)
    assert "hunter22" not in repr(masked)
    assert "<secret>" in repr(masked)


def test_other_values_are_not_changed() -> None:
    event = {"event": "poll", "took_s": 0.5, "polls": 3, "up": True, "cause": None, "images": [1, "two"]}
    assert log.mask(None, "", dict(event)) == event


def test_a_secret_shorter_than_four_characters_is_not_masked() -> None:
    secret = Secret("a")
    assert log.mask(None, "", {"event": "started at last"}) == {"event": "started at last"}
    assert secret.reveal() == "a"


def test_many_secrets_in_one_text_do_not_multiply_it() -> None:
    secrets = [Secret(f"cret{number:02}") for number in range(40)] + [Secret("secr"), Secret("cret>")]
    masked = log.mask(None, "", {"event": "cret00 " * 10})
    assert masked == {"event": "<secret> " * 10}
    assert len(secrets) == 42


def test_a_pair_whose_value_is_a_secret_with_blanks_is_masked_to_its_end() -> None:
    secret = Secret("correct horse battery")
    masked = log.mask(None, "", {"event": f"password={secret.reveal()} was refused"})
    assert masked == {"event": "password=<secret> was refused"}


@given(text=st.text(min_size=4, max_size=40), around=st.tuples(st.text(max_size=20), st.text(max_size=20)))
def test_a_living_secret_is_never_in_an_event(text: str, around: tuple[str, str]) -> None:
    secret = Secret(text)
    masked = log.mask(None, "", {"event": f"{around[0]}{text}{around[1]}"})
    assert secret.reveal() not in str(masked["event"]).replace("<secret>", "\0") or text in "<secret>"


def test_a_secret_is_masked_as_soon_as_it_lives(stream: io.StringIO) -> None:
    log.configure("info", "json", stream)
    first = Secret("correct-horse")
    structlog.get_logger().info("seen", text=f"is {first.reveal()} there")
    second = Secret("correct-staple")
    structlog.get_logger().info("seen", text=f"is {second.reveal()} or {first.reveal()} there")
    texts = [json.loads(line)["text"] for line in stream.getvalue().splitlines()]
    assert texts == ["is <secret> there", "is <secret> or <secret> there"]


class Gone(io.StringIO):
    """A stream whose reader is gone, or whose disk is full."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def test_a_log_that_cannot_be_written_is_dropped(stream: io.StringIO) -> None:
    for target in (Gone(), stream):
        log.configure("info", "json", target)
        structlog.get_logger().info("started")
        logging.getLogger("asyncio").error("said by a library")
    assert len(stream.getvalue().splitlines()) == 2
