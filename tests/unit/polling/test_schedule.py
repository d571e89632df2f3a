"""When a poller is stuck, how many polls run at once, and how long a poller waits after failures."""

import asyncio
from itertools import count
from random import Random

import pytest

from monitor.config.settings import Poll
from monitor.model.errors import BadStatus, LoginRefused, PollError, Unreachable
from monitor.model.health import SessionHealth
from monitor.polling.schedule import (
    UNREADABLE_PAUSE_S,
    FirstPolls,
    PollLimiter,
    PollWatchdog,
    ReadPause,
    backoff_s,
    interval_after,
)
from tests.support.limits import WAIT_TIMEOUT_S


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_poller_is_overdue_when_its_poll_was_due_and_did_not_begin() -> None:
    watchdog = PollWatchdog()
    assert watchdog.overdue_s == 0.0  # it was not started
    watchdog.set_idle(until=now() + 60.0)
    assert watchdog.overdue_s == 0.0
    watchdog.set_idle(until=now() - 60.0)
    assert watchdog.overdue_s == pytest.approx(60.0, abs=5.0)


async def test_a_poll_is_overdue_when_it_lasts_longer_than_the_limit() -> None:
    watchdog = PollWatchdog()
    watchdog.set_queued(PollLimiter(1).pool_for(SessionHealth()), limit_s=100.0)
    watchdog.set_polling()
    assert watchdog.overdue_s == 0.0
    watchdog.set_queued(PollLimiter(1).pool_for(SessionHealth()), limit_s=-60.0)
    watchdog.set_polling()
    assert watchdog.overdue_s == pytest.approx(60.0, abs=5.0)


async def test_a_poller_that_waits_for_a_slot_is_not_overdue_while_slots_are_taken_and_released() -> None:
    watchdog, pool = PollWatchdog(), PollLimiter(1).pool_for(SessionHealth())
    watchdog.set_queued(pool, limit_s=-60.0)
    assert watchdog.overdue_s == pytest.approx(60.0, abs=5.0), "no slot was taken or released"
    await pool.acquire()
    pool.last_used_at = now() + 90.0
    assert watchdog.overdue_s == 0.0, "a slot was taken"
    pool.last_used_at = now() - 30.0
    watchdog.set_queued(pool, limit_s=20.0)
    assert watchdog.overdue_s == 0.0, "it began to wait after the last release"
    before = pool.last_used_at
    pool.release()
    assert pool.last_used_at > before


async def test_controllers_that_gave_no_answer_twice_or_at_their_first_poll_use_a_small_pool() -> None:
    limiter = PollLimiter(16)
    answering = limiter.pool_for(SessionHealth(polls=1))
    silent = limiter.pool_for(SessionHealth(polls=9, failed_in_a_row=2, reason="timeout"))
    assert silent is not answering
    assert limiter.pool_for(SessionHealth(polls=1, failed_in_a_row=1, reason="timeout")) is silent
    assert limiter.pool_for(SessionHealth(polls=2, failed_in_a_row=1, reason="timeout")) is answering
    assert limiter.pool_for(SessionHealth(polls=9, failed_in_a_row=9, reason="http_5xx")) is answering
    for _ in range(2):
        await silent.acquire()
    assert silent.locked()
    assert not answering.locked()


def test_first_polls_take_no_slot_of_controllers_that_answer() -> None:
    limiter = PollLimiter(1)
    assert limiter.pool_for(SessionHealth()) is not limiter.pool_for(SessionHealth(polls=1))


async def test_a_poll_that_receives_nothing_returns_its_slot_and_goes_on() -> None:
    limiter = PollLimiter(1, silence_s=0.001)
    pool = limiter.pool_for(SessionHealth())
    async with asyncio.timeout(WAIT_TIMEOUT_S), limiter.slot(pool, lambda: 0):
        async with limiter.slot(pool, lambda: 0):
            assert pool.locked()
        assert not pool.locked()
    await pool.acquire()
    assert pool.locked(), "the slot was returned twice"


async def test_a_poll_that_receives_something_keeps_its_slot() -> None:
    limiter, pieces, looked_often = PollLimiter(1, silence_s=0.001), count(), asyncio.Event()
    pool = limiter.pool_for(SessionHealth())

    def received() -> int:
        pieces_so_far = next(pieces)
        if pieces_so_far == 10:
            looked_often.set()
        return pieces_so_far

    async with asyncio.timeout(WAIT_TIMEOUT_S), limiter.slot(pool, received):
        await looked_often.wait()
        assert pool.locked()
    assert not pool.locked()


