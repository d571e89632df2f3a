"""The health of a controller after each poll: health before and what happened, to health after. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from monitor.model.errors import LoginRefused, PollError, Reason
from monitor.model.health import DURATION_BOUNDS_S, ReadHealth, SessionHealth

K = TypeVar("K", bound=str)

_STILL_UPGRADING: frozenset[Reason] = frozenset({"connect", "timeout", "http_5xx"})
"""Failures during which an upgrade is assumed to go on: the Controller's portal goes away and comes back."""


def count_poll(before: SessionHealth, *, at: float, took_s: float) -> SessionHealth:
    """Count one poll, good or bad. ``at``: when it began, Unix seconds."""
    durations = list(before.durations)
    durations[bisect_left(DURATION_BOUNDS_S, took_s)] += 1
    return replace(
        before,
        attempted_at=at,
        polls=before.polls + 1,
        durations=tuple(durations),
        durations_sum_s=before.durations_sum_s + took_s,
    )


def poll_succeeded(before: SessionHealth) -> SessionHealth:
    """Clear every sign of failure; counters stay."""
    return replace(before, up=True, auth_suspended=False, upgrading=False, failed_in_a_row=0, reason=None, cause="")


def poll_failed(before: SessionHealth, error: PollError) -> SessionHealth:
    """
    Record a failed poll.

    A refused log-in suspends further ones. An upgrade lasts until a poll succeeds or fails for another reason than
    those of an upgrade.
    """
    reason = error.reason
    return replace(
        before,
        up=False,
        auth_suspended=isinstance(error, LoginRefused),
        upgrading=reason == "upgrading" or (before.upgrading and reason in _STILL_UPGRADING),
        failed_in_a_row=before.failed_in_a_row + 1,
        reason=reason,
        cause=f"{error.phase}: {error.detail}",
    )


def read_succeeded(before: ReadHealth, *, at: float, series_dropped: int = 0) -> ReadHealth:
    """Record that a complete list came at ``at``, Unix seconds. ``series_dropped``: of its objects, by the budgets."""
    return replace(before, stale=False, succeeded_at=at, series_dropped=before.series_dropped + series_dropped)


def read_failed(before: ReadHealth, reason: Reason) -> ReadHealth:
    """Count a failed read by its reason."""
    return replace(before, failures=count_occurrences(before.failures, [reason]))


def count_occurrences(before: Mapping[K, int], occurrences: Iterable[K]) -> Mapping[K, int]:
    """Add one for each occurrence. Returns ``before`` itself when there is none."""
    more = Counter(occurrences)
    return {**before, **{key: before.get(key, 0) + more[key] for key in more}} if more else before
