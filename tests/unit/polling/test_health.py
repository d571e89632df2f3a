"""SessionHealth, poll by poll."""

from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from monitor.model.errors import (
    BadAnswer,
    BadStatus,
    LoginRefused,
    PollError,
    Reason,
    Unanswered,
    Unavailable,
    Unreachable,
)
from monitor.model.health import ReadHealth, SessionHealth
from monitor.polling.health import (
    count_occurrences,
    count_poll,
    excuse,
    poll_failed,
    poll_succeeded,
    read_failed,
    read_succeeded,
)
from tests.support.strategies import BOUNDED

Step = Callable[[SessionHealth], SessionHealth]

GOOD = SessionHealth(up=True)
UPGRADING = poll_failed(GOOD, Unavailable("upgrading", "503"))


def test_a_poll_is_counted_when_it_began() -> None:
    health = count_poll(SessionHealth(polls=4), at=1700.0, took_s=0.2)

    assert (health.polls, health.attempted_at) == (5, 1700.0)


@pytest.mark.parametrize(
    ("took_s", "place"),
    [
        pytest.param(0.0, 0, id="no time at all"),
        pytest.param(0.01, 0, id="exactly the first bound"),
        pytest.param(0.011, 1, id="just over the first bound"),
        pytest.param(0.3, 5, id="in the middle"),
        pytest.param(10.0, 9, id="exactly the last bound"),
        pytest.param(10.1, 10, id="longer than any bound"),
    ],
)
def test_a_duration_is_counted_at_the_first_bound_that_holds_it(took_s: float, place: int) -> None:
    durations = count_poll(SessionHealth(), at=0.0, took_s=took_s).durations

    assert durations == tuple(int(each == place) for each in range(11))


def test_durations_add_up() -> None:
    assert count_poll(count_poll(SessionHealth(), at=0.0, took_s=0.25), at=1.0, took_s=0.5).durations_sum_s == 0.75


def test_a_good_poll_is_up_and_clears_every_complaint() -> None:
    before = SessionHealth(
        auth_suspended=True, upgrading=True, under_way=True, failed_in_a_row=3, reason="auth", cause="login: 401"
    )

    assert poll_succeeded(before) == SessionHealth(up=True)


def test_a_good_poll_forgets_no_count() -> None:
    before = SessionHealth(polls=7, logins=1)

    assert poll_succeeded(before) == replace(before, up=True)


def test_a_failed_poll_is_down() -> None:
    assert not poll_failed(GOOD, Unreachable("dns", "no such host")).up


def test_a_failed_read_is_counted_by_reason_and_keeps_all_else() -> None:
    before = ReadHealth(succeeded_at=100.0, failures={"dns": 1, "tls": 1})

    assert read_failed(before, "dns") == ReadHealth(succeeded_at=100.0, reason="dns", failures={"dns": 2, "tls": 1})


@pytest.mark.parametrize("reason", ["forbidden", "absent"])
def test_what_cannot_be_read_at_all_is_not_stale(reason: Reason) -> None:
    before = ReadHealth(stale=True, readable=True, succeeded_at=100.0)

    after = read_failed(before, reason)

    assert after == ReadHealth(readable=False, succeeded_at=100.0, reason=reason, failures={reason: 1})
    assert read_failed(after, "http_5xx").readable is False, "a failure tells nothing of what may be read"
    assert read_succeeded(after, at=200.0).readable


def test_a_good_read_is_not_stale_and_forgets_no_count() -> None:
    counts = ReadHealth(failures={"dns": 2}, bad_objects=3, series_dropped=4, unknown_values={"time": 5})
    before = replace(counts, stale=True, reason="dns")

    assert read_succeeded(before, at=9.0) == replace(counts, readable=True, succeeded_at=9.0)


def test_failures_in_a_row_are_counted() -> None:
    error = Unreachable("timeout", "10 s")

    assert poll_failed(poll_failed(GOOD, error), error).failed_in_a_row == 2


def test_a_spell_of_failures_began_with_the_first_of_them() -> None:
    health = GOOD
    for at in (10.0, 20.0):
        health = poll_failed(count_poll(health, at=at, took_s=1.0), PollError("connect", "refused"))
    assert health.failing_since == 10.0
    again = poll_succeeded(count_poll(health, at=30.0, took_s=1.0))
    assert again.failing_since is None
    assert poll_failed(count_poll(again, at=40.0, took_s=1.0), PollError("connect", "refused")).failing_since == 40.0


def test_a_refused_log_in_suspends() -> None:
    assert poll_failed(GOOD, LoginRefused("auth", "401", phase="login")).auth_suspended


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unreachable("connect", "refused"), id="nothing listened"),
        pytest.param(BadStatus("auth", "401"), id="a session was refused, no password"),
    ],
)
def test_a_failure_of_another_kind_does_not_suspend(error: PollError) -> None:
    assert not poll_failed(GOOD, error).auth_suspended


def test_a_failed_poll_says_why_in_words() -> None:
    health = poll_failed(GOOD, Unavailable("throttled", "429 slow down", phase="login"))

    assert (health.reason, health.cause) == ("throttled", "login: 429 slow down")


