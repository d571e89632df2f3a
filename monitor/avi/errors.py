"""
What a Controller's status means for a poll. Pure; asks the status first, and the body only for words.

Content types are not asked at all: plain text comes called JSON, JSON called HTML.
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

_UPGRADING = "disallowed during upgrade"  # in the words of the 403 that answers a write during an upgrade
_MOST_PATIENT_S = 3600.0  # a Retry-After beyond an hour is not obeyed: nobody would see the Controller come back


_error = msgspec.json.Decoder(wire.Error)


class Reply(msgspec.Struct, frozen=True):
    """One answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def decode_error(body: bytes) -> str:
    """
    The words of a refusal, clipped: the ``error`` member, or a body of plain text; never a page of HTML.

    Content types lie here: plain text comes as JSON, JSON as HTML. Only the bytes are asked.
    """
    try:
        return clip(_error.decode(body).error)
    except UNREADABLE:
        text = body[:LABEL_LENGTH].decode(errors="replace").strip()
        return "" if text.startswith(("<", "{", "[")) else text


def mask_secrets(reply: Reply, secrets: Iterable[Secret]) -> Reply:
    """What :func:`judge` reads of a reply, less what it echoes of our secrets; to be done before a word is kept."""
    body = reply.body
    headers = {name: reply.headers[name] for name in ("Location", "Retry-After") if name in reply.headers}
    for text in filter(None, (form for secret in secrets for form in _forms(secret.reveal()))):
        body = body.replace(text.encode(), b"<secret>")
        headers = {name: value.replace(text, "<secret>") for name, value in headers.items()}
    return Reply(reply.status, headers, body)


def _forms(text: str) -> Iterable[str]:
    """A text as it is, and as forms, URLs and JSON write it."""
    return dict.fromkeys((text, quote_plus(text), quote(text, safe=""), json.dumps(text)[1:-1]))


def judge(reply: Reply, phase: Phase, *, now: float) -> PollError | None:
    """The error that a reply is, or None when it is good. ``now``: Unix seconds, for a Retry-After that is a date."""
    if reply.status == 200 and reply.body:
        return None
    words = decode_error(reply.body)
    spoken = reply.body.lstrip().startswith(b"{")
    error, reason = _kind(reply.status, phase, upgrading=_UPGRADING in words, spoken=spoken)
    detail = f"{reply.status} {words}" if words else f"{reply.status} without a word"
    if reason == "redirect":
        detail = f"{reply.status} to {reply.headers.get('Location', 'nowhere')[:200]}"
    wait_s = retry_after_s(reply.headers.get("Retry-After", ""), now=now)
    return error(reason, detail, phase=phase, status=reply.status, retry_after_s=wait_s)


def _kind(status: int, phase: Phase, *, upgrading: bool, spoken: bool) -> tuple[type[PollError], Reason]:
    """``spoken``: the Controller itself speaks, in JSON, not some proxy's or portal's page."""
    match status:
        case 429:
            return Unavailable, "throttled"
        case 503:
            return Unavailable, "upgrading"
        case 403 if upgrading:
            return Unavailable, "upgrading"
        case 400 | 401 | 403 if phase == "login" and (status == 401 or spoken):
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
        return min(float(value), _MOST_PATIENT_S)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for a year or an offset that is no int of C
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - datetime.fromtimestamp(now, UTC)).total_seconds(), 0.0), _MOST_PATIENT_S)
