"""
What a reply of a Controller means for a poll: the status decides, the body gives only the message. Pure.

Content types are ignored: Controllers declare plain text as JSON, and JSON as HTML.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from monitor.avi import wire
from monitor.avi.values import LABEL_LENGTH
from monitor.avi.wire import UNREADABLE
from monitor.model.errors import BadAnswer, BadStatus, LoginRefused, Phase, PollError, Reason, Unavailable
from monitor.model.masking import SecretMask

_UPGRADING = "disallowed during upgrade"  # in the message of the 403 that answers a write during an upgrade
_MAX_RETRY_AFTER_S = 3600.0  # with a longer wait, nothing here would notice that the Controller is back

_MAX_BYTES_PER_CHARACTER = 4  # in UTF-8
_NO_SECRETS: Final = SecretMask()

_error = msgspec.json.Decoder(wire.Error)


class Reply(msgspec.Struct, frozen=True):
    """One complete reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def is_good(self, phase: Phase) -> bool:
        """Whether the Controller did what was requested: 200 with a body, or any 2xx to a PATCH."""
        if phase == "patch":
            return 200 <= self.status < 300
        return self.status == 200 and bool(self.body)


def decode_error(body: bytes, mask: SecretMask = _NO_SECRETS) -> str:
    """
    Return the message of an error, masked and clipped to the length of a label.

    The message is the ``error`` member, or a body of plain text; never a page of HTML.
    """
    try:
        text = _error.decode(body).error
    except UNREADABLE:
        text = body[: _MAX_BYTES_PER_CHARACTER * mask.reach(LABEL_LENGTH)].decode(errors="replace").strip()
        text = "" if text.startswith(("<", "{", "[")) else text
    return mask.clip(text, LABEL_LENGTH)


def classify_reply(reply: Reply, phase: Phase, *, now: float, mask: SecretMask = _NO_SECRETS) -> PollError | None:
    """
    Return the error that a reply is, or None when it is good.

    ``now``: Unix seconds, for a Retry-After that is a date. ``mask``: of what must not be shown though the Controller
    repeats it.
    """
    is_redirect = 300 <= reply.status < 400
    is_page = phase not in {"login", "patch"} and not is_redirect and reply.body[:64].lstrip().startswith(b"<")
    if reply.is_good(phase) and not is_page:
        return None
    message = "a page of HTML, expected JSON" if is_page else decode_error(reply.body, mask)
    is_json = reply.body.lstrip().startswith(b"{")
    error, reason = _classify_status(reply.status, phase, upgrading=_UPGRADING in message, is_json=is_json)
    detail = f"{reply.status} {message}" if message else f"{reply.status} without a message"
    if reason == "redirect":
        detail = f"{reply.status} to {mask.clip(reply.headers.get('Location', 'no location'), LABEL_LENGTH)}"
    wait_s = retry_after_s(reply.headers.get("Retry-After", ""), now=now)
    return error(reason, detail, phase=phase, status=reply.status, retry_after_s=wait_s, may_be_upgrade=is_page or None)


def _classify_status(status: int, phase: Phase, *, upgrading: bool, is_json: bool) -> tuple[type[PollError], Reason]:
    """``is_json``: the reply is the Controller's own, not the page of a proxy or portal."""
    match status:
        case 429:
            return Unavailable, "throttled"
        case 503:
            return Unavailable, "upgrading"
        case 403 if upgrading:
            return Unavailable, "upgrading"
        case 400 | 401 | 403 if phase == "login" and (status == 401 or is_json):
            return LoginRefused, "auth"  # the same secret is never tried again
        case 401:
            return BadStatus, "auth"
        case _:
            pass
    if status < 300:
        return BadAnswer, "decode"  # to a GET or a log-in: 200 without a body, 204
    if status < 400:
        return BadStatus, "redirect"
    return BadStatus, "http_4xx" if status < 500 else "http_5xx"


def retry_after_s(value: str, *, now: float) -> float:
    """``Retry-After`` (RFC 9110, 10.2.3) in seconds from now, at most an hour; 0 when absent or unreadable."""
    if value.strip().isdecimal():
        return min(float(value), _MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # OverflowError: a year or an offset too large for an int of C
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - datetime.fromtimestamp(now, UTC)).total_seconds(), 0.0), _MAX_RETRY_AFTER_S)
