"""How often credentials may be wrong, by source: a bucket each, filled slowly, in bounded memory. Knows no request."""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Network, ip_address

_MOST = 10.0  # wrong ones in a row: a person's evening, no dictionary
_EACH_S = 6.0  # until one comes back: 14,400 a day, from which nobody guesses a bcrypt password
_SOURCES = 1024  # the longest silent goes first, and with it at most its own count


class FailureThrottle:
    """``clock``: seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, source: str) -> float:
        """Count one try before it is looked at; or give the seconds to wait, when there is none left."""
        now = self._clock()
        full_at = max(now, self._full_at.get(source, 0.0)) + _EACH_S
        wait_s = round(full_at - now - _MOST * _EACH_S, 6)  # a rounding is no wait
        if wait_s > 0.0:
            full_at -= _EACH_S
        self._full_at[source] = full_at
        self._full_at.move_to_end(source)
        if len(self._full_at) > _SOURCES:
            self._full_at.popitem(last=False)
        return max(0.0, wait_s)

    def give_back(self, source: str) -> None:
        """It was no failure."""
        if source in self._full_at:
            self._full_at[source] -= _EACH_S

    def __len__(self) -> int:
        return len(self._full_at)


def source_of(remote: str | None) -> str:
    """Whom an address stands for: an IPv4 address for itself, an IPv6 one for its /64, which is one subscriber's."""
    try:
        address = ip_address(remote or "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((int(address), 64), strict=False))
