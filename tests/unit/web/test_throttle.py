"""The count of wrong credentials: ten at once, one every six seconds, in bounded memory."""

import math

import pytest

from monitor.web.auth.throttle import FailureThrottle, source_of


class Clock:
    def __init__(self, now: float = 1e6) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(failures: FailureThrottle, source: str = "a") -> int:
    """How many tries there were left."""
    return next(count for count in range(100) if failures.take(source))


def test_ten_are_free_and_then_it_says_how_long_to_wait(clock: Clock) -> None:
    failures = FailureThrottle(clock)
    assert taken(failures) == 10
    assert failures.take("a") == pytest.approx(6.0)
    clock.now += 4.5
    assert math.ceil(failures.take("a")) == 2


@pytest.mark.parametrize("start", [0.0, 1e-3, 12345.678, 4e9 + 0.1])
def test_one_comes_back_every_six_seconds_and_never_more_than_ten(start: float) -> None:
    clock = Clock(start)
    failures = FailureThrottle(clock)
    taken(failures)
    clock.now += 6.001
    assert taken(failures) == 1
    clock.now += 1e5
    assert taken(failures) == 10


def test_asking_in_vain_does_not_lengthen_the_wait(clock: Clock) -> None:
    failures = FailureThrottle(clock)
    taken(failures)
    waits = {failures.take("a") for _ in range(50)}
    assert waits == {6.0}


def test_sources_are_counted_apart(clock: Clock) -> None:
    failures = FailureThrottle(clock)
    taken(failures, "a")
    assert taken(failures, "b") == 10


def test_what_was_no_failure_is_given_back(clock: Clock) -> None:
    failures = FailureThrottle(clock)
    for _ in range(30):
        assert failures.take("a") == 0.0
        failures.give_back("a")
    assert taken(failures) == 10


def test_memory_is_bounded_and_the_longest_silent_goes_first(clock: Clock) -> None:
    failures = FailureThrottle(clock)
    taken(failures, "loud")
    for number in range(5000):
        failures.take(str(number))
        assert failures.take("loud") > 0.0
    assert len(failures) == 1024
    failures.give_back("0")  # forgotten: nothing happens
    assert len(failures) == 1024


@pytest.mark.parametrize(
    ("remote", "source"),
    [
        pytest.param("192.0.2.7", "192.0.2.7", id="ipv4"),
        pytest.param("::ffff:192.0.2.7", "192.0.2.7", id="ipv4-in-ipv6"),
        pytest.param("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", id="ipv6-by-64"),
        pytest.param("fe80::1%eth0", "fe80::/64", id="link-local"),
        pytest.param("not an address", "unknown", id="a-text"),
        pytest.param(None, "unknown", id="gone"),
    ],
)
def test_a_source(remote: str | None, source: str) -> None:
    assert source_of(remote) == source
