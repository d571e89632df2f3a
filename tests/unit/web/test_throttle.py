"""The limit of wrong credentials: ten in a row, one more every six seconds, in bounded memory."""

import math

import pytest

from monitor.web.auth.throttle import Throttle, source_of


class Clock:
    def __init__(self, now: float = 1e6) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def attempts_left(throttle: Throttle, source: str = "a") -> int:
    """Use up all attempts, and count them."""
    return next(count for count in range(100) if throttle.acquire(source))


def test_ten_attempts_are_free_and_then_the_wait_is_told(clock: Clock) -> None:
    throttle = Throttle(clock, burst=10, refill_s=6.0)
    assert attempts_left(throttle) == 10
    assert throttle.acquire("a") == pytest.approx(6.0)
    clock.now += 4.5
    assert math.ceil(throttle.acquire("a")) == 2


@pytest.mark.parametrize("start", [0.0, 1e-3, 12345.678, 4e9 + 0.1])
def test_one_attempt_is_refilled_every_six_seconds_up_to_ten(start: float) -> None:
    clock = Clock(start)
    throttle = Throttle(clock, burst=10, refill_s=6.0)
    attempts_left(throttle)
    clock.now += 6.001
    assert attempts_left(throttle) == 1
    clock.now += 1e5
    assert attempts_left(throttle) == 10


def test_attempts_while_waiting_do_not_lengthen_the_wait(clock: Clock) -> None:
    throttle = Throttle(clock, burst=10, refill_s=6.0)
    attempts_left(throttle)
    waits = {throttle.acquire("a") for _ in range(50)}
    assert waits == {6.0}


def test_each_source_has_its_own_limit(clock: Clock) -> None:
    throttle = Throttle(clock, burst=10, refill_s=6.0)
    attempts_left(throttle, "a")
    assert attempts_left(throttle, "b") == 10


def test_a_right_credential_is_refunded(clock: Clock) -> None:
    throttle = Throttle(clock, burst=10, refill_s=6.0)
    for _ in range(30):
        assert throttle.acquire("a") == 0.0
        throttle.refund("a")
    assert attempts_left(throttle) == 10


def test_memory_is_bounded_and_the_source_silent_longest_is_forgotten_first(clock: Clock) -> None:
    throttle = Throttle(clock, burst=10, refill_s=6.0)
    attempts_left(throttle, "loud")
    for number in range(5000):
        throttle.acquire(str(number))
        assert throttle.acquire("loud") > 0.0
    assert len(throttle) == 1024
    throttle.refund("0")  # forgotten: nothing happens
    assert len(throttle) == 1024


@pytest.mark.parametrize(
    ("remote", "source"),
    [
        pytest.param("192.0.2.7", "192.0.2.7", id="ipv4"),
        pytest.param("::ffff:192.0.2.7", "192.0.2.7", id="ipv4-in-ipv6"),
        pytest.param("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", id="ipv6-by-64"),
        pytest.param("fe80::1%eth0", "fe80::/64", id="link-local"),
        pytest.param("not an address", "unknown", id="a-text"),
        pytest.param("", "unknown", id="gone"),
    ],
)
def test_an_address_is_counted_as_its_subscriber(remote: str, source: str) -> None:
    assert source_of(remote) == source
