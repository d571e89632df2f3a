"""What a reply to a log-in says beside the version: of the account, and of the Controller's clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.avi.login import AccountFacts, clock_ahead_s, decode_account
from tests.support.strategies import BOUNDED

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
MOMENT = 784111777.0


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        pytest.param(
            b'{"user": {"is_superuser": false}, "tenants": [{"name": "admin"}, {"name": "t1", "local": true}]}',
            AccountFacts(superuser=False, tenants=("admin", "t1")),
            id="both",
        ),
        pytest.param(b'{"user": {"is_superuser": true}}', AccountFacts(superuser=True), id="without-tenants"),
        pytest.param(b'{"user": {"name": "x"}, "tenants": [{}]}', AccountFacts(), id="without-what-is-read"),
        pytest.param(b'{"tenants": [{"name": "t"}]}', AccountFacts(tenants=("t",)), id="without-user"),
        pytest.param(b'{"user": "x"}', AccountFacts(), id="of-other-types"),
        pytest.param(b"<html>", AccountFacts(), id="no-json"),
    ],
)
def test_a_log_in_reply_says_what_the_account_is(body: bytes, facts: AccountFacts) -> None:
    assert decode_account(body) == facts


@BOUNDED
@given(st.binary())
def test_any_reply_says_something_or_nothing(body: bytes) -> None:
    assert isinstance(decode_account(body), AccountFacts)


@pytest.mark.parametrize(("ahead_s"), [0.0, 7200.0, -3.0])
def test_the_clock_of_the_controller_is_compared_with_the_middle_of_the_request(ahead_s: float) -> None:
    middle = MOMENT - ahead_s
    assert clock_ahead_s(DATE, sent_at=middle - 2.0, received_at=middle + 2.0) == pytest.approx(ahead_s + 0.5)


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 06 Nov 999999999999 08:49:37 GMT"])
def test_without_a_date_nothing_is_known_of_the_clock(date: str) -> None:
    assert clock_ahead_s(date, sent_at=0.0, received_at=0.0) is None
