"""The health of a controller after each poll: health before and what happened, to health after. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from monitor.model.errors import UNREADABLE, LoginRefused, PollError, Reason, Unavailable
from monitor.model.health import DURATION_BOUNDS_S, ReadHealth, SessionHealth

K = TypeVar("K", bound=str)


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


def poll_succeeded(before: SessionHealth, *, under_way: bool = False, blocked: bool = False) -> SessionHealth:
    """
    Clear every sign of failure; counters stay.

    ``under_way``: as in `SessionHealth`. ``blocked``: whether an upgrade of the whole system goes on, during which the
    Controllers stay.
    """
    return replace(
        before,
        up=True,
        auth_suspended=False,
        upgrading=under_way or blocked,
        under_way=under_way,
        failed_in_a_row=0,
        failing_since=None,
        held_until=None,
        reason=None,
        cause="",
    )


def excuse(error: PollError) -> PollError:
    """Return a failure while the Controllers are upgraded: if that may be the reason, it counts as such."""
    if not error.may_be_upgrade or error.reason == "upgrading":
        return error
    wait_s = error.retry_after_s
    return Unavailable("upgrading", error.detail, phase=error.phase, status=error.status, retry_after_s=wait_s)


def poll_failed(before: SessionHealth, error: PollError) -> SessionHealth:
    """
    Record a failed poll, after it was counted.

    A refused log-in suspends further ones. An upgrade that was under way is so until a poll succeeds, but it is no
    excuse for a failure of another kind. What else it keeps from changes is not known meanwhile.
    """
    reason = error.reason
    return replace(
        before,
        up=False,
        auth_suspended=isinstance(error, LoginRefused),
        upgrading=reason == "upgrading",
        under_way=before.under_way or reason == "upgrading",
        failed_in_a_row=before.failed_in_a_row + 1,
        failing_since=before.failing_since if before.failed_in_a_row else before.attempted_at,
        reason=reason,
        cause=f"{error.phase}: {error.detail}",
    )


def read_succeeded(before: ReadHealth, *, at: float, series_dropped: int = 0) -> ReadHealth:
    """Record that a complete list came at ``at``, Unix seconds. ``series_dropped``: of its objects, by the budgets."""
    dropped = before.series_dropped + series_dropped
    return replace(before, stale=False, readable=True, succeeded_at=at, reason=None, series_dropped=dropped)


def read_failed(before: ReadHealth, reason: Reason) -> ReadHealth:
    """Count a failed read by its reason. What cannot be read at all is not stale."""
    after = replace(before, reason=reason, failures=count_occurrences(before.failures, [reason]))
    return replace(after, stale=False, readable=False) if reason in UNREADABLE else after


def count_occurrences(before: Mapping[K, int], occurrences: Iterable[K]) -> Mapping[K, int]:
    """Add one for each occurrence. Returns ``before`` itself when there is none."""
    more = Counter(occurrences)
    return {**before, **{key: before.get(key, 0) + more[key] for key in more}} if more else before
