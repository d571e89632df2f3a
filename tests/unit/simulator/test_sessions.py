"""Accounts, sessions, CSRF tokens and lock-outs, without a socket."""

import pytest

from monitor.simulator.http_types import ApiError, HttpRequest
from monitor.simulator.random_values import SeededRandom
from monitor.simulator.sessions import NotAuthenticated, Session, Sessions
from monitor.simulator.specs import Account, ControllerSpec

ADMIN = Account(username="admin", password="pw", token="tok")


class ManualClock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def sessions(hand: ManualClock | None = None, *, spec: ControllerSpec | None = None, secure: bool = False) -> Sessions:
    return Sessions(spec or ControllerSpec(name="c"), [ADMIN], SeededRandom("7"), hand or ManualClock(), secure=secure)


def cookies(session: Session) -> dict[str, str]:
    return {"sessionid": session.session_id}


def write(session: Session, **headers: str) -> HttpRequest:
    return HttpRequest("PATCH", "/api/image/x", headers=headers, cookies=cookies(session))


@pytest.mark.parametrize("secret", ["pw", "tok"], ids=["password", "token"])
def test_log_in_succeeds_with_password_or_token(secret: str) -> None:
    state = sessions()
    session = state.log_in("admin", secret)
    assert (state.find(cookies(session)), state.logins) == (session, 1)


@pytest.mark.parametrize(("username", "secret"), [("admin", "no"), ("unknown", "pw"), ("admin", "")])
def test_a_failed_log_in_is_rejected_and_counted(username: str, secret: str) -> None:
    state = sessions()
    with pytest.raises(ApiError, match="Invalid credentials"):
        state.log_in(username, secret)
    assert (state.logins, state.failed_logins, state.active) == (0, 1, {})


def fail(state: Sessions, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ApiError):
            state.log_in("admin", "wrong")


def test_too_many_failures_lock_the_account_even_for_the_right_password() -> None:
    state = sessions(spec=ControllerSpec(name="c", lock_after=3))
    fail(state, 3)
    assert state.locked("admin")
    with pytest.raises(ApiError, match="locked"):
        state.log_in("admin", "pw")


def test_a_lock_ends_after_its_time() -> None:
    hand = ManualClock()
    state = sessions(hand, spec=ControllerSpec(name="c", lock_after=3, lock_s=60.0))
    fail(state, 3)
    hand.at += 61
    assert state.log_in("admin", "pw").session_id in state.active


def test_a_successful_log_in_resets_the_count_of_failures() -> None:
    state = sessions(spec=ControllerSpec(name="c", lock_after=3))
    fail(state, 2)
    state.log_in("admin", "pw")
    fail(state, 2)
    assert not state.locked("admin")


def test_a_session_that_is_idle_too_long_ends() -> None:
    hand = ManualClock()
    state = sessions(hand)
    session = state.log_in("admin", "pw")
    hand.at += 15 * 60 + 1
    assert (state.find(cookies(session)), state.active) == (None, {})


def test_a_session_in_use_ends_after_a_day() -> None:
    hand = ManualClock()
    state = sessions(hand)
    session = state.log_in("admin", "pw")
    alive = 0
    while state.find(cookies(session)):
        hand.at += 14 * 60
        alive += 14
    assert 24 * 60 < alive < 25 * 60


def test_beyond_max_sessions_the_oldest_session_ends() -> None:
    state = sessions(spec=ControllerSpec(name="c", max_sessions=1))
    first, second = state.log_in("admin", "pw"), state.log_in("admin", "pw")
    assert (state.find(cookies(first)), state.find(cookies(second))) == (None, second)


def test_a_write_needs_the_csrf_token_and_a_referer() -> None:
    state = sessions()
    session = state.log_in("admin", "pw")
    assert state.authenticate(write(session, **{"X-CSRFToken": session.csrf, "Referer": "https://c"})) is session


@pytest.mark.parametrize("missing", ["X-CSRFToken", "Referer"])
def test_a_write_without_csrf_token_or_referer_is_rejected_with_its_session(missing: str) -> None:
    state = sessions()
    session = state.log_in("admin", "pw")
    headers = {"X-CSRFToken": session.csrf, "Referer": "https://c"}
    with pytest.raises(NotAuthenticated, match="CSRF token missing or incorrect") as caught:
        state.authenticate(write(session, **{name: value for name, value in headers.items() if name != missing}))
    assert caught.value.session is session


def test_a_read_needs_no_csrf_token() -> None:
    state = sessions()
    session = state.log_in("admin", "pw")
    assert state.authenticate(HttpRequest("GET", "/api/image", cookies=cookies(session))) is session


def test_after_a_rotation_only_the_new_csrf_token_is_valid() -> None:
    state = sessions()
    session = state.log_in("admin", "pw")
    old = session.csrf
    state.rotate_csrf()
    with pytest.raises(NotAuthenticated):
        state.authenticate(write(session, **{"X-CSRFToken": old, "Referer": "https://c"}))
    assert f"csrftoken={session.csrf}" in session.cookies[0][1]


def test_a_switched_session_is_valid_only_with_its_new_cookies() -> None:
    state = sessions()
    old = state.log_in("admin", "pw")
    new = state.switch(old)
    assert (state.find(cookies(old)), state.find(cookies(new)), state.logins) == (None, new, 1)


def test_log_out_ends_one_session_and_expire_ends_all() -> None:
    state = sessions()
    first, second = state.log_in("admin", "pw"), state.log_in("admin", "pw")
    state.log_out(first)
    assert list(state.active) == [second.session_id]
    state.expire()
    assert (state.active, state.logouts) == ({}, 1)


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
def test_cookies_are_secure_only_over_https(*, secure: bool) -> None:
    session = sessions(secure=secure).log_in("admin", "pw")
    assert [text.partition("=")[0] for _, text in session.cookies] == ["csrftoken", "avi-sessionid", "sessionid"]
    assert all(("Secure" in text) is secure for _, text in session.cookies)
