"""Every kind of fault, as an HTTP client sees it."""

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
from tests.support.limits import WAIT_TIMEOUT_S

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
        async with session.post("/login", data={"username": dc1.username, "password": dc1.password}) as response:
            assert response.status == 200
        yield session


class Received:
    """One response, read completely."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.status = response.status
        self.reason = response.reason
        self.headers = response.headers
        self.cookies = response.cookies
        self.body = body

    @property
    def document(self) -> Any:  # noqa: ANN401  any JSON
        return msgspec.json.decode(self.body)

    @property
    def images(self) -> list[Any]:
        found: list[Any] = self.document["results"]
        return found


async def get(http: aiohttp.ClientSession, path: str = "/api/image") -> Received:
    async with asyncio.timeout(WAIT_TIMEOUT_S), http.get(path, allow_redirects=False) as response:
        return Received(response, await response.read())


async def get_with_fault(dc1: SimulatedController, http: aiohttp.ClientSession, fault: Fault) -> Received:
    dc1.faults.add(fault)
    return await get(http)


# -- before the request is handled


async def test_latency_delays_the_request(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    dc1.faults.add(Fault("latency", seconds=3600.0))
    async with asyncio.TaskGroup() as tasks:
        delayed = tasks.create_task(get(http))
        (request,) = await dc1.wait_for_requests(1, path="/api/image")
        assert (request.status, delayed.done()) == (None, False)
        delayed.cancel()


async def test_a_hanging_request_continues_when_the_faults_are_cleared(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    dc1.faults.add(Fault("hang"))
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(get(http))
        await dc1.wait_for_requests(1, path="/api/image")
        dc1.faults.clear()
    assert hanging.result().status == 200


async def test_a_hanging_request_does_not_stop_the_controller_from_going_down(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    async def failed() -> bool:
        with pytest.raises(aiohttp.ClientError):
            await get(http)
        return True

    dc1.faults.add(Fault("hang"))
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(failed())
        await dc1.wait_for_requests(1, path="/api/image")
        await dc1.stop_listening()
    assert hanging.result()


async def test_close_sends_no_byte(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await get_with_fault(dc1, http, Fault("close"))
    assert {request.status for request in await dc1.wait_for_requests(1, path="/api/image", answered=True)} == {0}


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
async def test_the_fault_replaces_the_response(  # noqa: PLR0917
    dc1: SimulatedController, http: aiohttp.ClientSession, kind: str, status: int, content_type: str, text: bytes
) -> None:
    received = await get_with_fault(dc1, http, Fault(kind, times=1))
    assert (received.status, received.headers["Content-Type"]) == (status, content_type)
    assert text in received.body
    assert (await get(http)).status == 200


async def test_an_empty_body_can_be_a_204(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    received = await get_with_fault(dc1, http, Fault("empty_body", size=204))
    assert (received.status, received.body) == (204, b"")


async def test_too_many_requests_has_retry_after_in_seconds(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    assert (await get_with_fault(dc1, http, Fault("too_many_requests", seconds=7))).headers["Retry-After"] == "7"


async def test_too_many_requests_can_have_retry_after_as_a_date(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    received = await get_with_fault(dc1, http, Fault("too_many_requests", seconds=3600, value="date"))
    wait = parsedate_to_datetime(received.headers["Retry-After"]) - parsedate_to_datetime(received.headers["Date"])
    assert 3590 < wait.total_seconds() < 3610


async def test_too_many_requests_can_have_no_retry_after(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    assert "Retry-After" not in (await get_with_fault(dc1, http, Fault("too_many_requests", value="none"))).headers


async def test_redirect_points_to_another_host(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    received = await get_with_fault(dc1, http, Fault("redirect"))
    assert (received.status, received.headers["Location"]) == (302, "https://elsewhere.invalid/api/image")


async def test_session_expiry_ends_the_session_before_the_request(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    assert (await get_with_fault(dc1, http, Fault("session_expiry", times=1))).status == 401
    assert dc1.sessions == {}


async def test_switch_session_sends_the_cookies_that_are_valid_from_now_on(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    received = await get_with_fault(dc1, http, Fault("switch_session", times=1))
    assert (received.status, received.reason, received.headers["Content-Type"]) == (
        419,
        "FORBIDDEN",
        "text/html; charset=utf-8",
    )
    assert received.document == {"error": "Need to switch session"}
    assert list(dc1.sessions) == [received.cookies["sessionid"].value]
    assert (await get(http)).status == 200


async def test_switch_session_does_not_affect_a_client_without_a_session(dc1: SimulatedController) -> None:
    dc1.faults.add(Fault("switch_session"))
    async with aiohttp.ClientSession(dc1.url) as anonymous:
        assert (await get(anonymous)).status == 401


async def test_csrf_rotation_shows_only_in_the_cookies(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    before = (await get(http)).cookies["csrftoken"].value
    after = (await get_with_fault(dc1, http, Fault("csrf_rotation", times=1))).cookies["csrftoken"].value
    assert before != after


async def test_clock_jump_moves_the_clock(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    await get_with_fault(dc1, http, Fault("clock_jump", seconds=-100.0, times=1))
    assert dc1.clock.now() == START - 100.0


# -- in images and pages

CHANGES: list[tuple[str, str | None]] = [
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


@pytest.mark.parametrize(("kind", "value"), CHANGES)
async def test_the_first_image_is_changed_and_the_others_are_not(
    dc1: SimulatedController, http: aiohttp.ClientSession, kind: str, value: str | None
) -> None:
    before = (await get(http)).images
    after = (await get_with_fault(dc1, http, Fault(kind, value=value))).images
    assert after[0] != before[0]
    assert after[1:] == before[1:]


async def test_a_single_image_is_changed_too(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    uuid = (await get(http)).images[0]["uuid"]
    dc1.faults.add(Fault("missing_events"))
    assert "events" not in (await get(http, f"/api/image/{uuid}")).document


async def test_a_uuid_is_listed_twice(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    images = (await get_with_fault(dc1, http, Fault("duplicate_uuids"))).images
    assert images[0] == images[-1]


async def test_the_list_shrinks_between_two_pages(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    dc1.faults.add(Fault("shrinking_pages"))
    pages = [(await get(http, f"/api/image?page_size=2&page={number}")).document for number in (1, 2)]
    assert [(page["count"], len(page["results"])) for page in pages] == [(4, 2), (3, 1)]


async def test_each_page_has_another_count(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    dc1.faults.add(Fault("varying_count"))
    pages = [(await get(http, f"/api/image?page_size=2&page={number}")).document for number in (1, 2)]
    assert [(page["count"], len(page["results"])) for page in pages] == [(4, 2), (5, 2)]


async def test_results_are_not_a_list(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    assert isinstance((await get_with_fault(dc1, http, Fault("not_a_list"))).document["results"], dict)


# -- while the response is sent


async def test_a_body_arrives_in_small_pieces(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    body = (await get(http)).body
    dc1.faults.add(Fault("drip_feed", size=len(body) // 8, seconds=0.001))
    chunks = []
    async with http.get("/api/image") as response:
        async for chunk, _ in response.content.iter_chunks():
            chunks.append(chunk)
    assert b"".join(chunks) == body
    assert len(chunks) > 1


async def test_a_slow_reply_does_the_work_at_once(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    uuid = (await get(http)).images[0]["uuid"]
    dc1.faults.add(Fault("slow_reply", seconds=3600.0))
    headers = {"Referer": dc1.url, "X-CSRFToken": next(iter(dc1.sessions.values())).csrf}
    body = {"replace": {"name": "done"}}
    async with asyncio.TaskGroup() as tasks:
        delayed = tasks.create_task(http.patch(f"/api/image/{uuid}", json=body, headers=headers))
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            while dc1.image(uuid)["name"] != "done":  # noqa: ASYNC110  the Controller tells of answers only
                await asyncio.sleep(0)
        assert not delayed.done()
        delayed.cancel()


@pytest.mark.parametrize("kind", ["reset", "short_body"])
async def test_a_body_ends_in_the_middle(dc1: SimulatedController, http: aiohttp.ClientSession, kind: str) -> None:
    with pytest.raises(aiohttp.ClientError):
        await get_with_fault(dc1, http, Fault(kind))


async def raw(dc1: SimulatedController, session_id: str) -> tuple[bytes, type[Exception] | None]:
    """Send one request over a socket; return the bytes of the response, and the error that ended it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", dc1.port)
    request = f"GET /api/image HTTP/1.1\r\nHost: c\r\nCookie: sessionid={session_id}\r\n\r\n"
    writer.write(request.encode())
    received = b""
    try:
        while chunk := await reader.read(65536):
            received += chunk
    except ConnectionError as error:
        return received, type(error)
    finally:
        writer.close()
    return received, None


