"""
The daemon's responses: their decoding, and the errors of a command. Pure.

    MonitorError
    └── CommandError
        ├── ServerError         no usable response; a change may or may not have been made      → exit 1
        │   └── ConnectionLost  the connection broke, or there is none; it may come back        → watch reconnects
        ├── TargetFailed        the image can no longer reach the state that was waited for     → exit 1
        ├── NotReady            an upgrade may not begin; the report says why                       → exit 1
        ├── WaitTimeout         the state was not reached in time                               → exit 3
        └── Rejected            the daemon rejected the request (4xx); the message says why     → exit 4
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from monitor.avi.image import decode_image
from monitor.config.validation import printable
from monitor.model.errors import BadObject, MonitorError, Reason
from monitor.model.image import Image
from monitor.model.tracked import Standing

T = TypeVar("T")

OUTCOME_UNKNOWN: Final = "the outcome is unknown: look at the image before you repeat the command"

_MAX_FOREIGN_TEXT = 200  # characters shown of a response that is not the daemon's own problem
_HINTS: Final[Mapping[str, str]] = {
    "ambiguous-image": "--controller",
    "ambiguous-unit": "--controller",
    "image-active": "--force",
    "no-version": "--api-version",
    "unauthorized": "--token-file, or AVI_UPGRADE_MONITOR_TOKEN",
    "unknown-version": "--api-version",
}
"""The option that solves a kind of problem; the daemon's text names headers and parameters instead."""

Timestamp = Annotated[float, Meta(ge=0, le=253402300799)]  # Unix seconds, to the last one that a date can show


class CommandError(MonitorError):
    """Ends a command with ``exit_status``. ``problem``: the body of the daemon's problem, if it sent one."""

    exit_status: ClassVar[int]

    def __init__(self, text: str, problem: bytes = b"") -> None:
        super().__init__(text)
        self.problem = problem

    def as_json(self) -> str:
        """Return one problem object."""
        return ascii_json(self.problem or msgspec.json.encode({"detail": str(self)}))


class ServerError(CommandError):
    """No usable response came from the daemon, from a Controller through it, or from a proxy before it."""

    exit_status = 1


class ConnectionLost(ServerError):
    """
    The daemon cannot be reached, has closed the connection, or has no free slot for another reader.

    ``silent_s``: for how long nothing had come when the connection was given up.
    """

    def __init__(self, text: str, problem: bytes = b"", *, silent_s: float = 0.0) -> None:
        super().__init__(text, problem)
        self.silent_s = silent_s


class TargetFailed(CommandError):
    """The image that was waited for ended in another state, or was removed."""

    exit_status = 1


class NotReady(CommandError):
    """Something speaks against the upgrade."""

    exit_status = 1


class WaitTimeout(CommandError):
    """The timeout of a wait is over."""

    exit_status = 3


class Rejected(CommandError):
    """The daemon rejected the request, or what it names does not exist."""

    exit_status = 4


class Response(Struct, frozen=True):
    """One response, read completely. ``reason``: the phrase beside its status."""

    status: int
    reason: str = ""
    content_type: str = ""
    location: str = ""
    etag: str = ""
    body: bytes = b""


class Problem(Struct, frozen=True):
    """An error that the daemon reports (RFC 9457): the members that are shown."""

    type: str = ""
    title: str = ""
    status: int = 0
    detail: str = ""
    path: str = ""
    request_id: str = ""


class ImagePage(Struct, frozen=True):
    """``GET /api/image``: one page of images."""

    results: list[msgspec.Raw]
    next: str = ""


class KeepReason(Struct, frozen=True):
    """What speaks against deleting an image."""

    text: str


class InventoryImage(Struct, frozen=True):
    """An image of the inventory: whether it may be deleted, and why not. ``deletable`` None: not known."""

    image: msgspec.Raw
    deletable: bool | None = None
    reasons: list[KeepReason] = []


class InventoryVersion(Struct, frozen=True):
    """The images of one version on one page."""

    version: str
    image_info: list[msgspec.Raw]


class InventoryPage(Struct, frozen=True):
    """``GET /api/image-inventory``: one page of images."""

    results: list[InventoryVersion]
    next: str = ""


class ApiImage(Struct, frozen=True):
    """One image of ``/api/image``: the Controller's fields, the monitor's own, and the JSON of both."""

    controller: str
    image: Image
    annotations: Mapping[str, str]
    raw: msgspec.Raw
    standing: Standing = "unknown"
    standing_rank: int = 0


