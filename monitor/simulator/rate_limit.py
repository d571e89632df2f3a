"""The portal's rate limit: requests above the rate wait, those beyond the burst are refused. Pure but for its level."""

from math import ceil

from monitor.simulator.specs import RateLimit


class Bucket:
    """It leaks at the rate and holds the burst."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._level = 0.0
        self._at = 0.0

    def admit(self, now: float) -> float | None:
        """Seconds this request has to wait, or None: refused. ``now`` is monotonic."""
        self._level = max(0.0, self._level - (now - self._at) * self._limit.per_second)
        self._at = now
        if ceil(self._level) >= self._limit.burst:
            return None
        self._level += 1
        return (self._level - 1) / self._limit.per_second
