"""Every kind of fault, seen on the wire."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import msgspec
import pytest

from monitor.simulator import FAULT_KINDS, ControllerSpec, Fault, SimulatedController, Simulator, UploadSpec

START = 1_740_000_000.0
SPEC = ControllerSpec(name="dc1", images=3, uploads=(UploadSpec(duration=100.0, started_ago=50.0),))


@pytest.fixture
async def dc1() -> AsyncIterator[SimulatedController]:
    async with Simulator([SPEC], start=START, speed=0.0) as simulator:
        yield simulator.controllers["dc1"]


@pytest.fixture
async def http(dc1: SimulatedController) -> AsyncIterator[aiohttp.ClientSession]:
    """Logged in."""
    jar = aiohttp.CookieJar(unsafe=True)
    headers = {"X-Avi-Version": dc1.version}
    async with aiohttp.ClientSession(dc1.url, cookie_jar=jar, headers=headers, auto_decompress=False) as session:
        async with session.post("/login", data={"username": dc1.username, "password": dc1.password}) as answer:
            assert answer.status == 200
        yield session


class Seen:
    """What one request gave: ``document`` is None where the body is no JSON."""

    def __init__(self, answer: aiohttp.ClientResponse, body: bytes) -> None:
        self.status = answer.status
        self.reason = answer.reason
        self.headers = answer.headers
        self.cookies = answer.cookies
        self.body = body

    @property
    def document(self) -> Any:  # noqa: ANN401  any JSON
        return msgspec.json.decode(self.body)

    @property
    def images(self) -> list[Any]:
        found: list[Any] = self.document["results"]
        return found


async def get(http: aiohttp.ClientSession, path: str = "/api/image") -> Seen:
    async with asyncio.timeout(20), http.get(path, allow_redirects=False) as answer:
        return Seen(answer, await answer.read())


async def struck(dc1: SimulatedController, http: aiohttp.ClientSession, fault: Fault) -> Seen:
    dc1.faults.order(fault)
    return await get(http)


# -- before the work


async def test_latency_holds_the_request_up(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    dc1.faults.order(Fault("latency", seconds=60.0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await get(http)
    assert dc1.requests[-1].status is None


async def test_what_hangs_goes_on_when_the_faults_are_cleared(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    dc1.faults.order(Fault("hang"))
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(get(http))
        await dc1.requested(1, path="/api/image")
        dc1.faults.clear()
    assert hanging.result().status == 200


async def test_what_hangs_does_not_keep_the_controller_from_going_down(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    async def failed() -> bool:
        with pytest.raises(aiohttp.ClientError):
            await get(http)
        return True

    dc1.faults.order(Fault("hang"))
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(failed())
        await dc1.requested(1, path="/api/image")
        await dc1.stop_listening()
    assert hanging.result()


async def test_close_gives_not_a_byte(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await struck(dc1, http, Fault("close"))
    assert {request.status for request in await dc1.requested(1, path="/api/image", answered=True)} == {0}


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "text"),
    [
        ("html_502", 502, "text/html", b"Bad Gateway"),
        ("html_503", 503, "text/html", b"Service Temporarily Unavailable"),
        ("http_500", 500, "text/html", b""),
        ("unauthorized", 401, "application/json", b"Authentication credentials were not provided."),
        ("forbidden_upgrade", 403, "application/json", b"Configuration is disallowed during upgrade"),
        ("too_many_requests", 429, "text/html", b"Too Many Requests"),
        ("empty_body", 200, "application/json", b""),
    ],
)
async def test_another_answer_comes_instead(  # noqa: PLR0917
    dc1: SimulatedController, http: aiohttp.ClientSession, kind: str, status: int, content_type: str, text: bytes
) -> None:
    seen = await struck(dc1, http, Fault(kind, times=1))
    assert (seen.status, seen.headers["Content-Type"]) == (status, content_type)
    assert text in seen.body
    assert (await get(http)).status == 200


async def test_an_empty_body_can_be_a_204(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    seen = await struck(dc1, http, Fault("empty_body", size=204))
    assert (seen.status, seen.body) == (204, b"")


async def test_too_many_requests_says_when_to_come_back_in_seconds(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    assert (await struck(dc1, http, Fault("too_many_requests", seconds=7))).headers["Retry-After"] == "7"


async def test_too_many_requests_says_when_to_come_back_as_a_date(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    seen = await struck(dc1, http, Fault("too_many_requests", seconds=3600, value="date"))
    wait = parsedate_to_datetime(seen.headers["Retry-After"]) - parsedate_to_datetime(seen.headers["Date"])
    assert 3590 < wait.total_seconds() < 3610


async def test_too_many_requests_can_keep_it_to_itself(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    assert "Retry-After" not in (await struck(dc1, http, Fault("too_many_requests", value="none"))).headers


async def test_redirect_points_elsewhere(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    seen = await struck(dc1, http, Fault("redirect"))
    assert (seen.status, seen.headers["Location"]) == (302, "https://elsewhere.invalid/api/image")


async def test_session_expiry_finds_the_session_gone(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    assert (await struck(dc1, http, Fault("session_expiry", times=1))).status == 401
    assert dc1.sessions == {}


async def test_switch_session_brings_the_cookies_that_are_good_from_now_on(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    seen = await struck(dc1, http, Fault("switch_session", times=1))
    assert (seen.status, seen.reason, seen.headers["Content-Type"]) == (419, "FORBIDDEN", "text/html; charset=utf-8")
    assert seen.document == {"error": "Need to switch session"}
    assert list(dc1.sessions) == [seen.cookies["sessionid"].value]
    assert (await get(http)).status == 200


async def test_nobody_can_switch_a_session_who_has_none(dc1: SimulatedController) -> None:
    dc1.faults.order(Fault("switch_session"))
    async with aiohttp.ClientSession(dc1.url) as stranger:
        assert (await get(stranger)).status == 401


async def test_csrf_rotation_shows_in_the_cookies_only(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    before = (await get(http)).cookies["csrftoken"].value
    after = (await struck(dc1, http, Fault("csrf_rotation", times=1))).cookies["csrftoken"].value
    assert before != after


async def test_the_clock_jumps(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    await struck(dc1, http, Fault("clock_jump", seconds=-100.0, times=1))
    assert dc1.clock.now() == START - 100.0


# -- in what is said

ALTERED: list[tuple[str, str | None]] = [
    ("wrong_types", None),
    ("unknown_enum", None),
    ("unknown_fields", None),
    ("absent_fields", None),
    ("missing_events", None),
    ("null_fields", None),
    ("not_an_object", None),
    ("time_format", "iso"),
    ("time_format", "microseconds"),
    ("time_format", "empty"),
    ("time_format", "absent"),
]


@pytest.mark.parametrize(("kind", "value"), ALTERED)
async def test_the_first_image_is_altered_and_the_others_are_not(
    dc1: SimulatedController, http: aiohttp.ClientSession, kind: str, value: str | None
) -> None:
    before = (await get(http)).images
    after = (await struck(dc1, http, Fault(kind, value=value))).images
    assert after[0] != before[0]
    assert after[1:] == before[1:]


async def test_one_image_read_by_itself_is_altered_too(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    uuid = (await get(http)).images[0]["uuid"]
    dc1.faults.order(Fault("missing_events"))
    assert "events" not in (await get(http, f"/api/image/{uuid}")).document


async def test_a_uuid_comes_twice(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    images = (await struck(dc1, http, Fault("duplicate_uuids"))).images
    assert images[0] == images[-1]


async def test_the_list_shrinks_between_two_pages(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    dc1.faults.order(Fault("shrinking_pages"))
    pages = [(await get(http, f"/api/image?page_size=2&page={number}")).document for number in (1, 2)]
    assert [(page["count"], len(page["results"])) for page in pages] == [(4, 2), (3, 1)]


async def test_pages_disagree_on_the_count(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    dc1.faults.order(Fault("varying_count"))
    pages = [(await get(http, f"/api/image?page_size=2&page={number}")).document for number in (1, 2)]
    assert [(page["count"], len(page["results"])) for page in pages] == [(4, 2), (5, 2)]


async def test_results_are_no_list(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    assert isinstance((await struck(dc1, http, Fault("not_a_list"))).document["results"], dict)


# -- on the way


async def test_a_body_comes_drop_by_drop(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    complete = (await get(http)).body
    dc1.faults.order(Fault("drip_feed", size=len(complete) // 8, seconds=0.001))
    chunks = []
    async with http.get("/api/image") as answer:
        async for chunk, _ in answer.content.iter_chunks():
            chunks.append(chunk)
    assert b"".join(chunks) == complete
    assert len(chunks) > 1


async def test_a_slow_reply_has_done_its_work(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    uuid = (await get(http)).images[0]["uuid"]
    dc1.faults.order(Fault("slow_reply", seconds=60.0))
    headers = {"Referer": dc1.url, "X-CSRFToken": next(iter(dc1.sessions.values())).csrf}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await http.patch(f"/api/image/{uuid}", json={"replace": {"name": "done"}}, headers=headers)
    assert dc1.image(uuid)["name"] == "done"


@pytest.mark.parametrize("kind", ["reset", "short_body"])
async def test_a_body_is_torn_in_the_middle(dc1: SimulatedController, http: aiohttp.ClientSession, kind: str) -> None:
    with pytest.raises(aiohttp.ClientError):
        await struck(dc1, http, Fault(kind))


async def raw(dc1: SimulatedController, session_id: str) -> tuple[bytes, type[Exception] | None]:
    """The bytes of one answer as the socket gives them, and how it ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", dc1.port)
    request = f"GET /api/image HTTP/1.1\r\nHost: c\r\nCookie: sessionid={session_id}\r\n\r\n"
    writer.write(request.encode())
    got = b""
    try:
        while chunk := await reader.read(65536):
            got += chunk
    except ConnectionError as error:
        return got, type(error)
    finally:
        writer.close()
    return got, None


