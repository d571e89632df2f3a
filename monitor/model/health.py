"""How polling one controller goes."""

from collections.abc import Mapping

import msgspec

from monitor.model.errors import Reason

DURATION_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram of poll durations, up to the default deadline of one request."""


class Health(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How polling one controller goes: the last facts, and the running counts since start."""

    up: bool = False
    stale: bool = False
    auth_suspended: bool = False
    upgrading: bool = False
    version: str = ""
    api_version: str = ""
    interval_s: float = 0.0
    attempted_at: float | None = None
    succeeded_at: float | None = None
    polls: int = 0
    failed_in_a_row: int = 0
    reason: Reason | None = None
    """Why the last poll failed; None when it was good."""
    cause: str = ""
    """The same in words, for people: clipped foreign text."""
    failures: Mapping[Reason, int] = {}
    durations: tuple[int, ...] = (0,) * (len(DURATION_BOUNDS_S) + 1)
    """How many polls took at most the bound of the same place, and more than the one before; the last: longer."""
    durations_sum_s: float = 0.0
    logins: int = 0
    bad_images: int = 0
    series_dropped: int = 0
    unknown_values: Mapping[str, int] = {}
    certificate_expires_at: float | None = None
    tls_insecure: bool = False
