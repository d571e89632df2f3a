"""The rate limit of the portal: requests above the rate are delayed, those beyond the burst are rejected. No clock."""

from math import ceil

from monitor.simulator.specs import RateLimit


class LeakyBucket:
    """Empties at the rate and holds the burst."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._level = 0.0
        self._updated_at = 0.0

    def reserve(self, now: float) -> float | None:
        """Return how many seconds this request has to wait; None: reject it. ``now`` is monotonic."""
        self._level = max(0.0, self._level - (now - self._updated_at) * self._limit.per_second)
        self._updated_at = now
        if ceil(self._level) >= self._limit.burst:
            return None
        self._level += 1
        return (self._level - 1) / self._limit.per_second
