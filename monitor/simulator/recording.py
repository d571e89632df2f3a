"""
Reads what ``avi-upgrade-monitor record`` has written, and says what a Controller answered at a time.

Shape: ``recording.json`` has the number of the format. ``answers.jsonl`` has one answer a line, by its number, with the
body as ``json``, ``text``, ``html`` or ``unreadable``. ``exchanges.jsonl`` has one request a line, with the number of
its answer, or the kind of its failure. A last line that is cut off is ignored: the recording was killed.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from math import inf
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar
from urllib.parse import parse_qsl

import msgspec

from monitor.simulator.http_types import HttpResponse, html_response

T = TypeVar("T")
FORMAT = 1
_BEFORE_SENDING = frozenset({"connect", "dns", "tls"})

Failure: TypeAlias = Literal["refused", "closed", "silent"]
"""No connection; one that ends without an answer; one on which no answer comes."""
Outcome: TypeAlias = HttpResponse | Failure
Asked: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...]]
"""Method, path, and the query in order."""


class RecordingError(ValueError):
    """A folder has no recording that can be read; the text says where and why."""


class _Description(msgspec.Struct):
    format: int


class _Answer(msgspec.Struct):
    answer: int
    status: int
    headers: dict[str, str] = {}
    json: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    text: str = ""
    html: bool = False
    unreadable: int = 0


class _Exchange(msgspec.Struct):
    at: float
    request: str
    answer: int = 0
    failure: str = ""
    sent: bool = False


@dataclass(slots=True)
class _Timeline:
    """What happened, in the order of time: times, and outcomes of as many."""

    times: list[float] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def add(self, at: float, outcome: Outcome) -> None:
        self.times.append(at)
        self.outcomes.append(outcome)

    def at(self, now: float) -> Outcome:
        """Return the last outcome until now; before the first one, that."""
        return self.outcomes[max(0, bisect_right(self.times, now) - 1)]

    def changes_at(self, now: float) -> float:
        """Return when there is another outcome; infinite if never."""
        later = range(bisect_right(self.times, now), len(self.times))
        return next((self.times[index] for index in later if self.outcomes[index] != self.at(now)), inf)


class Recording:
    """Everything that a Controller answered, by request and time. Times are seconds since the epoch."""

    def __init__(self, exchanges: list[tuple[float, Asked, Outcome]]) -> None:
        self.started_at, self.ended_at = exchanges[0][0], exchanges[-1][0]
        self._timelines: dict[Asked, _Timeline] = {}
        self._reachable = _Timeline()
        self._sessions_ended_at = [at for at, (method, *_), got in exchanges if method == "GET" and _status(got) == 401]
        for at, asked, outcome in exchanges:
            self._timelines.setdefault(asked, _Timeline()).add(at, outcome)
            self._reachable.add(at, "refused" if outcome == "refused" else "closed")

    def outcome(self, asked: Asked, now: float) -> Outcome | None:
        """Return what the last such request came to; None if there was never one."""
        timeline = self._timelines.get(asked)
        return timeline.at(now) if timeline else None

    def changes_at(self, asked: Asked, now: float) -> float:
        """Return when such a request came to something else for the first time after now; infinite if never."""
        timeline = self._timelines.get(asked)
        return timeline.changes_at(now) if timeline else inf

    def refuses(self, now: float) -> bool:
        """Whether connections are refused."""
        return self._reachable.at(now) == "refused"

    def refuses_until(self, now: float) -> float:
        """Return when that changes; infinite if never."""
        return self._reachable.changes_at(now)

    def ended_sessions(self, now: float) -> int:
        """Return how often the Controller has ended all sessions: so many requests in one were answered 401."""
        return bisect_right(self._sessions_ended_at, now)


def read_recording(folder: Path) -> Recording:
    """Raises: RecordingError."""
    try:
        description = msgspec.json.decode((folder / "recording.json").read_bytes(), type=_Description)
        if description.format != FORMAT:
            raise RecordingError(f"{folder}: its format is {description.format}, expected {FORMAT}")
        answers = {each.answer: _response(each) for each in _lines(folder / "answers.jsonl", _Answer)}
        lines = _lines(folder / "exchanges.jsonl", _Exchange)
        exchanges = [(each.at, asked(each.request), _outcome(each, answers)) for each in lines]
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RecordingError(f"{folder}: no recording that can be read: {error}") from error
    except KeyError as error:
        raise RecordingError(f"{folder}: there is no answer {error} in answers.jsonl") from error
    if not exchanges:
        raise RecordingError(f"{folder}: the recording is empty")
    return Recording(exchanges)


def asked(request: str) -> Asked:
    """Parse a request: ``GET /api/image?page_size=200``."""
    method, _, url = request.partition(" ")
    path, _, query = url.partition("?")
    return method, path, tuple(sorted(parse_qsl(query, keep_blank_values=True)))


def _lines(path: Path, kind: type[T]) -> Iterator[T]:
    """Raises: OSError; MsgspecError for a line that is no JSON, or of another shape, unless it is cut off."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line, type=kind)


def _response(answer: _Answer) -> HttpResponse:
    headers = dict(answer.headers)
    content_type = headers.pop("Content-Type", "application/json")
    if answer.html:
        page = html_response(
            answer.status, HTTPStatus(answer.status).phrase if answer.status in set(HTTPStatus) else ""
        )
        return HttpResponse(answer.status, page.body, tuple(headers.items()), content_type)
    body = b"{" if answer.unreadable else answer.text.encode()
    body = body if answer.json is msgspec.UNSET else bytes(answer.json)
    return HttpResponse(answer.status, body, tuple(headers.items()), content_type)


def _outcome(exchange: _Exchange, answers: dict[int, HttpResponse]) -> Outcome:
    """Raises: KeyError for an answer that is not there."""
    if not exchange.failure:
        return answers[exchange.answer]
    if exchange.failure == "timeout":
        return "silent"
    return "refused" if exchange.failure in _BEFORE_SENDING and not exchange.sent else "closed"


def _status(outcome: Outcome) -> int:
    return outcome.status if isinstance(outcome, HttpResponse) else 0
