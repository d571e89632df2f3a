"""
What a daemon answers, from bytes to our nouns; and the ways in which it is not what was asked for. Pure.

    MonitorError
    └── Failure
        ├── ServerError         no good answer; a change may or may not have been made     → exit 1
        │   └── ConnectionLost  the connection broke, or there is none; it may come back   → watch reconnects
        ├── TargetFailed        the image can no longer reach the state that was waited for → exit 1
        ├── WaitTimeout         the state was not reached in time                          → exit 3
        └── Rejected            the daemon rejected the request; repeating it does not help → exit 4
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from monitor.avi.image import decode_image
from monitor.config.validation import printable
from monitor.model.errors import BadImage, MonitorError, Reason
from monitor.model.image import Image

T = TypeVar("T")

DOUBT: Final = "nobody knows whether it was done: look at the image before you repeat it"

_CLIP = 200  # of foreign text where it is no problem of the daemon's
_HINTS: Final[Mapping[str, str]] = {
    "ambiguous-image": "--controller",
    "image-active": "--force",
    "no-version": "--api-version",
    "unauthorized": "--token-file, or AVI_UPGRADE_MONITOR_TOKEN",
    "unknown-version": "--api-version",
}
"""The option that a kind of problem is about; its text speaks of requests."""

Moment = Annotated[float, Meta(ge=0, le=253402300799)]  # Unix seconds, to the last one that a date can show


class Problem(Struct, frozen=True):
    """An error of the daemon's, as far as it is shown."""

    type: str = ""
    title: str = ""
    status: int = 0
    detail: str = ""
    path: str = ""
    request_id: str = ""


class Failure(MonitorError):
    """``problem``: the daemon's own answer, where it is one of its problems."""

    exit_status: ClassVar[int]

    def __init__(self, text: str, problem: bytes = b"") -> None:
        super().__init__(text)
        self.problem = problem

    def as_json(self) -> str:
        """One problem object."""
        return show_json(self.problem or msgspec.json.encode({"detail": str(self)}))


class ServerError(Failure):
    """No good answer came: from the daemon, from a Controller through it, or from whatever stands there instead."""

    exit_status = 1


class ConnectionLost(ServerError):
    """The daemon cannot be reached, has gone away, or has no place for us now."""


class TargetFailed(Failure):
    """What was waited for ended in another way."""

    exit_status = 1


class WaitTimeout(Failure):
    """The time is over."""

    exit_status = 3


class Rejected(Failure):
    """The daemon says no, or does not have what is meant."""

    exit_status = 4


class Answer(Struct, frozen=True):
    """One answer, read whole. ``reason``: the words beside its status."""

    status: int
    reason: str = ""
    content_type: str = ""
    location: str = ""
    etag: str = ""
    body: bytes = b""


def judge(answer: Answer, *, changing: bool) -> Failure | None:
    """The error that an answer is; None when it is a good one. ``changing``: whether something was to be changed."""
    problem = _problem(answer)
    words = _spoken(problem) if problem else _unspoken(answer)
    raw = answer.body if problem else b""
    doubt = f"; {DOUBT}" if changing and not problem else ""  # the daemon itself says what was and was not done
    if 400 <= answer.status < 500:
        return Rejected(words, raw)
    if answer.status >= 500:
        return ServerError(words + doubt, raw)
    if not 200 <= answer.status < 300:
        return ServerError(words)
    return None if _is_object(answer.body) else ServerError(f"{words}: is this the daemon?{doubt}")


def _problem(answer: Answer) -> Problem | None:
    if answer.status < 400:
        return None
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return problem if problem.detail else None


def _spoken(problem: Problem) -> str:
    hint = _HINTS.get(problem.type.rpartition(":")[2])
    lines = [f"{problem.status} {problem.title}: {problem.detail}"]
    lines += [f"path: {problem.path}"] if problem.path else []
    lines += [f"see: {hint}"] if hint else []
    lines += [f"request: {problem.request_id}"] if problem.request_id else []
    return "\n  ".join(map(printable, lines))


def _unspoken(answer: Answer) -> str:
    """What is no answer of the daemon's: a proxy's page, or a redirect, which is not followed with a token in hand."""
    to = f" to {answer.location[:_CLIP]}, which is not followed" if answer.location else ""
    kind = answer.content_type[:_CLIP] or "nothing"
    return printable(f"{answer.status} {answer.reason[:_CLIP]}{to}, with {kind} and none of the daemon's JSON")


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


class ImageList(Struct, frozen=True):
    """One page of images."""

    results: list[msgspec.Raw]
    next: str = ""


class Health(Struct, frozen=True):
    """How polling one controller goes."""

    name: str
    up: bool = True
    stale: bool = False
    reason: Reason | None = None
    api_version: str | None = None
    seen_at: Moment | None = field(default=None, name="last_poll_success_timestamp_seconds")


class Controllers(Struct, frozen=True):
    """All that the caller may see."""

    results: list[Health]


class Record(Struct, frozen=True):
    """What somebody asked for, and how it ended; ``outcome`` None: it is under way."""

    at: Moment
    actor: str = ""
    outcome: str | None = None
    changes: Mapping[str, tuple[Any, Any]] = {}
    detail: str = ""


class Audit(Struct, frozen=True):
    """The newest records first."""

    results: list[Record]


class DryRun(Struct, frozen=True):
    """What a PATCH would do: before and after, by field."""

    changes: Mapping[str, tuple[Any, Any]]


class _Ours(Struct, frozen=True):
    controller: str = ""
    annotations: Mapping[str, str] = {}


class Seen(Struct, frozen=True):
    """One image as the daemon shows it."""

    controller: str
    image: Image
    annotations: Mapping[str, str]
    raw: msgspec.Raw


def decode(body: bytes, shape: type[T]) -> T:
    """Raises: ServerError naming the JSON path of the first wrong value."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _strange(error) from error


def decode_seen(raw: msgspec.Raw) -> Seen:
    """Raises: ServerError."""
    ours = decode(bytes(raw), _Ours)
    try:
        image, _ = decode_image(raw)
    except BadImage as error:
        raise _strange(error) from error
    return Seen(ours.controller, image, ours.annotations, raw)


def _strange(error: Exception) -> ServerError:
    return ServerError(printable(f"the answer is not what this version knows: {error}")[:_CLIP])


def show_json(body: bytes) -> str:
    """The same JSON, with escapes for whatever is not ASCII: no terminal and no encoding stumbles over it."""
    return "".join(char if " " <= char <= "~" or char in "\n\t" else _escape(char) for char in body.decode())


def _escape(char: str) -> str:
    return " " if char == "\r" else json.dumps(char)[1:-1]
