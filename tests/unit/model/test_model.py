"""Structs, secrets and errors."""

import msgspec
import pytest

from monitor.model.errors import (
    BadAnswer,
    BadObject,
    BadStatus,
    ConfigError,
    LoginRefused,
    MonitorError,
    PollError,
    StoreError,
    Unavailable,
    Unreachable,
)
from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.image import Image, ImageState
from monitor.model.secret import Secret
from monitor.model.snapshot import Snapshot


@pytest.mark.parametrize("error", [ConfigError, StoreError, BadObject, PollError], ids=lambda error: error.__name__)
def test_everything_raised_on_purpose_is_a_monitor_error(error: type[Exception]) -> None:
    assert error.__base__ is MonitorError


@pytest.mark.parametrize(
    "error", [Unreachable, LoginRefused, Unavailable, BadStatus, BadAnswer], ids=lambda error: error.__name__
)
def test_every_way_a_poll_fails_is_a_poll_error_and_no_other_way(error: type[Exception]) -> None:
    assert error.__base__ is PollError


def test_a_poll_error_carries_its_facts() -> None:
    error = Unavailable("throttled", "slow down", phase="login", status=429, retry_after_s=7.5)

    facts = (error.reason, error.detail, error.phase, error.status, error.retry_after_s)

    assert facts == ("throttled", "slow down", "login", 429, 7.5)


def test_a_poll_error_without_further_facts_is_of_the_images_and_asks_for_no_delay() -> None:
    error = Unreachable("dns", "no such host")

    assert (error.phase, error.status, error.retry_after_s) == ("images", None, 0.0)


def test_a_poll_error_reads_as_reason_phase_and_detail() -> None:
    assert str(BadStatus("http_5xx", "502 Bad Gateway", phase="version")) == "http_5xx (version): 502 Bad Gateway"


def test_a_config_error_holds_every_problem() -> None:
    assert ConfigError(("a.yml: listen: no port", "a.yml: log: no level")).problems == (
        "a.yml: listen: no port",
        "a.yml: log: no level",
    )


def test_a_config_error_reads_as_one_line_a_problem() -> None:
    assert str(ConfigError(("one", "two"))) == "one\ntwo"


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(repr(Secret("hunter2")), id="repr"),
        pytest.param(str(Secret("hunter2")), id="str"),
        pytest.param(f"{Secret('hunter2')}", id="f-string"),
        pytest.param("%s" % Secret("hunter2"), id="percent"),  # noqa: UP031 the very thing that is tried
    ],
)
def test_a_secret_is_never_shown(shown: str) -> None:
    assert shown == "<secret>"


def test_a_secret_inside_something_else_is_not_shown() -> None:
    assert str({"password": [Secret("hunter2")]}) == "{'password': [<secret>]}"


def test_a_secret_has_no_attribute_dictionary_to_dump() -> None:
    assert not hasattr(Secret("hunter2"), "__dict__")


def test_a_secret_is_revealed_on_request() -> None:
    assert Secret("hunter2").reveal() == "hunter2"


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        pytest.param(Secret("hunter2"), True, id="the same text"),
        pytest.param(Secret("hunter3"), False, id="another text"),
        pytest.param("hunter2", False, id="a bare text"),
    ],
)
def test_secrets_are_equal_when_their_texts_are(other: object, *, equal: bool) -> None:
    assert (Secret("hunter2") == other) is equal


def test_equal_secrets_are_one_key() -> None:
    assert {Secret("hunter2"): 1}[Secret("hunter2")] == 1


def test_a_secret_is_among_the_instances_while_it_exists() -> None:
    secret = Secret("hunter2")

    assert any(each is secret for each in Secret.instances.values())


def test_a_secret_that_is_gone_is_not_kept_alive() -> None:
    secret = Secret("a text that no other test uses")
    del secret

    assert "a text that no other test uses" not in {each.reveal() for each in Secret.instances.values()}


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")


def test_a_secret_with_a_text_is_true() -> None:
    assert Secret("0")


@pytest.mark.parametrize(
    ("state", "active"),
    [
        ("started", True),
        ("in_progress", True),
        ("completed", False),
        ("failed", False),
        ("unknown", False),
    ],
)
def test_an_image_is_active_while_the_controller_works_on_it(state: ImageState, *, active: bool) -> None:
    assert Image(uuid="u1", state=state).active is active


@pytest.mark.parametrize(
    ("noun", "field"),
    [
        pytest.param(Image(uuid="u1"), "name", id="image"),
        pytest.param(Snapshot(), "objects", id="snapshot"),
        pytest.param(SessionHealth(), "polls", id="session"),
        pytest.param(ReadHealth(), "stale", id="read"),
    ],
)
def test_structs_are_frozen(noun: msgspec.Struct, field: str) -> None:
    with pytest.raises(AttributeError, match="immutable"):
        setattr(noun, field, None)


def test_nothing_is_known_before_the_first_poll() -> None:
    snapshot: Snapshot[Image] = Snapshot()

    assert (dict(snapshot.objects), dict(snapshot.object_list.raws), snapshot.undecodable) == ({}, {}, frozenset())


def test_unprintable_characters_of_a_controller_are_replaced() -> None:
    error = PollError("http_5xx", "500 \x1b[2J\nfake: good")
    assert str(error) == "http_5xx (images): 500 \ufffd[2J\ufffdfake: good"


def test_an_upload_waits_for_nothing_but_itself() -> None:
    assert not Image(uuid="image-1", state="in_progress").waits_for_others
