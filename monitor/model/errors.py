"""
The errors of the project, divided by what the caller does with them::

    MonitorError
    ├── ConfigError          the configuration is invalid         → print every problem, exit 2
    ├── CannotListen         the address is in use, or absent  → say how to choose another one, exit 1
    ├── StoreError           the database did not answer          → reads and metrics go on
    │   ├── NewerDatabase    a newer version has migrated it      → exit 2 at the start
    │   ├── DatabaseTaken    another daemon writes to it          → read it, and take over when that ends
    │   ├── FilesLost        a file of it was removed or replaced → save what is open, and open it again
    │   ├── AlteredRecord    a record of the audit cannot be read → tell the client to run `audit verify`
    │   └── CommitUnknown    it failed in a commit                → tell the client that it may have been done
    ├── BadObject            one object cannot be decoded         → count it, log it once, go on with the others
    ├── PatchProblem         a PATCH is not answered with 200     → respond with a problem, which says what was changed
    └── PollError            one exchange with a Controller failed → keep the last snapshot, back off, count by reason
        ├── Unreachable      no response: dns, connect, tls, timeout
        │   └── Unanswered   but the request may have been sent   → whether a change was done is unknown
        ├── LoginRefused     the log-in was refused: auth         → no other log-in until the secret changes
        ├── Unavailable      try later: throttled, upgrading      → wait as Retry-After says
        ├── BadStatus        unexpected status: redirect, auth (a session), http_4xx, http_5xx
        └── BadAnswer        good status, unusable body: oversize, incomplete, decode
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final, Literal

Reason = Literal[
    "dns", "connect", "tls", "timeout", "auth", "throttled", "upgrading", "redirect",
    "http_4xx", "http_5xx", "oversize", "incomplete", "decode", "internal", "forbidden", "absent",
]  # fmt: skip
"""Why a read failed; the ``reason`` label of ``avi_controller_poll_failures_total``."""

UNREADABLE: Final = frozenset[Reason]({"forbidden", "absent"})
"""The account may not read the objects of this resource, or the Controller is too old to have any: no failure of it."""

Phase = Literal["login", "version", "images", "image", "patch", "upgrade", "inventory", "cluster"]
"""The exchange with a Controller in which a `PollError` happened."""

ProblemKind = Literal[
    "bad-request", "bad-query", "bad-json", "no-version", "unknown-version", "unauthorized", "forbidden",
    "no-such-route", "no-such-image", "no-such-unit", "no-such-upgrade", "no-such-controller", "name-mismatch",
    "tenant-mismatch",
    "method-not-allowed", "request-timeout", "ambiguous-image", "ambiguous-unit", "image-active",
    "client-closed-request", "precondition-failed", "too-large", "unsupported-media-type", "bad-patch",
    "unknown-field", "read-only-field", "two-operations", "bad-config", "too-many-annotations", "controller-refused",
    "misdirected-request", "not-writer", "too-many-failures", "too-many-changes", "too-many-requests", "internal-error",
    "not-recorded", "altered-record", "controller-failed", "database-down", "image-busy", "shutting-down",
    "too-many-readers", "controller-upgrading", "controller-busy", "outcome-unknown",
]  # fmt: skip
"""Why the daemon's API rejects a request: the last part of the ``type`` of a problem (RFC 9457). Public."""


class MonitorError(Exception):
    """Base class of all errors that this project raises on purpose."""


class ConfigError(MonitorError):
    """
    The configuration is invalid. ``problems``: one line each: file, key path, what was found and expected.

    ``file_states``: how each file looked just before it was read.
    """

    def __init__(self, problems: tuple[str, ...], file_states: Mapping[Path, object] | None = None) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.file_states: Mapping[Path, object] = file_states or {}


class CannotListen(MonitorError):
    """The daemon cannot listen where it is told to."""


class StoreError(MonitorError):
    """
    An operation on the database failed; the text says which and, if known, the remedy.

    ``public``: the same for any client, without the names of files and servers.
    """

    public: ClassVar[str] = "the database does not answer"


class NewerDatabase(StoreError):
    """The database has a schema that this version does not know. Retrying does not help."""


class DatabaseTaken(StoreError):
    """Another daemon writes to the database. This one can only read it."""

    public: ClassVar[str] = "a standby: another daemon writes to the database"


class FilesLost(StoreError):
    """A file of the database was removed or replaced while it was open. Nothing may be written until it is reopened."""

    public: ClassVar[str] = "a file of the database was removed or replaced"


class AlteredRecord(StoreError):
    """A record of the audit was altered, and cannot be read. The database itself works."""


class CommitUnknown(StoreError):
    """The database failed during a commit, or directly after: what was written may be there or not."""


class BadObject(MonitorError):
    """One object cannot be decoded; the text names the JSON path of the first wrong value."""


class PatchProblem(MonitorError):
    """
    A PATCH is not answered with 200. ``kind``, ``detail``: of the problem in the response.

    ``path``: the JSON path of what is wrong in the body, or empty. ``headers``: additional headers of the response.
    ``status``: the Controller's status if it is passed on, else 0.
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
    """
    One exchange with a Controller failed.

    ``detail``: often the Controller's text, shortened and without secrets; unprintable characters are replaced here.
    ``status``: of the response, if one came. ``retry_after_s``: as the Controller asked; 0 if it did not.
    ``may_be_upgrade``: whether a Controller may fail so while it is upgraded. None: the reason tells.
    """

    _OF_AN_UPGRADE: ClassVar[frozenset[Reason]] = frozenset({"connect", "timeout", "http_5xx", "upgrading"})

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        phase: Phase = "images",
        status: int | None = None,
        retry_after_s: float = 0.0,
        may_be_upgrade: bool | None = None,
    ) -> None:
        detail = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in detail)
        super().__init__(f"{reason} ({phase}): {detail}")
        self.reason: Reason = reason
        self.detail = detail
        self.phase: Phase = phase
        self.status = status
        self.retry_after_s = retry_after_s
        self.may_be_upgrade = reason in self._OF_AN_UPGRADE if may_be_upgrade is None else may_be_upgrade


class Unreachable(PollError):
    """No complete response came: name resolution, connection or TLS failed, or the deadline passed."""


class Unanswered(Unreachable):
    """The connection broke, or the deadline passed, after the request may have been sent."""


class LoginRefused(PollError):
    """The Controller refused the log-in. Do not log in again with the same secret: that would lock the account."""


class Unavailable(PollError):
    """The Controller asks for a later attempt: it limits the rate, or is being upgraded."""


class BadStatus(PollError):
    """The Controller responded with an unexpected status."""


class BadAnswer(PollError):
    """The status was good, but the body is too large, incomplete, or not of the expected shape."""
