"""Simulated time."""

import asyncio

import pytest

from monitor.simulator.clock import Clock
from tests.support.limits import WAIT_TIMEOUT_S


class ManualClock:
    """A monotonic clock that only the test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_the_clock_runs_at_its_speed() -> None:
    hand = ManualClock()
    clock = Clock(start=1000.0, speed=20.0, monotonic=hand)
    hand.at += 3
    assert clock.now() == 1060.0


def test_time_stands_still_at_speed_zero_until_it_is_advanced() -> None:
    hand = ManualClock()
    clock = Clock(start=1000.0, speed=0.0, monotonic=hand)
    hand.at += 3
    clock.advance(7.5)
    assert clock.now() == 1007.5


def test_advancing_by_a_negative_time_is_an_error() -> None:
    clock = Clock(start=0.0, speed=0.0, monotonic=ManualClock())
    with pytest.raises(ValueError, match="jump"):
        clock.advance(-1)


def test_a_jump_can_go_backwards() -> None:
    clock = Clock(start=1000.0, speed=0.0, monotonic=ManualClock())
    clock.jump(-100)
    assert clock.now() == 900.0


async def test_waiting_for_a_time_ends_when_the_clock_is_advanced_past_it() -> None:
    clock = Clock(start=0.0, speed=0.0, monotonic=ManualClock())
    async with asyncio.timeout(WAIT_TIMEOUT_S), asyncio.TaskGroup() as group:
        waiter = group.create_task(clock.wait_until(60.0))
        for seconds in (59.0, 1.0):
            await asyncio.sleep(0)
            assert not waiter.done()
            clock.advance(seconds)


async def test_waiting_for_a_time_ends_when_the_running_clock_reaches_it() -> None:
    clock = Clock(start=0.0, speed=1000.0, monotonic=asyncio.get_running_loop().time)
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        await clock.wait_until(5.0)
    assert clock.now() >= 5.0
