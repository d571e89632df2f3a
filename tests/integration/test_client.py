"""The client of one controller against a simulated one: session, version, cookies, log-ins, pages, limits, refusals."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from monitor import __version__
from monitor.avi.client import Client
from monitor.avi.image import decode_image
from monitor.config.types import SecretFile
from monitor.model.errors import (
    BadAnswer,
    BadStatus,
    LoginRefused,
    PollError,
    Reason,
    Unanswered,
    Unavailable,
    Unreachable,
)
from monitor.model.image import Image
from monitor.model.snapshot import ObjectList
from monitor.simulator import ControllerSpec, Fault, LoggedRequest, SimulatedController, Simulator, UploadSpec
from tests.support.daemons import connected, rewrite
from tests.support.limits import WAIT_TIMEOUT_S

NOTHING = ObjectList()
HALFWAY = UploadSpec(duration=60.0, started_ago=30.0)
SPEC = ControllerSpec(name="dc1", version="30.2.1", images=1, uploads=(HALFWAY,), tenants=("blue",))
SHORT_TIMEOUT_S = (
    1.0  # for tests in which it has to pass; requests before the fault must keep it, on a busy machine, too
)


@pytest.fixture
async def dc1() -> AsyncIterator[SimulatedController]:
    async with Simulator([SPEC], speed=0.0) as simulator:
        yield simulator.controllers["dc1"]


@pytest.fixture
async def client(dc1: SimulatedController) -> AsyncIterator[Client]:
    """Logged in, with one good poll behind it."""
    async with connected(dc1) as client:
        await client.list_images(NOTHING)
        yield client


def requests_to(controller: SimulatedController, path: str = "/api/image") -> list[LoggedRequest]:
    return [request for request in controller.requests if request.path == path]


async def the_error(client: Client, before: ObjectList = NOTHING) -> PollError:
    with pytest.raises(PollError) as caught:
        await client.list_images(before)
    return caught.value


async def images_of(client: Client) -> list[Image]:
    listing = await client.list_images(NOTHING)
    return [decode_image(raw)[0] for raw in listing.raws.values()]


# -- one log-in, one version


async def test_one_log_in_serves_many_polls(dc1: SimulatedController) -> None:
    async with connected(dc1) as client:
        listing = NOTHING
        for _ in range(5):
            listing = await client.list_images(listing)
    assert [request.path for request in dc1.requests] == ["/login", *["/api/image"] * 5]
    assert (dc1.logins, client.link.logins) == (1, 1)


async def test_an_unchanged_list_is_the_same_object(client: Client) -> None:
    listing = await client.list_images(NOTHING)
    assert await client.list_images(listing) is listing


async def test_a_changed_list_is_a_new_object(dc1: SimulatedController, client: Client) -> None:
    listing = await client.list_images(NOTHING)
    dc1.touch(next(iter(listing.raws)), name="renamed")
    assert await client.list_images(listing) != listing


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        pytest.param("20.1.9", "20.1.9", id="20.1"),
        pytest.param("21.1.6", "21.1.6", id="21.1"),
        pytest.param("30.2.1", "30.2.1", id="30.2"),
        pytest.param("32.2.1", "32.2.1", id="highest-known"),
        pytest.param("40.1.1", "32.2.1", id="not-known-yet"),
    ],
)
async def test_the_api_version_is_that_of_the_controller_up_to_the_highest_known(
    dc1: SimulatedController, version: str, expected: str
) -> None:
    dc1.version = version
    async with connected(dc1) as client:
        await client.list_images(NOTHING)
    assert [request.headers["X-Avi-Version"] for request in requests_to(dc1)] == [expected]
    assert (client.link.version, client.link.api_version) == (version, expected)


async def test_a_pinned_version_is_used_whatever_the_controller_runs(dc1: SimulatedController) -> None:
    async with connected(dc1, api_version="22.1.6") as client:
        await client.list_images(NOTHING)
    assert requests_to(dc1)[0].headers["X-Avi-Version"] == "22.1.6"
    assert (client.link.version, client.link.api_version) == ("30.2.1", "22.1.6")


async def test_a_pinned_version_above_that_of_the_controller_fails_and_does_not_suspend(
    dc1: SimulatedController,
) -> None:
    async with connected(dc1, api_version="31.2.2") as client:
        errors = [await the_error(client) for _ in range(3)]
    assert [type(error) for error in errors] == [BadStatus] * 3
    assert "Invalid version 31.2.2" in errors[0].detail
    assert dc1.logins <= 1 + 3  # at most one more in each poll


@pytest.mark.parametrize("said", ["{}", "no JSON", '{"version": null}', '{"version": {"min_version": 15.2}}'])
async def test_after_a_log_in_without_the_version_it_is_requested(dc1: SimulatedController, said: str) -> None:
    dc1.faults.add(Fault("invalid_json", path="/login", value=said))
    async with connected(dc1) as client:
        await client.list_images(NOTHING)
    assert [request.path for request in dc1.requests] == ["/login", "/api/initial-data", "/api/image"]
    assert requests_to(dc1)[0].headers["X-Avi-Version"] == "30.2.1"


async def test_for_a_controller_without_a_version_the_highest_known_is_used(
    dc1: SimulatedController,
) -> None:
    dc1.version = "32.2.1"
    dc1.faults.add(Fault("invalid_json", path="/login", value="{}"))
    dc1.faults.add(Fault("invalid_json", path="/api/initial-data", value="{}"))
    async with connected(dc1) as client:
        await client.list_images(NOTHING)
    assert requests_to(dc1)[0].headers["X-Avi-Version"] == "32.2.1"
    assert (client.link.version, client.link.api_version) == ("", "32.2.1")


async def test_without_the_header_the_progress_of_images_silently_vanishes(
    dc1: SimulatedController, client: Client
) -> None:
    """Why the header is sent; if this fails, the simulator is too lenient, and the next test proves nothing."""
    await client.log_in()
    cookies = {"sessionid": next(iter(dc1.sessions))}
    async with aiohttp.ClientSession() as http, http.get(f"{dc1.url}/api/image", cookies=cookies) as answer:
        document = await answer.json()
    assert document["count"] == 2
    assert not {"progress", "img_state", "events"} & document["results"][1].keys()


async def test_with_the_header_progress_tasks_and_events_are_there(dc1: SimulatedController, client: Client) -> None:
    image = next(image for image in await images_of(client) if image.active)
    assert image.progress_ratio == dc1.image(image.uuid)["progress"] / 100
    assert (image.tasks, image.tasks_completed) == (6, dc1.image(image.uuid)["tasks_completed"])
    assert image.events


async def test_the_version_is_read_again_after_an_upgrade_that_ended_the_session(
    dc1: SimulatedController, client: Client
) -> None:
    dc1.version = "31.2.2"
    dc1.expire_sessions()
    await client.list_images(NOTHING)
    assert requests_to(dc1)[-1].headers["X-Avi-Version"] == "31.2.2"
    assert client.link.version == "31.2.2"
    assert dc1.logins == 2


OUTAGES = {
    "not-ready": Fault("html_503", path="/"),
    "no-backend-behind-the-web-server": Fault("html_502", path="/"),
    "upgrade-refusal": Fault("forbidden_upgrade", path="/"),
    "closed-connections": Fault("close", path="/"),
    "silence": Fault("hang", path="/"),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
async def test_the_version_is_read_again_after_an_outage_that_sessions_survived(
    dc1: SimulatedController, outage: Fault
) -> None:
    async with connected(dc1, timeout_s=SHORT_TIMEOUT_S) as client:
        await client.list_images(NOTHING)
        dc1.faults.add(outage)
        await the_error(client)
        dc1.version = "31.2.2"
        dc1.faults.clear()
        await client.list_images(NOTHING)
        assert requests_to(dc1)[-1].headers["X-Avi-Version"] == "31.2.2"
        await client.list_images(NOTHING)
    assert dc1.logins == 1
    assert len(requests_to(dc1, "/api/initial-data")) == 1  # once was enough


async def test_the_version_is_read_again_after_refused_connections(dc1: SimulatedController, client: Client) -> None:
    await dc1.stop_listening()
    await the_error(client)
    dc1.version = "31.2.2"
    await dc1.start_listening()
    await client.list_images(NOTHING)
    assert requests_to(dc1)[-1].headers["X-Avi-Version"] == "31.2.2"
    assert dc1.logins == 1


async def test_a_version_that_may_have_changed_stays_uncertain_through_other_failures(
    dc1: SimulatedController, client: Client
) -> None:
    for kind in ("html_503", "too_many_requests", "empty_body"):
        dc1.faults.add(Fault(kind, path="/api"))
        await the_error(client)
        dc1.faults.clear()
    dc1.version = "31.2.2"
    await client.list_images(NOTHING)
    assert requests_to(dc1)[-1].headers["X-Avi-Version"] == "31.2.2"


async def test_a_version_that_could_not_be_read_is_requested_again(dc1: SimulatedController, client: Client) -> None:
    dc1.faults.add(Fault("html_503", times=1))
    await the_error(client)
    dc1.version = "31.2.2"
    dc1.faults.add(Fault("html_502", path="/api/initial-data", times=1))
    await client.list_images(NOTHING)
    await client.list_images(NOTHING)
    assert requests_to(dc1)[-1].headers["X-Avi-Version"] == "31.2.2"


async def test_a_roll_back_to_an_older_version_costs_one_log_in(dc1: SimulatedController, client: Client) -> None:
    dc1.version = "22.1.6"
    await client.list_images(NOTHING)
    assert [request.status for request in requests_to(dc1)] == [200, 400, 200]
    assert requests_to(dc1)[-1].headers["X-Avi-Version"] == "22.1.6"
    assert dc1.logins == 2


# -- cookies and headers


async def test_every_request_has_the_headers_of_agent_tenant_and_session(dc1: SimulatedController) -> None:
    async with connected(dc1) as client:
        await client.list_images(NOTHING)
        dc1.faults.add(Fault("html_503", times=1))
        await the_error(client)
        await client.list_images(NOTHING)
        (session,) = dc1.sessions.values()
        await client.log_out()
    assert {request.headers["X-Avi-UserAgent"] for request in dc1.requests} == {f"avi-upgrade-monitor/{__version__}"}
    after_log_in = dc1.requests[1:]
    assert {request.path for request in after_log_in} == {"/api/image", "/api/initial-data", "/logout"}
    for request in after_log_in:
        assert request.headers["Referer"] == f"{dc1.url}/"
        assert request.headers["X-CSRFToken"] == session.csrf
        assert request.headers.get("X-Avi-Tenant") == (None if request.path == "/logout" else "admin")
        assert set(request.headers["Cookie"].split("; ")) == {
            f"csrftoken={session.csrf}", f"sessionid={session.session_id}", f"avi-sessionid={session.session_id}",
        }  # fmt: skip


async def test_a_log_in_has_no_cookie_of_an_older_session(dc1: SimulatedController, client: Client) -> None:
    dc1.expire_sessions()
    await client.list_images(NOTHING)
    assert ["Cookie" in request.headers for request in requests_to(dc1, "/login")] == [False, False]


async def test_cookies_that_only_the_older_session_had_are_forgotten(dc1: SimulatedController, client: Client) -> None:
    (session,) = dc1.sessions.values()
    session.cookies = (("Set-Cookie", "node=leader; Path=/"),)
    await client.list_images(NOTHING)
    await client.list_images(NOTHING)
    assert "node=leader" in requests_to(dc1)[-1].headers["Cookie"]
    dc1.expire_sessions()
    await client.list_images(NOTHING)
    assert "node" not in requests_to(dc1)[-1].headers["Cookie"]


@pytest.mark.parametrize("name", ["avi-sessionid", "sessionid"])
async def test_both_session_cookies_are_sent_when_the_controller_sets_one(
    dc1: SimulatedController, client: Client, name: str
) -> None:
    ((sid, session),) = dc1.login_state.active.items()
    session.cookies = (("Set-Cookie", f"{name}=renewed; HttpOnly; Path=/"),)
    await client.list_images(NOTHING)  # still under the old one; its answer sets the new one
    dc1.login_state.active = {"renewed": session}
    await client.list_images(NOTHING)
    sent = set(requests_to(dc1)[-1].headers["Cookie"].split("; "))
    assert {"avi-sessionid=renewed", "sessionid=renewed"} < sent
    assert not any(sid in cookie for cookie in sent)
    assert dc1.logins == 1


async def test_a_rotated_csrf_token_is_adopted_from_a_good_reply(dc1: SimulatedController, client: Client) -> None:
    dc1.rotate_csrf()
    await client.list_images(NOTHING)
    await client.list_images(NOTHING)
    (session,) = dc1.sessions.values()
    assert requests_to(dc1)[-1].headers["X-CSRFToken"] == session.csrf
    assert f"csrftoken={session.csrf}" in requests_to(dc1)[-1].headers["Cookie"]


async def test_rotated_cookies_are_adopted_from_an_error_too(dc1: SimulatedController) -> None:
    async with connected(dc1, tenant="red") as client:  # a tenant that does not exist: 403, with cookies
        await the_error(client)
        dc1.rotate_csrf()
        await the_error(client)
        await the_error(client)
    (session,) = dc1.sessions.values()
    assert requests_to(dc1)[-1].status == 403
    assert requests_to(dc1)[-1].headers["X-CSRFToken"] == session.csrf
    assert dc1.logins == 1


@pytest.mark.parametrize(("tenant", "count"), [("admin", 2), ("blue", 1), ("*", 3)], ids=["admin", "blue", "all"])
async def test_the_tenant_is_the_configured_one(dc1: SimulatedController, tenant: str, count: int) -> None:
    dc1.put({"uuid": "image-blue", "tenant_ref": "https://c/api/tenant/blue"})
    async with connected(dc1, tenant=tenant) as client:
        assert len((await client.list_images(NOTHING)).raws) == count
    assert requests_to(dc1)[0].headers["X-Avi-Tenant"] == tenant


# -- sessions that end


async def test_a_session_that_ended_costs_one_log_in(dc1: SimulatedController, client: Client) -> None:
    dc1.expire_sessions()
    await client.list_images(NOTHING)
    assert [request.path for request in dc1.requests[-3:]] == ["/api/image", "/login", "/api/image"]
    assert [request.status for request in dc1.requests[-3:]] == [401, 200, 200]


async def test_a_controller_that_always_replies_401_is_a_failure_and_no_suspension(
    dc1: SimulatedController, client: Client
) -> None:
    dc1.faults.add(Fault("unauthorized"))
    errors = [await the_error(client) for _ in range(4)]
    assert {error.reason for error in errors} == {"auth"}
    assert not any(isinstance(error, LoginRefused) for error in errors)
    assert dc1.logins == 1 + 4  # one in each poll, never more
    dc1.faults.clear()
    await client.list_images(NOTHING)


async def test_concurrent_calls_share_the_first_log_in(dc1: SimulatedController) -> None:
    async with connected(dc1) as client:
        await _together(client, 8)
    assert dc1.logins == 1


async def test_concurrent_calls_share_one_log_in_after_the_session_ended(
    dc1: SimulatedController, client: Client
) -> None:
    dc1.expire_sessions()
    await _together(client, 8)
    assert dc1.logins == 2
    assert len(requests_to(dc1, "/login")) == 2


async def _together(client: Client, calls: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for call in range(calls):
            tasks.create_task(client.list_images(NOTHING), name=f"call:{call}")


async def test_concurrent_calls_try_a_wrong_password_once(dc1: SimulatedController) -> None:
    async with connected(dc1) as client:
        dc1.password = "another"
        async with asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(the_error(client), name=f"call:{call}") for call in range(8)]
    assert all(isinstance(call.result(), LoginRefused) for call in calls)
    assert dc1.failed_logins == 1


async def test_a_switched_session_continues_with_the_cookies_of_that_reply(
    dc1: SimulatedController, client: Client
) -> None:
    (before,) = dc1.sessions
    dc1.faults.add(Fault("switch_session", times=1))
    await client.list_images(NOTHING)
    (after,) = dc1.sessions
    assert before != after
    assert [request.status for request in requests_to(dc1)] == [200, 419, 200]
    assert f"sessionid={after}" in requests_to(dc1)[-1].headers["Cookie"]
    assert dc1.logins == 1


async def test_a_session_that_is_switched_again_is_a_failure_after_one_more_try(
    dc1: SimulatedController, client: Client
) -> None:
    dc1.faults.add(Fault("switch_session"))
    error = await the_error(client)
    assert (type(error), error.reason, error.status) == (BadStatus, "http_4xx", 419)
    assert "Need to switch session" in error.detail
    assert [request.status for request in requests_to(dc1)] == [200, 419, 419]
    assert dc1.logins == 1
    dc1.faults.clear()
    await client.list_images(NOTHING)
    assert dc1.logins == 2  # in a new session: the old one might be switched for ever


async def test_a_poll_has_a_timeout_of_its_own_beside_those_of_its_requests(
    dc1: SimulatedController,
) -> None:
    async with connected(dc1, timeout_s=60.0, images_timeout_factor=0.01) as client:  # sooner than that of a request
        await client.log_in()
        dc1.faults.add(Fault("hang"))
        error = await the_error(client)
    assert (type(error), error.reason) == (Unreachable, "timeout")
    assert error.detail.startswith("no complete list within 0.6 s")


async def test_log_out_ends_the_session_on_the_controller(dc1: SimulatedController, client: Client) -> None:
    dc1.rotate_csrf()
    await client.list_images(NOTHING)  # log-out is a write, and needs the token that this brings
    await client.log_out()
    assert (dc1.logouts, dict(dc1.sessions)) == (1, {})
    await client.log_out()
    assert len(requests_to(dc1, "/logout")) == 1


async def test_log_out_without_a_session_sends_nothing(dc1: SimulatedController) -> None:
    async with connected(dc1) as client:
        await client.log_out()
    assert dc1.requests == []


async def test_log_out_of_a_dead_controller_raises_nothing(dc1: SimulatedController, client: Client) -> None:
    await dc1.stop_listening()
    await client.log_out()
    assert dc1.logouts == 0


async def test_after_log_out_a_poll_logs_in_again(dc1: SimulatedController, client: Client) -> None:
    await client.log_out()
    await client.list_images(NOTHING)
    assert dc1.logins == 2


# -- a refused password


@pytest.fixture
def password_file(dc1: SimulatedController, tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(dc1.password)
    return path


async def test_a_wrong_password_is_tried_once_and_again_when_the_file_changed(
    dc1: SimulatedController, password_file: Path
) -> None:
    right = dc1.password
    rewrite(password_file, "wrong")
    async with connected(dc1, password=SecretFile(password_file)) as client:
        errors = [await the_error(client) for _ in range(10)]
        assert all(isinstance(error, LoginRefused) and error.reason == "auth" for error in errors)
        assert dc1.failed_logins == 1
        rewrite(password_file, "wrong again")
        for _ in range(10):
            await the_error(client)
        assert dc1.failed_logins == 2
        rewrite(password_file, f"{right}\n")
        await client.list_images(NOTHING)
    assert (dc1.failed_logins, dc1.logins) == (2, 1)


async def test_a_password_changed_on_the_controller_alone_is_tried_once_after_the_session_ended(
    dc1: SimulatedController, password_file: Path
) -> None:
    async with connected(dc1, password=SecretFile(password_file)) as client:
        await client.list_images(NOTHING)
        dc1.password = "another"
        await client.list_images(NOTHING)  # the session lives on
        dc1.expire_sessions()
        for _ in range(10):
            assert isinstance(await the_error(client), LoginRefused)
        assert dc1.failed_logins == 1
        rewrite(password_file, "another")
        await client.list_images(NOTHING)


async def test_a_password_that_was_refused_is_tried_again_when_another_was_good_in_between(
    dc1: SimulatedController, password_file: Path
) -> None:
    first = dc1.password
    async with connected(dc1, password=SecretFile(password_file)) as client:
        for password in ("second", first):
            dc1.password = password
            dc1.expire_sessions()
            assert isinstance(await the_error(client), LoginRefused)
            rewrite(password_file, password)
            await client.list_images(NOTHING)
    assert (dc1.logins, dc1.failed_logins) == (2, 2)


@pytest.mark.parametrize("written", ["", "\n", None], ids=["empty", "newline", "gone"])
async def test_an_emptied_password_file_is_no_change(
    dc1: SimulatedController, password_file: Path, written: str | None
) -> None:
    async with connected(dc1, password=SecretFile(password_file)) as client:
        await client.list_images(NOTHING)
        rewrite(password_file, written)
        dc1.expire_sessions()
        await client.list_images(NOTHING)
    assert (dc1.logins, dc1.failed_logins) == (2, 0)


async def test_an_emptied_file_does_not_bring_a_refused_password_back(
    dc1: SimulatedController, password_file: Path
) -> None:
    rewrite(password_file, "wrong")
    async with connected(dc1, password=SecretFile(password_file)) as client:
        await the_error(client)
        rewrite(password_file, "")
        await the_error(client)
        rewrite(password_file, "wrong")
        await the_error(client)
    assert dc1.failed_logins == 1


@pytest.mark.parametrize("text", ["", None], ids=["empty", "missing"])
async def test_without_a_password_nothing_is_sent_and_the_error_names_the_file(
    dc1: SimulatedController, password_file: Path, text: str | None
) -> None:
    rewrite(password_file, text)
    async with connected(dc1, password=SecretFile(password_file)) as client:
        error = await the_error(client)
    assert isinstance(error, LoginRefused)
    assert error.detail == f"no password: the file {password_file} is empty, missing or unreadable"
    assert dc1.requests == []


LOGIN_FAILURES: dict[str, Reason] = {
    "html_502": "http_5xx",
    "html_503": "upgrading",
    "http_500": "http_5xx",
    "forbidden_upgrade": "upgrading",
    "too_many_requests": "throttled",
    "close": "connect",
    "lost_reply": "connect",
    "hang": "timeout",
    "slow_reply": "timeout",
    "redirect": "redirect",
    "empty_body": "decode",
    "oversized_body": "oversize",
}


@pytest.mark.parametrize(("kind", "reason"), LOGIN_FAILURES.items(), ids=LOGIN_FAILURES)
async def test_a_failed_log_in_that_is_no_refusal_is_an_ordinary_failure(
    dc1: SimulatedController, kind: str, reason: Reason
) -> None:
    size = 1024 * 1024 if kind == "oversized_body" else None
    dc1.faults.add(Fault(kind, path="/login", size=size))
    timeout_s = SHORT_TIMEOUT_S if reason == "timeout" else WAIT_TIMEOUT_S
    async with connected(dc1, timeout_s=timeout_s, max_response=64 * 1024) as client:
        errors = [await the_error(client) for _ in range(2)]
        assert [(error.reason, error.phase) for error in errors] == [(reason, "login")] * 2
        assert not any(isinstance(error, LoginRefused) for error in errors)
        assert len(requests_to(dc1, "/login")) == 2
        dc1.faults.clear()
        await client.list_images(NOTHING)
    assert dc1.failed_logins == 0


# -- status before content


REPLIES: dict[str, tuple[Fault, type[PollError], Reason]] = {
    "419-json-called-html": (Fault("switch_session"), BadStatus, "http_4xx"),
    "401-plain-text-called-json": (Fault("unauthorized"), BadStatus, "auth"),
    "403-upgrade": (Fault("forbidden_upgrade"), Unavailable, "upgrading"),
    "500-bare": (Fault("http_500"), BadStatus, "http_5xx"),
    "500-with-words": (Fault("http_500", value="it broke"), BadStatus, "http_5xx"),
    "502-html": (Fault("html_502"), BadStatus, "http_5xx"),
    "503-html": (Fault("html_503"), Unavailable, "upgrading"),
    "429-html": (Fault("too_many_requests"), Unavailable, "throttled"),
    "204-empty": (Fault("empty_body", size=204), BadAnswer, "decode"),
    "200-empty": (Fault("empty_body"), BadAnswer, "decode"),
    "200-no-json": (Fault("invalid_json", value="<html>"), BadAnswer, "decode"),
    "200-half-a-json": (Fault("truncated_json"), BadAnswer, "decode"),
    "200-no-list": (Fault("not_a_list"), BadAnswer, "decode"),
}


@pytest.mark.parametrize(("fault", "kind", "reason"), REPLIES.values(), ids=REPLIES)
async def test_the_status_is_checked_before_the_content(
    dc1: SimulatedController, client: Client, fault: Fault, kind: type[PollError], reason: Reason
) -> None:
    dc1.faults.add(fault)
    error = await the_error(client)
    assert (type(error), error.reason, error.phase) == (kind, reason, "images")
    assert "<" not in error.detail
    dc1.faults.clear()
    await client.list_images(NOTHING)


@pytest.mark.parametrize("content_type", ["text/html", "text/plain; charset=latin-1", "image/png", "application/xml"])
async def test_a_content_type_is_never_trusted(dc1: SimulatedController, client: Client, content_type: str) -> None:
    dc1.faults.add(Fault("wrong_content_type", value=content_type))
    assert len((await client.list_images(NOTHING)).raws) == 2


async def test_a_redirect_is_not_followed() -> None:
    async with Simulator([SPEC, ControllerSpec(name="elsewhere")], speed=0.0) as simulator:
        dc1, elsewhere = simulator.controllers.values()
        dc1.faults.add(Fault("redirect", value=f"{elsewhere.url}/api/image"))
        async with connected(dc1) as client:
            error = await the_error(client)
        assert (type(error), error.reason) == (BadStatus, "redirect")
        assert f"302 to {elsewhere.url}/api/image" in error.detail
        assert elsewhere.requests == []


async def test_a_redirected_log_in_does_not_send_the_password_elsewhere() -> None:
    async with Simulator([SPEC, ControllerSpec(name="elsewhere")], speed=0.0) as simulator:
        dc1, elsewhere = simulator.controllers.values()
        dc1.faults.add(Fault("redirect", path="/login", value=f"{elsewhere.url}/login"))
        async with connected(dc1) as client:
            await the_error(client)
        assert elsewhere.requests == []


# -- pages


async def _many(dc1: SimulatedController, count: int) -> None:
    for number in range(count - 2):  # two are there already
        dc1.put({"uuid": f"image-{number}", "name": f"image {number}"})


async def test_450_images_are_read_in_three_numbered_pages(dc1: SimulatedController, client: Client) -> None:
    await _many(dc1, 450)
    already = len(requests_to(dc1))
    listing = await client.list_images(NOTHING)
    assert (len(listing.raws), len(listing.pages)) == (450, 3)
    assert [dict(request.query) for request in requests_to(dc1)[already:]] == [
        {"page_size": "200"}, {"page_size": "200", "page": "2"}, {"page_size": "200", "page": "3"},
    ]  # fmt: skip


async def test_next_is_never_followed(dc1: SimulatedController, client: Client) -> None:
    """The Controller chooses its host: here one that does not exist, so that following it would fail."""
    await _many(dc1, 201)
    listing = await client.list_images(NOTHING)
    assert b'"next":"https://10.16.0.11/' in listing.pages[0].body
    assert len(listing.raws) == 201


async def test_pages_that_are_exactly_full_are_not_followed_by_an_empty_one(
    dc1: SimulatedController, client: Client
) -> None:
    await _many(dc1, 400)
    already = len(requests_to(dc1))
    assert len((await client.list_images(NOTHING)).raws) == 400
    assert len(requests_to(dc1)) - already == 2


async def test_unchanged_pages_stay_the_same_objects(dc1: SimulatedController, client: Client) -> None:
    await _many(dc1, 450)
    before = await client.list_images(NOTHING)
    assert await client.list_images(before) is before
    dc1.touch("image-440", name="renamed")
    after = await client.list_images(before)
    assert [page is known for page, known in zip(after.pages, before.pages, strict=True)] == [True, True, False]


async def test_a_controller_without_images_is_a_good_poll() -> None:
    simulator = Simulator([ControllerSpec(name="empty")], speed=0.0)
    async with simulator, connected(simulator.controllers["empty"]) as client:
        listing = await client.list_images(NOTHING)
        assert (len(listing.pages), dict(listing.raws)) == (1, {})
        assert await client.list_images(listing) is listing


INCONSISTENT: dict[str, Fault] = {
    "duplicate-instead-of-another": Fault("duplicate_uuids", value="replace"),
    "shrinking-pages": Fault("shrinking_pages"),
    "varying-count": Fault("varying_count"),
    "varying-count-far-too-high": Fault("varying_count", size=10**6),
}


@pytest.mark.parametrize("fault", INCONSISTENT.values(), ids=INCONSISTENT)
async def test_pages_that_do_not_fit_together_are_read_once_more(
    dc1: SimulatedController, client: Client, fault: Fault
) -> None:
    await _many(dc1, 450)
    already = len(requests_to(dc1))
    dc1.faults.add(Fault(fault.kind, value=fault.value, size=fault.size, times=3))
    listing = await client.list_images(NOTHING)
    assert len(listing.raws) == 450
    assert len(_first_pages(requests_to(dc1)[already:])) == 2


@pytest.mark.parametrize("kind", ["shrinking_pages", "varying_count"])
@pytest.mark.parametrize("size", [None, 10**6])
async def test_pages_that_do_not_fit_together_twice_are_incomplete(
    dc1: SimulatedController, client: Client, kind: str, size: int | None
) -> None:
    await _many(dc1, 450)
    already = len(requests_to(dc1))
    dc1.faults.add(Fault(kind, size=size))
    error = await the_error(client)
    assert (type(error), error.reason) == (BadAnswer, "incomplete")
    assert len(_first_pages(requests_to(dc1)[already:])) == 2


async def test_a_count_with_fewer_objects_is_incomplete(dc1: SimulatedController, client: Client) -> None:
    for listed in ("[]", '[{"uuid": "image-1"}]', '[{"uuid": "image-1"}, {"uuid": "image-1"}]'):
        dc1.faults.add(Fault("invalid_json", value=f'{{"count": 7, "results": {listed}}}'))
        assert (await the_error(client)).reason == "incomplete"
        dc1.faults.clear()


async def test_an_image_that_is_listed_and_counted_twice_in_two_reads_is_taken_once(
    dc1: SimulatedController, client: Client
) -> None:
    """It stays so on that Controller, and must not hide the other images for ever."""
    await _many(dc1, 450)
    already = len(requests_to(dc1))
    dc1.faults.add(Fault("duplicate_uuids", value="replace"))
    listing = await client.list_images(NOTHING)
    assert (len(listing.raws), listing.repeated) == (449, 1)
    assert len(_first_pages(requests_to(dc1)[already:])) == 2
    assert await client.list_images(listing) is listing, "an unchanged list is not read twice again"
    assert len(_first_pages(requests_to(dc1)[already:])) == 3


def _first_pages(requests: list[LoggedRequest]) -> list[LoggedRequest]:
    return [request for request in requests if "page" not in request.query]


async def test_reading_stops_after_a_hundred_pages(dc1: SimulatedController, client: Client) -> None:
    already = len(requests_to(dc1))
    dc1.faults.add(Fault("invalid_json", value='{"count": 1000000, "results": [{"uuid": "image-1"}]}'))
    assert (await the_error(client)).reason == "incomplete"
    assert len(requests_to(dc1)) - already == 2 * 100


async def test_an_image_listed_twice_is_one_image(dc1: SimulatedController, client: Client) -> None:
    dc1.faults.add(Fault("duplicate_uuids"))
    listing = await client.list_images(NOTHING)
    assert len(listing.raws) == 2
    assert len(requests_to(dc1)) == 2  # no second read was needed


async def test_an_image_without_uuid_is_identified_by_its_url(dc1: SimulatedController, client: Client) -> None:
    dc1.put({"name": "unidentified", "url": f"{dc1.url}/api/image/image-7#unidentified"})
    assert "image-7" in (await client.list_images(NOTHING)).raws


async def test_objects_with_neither_uuid_nor_url_are_counted_and_affect_no_other_image(
    dc1: SimulatedController, client: Client
) -> None:
    dc1.put({"name": "unidentified"})
    dc1.faults.add(Fault("not_an_object"))
    listing = await client.list_images(NOTHING)
    assert (len(listing.raws), listing.unidentified) == (1, 2)


# -- limits


@pytest.mark.parametrize("said", ["undeclared", "wrong_length"])
async def test_a_reply_beyond_the_size_limit_is_not_read(dc1: SimulatedController, said: str) -> None:
    dc1.faults.add(Fault("oversized_body", size=2 * 1024 * 1024, value=said))
    async with connected(dc1, max_response=64 * 1024) as client:
        error = await the_error(client)
        assert (type(error), error.reason) == (BadAnswer, "oversize")
        dc1.faults.clear()
        await client.list_images(NOTHING)


async def test_a_reply_with_an_announced_length_beyond_the_limit_is_not_read(dc1: SimulatedController) -> None:
    dc1.put({"uuid": "image-large", "name": "x" * 64 * 1024})
    async with connected(dc1, max_response=64 * 1024) as client:
        assert (await the_error(client)).reason == "oversize"


async def test_a_reply_of_exactly_the_size_limit_is_read(dc1: SimulatedController, client: Client) -> None:
    listing = await client.list_images(NOTHING)
    async with connected(dc1, max_response=len(listing.pages[0].body)) as exact:
        assert len((await exact.list_images(NOTHING)).raws) == 2
    async with connected(dc1, max_response=len(listing.pages[0].body) - 1) as tight:
        assert (await the_error(tight)).reason == "oversize"


async def test_a_gzip_bomb_is_not_unpacked(dc1: SimulatedController) -> None:
    fault = Fault("gzip_bomb", size=64 * 1024 * 1024)
    async with connected(dc1, max_response=64 * 1024) as client:
        dc1.faults.add(fault)
        await the_error(client)  # the simulator makes its bomb once
        tracemalloc.start()
        error = await the_error(client)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (type(error), error.reason) == (BadAnswer, "oversize")
        assert peak < 8 * 1024 * 1024
        dc1.faults.clear()
        await client.list_images(NOTHING)


SLOW: dict[str, Fault] = {
    "hang": Fault("hang"),
    "latency": Fault("latency", seconds=30.0),
    "slow-reply": Fault("slow_reply", seconds=30.0),
    "drip-feed": Fault("drip_feed", size=1, seconds=0.01),
}


@pytest.mark.parametrize("fault", SLOW.values(), ids=SLOW)
async def test_a_reply_that_takes_longer_than_the_timeout_is_a_failure(dc1: SimulatedController, fault: Fault) -> None:
    async with connected(dc1, timeout_s=SHORT_TIMEOUT_S) as client:
        await client.list_images(NOTHING)
        dc1.faults.add(fault)
        error = await the_error(client)
        assert (type(error), error.reason) == (Unanswered, "timeout")
        dc1.faults.clear()
        await client.list_images(NOTHING)


BROKEN: dict[str, Fault] = {
    "closed": Fault("close"),
    "reply-lost": Fault("lost_reply"),
    "reset-in-the-body": Fault("reset"),
    "ended-in-the-body": Fault("short_body"),
}


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
async def test_a_connection_that_breaks_is_a_failure_to_connect(
    dc1: SimulatedController, client: Client, fault: Fault
) -> None:
    dc1.faults.add(fault)
    error = await the_error(client)
    assert (type(error), error.reason) == (Unanswered, "connect")
    dc1.faults.clear()
    await client.list_images(NOTHING)


async def test_refused_connections_are_a_failure_to_connect(dc1: SimulatedController, client: Client) -> None:
    await dc1.stop_listening()
    error = await the_error(client)
    assert (type(error), error.reason) == (Unreachable, "connect")
    await dc1.start_listening()
    await client.list_images(NOTHING)


async def test_a_name_that_does_not_resolve_is_a_failure_of_dns(dc1: SimulatedController) -> None:
    async with connected(dc1, url="http://controller.invalid") as client:
        error = await the_error(client)
    assert (type(error), error.reason, error.phase) == (Unreachable, "dns", "login")


RETRY_AFTER: dict[str, tuple[Fault, float]] = {
    "seconds": (Fault("too_many_requests", seconds=30.0), 30.0),
    "date": (Fault("too_many_requests", seconds=30.0, value="date"), 30.0),
    "absent": (Fault("too_many_requests", value="none"), 0.0),
    "more-than-an-hour": (Fault("too_many_requests", seconds=86400.0), 3600.0),
}


@pytest.mark.parametrize(("fault", "expected_s"), RETRY_AFTER.values(), ids=RETRY_AFTER)
async def test_the_retry_after_of_a_429_is_read(
    dc1: SimulatedController, client: Client, fault: Fault, expected_s: float
) -> None:
    dc1.faults.add(fault)
    began = time.time()
    error = await the_error(client)
    assert (type(error), error.reason) == (Unavailable, "throttled")
    spent = time.time() - began + 1.0  # a date has whole seconds, and was sent a moment ago
    assert expected_s - spent <= error.retry_after_s <= expected_s
