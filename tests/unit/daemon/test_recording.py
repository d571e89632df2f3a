"""What is written of one exchange, and what is not."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from monitor.avi.errors import Reply
from monitor.avi.exchange import Request
from monitor.avi.scrub import Scrubber
from monitor.daemon.recording import RecordingFiles
from monitor.model.errors import BadAnswer, MonitorError, PollError, Unanswered, Unreachable
from monitor.model.masking import KnownSecrets

IMAGES = Request("GET", URL("https://avi.acme.com/api/image?page_size=200"), "images")
LOGIN = Request("POST", URL("https://avi.acme.com/login"), "login", data={"username": "root", "password": "secret"})


class Ended:
    """Whether it was called."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def files_in(
    folder: Path, *, max_bytes: int = 20_000, on_end: Ended | None = None, first_poll: bool = False
) -> RecordingFiles:
    scrubber = Scrubber(b"key", KnownSecrets())
    files = RecordingFiles(folder, scrubber, max_bytes=max_bytes, now=lambda: 1000.0, on_end=on_end or Ended())
    if not first_poll:
        files.first_poll_ended()
    return files


def written(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("request_", "status", "headers", "body", "shown"),
    [
        (IMAGES, 200, {"Content-Type": "application/json"}, b'{"name": "acme"}', {"json": {"name": "name-1"}}),
        (IMAGES, 502, {"Content-Type": "text/html"}, b"\n<html>Acme portal", {"html": True}),
        (IMAGES, 401, {}, b"No session for root@acme.com", {"text": "No session for name-1"}),
        (IMAGES, 401, {}, b"no " * 40_000, {"text": "no " * 3_333 + "n"}),
        (IMAGES, 204, {}, b"", {"text": ""}),
        (IMAGES, 200, {}, b'{"name": "acm', {"unreadable": 13}),
        (IMAGES, 200, {}, b"[" * 100_000 + b"]" * 100_000, {"unreadable": 200_000}),
        (LOGIN, 200, {}, b'{"user": {"name": "root"}, "version": {"Version": "30.2.1"}}',
         {"json": {"user": None, "version": {"Version": "30.2.1"}}}),
        (LOGIN, 401, {}, b'{"error": "root is locked"}', {"json": {"error": None}}),
        (LOGIN, 401, {}, b"root is locked", {"json": None}),
    ],
)  # fmt: skip
def test_a_body_is_written_in_the_form_that_leaves_nothing_in_it(  # noqa: PLR0917  a table of five columns
    tmp_path: Path, request_: Request, status: int, headers: Mapping[str, str], body: bytes, shown: dict[str, object]
) -> None:
    files = files_in(tmp_path)
    files.observe(request_, Reply(status, headers, body), 0.25)
    files.close()
    asked = f"{request_.method} {request_.url.raw_path_qs}"
    (answer,) = written(tmp_path, "answers")
    told = {"headers": dict(headers)} if headers else {}
    assert answer == {"answer": 1, "request": asked, "status": status, **told, **shown}
    assert written(tmp_path, "exchanges") == [{"at": 1000.0, "took": 0.25, "request": asked, "answer": 1}]


def test_headers_are_written_in_their_known_forms_only(tmp_path: Path) -> None:
    headers = {
        "Set-Cookie": "sessionid=secret",
        "Server": "acme",
        "Content-Type": "text/acme",
        "Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT",
        "AVI_API_VERSION": "30.2.1 acme",
        "Location": "https://sso.acme.com/login?next=%2Fapi%2Fimage",
    }
    files = files_in(tmp_path)
    files.observe(IMAGES, Reply(302, headers, b""), 0.0)
    files.close()
    (answer,) = written(tmp_path, "answers")
    assert answer["headers"] == {
        "Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT",
        "Location": "https://name-1/login?member_1=%2Fapi%2Fimage",
    }


@pytest.mark.parametrize(
    ("error", "failure", "sent"),
    [
        (Unreachable("connect", "acme refused"), "connect", False),
        (Unanswered("connect", "acme closed"), "connect", True),
        (Unanswered("timeout", "acme is slow"), "timeout", True),
        (Unreachable("dns", "acme is unknown"), "dns", False),
        (BadAnswer("oversize", "acme is large"), "oversize", False),
    ],
)
def test_a_failure_is_written_with_its_kind_and_without_its_text(
    tmp_path: Path, error: PollError, failure: str, sent: bool
) -> None:
    files = files_in(tmp_path)
    files.observe(IMAGES, error, 1.0)
    files.close()
    asked = "GET /api/image?page_size=200"
    expected = {"at": 1000.0, "took": 1.0, "request": asked, "failure": failure, "sent": sent}
    assert written(tmp_path, "exchanges") == [expected]
    assert written(tmp_path, "answers") == []


def test_answers_that_differ_in_what_is_not_written_are_one(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    for body in (b'{"user": {"name": "root"}}', b'{"user": {"name": "admin"}}', b'{"user": {"name": "root"}}'):
        files.observe(LOGIN, Reply(200, {}, body), 0.0)
    files.close()
    assert [each["answer"] for each in written(tmp_path, "answers")] == [1]
    assert [each["answer"] for each in written(tmp_path, "exchanges")] == [1, 1, 1]


def test_what_the_first_poll_names_is_replaced_in_all_texts_of_it(tmp_path: Path) -> None:
    files = files_in(tmp_path, first_poll=True)
    files.observe(IMAGES, Reply(401, {}, b"acme has no session"), 0.0)
    files.observe(IMAGES, Reply(200, {}, b'{"name": "acme"}'), 0.0)
    assert written(tmp_path, "answers") == []
    files.first_poll_ended()
    files.observe(IMAGES, Unreachable("connect", "refused"), 0.0)
    files.close()
    assert written(tmp_path, "answers")[0]["text"] == "name-1 has no session"
    assert [each.get("answer") for each in written(tmp_path, "exchanges")] == [1, 2, None]


def test_a_full_recording_ends_once_and_writes_nothing_more(tmp_path: Path) -> None:
    ended = Ended()
    files = files_in(tmp_path, max_bytes=200, on_end=ended)
    for number in range(5):
        files.observe(IMAGES, Reply(200, {}, b'{"count": %d}' % number), 0.0)
    files.close()
    assert (ended.times, files.ended) == (1, "it has reached its limit of 200B")
    assert sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) == files.bytes <= 200
    assert len(written(tmp_path, "exchanges")) == files.exchanges == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_disk_that_is_full_ends_a_recording(tmp_path: Path) -> None:
    ended = Ended()
    files = files_in(tmp_path, on_end=ended)
    files._exchanges.close()
    files._exchanges = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115  closed with the others
    files.observe(IMAGES, Unreachable("connect", "refused"), 0.0)
    files.close()
    assert (ended.times, files.ended) == (1, "its files cannot be written: No space left on device")


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MonitorError, match=r"file/night: cannot be recorded to: Not a directory"):
        files_in(tmp_path / "file" / "night")
