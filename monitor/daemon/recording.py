"""
The files of a recording: what a Controller answered, each distinct answer once, and when each of them came.

``recording.json`` says what it is. ``answers.jsonl`` has a line for each distinct answer: its number, the request, the
status, a few headers, and the body. ``exchanges.jsonl`` has a line for each exchange: when it ended, how long it took,
and the number of its answer, or how it failed. Each line is written at once, without a buffer, so that a
process that is killed loses the last one at most. Nothing is written that `monitor.avi.scrub` has not seen; the
exchanges of the first poll are written together, at its end, so that no text in them names what comes later in them.
"""

import errno
import os
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Any, Final

import msgspec

from monitor import __version__
from monitor.avi.errors import Reply
from monitor.avi.exchange import Request
from monitor.avi.scrub import Scrubber
from monitor.avi.wire import UNREADABLE
from monitor.config.values import write_size
from monitor.model.errors import MonitorError, PollError, Unanswered

ANSWERS: Final = "answers.jsonl"
EXCHANGES: Final = "exchanges.jsonl"
DESCRIPTION: Final = "recording.json"
FORMAT: Final = 1
"""The number of this format."""

_TEXT_LENGTH: Final = 10_000  # characters of a body that is no JSON; a Controller's own have one line
_HEADERS: Final[Mapping[str, re.Pattern[str]]] = {
    "Content-Type": re.compile(r"(?:application/json|text/html|text/plain)(?:; ?charset=utf-8)?\Z", re.IGNORECASE),
    "Retry-After": re.compile(
        r"\d{1,9}\Z|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\Z"
    ),
    "AVI_API_VERSION": re.compile(r"\d{1,3}(?:\.\d{1,3}){1,3}\Z"),
}
"""The headers that are recorded, where they have this form."""


