"""
Limits how often one source may present wrong credentials: a token bucket per source, in bounded memory.

Knows no request.
"""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Network, ip_address

_BURST = 10.0  # failures in a row: enough for a person who mistypes, too few for a dictionary
_REFILL_S = 6.0  # until one more attempt is allowed: 14,400 a day do not find a password
_MAX_SOURCES = 1024  # beyond it the source that was silent longest is forgotten


class FailureThrottle:
    """``clock``: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When the bucket of each source will be full again."""

    def acquire(self, source: str) -> float:
        """Use up one attempt before the credential is checked; return 0, or the seconds to wait when none is left."""
        now = self._clock()
        full_at = max(now, self._full_at.get(source, 0.0)) + _REFILL_S
        wait_s = round(full_at - now - _BURST * _REFILL_S, 6)  # a rounding error must not become a wait
        if wait_s > 0.0:
            full_at -= _REFILL_S
        self._full_at[source] = full_at
        self._full_at.move_to_end(source)
        if len(self._full_at) > _MAX_SOURCES:
            self._full_at.popitem(last=False)
        return max(0.0, wait_s)

    def refund(self, source: str) -> None:
        """Give an attempt back: the credential was right."""
        if source in self._full_at:
            self._full_at[source] -= _REFILL_S

    def __len__(self) -> int:
        return len(self._full_at)


def source_of(remote: str | None) -> str:
    """What an address is counted as: an IPv4 address as itself, an IPv6 address as its /64, which is one subscriber."""
    try:
        address = ip_address(remote or "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((int(address), 64), strict=False))