def test_a_controller_that_says_so_is_upgrading() -> None:
    assert UPGRADING.upgrading


@pytest.mark.parametrize("reason", get_args(Reason))
def test_an_upgrade_is_under_way_until_a_poll_is_good(reason: Reason) -> None:
    after = poll_failed(UPGRADING, PollError(reason, ""))
    assert (after.under_way, after.away) == (True, True)
    assert after.upgrading == (reason == "upgrading"), "it is no excuse for another failure"


@pytest.mark.parametrize("reason", ["connect", "timeout", "http_5xx"])
def test_a_portal_that_is_away_is_no_upgrade_by_itself(reason: Reason) -> None:
    assert not poll_failed(GOOD, PollError(reason, "")).upgrading


def test_an_upgrade_ends_with_a_good_poll() -> None:
    after = poll_succeeded(UPGRADING)
    assert (after.upgrading, after.under_way, after.away) == (False, False, False)


def test_an_upgrade_that_the_units_tell_of_is_under_way_and_nothing_is_away() -> None:
    after = poll_succeeded(GOOD, under_way=True)
    assert (after.upgrading, after.under_way, after.away) == (True, True, False)


def test_an_outage_while_only_service_engines_are_upgraded_is_not_taken_for_the_upgrade() -> None:
    blocked = poll_succeeded(GOOD, blocked=True)
    assert (blocked.upgrading, blocked.under_way) == (True, False)

    after = poll_failed(blocked, Unreachable("connect", "refused"))
    assert (after.upgrading, after.under_way, after.away) == (False, False, False)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unreachable("connect", "refused", phase="version"), id="nothing listens"),
        pytest.param(Unanswered("timeout", "10 s"), id="no reply"),
        pytest.param(BadStatus("http_5xx", "502", status=502, retry_after_s=3.0), id="a gateway"),
        pytest.param(BadAnswer("decode", "a page", may_be_upgrade=True), id="a page of HTML"),
        pytest.param(Unreachable("tls", "EOF", may_be_upgrade=True), id="a handshake that was cut off"),
    ],
)
def test_what_may_be_an_upgrade_is_excused(error: PollError) -> None:
    excused = excuse(error)
    assert (excused.reason, excused.detail, excused.phase) == ("upgrading", error.detail, error.phase)
    assert (excused.status, excused.retry_after_s) == (error.status, error.retry_after_s)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unreachable("tls", "self-signed certificate"), id="another identity"),
        pytest.param(Unreachable("dns", "no such host"), id="no address"),
        pytest.param(LoginRefused("auth", "401"), id="a refused password"),
        pytest.param(BadStatus("http_4xx", "404", status=404), id="another API"),
        pytest.param(BadAnswer("oversize", "too much"), id="too large"),
    ],
)
def test_an_upgrade_excuses_nothing_else(error: PollError) -> None:
    assert excuse(error) is error


def test_occurrences_are_added_up() -> None:
    assert count_occurrences({"time": 1, "type": 1}, ["time", "tasks", "time"]) == {"time": 3, "type": 1, "tasks": 1}


def test_counting_changes_no_earlier_count() -> None:
    before = {"time": 1}

    count_occurrences(before, ["time"])

    assert before == {"time": 1}


def test_without_an_occurrence_the_counts_are_the_same_mapping() -> None:
    before = {"time": 1}

    assert count_occurrences(before, []) is before


REASONS: tuple[Reason, ...] = ("dns", "connect", "timeout", "auth", "upgrading", "http_5xx", "decode")
ERRORS = (
    *(PollError(reason, "detail") for reason in REASONS),
    BadStatus("http_4xx", "404"),
)


def good_poll(took_s: float) -> Step:
    return lambda health: poll_succeeded(count_poll(health, at=0.0, took_s=took_s))


def bad_poll(took_s: float, error: PollError) -> Step:
    return lambda health: poll_failed(count_poll(health, at=0.0, took_s=took_s), error)


seconds = st.floats(0, 100) | st.sampled_from([0.01, 0.1, 10.0])
polls = st.builds(good_poll, seconds) | st.builds(bad_poll, seconds, st.sampled_from(ERRORS))


def counters(health: SessionHealth) -> list[float]:
    return [health.polls, *health.durations, health.durations_sum_s]


@BOUNDED
@given(st.lists(polls, max_size=30))
def test_counters_never_fall(steps: list[Step]) -> None:
    health = SessionHealth()
    for step in steps:
        before, health = health, step(health)
        assert all(old <= new for old, new in zip(counters(before), counters(health), strict=True))


@BOUNDED
@given(st.lists(polls, max_size=30))
def test_every_poll_is_in_one_bucket(steps: list[Step]) -> None:
    health = SessionHealth()
    for step in steps:
        health = step(health)

    assert sum(health.durations) == health.polls == len(steps)


@BOUNDED
@given(st.lists(polls, max_size=30))
def test_a_controller_is_up_exactly_when_no_failure_came_since_the_last_good_poll(steps: list[Step]) -> None:
    health = SessionHealth()
    for step in steps:
        health = step(health)

    assert health.up is (health.failed_in_a_row == 0 and bool(steps))
