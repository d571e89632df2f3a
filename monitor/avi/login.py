"""Decode the reply to a log-in: the Controller's version, and the name of its session cookie. Pure."""

import msgspec

from monitor.avi import wire
from monitor.avi.values import clip
from monitor.avi.wire import UNREADABLE

_versioned = msgspec.json.Decoder(wire.Versioned)


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