class RecordingFiles:
    """
    The files of one recording, in a folder that is new or empty.

    ``max_bytes``: of both lists together. ``now``: Unix seconds. ``on_end``: called when nothing more is recorded,
    because the limit is reached or a file cannot be written. Raises: MonitorError for a folder that cannot be used.
    """

    def __init__(
        self, folder: Path, scrubber: Scrubber, *, max_bytes: int, now: Callable[[], float], on_end: Callable[[], None]
    ) -> None:
        self._folder = folder
        self._scrubber = scrubber
        self._max_bytes = max_bytes
        self._now = now
        self._on_end = on_end
        self._numbers: dict[bytes, int] = {}
        """The numbers of the answers, by the digests of what came, and of what was written of it."""
        self.answers = self.exchanges = self.bytes = 0
        self._held_back: list[tuple[float, Request, Reply | PollError, float]] | None = []
        self.ended = ""
        """Why nothing more is recorded; empty: it still is."""
        try:
            _make_private(folder)
            facts = {"format": FORMAT, "program": __version__, "started_at": now()}
            with _create(folder / DESCRIPTION) as file:
                file.write(msgspec.json.encode(facts) + b"\n")
            self._answers, self._exchanges = _create(folder / ANSWERS), _create(folder / EXCHANGES)
        except OSError as error:
            raise MonitorError(f"{folder}: cannot be recorded to: {error.strerror}") from error

    def observe(self, request: Request, outcome: Reply | PollError, took_s: float) -> None:
        """Record an exchange; see `monitor.avi.client.Observer`."""
        exchange = self._now(), request, outcome, took_s
        if self._held_back is None:
            self._record(*exchange)
        else:
            self._held_back.append(exchange)

    def first_poll_ended(self) -> None:
        """Write the exchanges until now, with every name in them known, and each further one at once."""
        held_back, self._held_back = self._held_back or [], None
        for _, request, outcome, _ in held_back:
            if isinstance(outcome, Reply):
                describe(request, outcome, self._scrubber)
        for exchange in held_back:
            self._record(*exchange)

    def _record(self, at: float, request: Request, outcome: Reply | PollError, took_s: float) -> None:
        if self.ended:
            return
        asked = f"{request.method} {self._scrubber.url(request.url.raw_path_qs)}"
        exchange: dict[str, Any] = {"at": round(at, 6), "took": round(took_s, 6), "request": asked}
        try:
            if isinstance(outcome, Reply):
                self._write(self._exchanges, {**exchange, "answer": self._number_of(request, outcome, asked)})
            else:
                sent = isinstance(outcome, Unanswered)
                self._write(self._exchanges, {**exchange, "failure": outcome.reason, "sent": sent})
        except _Full:
            self._end(f"it has reached its limit of {write_size(self._max_bytes)}")
        except OSError as error:
            self._end(f"its files cannot be written: {error.strerror}")
        else:
            self.exchanges += 1

    def close(self) -> None:
        """Close the files."""
        for file in (self._answers, self._exchanges):
            file.close()

    def remove(self) -> None:
        """Remove the files, so that the folder can be recorded to again."""
        for name in (DESCRIPTION, ANSWERS, EXCHANGES):
            (self._folder / name).unlink(missing_ok=True)

    def _number_of(self, request: Request, reply: Reply, asked: str) -> int:
        """Return the number of this answer; one that is new is written."""
        headers = "".join(f"{name}={reply.headers.get(name, '')};" for name in (*_HEADERS, "Location"))
        came = sha256(f"{asked} {reply.status} {headers}".encode() + reply.body).digest()
        if came not in self._numbers:
            answer = {"request": asked, "status": reply.status, **describe(request, reply, self._scrubber)}
            shown = sha256(msgspec.json.encode(answer)).digest()
            if shown not in self._numbers:
                self._write(self._answers, {"answer": self.answers + 1, **answer})
                self.answers += 1
                self._numbers[shown] = self.answers
            self._numbers[came] = self._numbers[shown]
        return self._numbers[came]

    def _write(self, file: FileIO, line: object) -> None:
        """Write one line. Raises: OSError; _Full if there is no place for it."""
        text = msgspec.json.encode(line) + b"\n"
        if self.bytes + len(text) > self._max_bytes:
            raise _Full
        if file.write(text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.bytes += len(text)

    def _end(self, why: str) -> None:
        self.ended = why
        self._on_end()


class _Full(Exception):
    """The limit of a recording is reached."""


def describe(request: Request, reply: Reply, scrubber: Scrubber) -> dict[str, Any]:
    """
    Return what is recorded of a reply: ``headers``, if any, and one of these.

    ``json``: the body; of a log-in its members and the version. ``text``: a body that is no JSON. ``html``: true for a
    page, of which nothing is recorded. ``unreadable``: how many bytes have the form of JSON, and are none.
    """
    headers = {name: reply.headers.get(name, "") for name in _HEADERS}
    shown = {name: value for name, value in headers.items() if _HEADERS[name].match(value)}
    if location := reply.headers.get("Location"):
        shown["Location"] = scrubber.url(location)
    return {**({"headers": shown} if shown else {}), **_describe_body(request, reply.body, scrubber)}


def _describe_body(request: Request, body: bytes, scrubber: Scrubber) -> dict[str, Any]:
    start = body[:64].lstrip()
    if start.startswith(b"<"):
        return {"html": True}
    if request.phase == "login":
        return {"json": scrubber.login_body(body)}
    try:
        return {"json": scrubber.body(body)}
    except UNREADABLE:
        if start.startswith((b"{", b"[")):
            return {"unreadable": len(body)}
        # What is cut off may be a part of a name, so that it is not cut before names are replaced.
        return {"text": scrubber.text(body[: 8 * _TEXT_LENGTH].decode(errors="replace"))[:_TEXT_LENGTH]}


def _make_private(folder: Path) -> None:
    """Make the folder, for this user alone. Raises: MonitorError when it has something in it; OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise MonitorError(f"{folder}: it is not empty; a recording needs a folder that is new or empty")
    folder.chmod(0o700)


def _create(path: Path) -> FileIO:
    """Raises: OSError."""
    path.touch(mode=0o600, exist_ok=False)
    return path.open("wb", buffering=0)
