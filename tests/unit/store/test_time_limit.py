"""The time limit of a database: kept while the event loop runs, not used up while the process is paused."""

import asyncio
import time

import pytest

from monitor.store.time_limit import time_limit
from tests.support.limits import WAIT_TIMEOUT_S


async def test_what_takes_too_long_is_cancelled() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(WAIT_TIMEOUT_S) as outer, time_limit(0.05):
            await asyncio.Event().wait()
    assert not outer.expired()


async def test_without_a_limit_nothing_is_cancelled() -> None:
    async with time_limit(None):
        await asyncio.sleep(0)


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
async def test_an_error_of_the_block_is_raised_as_it_is(error: type[BaseException]) -> None:
    with pytest.raises(error):
        async with time_limit(WAIT_TIMEOUT_S):
            raise error


async def test_a_pause_of_the_process_is_not_taken_for_a_slow_database() -> None:
    loop = asyncio.get_running_loop()
    reply = loop.create_future()
    async with time_limit(0.5):
        loop.call_soon(time.sleep, 0.6)  # the pause
        loop.call_later(0.01, reply.set_result, "rows")
        assert await reply == "rows"
