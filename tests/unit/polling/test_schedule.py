"""When a poller has stood still for too long, and when it only waits for its turn."""

import asyncio

import pytest

from monitor.model.health import SessionHealth
from monitor.polling.schedule import PollLimiter, PollWatchdog


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_poller_is_overdue_once_its_poll_was_due_and_nothing_began() -> None:
    pulse = PollWatchdog()
    assert pulse.overdue_s == 0.0  # it was not even started
    pulse.rests(until=now() + 60.0)
    assert pulse.overdue_s == 0.0
    pulse.rests(until=now() - 60.0)
    assert pulse.overdue_s == pytest.approx(60.0, abs=5.0)


async def test_a_poll_is_overdue_once_it_lasts_longer_than_any_can() -> None:
    pulse = PollWatchdog()
    pulse.queues(PollLimiter(1).of(SessionHealth()), limit_s=100.0)
    pulse.polls()
    assert pulse.overdue_s == 0.0
    pulse.queues(PollLimiter(1).of(SessionHealth()), limit_s=-60.0)
    pulse.polls()
    assert pulse.overdue_s == pytest.approx(60.0, abs=5.0)


async def test_who_waits_for_a_place_is_not_overdue_while_others_take_and_leave_theirs() -> None:
    pulse, pool = PollWatchdog(), PollLimiter(1).of(SessionHealth())
    pulse.queues(pool, limit_s=-60.0)
    assert pulse.overdue_s == pytest.approx(60.0, abs=5.0), "nobody moved"
    await pool.acquire()
    pool.moved_at = now() + 90.0
    assert pulse.overdue_s == 0.0, "somebody took a place"
    pool.moved_at = now() - 30.0
    pulse.queues(pool, limit_s=20.0)
    assert pulse.overdue_s == 0.0, "it came later than that"
    before = pool.moved_at
    pool.release()
    assert pool.moved_at > before