async def test_reset_resets_the_connection(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    await get(http)
    dc1.faults.add(Fault("reset"))
    _, error = await raw(dc1, next(iter(dc1.sessions)))
    assert error is ConnectionResetError


async def test_a_short_body_ends_without_a_reset(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    body = (await get(http)).body
    dc1.faults.add(Fault("short_body"))
    received, error = await raw(dc1, next(iter(dc1.sessions)))
    assert error is None
    assert 0 < len(received.partition(b"\r\n\r\n")[2]) < len(body)


async def test_a_lost_reply_does_the_work(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    uuid = (await get(http)).images[0]["uuid"]
    dc1.faults.add(Fault("lost_reply", method="PATCH"))
    headers = {"Referer": dc1.url, "X-CSRFToken": next(iter(dc1.sessions.values())).csrf}
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await http.patch(f"/api/image/{uuid}", json={"replace": {"name": "done"}}, headers=headers)
    assert dc1.image(uuid)["name"] == "done"


@pytest.mark.parametrize("kind", ["truncated_json", "invalid_json", "invalid_utf8"])
async def test_a_complete_response_is_not_json(
    dc1: SimulatedController, http: aiohttp.ClientSession, kind: str
) -> None:
    received = await get_with_fault(dc1, http, Fault(kind))
    assert (received.status, int(received.headers["Content-Length"])) == (200, len(received.body))
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        _ = received.document


async def test_an_oversized_body_has_no_content_length(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    received = await get_with_fault(dc1, http, Fault("oversized_body", size=3_000_000))
    assert "Content-Length" not in received.headers
    assert len(received.body) > 3_000_000
    assert len(received.images) == 4


async def test_an_oversized_body_can_have_a_wrong_content_length(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    dc1.faults.add(Fault("oversized_body", size=1_000_000, value="wrong_length"))
    async with http.get("/api/image") as response:
        assert int(response.headers["Content-Length"]) > 8_000_000
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_gzip_bomb_is_small_on_the_wire(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    received = await get_with_fault(dc1, http, Fault("gzip_bomb", size=8_000_000))
    assert received.headers["Content-Encoding"] == "gzip"
    assert len(received.body) < 20_000
    assert len(gzip.decompress(received.body)) > 8_000_000


async def test_the_content_type_is_wrong(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    received = await get_with_fault(dc1, http, Fault("wrong_content_type"))
    assert (received.headers["Content-Type"], len(received.images)) == ("text/html", 4)


async def test_the_date_is_that_of_a_wrong_clock(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    received = await get_with_fault(dc1, http, Fault("wrong_date"))
    assert received.headers.getall("Date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]


# -- several faults


@pytest.mark.parametrize("kind", sorted(FAULT_KINDS))
async def test_a_fault_on_another_path_changes_nothing_and_can_be_cleared(
    dc1: SimulatedController, http: aiohttp.ClientSession, kind: str
) -> None:
    before = (await get(http)).body
    dc1.faults.add(Fault(kind, seconds=0.0, size=204 if kind == "empty_body" else 1000, path="/api/nothing"))
    assert (await get(http)).body == before
    dc1.faults.clear()
    assert dc1.faults.active == ()


async def test_several_faults_hit_one_request(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    for kind in ("latency", "missing_events", "wrong_content_type"):
        dc1.faults.add(Fault(kind, seconds=0.0))
    received = await get(http)
    assert ("events" in received.images[0], received.headers["Content-Type"]) == (False, "text/html")


async def test_a_fault_can_hit_the_log_in_only(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    dc1.faults.add(Fault("html_502", path="/login"))
    async with http.post("/login", data={"username": dc1.username, "password": dc1.password}) as response:
        assert response.status == 502
    assert (await get(http)).status == 200


async def test_the_port_stays_reserved_while_the_controller_does_not_listen(dc1: SimulatedController) -> None:
    await dc1.stop_listening()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", dc1.port))
