"""One line about an upload or a controller."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cli.api.messages import Health
from monitor.cli.api.stream_objects import Eta, StreamImage
from monitor.cli.api.view import ControllerView
from monitor.cli.output.format import describe_outage, describe_progress, format_duration, format_remaining
from tests.support.stream_messages import DOWN, NEW, NOW, UP

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
def test_the_remaining_time_is_shown_with_its_range(eta: Eta, text: str) -> None:
    assert format_remaining(eta, now=NOW) == text


@given(st.floats(0, 1e300), st.floats(0, 1e300), st.floats(0, 1e300), st.floats(0, 1e12))
def test_any_time_can_be_formatted(ends: float, earliest: float, latest: float, now: float) -> None:
    assert format_remaining(Eta(ends, earliest, latest), now=now)
    assert format_duration(ends)


@pytest.mark.parametrize(
    ("image", "health", "text"),
    [
        pytest.param(
            StreamImage(uuid="1", state="started", changed_at=NOW, eta=ETA), UP, "4 min left (3–6)", id="moves"
        ),
        pytest.param(
            StreamImage(uuid="1", state="in_progress", standing="stalled", changed_at=NOW - 180, eta=ETA),
            UP,
            "4 min left (3–6), no move for 3 min",
            id="stalled",
        ),
        pytest.param(StreamImage(uuid="1", state="in_progress", changed_at=NOW - 60), UP, "", id="moved-just-now"),
        pytest.param(StreamImage(uuid="1", state="in_progress"), UP, "", id="nothing-is-known"),
        pytest.param(StreamImage(uuid="1", state="completed", changed_at=0.0), UP, "", id="done"),
        pytest.param(StreamImage(uuid="1", state="started", eta=ETA), DOWN, "as of 00:15:00Z", id="outage"),
        pytest.param(
            StreamImage(uuid="1"), {**UP, "stale": True, "seen_at": None}, "as of an unknown time", id="never-polled"
        ),
    ],
)
def test_progress_is_described_as_far_as_it_is_known(image: StreamImage, health: object, text: str) -> None:
    assert describe_progress(ControllerView(msgspec.convert(health, Health)), image, now=NOW) == text


@pytest.mark.parametrize(
    ("health", "text"),
    [
        (UP, ""),
        (DOWN, "dc1: cannot be polled (connect: refused); its images are as of 1970-01-01 00:15:00Z"),
        (NEW, "dc1: not polled yet"),
        (
            {**UP, "stale": True},
            "dc1: not polled recently; its images are as of 1970-01-01 00:16:30Z",
        ),
    ],
)
def test_an_outage_is_described_with_its_reason(health: object, text: str) -> None:
    assert describe_outage("dc1", ControllerView(msgspec.convert(health, Health))) == text
