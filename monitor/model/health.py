"""How polling one controller goes: its session, and the read of each kind of object."""

from collections.abc import Mapping

import msgspec

from monitor.model.errors import Reason

DURATION_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram of poll durations, up to the default timeout of one request."""


class SessionHealth(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    The session with one controller and its polls: the last facts, and the counts since start.

    ``up``: whether the last poll was good, which the read of the first resource decides.
    """

    up: bool = False
    auth_suspended: bool = False
    upgrading: bool = False
    version: str = ""
    api_version: str = ""
    interval_s: float = 0.0
    attempted_at: float | None = None
    polls: int = 0
    failed_in_a_row: int = 0
    reason: Reason | None = None
    """Why the last poll failed; None when it was good."""
    cause: str = ""
    """The same in words, for people: clipped foreign text."""
    durations: tuple[int, ...] = (0,) * (len(DURATION_BOUNDS_S) + 1)
    """How many polls took at most the bound of the same place, and more than the one before; the last: longer."""
    durations_sum_s: float = 0.0
    logins: int = 0
    certificate_expires_at: float | None = None
    tls_insecure: bool = False


class ReadHealth(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    The read of one kind of object of one controller: the last facts, and the counts since start.

    ``stale``: the last good read is so old that its objects were withdrawn.
    """

    stale: bool = False
    succeeded_at: float | None = None
    failures: Mapping[Reason, int] = {}
    bad_objects: int = 0
    series_dropped: int = 0
    unknown_values: Mapping[str, int] = {}
