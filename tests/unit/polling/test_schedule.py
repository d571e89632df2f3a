"""When a poller has stood still for too long, and when it only waits for its turn."""

import asyncio

import pytest

from monitor.model.health import SessionHealth
from monitor.polling.schedule import PollLimiter, PollWatchdog


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_poller_is_overdue_once_its_poll_was_due_and_nothing_began() -> None:
    watchdog = PollWatchdog()
    assert watchdog.overdue_s == 0.0  # it was not even started
    watchdog.set_idle(until=now() + 60.0)
    assert watchdog.overdue_s == 0.0
    watchdog.set_idle(until=now() - 60.0)
    assert watchdog.overdue_s == pytest.approx(60.0, abs=5.0)


async def test_a_poll_is_overdue_once_it_lasts_longer_than_any_can() -> None:
    watchdog = PollWatchdog()
    watchdog.set_queued(PollLimiter(1).pool_for(SessionHealth()), limit_s=100.0)
    watchdog.set_polling()
    assert watchdog.overdue_s == 0.0
    watchdog.set_queued(PollLimiter(1).pool_for(SessionHealth()), limit_s=-60.0)
    watchdog.set_polling()
    assert watchdog.overdue_s == pytest.approx(60.0, abs=5.0)


async def test_who_waits_for_a_place_is_not_overdue_while_others_take_and_leave_theirs() -> None:
    watchdog, pool = PollWatchdog(), PollLimiter(1).pool_for(SessionHealth())
    watchdog.set_queued(pool, limit_s=-60.0)
    assert watchdog.overdue_s == pytest.approx(60.0, abs=5.0), "nobody moved"
    await pool.acquire()
    pool.last_used_at = now() + 90.0
    assert watchdog.overdue_s == 0.0, "somebody took a place"
    pool.last_used_at = now() - 30.0
    watchdog.set_queued(pool, limit_s=20.0)
    assert watchdog.overdue_s == 0.0, "it came later than that"
    before = pool.last_used_at
    pool.release()
    assert pool.last_used_at > before