async def test_first_polls_begin_one_after_the_other() -> None:
    """Would find a start that decodes the objects of a thousand controllers at the same time."""
    first_polls, begun = FirstPolls(), list[int]()

    async def wait(number: int) -> None:
        await first_polls.wait_for_turn()
        begun.append(number)
        assert not any(task.done() for task in waiting[number + 1 :])

    async with asyncio.timeout(WAIT_TIMEOUT_S), asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(wait(number), name=f"wait-{number}") for number in range(3)]
    assert begun == [0, 1, 2]


async def test_a_first_poll_waits_while_the_event_loop_is_late_but_not_for_ever() -> None:
    """Would find a start that makes the polls of the controllers that have started late."""
    loop, turn = asyncio.get_running_loop(), asyncio.create_task(FirstPolls().wait_for_turn(), name="wait")
    held = 0
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        while not turn.done():
            until = loop.time() + 0.05
            while loop.time() < until:
                pass
            held += 1
            await asyncio.sleep(0)
    assert held >= 10


def test_a_suspended_log_in_is_looked_at_in_the_active_interval_without_back_off() -> None:
    poll = Poll(active_interval_s=5.0, idle_interval_s=60.0, max_backoff_s=3600.0)
    refused = LoginRefused("auth", "suspended", phase="login")
    assert {
        interval_after(refused, failures, poll, Random(1), pace_s=60.0, max_backoff_s=60.0) for failures in (1, 2, 50)
    } == {5.0}
    asked = LoginRefused("auth", "401", phase="login", retry_after_s=30.0)
    assert interval_after(asked, 1, poll, Random(1), pace_s=60.0, max_backoff_s=60.0) == 30.0


def test_back_off_grows_to_its_limit_and_has_full_jitter() -> None:
    waits = {
        failures: [backoff_s(failures, Random(seed), base_s=5.0, max_s=60.0) for seed in range(200)]
        for failures in (1, 2, 3, 9, 10_000)
    }
    assert [round(max(each), -1) for each in waits.values()] == [10.0, 20.0, 40.0, 60.0, 60.0]
    assert all(min(each) < 1.0 for each in waits.values())


# -- the pause between reads of a resource that fails

TIMEOUT = Unreachable("timeout", "no answer", phase="upgrade")
FORBIDDEN = BadStatus("forbidden", "403", phase="upgrade", status=403)
ABSENT = BadStatus("absent", "404", phase="upgrade", status=404)


async def test_what_was_never_read_or_was_read_well_is_read_at_each_poll() -> None:
    pause = ReadPause()
    assert pause.is_over(version="")
    pause.note(None, version="30.2.1", idle_interval_s=60.0)
    assert pause.is_over(version="30.2.1")


async def test_what_fails_twice_in_a_row_is_read_again_after_the_idle_interval() -> None:
    pause, seen = ReadPause(), []
    for error, idle_interval_s in ((TIMEOUT, 60.0), (None, 60.0), (TIMEOUT, 60.0), (TIMEOUT, 0.0), (TIMEOUT, 60.0)):
        pause.note(error, version="30.2.1", idle_interval_s=idle_interval_s)
        seen.append(pause.is_over(version="30.2.1"))
    assert seen == [True, True, True, True, False]
    assert not pause.is_over(version="31.2.2"), "another version gives no reason to expect an answer"


@pytest.mark.parametrize("error", [FORBIDDEN, ABSENT], ids=["forbidden", "absent"])
async def test_what_may_not_be_read_is_asked_for_again_after_a_quarter_of_an_hour(error: BadStatus) -> None:
    pause = ReadPause()
    pause.note(error, version="30.2.1", idle_interval_s=0.0)
    assert not pause.is_over(version="30.2.1")
    assert UNREADABLE_PAUSE_S == 15 * 60


async def test_another_version_may_let_it_be_read() -> None:
    pause = ReadPause()
    pause.note(FORBIDDEN, version="30.2.1", idle_interval_s=60.0)
    assert pause.is_over(version="31.2.2")
    pause.note(FORBIDDEN, version="31.2.2", idle_interval_s=60.0)
    assert not pause.is_over(version="31.2.2")
    pause.note(None, version="31.2.2", idle_interval_s=60.0)
    assert pause.is_over(version="30.2.1")


@pytest.mark.parametrize("errors", [[FORBIDDEN], [TIMEOUT, TIMEOUT]], ids=["forbidden", "timeout"])
async def test_a_pause_ends_when_it_is_told_to(errors: list[PollError]) -> None:
    pause = ReadPause()
    for error in errors:
        pause.note(error, version="30.2.1", idle_interval_s=60.0)
    assert not pause.is_over(version="30.2.1")
    pause.end()
    assert pause.is_over(version="30.2.1")
