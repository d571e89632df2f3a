"""Decode the reply to a log-in: version, session cookie, what the account may, and the Controller's clock. Pure."""

from email.utils import parsedate_to_datetime

import msgspec

from monitor.avi import wire
from monitor.avi.values import clip
from monitor.avi.wire import UNREADABLE

_versioned = msgspec.json.Decoder(wire.Versioned)
_login_reply = msgspec.json.Decoder(wire.LoginReply)


class AccountFacts(msgspec.Struct, frozen=True):
    """What a log-in reply says of the account. ``superuser``: None where it does not say. ``tenants``: their names."""

    superuser: bool | None = None
    tenants: tuple[str, ...] = ()


def decode_version(body: bytes) -> str:
    """
    Return the Controller's version from a reply to ``POST /login`` or ``GET /api/initial-data``; empty without one.

    Shape: ``{"version": {"Version": "30.2.1", …}}``, or with a lower-case ``version`` inside.
    """
    try:
        version = _versioned.decode(body).version or wire.Version()
    except UNREADABLE:
        return ""
    return clip(version.version or version.capitalised or "")


def decode_session_cookie_name(body: bytes) -> str:
    """Return the name of the session cookie from a reply to ``POST /login``; empty without one."""
    try:
        return _versioned.decode(body).session_cookie_name or ""
    except UNREADABLE:
        return ""


def decode_account(body: bytes) -> AccountFacts:
    """
    Return what a reply to ``POST /login`` says of the account.

    Shape: ``{"user": {"is_superuser": false, …}, "tenants": [{"name": "admin", …}]}``; not every release sends both.
    """
    try:
        reply = _login_reply.decode(body)
    except UNREADABLE:
        return AccountFacts()
    names = tuple(clip(tenant.name) for tenant in reply.tenants or () if tenant.name)
    return AccountFacts(reply.user.is_superuser if reply.user else None, names)


def clock_ahead_s(date: str, *, sent_at: float, received_at: float) -> float | None:
    """
    Return by how many seconds the Controller's clock is ahead of ours, negative when behind; None if unreadable.

    ``date``: the header of the reply to a request that was sent and answered at these Unix seconds. It has whole
    seconds, so the result is exact to half a second and half the time between the two.
    """
    try:
        moment = parsedate_to_datetime(date).timestamp() + 0.5
    except (ValueError, OverflowError):
        return None
    return moment - (sent_at + received_at) / 2
