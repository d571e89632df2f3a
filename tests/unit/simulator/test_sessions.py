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
def test_who_knows_the_secret_comes_in(secret: str) -> None:
    state = sessions()
    session = state.log_in("admin", secret)
    assert (state.find(cookies(session)), state.logins) == (session, 1)


@pytest.mark.parametrize(("username", "secret"), [("admin", "no"), ("nobody", "pw"), ("admin", "")])
def test_who_does_not_is_refused_and_counted(username: str, secret: str) -> None:
    state = sessions()
    with pytest.raises(ApiError, match="Invalid credentials"):
        state.log_in(username, secret)
    assert (state.logins, state.failed_logins, state.active) == (0, 1, {})


def fail(state: Sessions, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ApiError):
            state.log_in("admin", "wrong")


def test_too_many_failures_lock_the_account_for_the_right_password_too() -> None:
    state = sessions(spec=ControllerSpec(name="c", lock_after=3))
    fail(state, 3)
    assert state.locked("admin")
    with pytest.raises(ApiError, match="locked"):
        state.log_in("admin", "pw")


def test_a_lock_opens_by_itself() -> None:
    hand = ManualClock()
    state = sessions(hand, spec=ControllerSpec(name="c", lock_after=3, lock_s=60.0))
    fail(state, 3)
    hand.at += 61
    assert state.log_in("admin", "pw").session_id in state.active


def test_a_log_in_that_succeeds_wipes_out_the_failures_before_it() -> None:
    state = sessions(spec=ControllerSpec(name="c", lock_after=3))
    fail(state, 2)
    state.log_in("admin", "pw")
    fail(state, 2)
    assert not state.locked("admin")


def test_a_session_that_idles_too_long_is_gone() -> None:
    hand = ManualClock()
    state = sessions(hand)
    session = state.log_in("admin", "pw")
    hand.at += 15 * 60 + 1
    assert (state.find(cookies(session)), state.active) == (None, {})


def test_a_session_that_is_used_lives_on_up_to_a_day() -> None:
    hand = ManualClock()
    state = sessions(hand)
    session = state.log_in("admin", "pw")
    alive = 0
    while state.find(cookies(session)):
        hand.at += 14 * 60
        alive += 14
    assert 24 * 60 < alive < 25 * 60


def test_the_oldest_session_makes_room_where_their_number_is_limited() -> None:
    state = sessions(spec=ControllerSpec(name="c", max_sessions=1))
    first, second = state.log_in("admin", "pw"), state.log_in("admin", "pw")
    assert (state.find(cookies(first)), state.find(cookies(second))) == (None, second)


def test_a_write_needs_the_csrf_token_and_a_referer() -> None:
    state = sessions()
    session = state.log_in("admin", "pw")
    assert state.authenticate(write(session, **{"X-CSRFToken": session.csrf, "Referer": "https://c"})) is session


@pytest.mark.parametrize("missing", ["X-CSRFToken", "Referer"])
def test_a_write_without_them_finds_the_session_but_no_entrance(missing: str) -> None:
    state = sessions()
    session = state.log_in("admin", "pw")
    headers = {"X-CSRFToken": session.csrf, "Referer": "https://c"}
    with pytest.raises(NotAuthenticated, match="CSRF token missing or incorrect") as refused:
        state.authenticate(write(session, **{name: value for name, value in headers.items() if name != missing}))
    assert refused.value.session is session


def test_a_read_needs_no_csrf_token() -> None:
    state = sessions()
    session = state.log_in("admin", "pw")
    assert state.authenticate(HttpRequest("GET", "/api/image", cookies=cookies(session))) is session


def test_after_a_rotation_only_the_new_token_counts() -> None:
    state = sessions()
    session = state.log_in("admin", "pw")
    old = session.csrf
    state.rotate_csrf()
    with pytest.raises(NotAuthenticated):
        state.authenticate(write(session, **{"X-CSRFToken": old, "Referer": "https://c"}))
    assert f"csrftoken={session.csrf}" in session.cookies[0][1]


def test_a_switched_session_goes_on_under_other_cookies_only() -> None:
    state = sessions()
    old = state.log_in("admin", "pw")
    new = state.switch(old)
    assert (state.find(cookies(old)), state.find(cookies(new)), state.logins) == (None, new, 1)


def test_to_log_out_ends_one_session_and_to_expire_ends_all() -> None:
    state = sessions()
    first, second = state.log_in("admin", "pw"), state.log_in("admin", "pw")
    state.log_out(first)
    assert list(state.active) == [second.session_id]
    state.expire()
    assert (state.active, state.logouts) == ({}, 1)


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
def test_cookies_are_secure_only_where_they_would_come_back(*, secure: bool) -> None:
    session = sessions(secure=secure).log_in("admin", "pw")
    assert [text.partition("=")[0] for _, text in session.cookies] == ["csrftoken", "avi-sessionid", "sessionid"]
    assert all(("Secure" in text) is secure for _, text in session.cookies)
