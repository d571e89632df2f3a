"""A time limit for a database that runs only while the event loop does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

TICKS: Final = 10  # parts of a limit; a pause uses up one of them


@asynccontextmanager
async def time_limit(limit_s: float | None) -> AsyncIterator[None]:
    """
    Raise TimeoutError in the block after ``limit_s`` seconds; None: never.

    A pause of the whole process uses up a tenth of the limit at most, however long it is: of a virtual machine that is
    moved, or of a machine that writes to a slow disk. The reply of the database may be there when it goes on.
    """
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def tick(left: int) -> None:
        nonlocal timer
        if left:
            timer = loop.call_later((limit_s or 0.0) / TICKS, tick, left - 1)
        else:
            timeout.reschedule(loop.time())

    async with asyncio.timeout(None) as timeout:
        if limit_s is not None:
            tick(TICKS)
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
