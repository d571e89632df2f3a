"""What the status of a reply means for a poll, and the Retry-After of a Controller."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from math import isfinite
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.avi.errors import Reply, classify_reply, retry_after_s
from monitor.model.errors import BadAnswer, BadStatus, LoginRefused, Phase, PollError, Reason, Unavailable
from monitor.model.masking import SecretMask
from monitor.model.secret import Secret
from tests.support.strategies import BOUNDED, texts

NOW = 1_740_000_000.0  # Wed, 19 Feb 2025 21:20:00 GMT
UPGRADE = b'{"error": "Configuration is disallowed during upgrade"}'
HTML = b"<html><h1>503</h1></html>"


def error_of(
    status: int, body: bytes = b"{}", phase: Phase = "images", headers: Mapping[str, str] | None = None
) -> PollError:
    error = classify_reply(Reply(status, headers or {}, body), phase, now=NOW)
    assert error is not None
    return error


def test_200_with_any_body_but_a_page_is_good() -> None:
    assert classify_reply(Reply(200, {}, b"no JSON"), "images", now=NOW) is None
    assert classify_reply(Reply(200, {}, HTML), "login", now=NOW) is None


@pytest.mark.parametrize("status", [200, 404, 502])
def test_a_page_of_html_may_be_of_a_portal_that_starts(status: int) -> None:
    error = error_of(status, b" \n" + HTML)
    assert (error.may_be_upgrade, error.detail) == (True, f"{status} a page of HTML, expected JSON")
    assert error_of(404, b"{}").may_be_upgrade is False
    assert error_of(302, HTML).may_be_upgrade is False


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_2xx_to_a_patch_is_good_also_without_a_body(status: int) -> None:
    assert classify_reply(Reply(status, {}, b""), "patch", now=NOW) is None


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        pytest.param(201, BadAnswer, "decode", id="201"),
        pytest.param(204, BadAnswer, "decode", id="204"),
        pytest.param(301, BadStatus, "redirect", id="301"),
        pytest.param(302, BadStatus, "redirect", id="302"),
        pytest.param(304, BadStatus, "redirect", id="304"),
        pytest.param(400, BadStatus, "http_4xx", id="400"),
        pytest.param(401, BadStatus, "auth", id="401"),
        pytest.param(403, BadStatus, "http_4xx", id="403"),
        pytest.param(404, BadStatus, "http_4xx", id="404"),
        pytest.param(419, BadStatus, "http_4xx", id="419"),
        pytest.param(429, Unavailable, "throttled", id="429"),
        pytest.param(500, BadStatus, "http_5xx", id="500"),
        pytest.param(502, BadStatus, "http_5xx", id="502"),
        pytest.param(503, Unavailable, "upgrading", id="503"),
        pytest.param(599, BadStatus, "http_5xx", id="599"),
    ],
)
def test_a_status_has_a_reason(status: int, kind: type[PollError], reason: Reason) -> None:
    error = error_of(status)
    assert (type(error), error.reason, error.status) == (kind, reason, status)


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        pytest.param(400, LoginRefused, "auth", id="400"),
        pytest.param(401, LoginRefused, "auth", id="401"),
        pytest.param(403, LoginRefused, "auth", id="403"),
        pytest.param(404, BadStatus, "http_4xx", id="404-no-controller-at-all"),
        pytest.param(419, BadStatus, "http_4xx", id="419"),
        pytest.param(429, Unavailable, "throttled", id="429"),
        pytest.param(500, BadStatus, "http_5xx", id="500"),
        pytest.param(503, Unavailable, "upgrading", id="503"),
    ],
)
def test_at_log_in_a_status_may_refuse_the_secret(status: int, kind: type[PollError], reason: Reason) -> None:
    error = error_of(status, phase="login")
    assert (type(error), error.reason, error.phase) == (kind, reason, "login")


@pytest.mark.parametrize("phase", get_args(Phase))
@pytest.mark.parametrize("body", [UPGRADE, UPGRADE[11:-2]], ids=["json", "plain-text"])
def test_the_403_of_an_upgrade_does_not_refuse_the_log_in(phase: Phase, body: bytes) -> None:
    error = error_of(403, body, phase)
    assert (type(error), error.reason) == (Unavailable, "upgrading")


def test_only_a_403_means_an_upgrade_by_its_message() -> None:
    assert error_of(500, UPGRADE).reason == "http_5xx"


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        pytest.param(401, b"CSRF token missing or incorrect.", "401 CSRF token missing or incorrect.", id="plain-text"),
        pytest.param(419, b'{"error": "Need to switch session"}', "419 Need to switch session", id="json"),
        pytest.param(502, HTML, "502 a page of HTML, expected JSON", id="html"),
        pytest.param(500, b"", "500 without a message", id="nothing"),
        pytest.param(200, b"", "200 without a message", id="good-but-empty"),
        pytest.param(500, b"\xff" * 10_000, "500 " + "\N{REPLACEMENT CHARACTER}" * 200, id="no-text-at-all"),
    ],
)
def test_the_detail_is_the_message_of_the_controller(status: int, body: bytes, detail: str) -> None:
    assert error_of(status, body).detail == detail


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        pytest.param({"Location": "https://elsewhere/"}, "302 to https://elsewhere/", id="somewhere"),
        pytest.param({}, "302 to no location", id="nowhere"),
        pytest.param({"Location": "x" * 10_000}, "302 to " + "x" * 200, id="clipped"),
    ],
)
def test_a_redirect_says_where_to(headers: dict[str, str], detail: str) -> None:
    assert error_of(302, HTML, headers=headers).detail == detail


def detail_of(reply: Reply, *secrets: str) -> str:
    error = classify_reply(reply, "images", now=NOW, mask=SecretMask(map(Secret, secrets)))
    assert error is not None
    return error.detail


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        pytest.param(b"you sent abcdef", "you sent <secret>", id="plain-text"),
        pytest.param(b'{"error": "you sent abcdef"}', "you sent <secret>", id="json"),
        pytest.param(b'{"error": "you sent \\u0061bcdef"}', "you sent <secret>", id="json-with-escapes"),
        pytest.param(b"x" * 198 + b"abcdef", "x" * 198 + "<s", id="cut-by-the-clip"),
        pytest.param(b'{"error": "%s"}' % (b"x" * 198 + b"abcdef"), "x" * 198 + "<s", id="json-cut-by-the-clip"),
        pytest.param("é".encode() * 198 + b"abcdef", "é" * 198 + "<s", id="characters-of-two-bytes"),
    ],
)
def test_a_secret_in_a_reply_is_masked(body: bytes, shown: str) -> None:
    assert detail_of(Reply(500, {}, body), "abcdef", "") == f"500 {shown}"


def test_a_secret_in_the_target_of_a_redirect_is_masked() -> None:
    echo = Reply(302, {"Location": "https://c/?s=abcdef", "Set-Cookie": "s=abcdef"}, b"")
    assert detail_of(echo, "abcdef") == "302 to https://c/?s=<secret>"
    assert detail_of(Reply(302, {"Location": "x" * 198 + "abcdef"}, b""), "abcdef") == "302 to " + "x" * 198 + "<s"


def test_a_mask_does_not_change_what_a_reply_means() -> None:
    reply = Reply(429, {"Retry-After": "3000"}, b"not so often: 3000")
    error = classify_reply(reply, "images", now=NOW, mask=SecretMask([Secret("3000")]))
    assert error is not None
    assert (error.reason, error.detail, error.retry_after_s) == ("throttled", "429 not so often: <secret>", 3000.0)


def test_the_error_has_the_retry_after() -> None:
    assert error_of(503, HTML, headers={"Retry-After": "120"}).retry_after_s == 120.0


def test_without_a_retry_after_the_wait_is_zero() -> None:
    assert error_of(429).retry_after_s == 0.0


@pytest.mark.parametrize(
    ("value", "expected_s"),
    [
        pytest.param("", 0.0, id="absent"),
        pytest.param("0", 0.0, id="now"),
        pytest.param("30", 30.0, id="seconds"),
        pytest.param(" 30 ", 30.0, id="spaces"),
        pytest.param("3600", 3600.0, id="an-hour"),
        pytest.param("86400", 3600.0, id="a-day"),
        pytest.param("9" * 400, 3600.0, id="no-float"),
        pytest.param("-5", 0.0, id="negative"),
        pytest.param("soon", 0.0, id="no-number"),
        pytest.param("Wed, 19 Feb 2025 21:20:45 GMT", 45.0, id="date"),
        pytest.param("Wednesday, 19-Feb-25 21:20:45 GMT", 45.0, id="date-of-rfc-850"),
        pytest.param("Wed Feb 19 21:20:45 2025", 45.0, id="date-of-asctime"),
        pytest.param("Wed, 19 Feb 2025 21:20:45 -0000", 45.0, id="date-without-zone"),
        pytest.param("Wed, 19 Feb 2025 22:20:45 +0100", 45.0, id="date-elsewhere"),
        pytest.param("Wed, 19 Feb 2025 21:19:00 GMT", 0.0, id="date-gone-by"),
        pytest.param("Wed, 19 Feb 2099 21:20:00 GMT", 3600.0, id="date-far-away"),
        pytest.param("Wed, 19 Feb 99999999999 21:20:00 GMT", 0.0, id="year-too-large"),
        pytest.param("Wed, 19 Feb 2025 21:20:00 +99999999999999", 0.0, id="zone-too-large"),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, expected_s: float) -> None:
    assert retry_after_s(value, now=NOW) == expected_s


_dates = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis wants them naive
_parts = st.sampled_from(["Wed,", "19", "Feb", "2025", "21:20:00", "GMT", "+0100", "-9999", "99:99:99", "0", "-", ":"])
_almost_dates = st.lists(_parts | st.integers(-(10**12), 10**12).map(str), max_size=8).map(" ".join)


@BOUNDED
@given(st.text() | texts | _almost_dates | _dates.map(format_datetime) | st.integers().map(str))
def test_any_retry_after_is_a_wait_of_at_most_an_hour(value: str) -> None:
    wait_s = retry_after_s(value, now=NOW)
    assert isfinite(wait_s)
    assert 0.0 <= wait_s <= 3600.0


@BOUNDED
@given(st.integers(0, 3600))
def test_a_date_and_its_distance_say_the_same(seconds: int) -> None:
    date = format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)
    assert retry_after_s(date, now=NOW) == retry_after_s(str(seconds), now=NOW) == float(seconds)


@BOUNDED
@given(st.integers(100, 599), st.binary(max_size=40), st.sampled_from(get_args(Phase)), texts)
def test_every_reply_is_good_or_an_error_with_a_reason(status: int, body: bytes, phase: Phase, text: str) -> None:
    error = classify_reply(Reply(status, {"Retry-After": text, "Location": text}, body), phase, now=NOW)
    assert (error is None) == (status in range(200, 300) if phase == "patch" else status == 200 and bool(body))
    if error:
        assert error.reason in get_args(Reason)
        assert len(error.detail) <= 204 + len("ttt to ")


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        pytest.param(401, b"Invalid credentials", True, id="401"),
        pytest.param(403, b'{"error": "not allowed"}', True, id="403-of-the-controller"),
        pytest.param(400, b'{"error": "no username"}', True, id="400-of-the-controller"),
        pytest.param(403, b"<html>blocked by a firewall</html>", False, id="403-of-a-proxy"),
        pytest.param(400, b"<html>plain HTTP request sent to HTTPS port</html>", False, id="400-of-nginx"),
    ],
)
def test_only_the_controllers_own_refusal_suspends_the_log_in(status: int, body: bytes, refused: bool) -> None:
    assert isinstance(classify_reply(Reply(status, {}, body), "login", now=NOW), LoginRefused) is refused
