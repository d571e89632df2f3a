"""
The errors of the project, cut by what the caller does with them::

    MonitorError
    ├── ConfigError          the operator mends a file            → every problem at once, exit 2
    ├── StoreError           the database does not answer         → reads and metrics go on
    │   └── NewerDatabase    a newer version wrote it             → refused at start, exit 1
    ├── BadImage             one image cannot be read             → counted, named once, the others go on
    ├── Refusal              a PATCH cannot be done as it is      → the caller is told, nothing was changed
    └── PollError            one exchange with a Controller failed → last snapshot stands, back off, count by reason
        ├── Unreachable      no answer: dns, connect, tls, timeout
        │   └── Unanswered   and the request may have gone out   → of a change nobody knows whether it was done
        ├── Refused          our log-in was refused: auth         → the circuit is open until the secret changes
        ├── Unavailable      not now: throttled, upgrading        → a Retry-After is honoured
        ├── BadStatus        an answer of the wrong kind: redirect, http_4xx, http_5xx
        └── BadAnswer        good status, useless body: oversize, incomplete, decode
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

Reason = Literal[
    "dns", "connect", "tls", "timeout", "auth", "throttled", "upgrading", "redirect",
    "http_4xx", "http_5xx", "oversize", "incomplete", "decode", "internal",
]  # fmt: skip
"""Why a poll failed; the ``reason`` label of ``avi_controller_poll_failures_total``."""

Phase = Literal["login", "version", "images", "image", "patch"]
"""In which exchange with a Controller it happened."""

ProblemKind = Literal[
    "bad-request", "bad-query", "bad-json", "no-version", "unknown-version", "unauthorized", "forbidden",
    "no-such-route", "no-such-image", "name-mismatch", "tenant-mismatch", "method-not-allowed", "request-timeout",
    "ambiguous-image", "image-active", "client-closed-request", "precondition-failed", "too-large",
    "unsupported-media-type", "bad-patch", "unknown-field", "read-only-field", "two-operations", "bad-config",
    "too-many-annotations", "controller-refused", "too-many-failures", "internal-error", "not-recorded",
    "controller-failed", "database-down", "image-busy", "shutting-down", "too-many-readers", "controller-upgrading",
    "controller-busy", "outcome-unknown",
]  # fmt: skip
"""Why the daemon's own API refuses a request: the last part of the ``type`` of a problem (RFC 9457). Public."""


class MonitorError(Exception):
    """Root of everything this project raises on purpose."""


class ConfigError(MonitorError):
    """
    The configuration cannot be used. ``problems``: one line each: file, key path, what was found and expected.

    ``file_states``: how each file looked just before it was read.
    """

    def __init__(self, problems: tuple[str, ...], file_states: Mapping[Path, object] | None = None) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.file_states: Mapping[Path, object] = file_states or {}


class StoreError(MonitorError):
    """The database did not do what was asked of it; the text says what and, where known, the remedy."""


class NewerDatabase(StoreError):
    """The database has a schema that this version does not know. Waiting does not help."""


class BadImage(MonitorError):
    """One image object cannot be read; the text names the JSON path of the first wrong value."""


class Refusal(MonitorError):
    """
    A PATCH is refused. ``kind``: of the problem in the response; ``path``: the JSON path of what is wrong.

    ``headers``: of the response. ``status``: the Controller's own, where it is passed on; else 0.
    """

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        path: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        status: int = 0,
    ) -> None:
        super().__init__(detail)
        self.kind: ProblemKind = kind
        self.detail = detail
        self.path = path
        self.headers: Mapping[str, str] = headers or {}
        self.status = status


class PollError(MonitorError):
    """One exchange with a Controller failed. ``detail`` is clipped foreign text: no secret, nothing unprintable."""

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        phase: Phase = "images",
        status: int | None = None,
        retry_after_s: float = 0.0,
    ) -> None:
        detail = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in detail)
        super().__init__(f"{reason} ({phase}): {detail}")
        self.reason: Reason = reason
        self.detail = detail
        self.phase: Phase = phase
        self.status = status
        self.retry_after_s = retry_after_s


class Unreachable(PollError):
    """No whole answer came: name resolution, connection, TLS or the deadline."""


class Unanswered(Unreachable):
    """The connection broke, or the deadline passed, when the request may already have been sent."""


class Refused(PollError):
    """The Controller refused our log-in. It must not be tried again with the same secret: that locks accounts."""


class Unavailable(PollError):
    """The Controller asks us to come back later: rate limit, or an upgrade under way."""


class BadStatus(PollError):
    """The Controller answered with a status that no poll expects."""


class BadAnswer(PollError):
    """The status was good, the body was not: too large, not all there, or not what an image list looks like."""