class ControllerStatus(Struct, frozen=True):
    """One controller of ``GET /api/controllers``, and the result of polling it."""

    name: str
    up: bool = True
    stale: bool = False
    reason: Reason | None = None
    api_version: str | None = None
    seen_at: Timestamp | None = field(default=None, name="last_poll_success_timestamp_seconds")


class ControllerPage(Struct, frozen=True):
    """``GET /api/controllers``: the controllers that the client has access to."""

    results: list[ControllerStatus]


class AuditRecord(Struct, frozen=True):
    """One record of ``GET /api/audit``. ``outcome`` None: the change is still in progress."""

    at: Timestamp
    actor: str = ""
    outcome: str | None = None
    changes: Mapping[str, tuple[Any, Any]] = {}
    detail: str = ""


class AuditPage(Struct, frozen=True):
    """``GET /api/audit``: the newest records first."""

    results: list[AuditRecord]


class DryRun(Struct, frozen=True):
    """``PATCH /api/image/{uuid}?dry_run=true``: the values before and after, by field."""

    changes: Mapping[str, tuple[Any, Any]]


def classify_response(response: Response, *, is_change: bool) -> CommandError | None:
    """Return the error that a response means; None for a good one. ``is_change``: of a request that changes data."""
    problem = _decode_problem(response)
    text = _problem_text(problem) if problem else _foreign_text(response)
    body = response.body if problem else b""
    # A problem of the daemon itself says what was and was not done.
    unknown = f"; {OUTCOME_UNKNOWN}" if is_change and not problem else ""
    if 400 <= response.status < 500:
        return Rejected(text, body)
    if response.status >= 500:
        return ServerError(text + unknown, body)
    if not 200 <= response.status < 300:
        return ServerError(text)
    return None if _is_object(response.body) else ServerError(f"{text}; is this the daemon?{unknown}")


def _decode_problem(response: Response) -> Problem | None:
    if response.status < 400:
        return None
    try:
        problem = msgspec.json.decode(response.body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return problem if problem.detail else None


def _problem_text(problem: Problem) -> str:
    hint = _HINTS.get(problem.type.rpartition(":")[2])
    lines = [f"{problem.status} {problem.title}: {problem.detail}"]
    lines += [f"path: {problem.path}"] if problem.path else []
    lines += [f"see: {hint}"] if hint else []
    lines += [f"request: {problem.request_id}"] if problem.request_id else []
    return "\n  ".join(map(printable, lines))


def _foreign_text(response: Response) -> str:
    """Describe a proxy's page, or a redirect, which is not followed because the token would go with it."""
    to = f" to {response.location[:_MAX_FOREIGN_TEXT]}, which is not followed" if response.location else ""
    kind = response.content_type[:_MAX_FOREIGN_TEXT] or "no Content-Type"
    status = f"{response.status} {response.reason[:_MAX_FOREIGN_TEXT]}".rstrip()
    return printable(f"{status}{to}: expected the daemon's JSON, found {kind}")


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


class _MonitorFields(Struct, frozen=True):
    controller: str = ""
    annotations: Mapping[str, str] = {}
    standing: Standing = "unknown"
    standing_rank: int = 0


def decode(body: bytes, shape: type[T]) -> T:
    """Raises: ServerError naming the JSON path of the first wrong value."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _decode_failed(error) from error


def decode_api_image(raw: msgspec.Raw) -> ApiImage:
    """Raises: ServerError."""
    fields = decode(bytes(raw), _MonitorFields)
    try:
        image, _ = decode_image(raw)
    except BadObject as error:
        raise _decode_failed(error) from error
    return ApiImage(fields.controller, image, fields.annotations, raw, fields.standing, fields.standing_rank)


def _decode_failed(error: Exception) -> ServerError:
    return ServerError(printable(f"this version cannot decode the response: {error}")[:_MAX_FOREIGN_TEXT])


def ascii_json(body: bytes) -> str:
    """Return the same JSON with everything but ASCII escaped, which is safe for any terminal and encoding."""
    return "".join(char if " " <= char <= "~" or char in "\n\t" else _escape(char) for char in body.decode())


def _escape(char: str) -> str:
    return " " if char == "\r" else json.dumps(char)[1:-1]
