"""The client's view of the fleet: what each message of the stream changes."""

import json

import pytest

from monitor.cli.api.messages import decode_message
from monitor.cli.api.responses import ServerError
from monitor.cli.api.sse import Event
from monitor.cli.api.view import FleetView, apply
from tests.support.stream_messages import DOWN, NEW, UP, after, change, image, part, state, summarize


def test_a_state_contains_everything_and_a_change_only_the_differences() -> None:
    first = state(part("dc1", image("1"), image("2")), part("dc2"))
    assert summarize(after(first)[1]) == [
        ("HealthChanged", "dc1"), ("ImageChanged", "dc1", "1"), ("ImageChanged", "dc1", "2"), ("HealthChanged", "dc2"),
    ]  # fmt: skip
    view, changes = after(first, change(part("dc1", image("2", progress_ratio=0.5), health=None, gone=["1"])))
    assert summarize(changes) == [("ImageChanged", "dc1", "2"), ("ImageRemoved", "dc1", "1")]
    assert view.controllers["dc1"].images["2"].object.progress_ratio == 0.5
    assert view.controllers["dc1"].health.up


def test_a_second_state_replaces_the_first() -> None:
    first = state(part("dc1", image("1"), image("2")), part("dc2", image("3")))
    view, changes = after(first, state(part("dc1", image("1"), image("2", "failed"))))
    assert summarize(changes) == [
        ("ImageChanged", "dc1", "2"),
        ("ImageRemoved", "dc2", "3"),
        ("ControllerRemoved", "dc2"),
    ]
    assert list(view.controllers) == ["dc1"]


def test_removing_a_controller_removes_its_images() -> None:
    view, changes = after(state(part("dc1", image("1"))), change({"controller": "dc1", "removed": True}))
    assert (summarize(changes), view.controllers) == ([("ImageRemoved", "dc1", "1"), ("ControllerRemoved", "dc1")], {})


def test_a_daemon_that_has_just_started_removes_no_images() -> None:
    restarted = state(part("dc1", health=NEW))
    assert summarize(after(state(part("dc1", image("1"))), restarted)[1]) == [("HealthChanged", "dc1")]
    again = change(part("dc1", image("1")))
    assert summarize(after(state(part("dc1", image("1"))), restarted, again)[1]) == [
        ("HealthChanged", "dc1"), ("ImageChanged", "dc1", "1"),
    ]  # fmt: skip


def test_another_good_poll_is_no_change() -> None:
    later = change(part("dc1", health={**UP, "seen_at": 995.0}))
    view, changes = after(state(part("dc1")), later)
    assert (changes, view.controllers["dc1"].health.seen_at) == ((), 995.0)
    assert summarize(after(state(part("dc1")), change(part("dc1", health=DOWN)))[1]) == [("HealthChanged", "dc1")]


def test_an_image_keeps_unknown_members() -> None:
    received = after(state(part("dc1", image("1"))))[0].controllers["dc1"].images["1"]
    assert json.loads(received.raw) == image("1")


@pytest.mark.parametrize(
    ("now", "received_at", "offset_s"),
    [
        pytest.param(1010.0, 10.0, 1000.0, id="in-time"),
        pytest.param(1008.0, 10.0, 1000.0, id="buffered-by-the-daemon"),
        pytest.param(1012.0, 10.0, 1002.0, id="after-the-client-was-suspended"),
    ],
)
def test_the_clock_offset_never_decreases_for_a_delayed_message(
    now: float, received_at: float, offset_s: float
) -> None:
    view, _ = apply(FleetView(), state(now=1000.0), received_at=0.0)
    assert apply(view, change(part("dc1"), now=now), received_at=received_at)[0].clock_offset_s == offset_s
    assert apply(view, state(now=now), received_at=received_at)[0].clock_offset_s == now - received_at


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"now":0}', b'{"now":-1,"parts":[]}', b'{"now":0,"parts":"\xff"}'])
def test_a_malformed_message_is_an_error(data: bytes) -> None:
    with pytest.raises(ServerError, match="this version cannot decode the response"):
        decode_message(Event("state", data, ""))


@pytest.mark.parametrize("bad", [{"name": "u"}, {"uuid": "1", "state": "eaten"}, {"uuid": "1", "eta": 7}])
def test_a_malformed_image_is_an_error(bad: dict[str, object]) -> None:
    with pytest.raises(ServerError, match="this version cannot decode the response"):
        after(state(part("dc1", bad)))


def test_an_unknown_event_type_is_ignored() -> None:
    assert decode_message(Event("rumour", b"...", "")) is None
