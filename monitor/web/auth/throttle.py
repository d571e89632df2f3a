"""
Limits how often something may happen, by who causes it: a token bucket for each, in bounded memory. Knows no request.

Used for the wrong credentials of a source, for the changes of a caller, and for the requests of all clients together.
"""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Network, ip_address

_MAX_KEYS = 1024  # beyond it the one that was silent longest is forgotten


class Throttle:
    """
    ``clock``: monotonic seconds. ``burst``: how often something may happen at once. ``refill_s``: until it may happen
    once more.
    """

    def __init__(self, clock: Callable[[], float], *, burst: int, refill_s: float) -> None:
        self._clock = clock
        self._burst_s = burst * refill_s
        self._refill_s = refill_s
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When the bucket of each key will be full again."""

    def acquire(self, key: str) -> float:
        """Take one; return 0, or the seconds to wait when none is left."""
        now = self._clock()
        full_at = max(now, self._full_at.get(key, 0.0)) + self._refill_s
        wait_s = round(full_at - now - self._burst_s, 6)  # a rounding error must not become a wait
        if wait_s > 0.0:
            full_at -= self._refill_s
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > _MAX_KEYS:
            self._full_at.popitem(last=False)
        return max(0.0, wait_s)

    def refund(self, key: str) -> None:
        """Give one back."""
        if key in self._full_at:
            self._full_at[key] -= self._refill_s

    def __len__(self) -> int:
        return len(self._full_at)


def source_of(client: str) -> str:
    """What an address is counted as: an IPv4 address as itself, an IPv6 address as its /64, which is one subscriber."""
    try:
        address = ip_address(client)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((int(address), 64), strict=False))
