"""How many requests or transactions are under way."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class InFlight:
    """Counts what is under way, and lets a task wait until nothing is."""

    def __init__(self) -> None:
        self._count = 0
        self._idle = asyncio.Event()

    def __bool__(self) -> bool:
        return self._count > 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the block as under way."""
        self._count += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._idle.set()

    async def wait_idle(self) -> None:
        """Wait until nothing is under way. What begins in the step in which the last one ended is waited for, too."""
        while self._count:
            await self._idle.wait()
