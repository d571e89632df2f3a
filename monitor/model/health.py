"""The health of polling one controller: of its session, and of the reads of each resource."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from monitor.model.errors import Reason

DURATION_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of poll durations, up to the default timeout of one request."""


class SessionHealth(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    The session with one controller, and its polls. Counters are since the start of the daemon.

    ``up``: whether the last poll was good, that is, whether the read of the first resource succeeded.
    ``upgrading``: whether an upgrade is the reason why the last poll failed, or, if it was good, keeps the controller
    from changes. ``under_way``: whether the Controllers may be gone at any time because of one: so it was at the last
    good poll, or one of them said it since.
    ``attempted_at``: when the last poll began. ``failing_since``: when the first began of those that failed in a row.
    ``held_until``: until when objects are shown while the Controllers are gone because they are upgraded; None when
    they are not, or nothing is known. ``certificate_expires_at``: of the certificate that the Controller presented
    last. All in Unix seconds.
    """

    EACH_POLL: ClassVar[tuple[str, ...]] = ("attempted_at", "polls", "durations", "durations_sum_s")
    """The fields that every good poll changes."""

    up: bool = False
    auth_suspended: bool = False
    upgrading: bool = False
    under_way: bool = False
    version: str = ""
    api_version: str = ""
    interval_s: float = 0.0
    attempted_at: float | None = None
    polls: int = 0
    failed_in_a_row: int = 0
    failing_since: float | None = None
    held_until: float | None = None
    reason: Reason | None = None
    """Why the last poll failed; None when it was good."""
    cause: str = ""
    """The same as text for operators; may contain shortened text of the Controller."""
    durations: tuple[int, ...] = (0,) * (len(DURATION_BOUNDS_S) + 1)
    """How many polls are in each bucket of `DURATION_BOUNDS_S`, not cumulative; the last bucket has no bound."""
    durations_sum_s: float = 0.0
    logins: int = 0
    certificate_expires_at: float | None = None
    clock_ahead_s: float | None = None
    """By how much the Controller's clock was ahead of ours at the last good log-in; None: not known."""
    tls_insecure: bool = False

    @property
    def away(self) -> bool:
        """Whether the Controllers are gone because they are upgraded."""
        return self.under_way and not self.up


class ReadHealth(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    The reads of one resource of one controller. Counters are since the start of the daemon.

    ``stale``: the last good read is so old that its objects were withdrawn. ``readable``: whether the Controller lets
    this monitor read the objects; None while that is not known. ``succeeded_at``: when the last good read ended, Unix
    seconds. ``bad_objects``: how many objects could not be decoded, added up over all reads.
    ``unknown_values``: how many unknown values were read, by field.
    """

    EACH_POLL: ClassVar[tuple[str, ...]] = ("succeeded_at",)
    """The fields that every good read changes."""

    stale: bool = False
    readable: bool | None = None
    succeeded_at: float | None = None
    reason: Reason | None = None
    """Why the last read failed; None when it was good."""
    failures: Mapping[Reason, int] = {}
    bad_objects: int = 0
    series_dropped: int = 0
    unknown_values: Mapping[str, int] = {}
