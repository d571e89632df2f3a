"""How many polls run at once, and how long one waits after failures."""

import asyncio
from random import Random  # noqa: TID251  the type of an argument; app.py makes the one there is

from monitor.model import Health, Reason

_SILENT: frozenset[Reason | None] = frozenset({"dns", "connect", "tls", "timeout"})


class Slots:
    """
    How many polls run at once.

    Controllers that gave no answer twice in a row share a small pool, so that they starve none; a refusal comes at once
    and holds no place, and who failed once has one fair try among the healthy.
    """

    def __init__(self, concurrency: int) -> None:
        self._healthy = asyncio.Semaphore(concurrency)
        self._failing = asyncio.Semaphore(max(1, concurrency // 8))

    def of(self, health: Health) -> asyncio.Semaphore:
        """The pool that a controller of this health draws on."""
        silent = health.failed_in_a_row > 1 and health.reason in _SILENT
        return self._failing if silent else self._healthy


def backoff_s(failures: int, rng: Random, *, least_s: float, most_s: float) -> float:
    """How long to wait after so many failures in a row: exponential with full jitter, so that a fleet never marches."""
    return rng.uniform(0, min(most_s, least_s * 2 ** min(failures, 32)))
