"""
What a reply of a Controller means for a poll: the status decides, the body gives only the message. Pure.

Content types are ignored: Controllers declare plain text as JSON, and JSON as HTML.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, quote_plus

import msgspec

from monitor.avi import wire
from monitor.avi.values import LABEL_LENGTH, clip
from monitor.avi.wire import UNREADABLE
from monitor.model.errors import BadAnswer, BadStatus, Phase, PollError, Reason, Refused, Unavailable
from monitor.model.secret import Secret

_UPGRADING = "disallowed during upgrade"  # in the message of the 403 that answers a write during an upgrade
_MAX_RETRY_AFTER_S = 3600.0  # with a longer wait, nothing here would notice that the Controller is back

_error = msgspec.json.Decoder(wire.Error)


class Reply(msgspec.Struct, frozen=True):
    """One complete reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def decode_error(body: bytes) -> str:
    """Return the message of an error, clipped: the ``error`` member, or a body of plain text; never a page of HTML."""
    try:
        return clip(_error.decode(body).error)
    except UNREADABLE:
        text = body[:LABEL_LENGTH].decode(errors="replace").strip()
        return "" if text.startswith(("<", "{", "[")) else text


def mask_secrets(reply: Reply, secrets: Iterable[Secret]) -> Reply:
    """Return what :func:`classify_reply` reads of a reply, without our secrets; call it before any text is kept."""
    body = reply.body
    headers = {name: reply.headers[name] for name in ("Location", "Retry-After") if name in reply.headers}
    for text in filter(None, (form for secret in secrets for form in _forms(secret.reveal()))):
        body = body.replace(text.encode(), b"<secret>")
        headers = {name: value.replace(text, "<secret>") for name, value in headers.items()}
    return Reply(reply.status, headers, body)


def _forms(text: str) -> Iterable[str]:
    """Return a text as it is, and as forms, URLs and JSON write it."""
    return dict.fromkeys((text, quote_plus(text), quote(text, safe=""), json.dumps(text)[1:-1]))


def classify_reply(reply: Reply, phase: Phase, *, now: float) -> PollError | None:
    """Return the error that a reply is, or None. ``now``: Unix seconds, for a Retry-After that is a date."""
    if reply.status == 200 and reply.body:
        return None
    message = decode_error(reply.body)
    is_json = reply.body.lstrip().startswith(b"{")
    error, reason = _classify_status(reply.status, phase, upgrading=_UPGRADING in message, is_json=is_json)
    detail = f"{reply.status} {message}" if message else f"{reply.status} without a message"
    if reason == "redirect":
        detail = f"{reply.status} to {reply.headers.get('Location', 'no location')[:200]}"
    wait_s = retry_after_s(reply.headers.get("Retry-After", ""), now=now)
    return error(reason, detail, phase=phase, status=reply.status, retry_after_s=wait_s)


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
            return Refused, "auth"  # the same secret is never tried again
        case 401:
            return BadStatus, "auth"
        case _:
            pass
    if status < 300:
        return BadAnswer, "decode"  # 200 without a body, 204
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