async def test_reset_is_a_real_reset(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    await get(http)
    dc1.faults.order(Fault("reset"))
    _, error = await raw(dc1, next(iter(dc1.sessions)))
    assert error is ConnectionResetError


async def test_a_short_body_ends_in_good_order(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    complete = (await get(http)).body
    dc1.faults.order(Fault("short_body"))
    got, error = await raw(dc1, next(iter(dc1.sessions)))
    assert error is None
    assert 0 < len(got.partition(b"\r\n\r\n")[2]) < len(complete)


async def test_a_lost_reply_has_done_its_work(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    uuid = (await get(http)).images[0]["uuid"]
    dc1.faults.order(Fault("lost_reply", method="PATCH"))
    headers = {"Referer": dc1.url, "X-CSRFToken": next(iter(dc1.sessions.values())).csrf}
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await http.patch(f"/api/image/{uuid}", json={"replace": {"name": "done"}}, headers=headers)
    assert dc1.image(uuid)["name"] == "done"


@pytest.mark.parametrize("kind", ["truncated_json", "invalid_json", "invalid_utf8"])
async def test_a_whole_answer_is_no_json(dc1: SimulatedController, http: aiohttp.ClientSession, kind: str) -> None:
    seen = await struck(dc1, http, Fault(kind))
    assert (seen.status, int(seen.headers["Content-Length"])) == (200, len(seen.body))
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        _ = seen.document


async def test_an_oversized_body_comes_without_a_length(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    seen = await struck(dc1, http, Fault("oversized_body", size=3_000_000))
    assert "Content-Length" not in seen.headers
    assert len(seen.body) > 3_000_000
    assert len(seen.images) == 4


async def test_an_oversized_body_comes_under_a_lie(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    dc1.faults.order(Fault("oversized_body", size=1_000_000, value="wrong_length"))
    async with http.get("/api/image") as answer:
        assert int(answer.headers["Content-Length"]) > 8_000_000
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_gzip_bomb_is_small_on_the_wire(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    seen = await struck(dc1, http, Fault("gzip_bomb", size=8_000_000))
    assert seen.headers["Content-Encoding"] == "gzip"
    assert len(seen.body) < 20_000
    assert len(gzip.decompress(seen.body)) > 8_000_000


async def test_a_content_type_is_wrong(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    seen = await struck(dc1, http, Fault("wrong_content_type"))
    assert (seen.headers["Content-Type"], len(seen.images)) == ("text/html", 4)


# -- together


@pytest.mark.parametrize("kind", sorted(FAULT_KINDS))
async def test_whatever_went_wrong_is_over_when_the_faults_are_cleared(
    dc1: SimulatedController, http: aiohttp.ClientSession, kind: str
) -> None:
    before = (await get(http)).body
    dc1.faults.order(Fault(kind, seconds=0.0, size=204 if kind == "empty_body" else 1000, path="/api/nothing"))
    assert (await get(http)).body == before
    dc1.faults.clear()
    assert dc1.faults.active == ()


async def test_faults_can_meet_in_one_request(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    for kind in ("latency", "missing_events", "wrong_content_type"):
        dc1.faults.order(Fault(kind, seconds=0.0))
    seen = await get(http)
    assert ("events" in seen.images[0], seen.headers["Content-Type"]) == (False, "text/html")


async def test_a_fault_on_log_in_hits_log_in(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    dc1.faults.order(Fault("html_502", path="/login"))
    async with http.post("/login", data={"username": dc1.username, "password": dc1.password}) as answer:
        assert answer.status == 502
    assert (await get(http)).status == 200


async def test_the_port_stays_taken_while_nobody_listens(dc1: SimulatedController) -> None:
    await dc1.stop_listening()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", dc1.port))
