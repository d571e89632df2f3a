"""A simulated Controller over a real socket, as an HTTP client sees it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from yarl import URL

from monitor.simulator import Account, ControllerSpec, RateLimit, SimulatedController, Simulator
from tests.support.limits import WAIT_TIMEOUT_S

START = 1_740_000_000.0
SPEC = ControllerSpec(name="dc1", version="30.2.1", nodes=3, images=2, tenants=("blue",))


class Client:
    """A client of a Controller: keeps cookies, and sends CSRF token and version as headers."""

    def __init__(self, controller: SimulatedController, http: aiohttp.ClientSession) -> None:
        self.controller = controller
        self.http = http
        self.headers = {"X-Avi-Version": controller.version, "Referer": controller.url}

    async def log_in(self) -> "Client":
        form = {"username": self.controller.username, "password": self.controller.password}
        async with self.http.post(f"{self.controller.url}/login", data=form) as response:
            assert response.status == 200
            self.headers["X-CSRFToken"] = response.cookies["csrftoken"].value
        return self

    async def request(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:  # noqa: ANN401  as aiohttp has it
        headers = {**self.headers, **options.pop("headers", {})}
        url = f"{self.controller.url}{path}"
        async with self.http.request(method, url, headers=headers, allow_redirects=False, **options) as response:
            await response.read()
        return response

    async def images(self, query: str = "") -> list[dict[str, Any]]:
        response = await self.request("GET", f"/api/image{query}")
        found: list[dict[str, Any]] = (await response.json())["results"]
        return found


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


@pytest.fixture
async def dc1() -> AsyncIterator[SimulatedController]:
    async with Simulator([SPEC], start=START, speed=0.0) as simulator:
        yield simulator.controllers["dc1"]


@pytest.fixture
async def client(dc1: SimulatedController, http: aiohttp.ClientSession) -> Client:
    return await Client(dc1, http).log_in()


# -- log-in and sessions


@pytest.mark.parametrize("encoding", ["data", "json"])
async def test_log_in_accepts_forms_and_json(
    dc1: SimulatedController, http: aiohttp.ClientSession, encoding: str
) -> None:
    credentials: dict[str, Any] = {encoding: {"username": dc1.username, "password": dc1.password}}
    async with http.post(f"{dc1.url}/login", **credentials) as response:
        welcome = await response.json()
    assert (welcome["version"]["Version"], welcome["session_cookie_name"]) == ("30.2.1", "avi-sessionid")
    assert response.cookies.keys() == {"csrftoken", "avi-sessionid", "sessionid"}
    assert response.cookies["sessionid"].value == response.cookies["avi-sessionid"].value
    assert (dc1.logins, len(dc1.sessions)) == (1, 1)


async def test_a_wrong_password_is_rejected_and_counted(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{dc1.url}/login", data={"username": "admin", "password": "no"}) as response:
        assert (response.status, await response.json()) == (401, {"error": "Invalid credentials"})
    assert (dc1.logins, dc1.failed_logins) == (0, 1)


@pytest.mark.parametrize("body", [b"{", b'{"username": 5}', b"[]"], ids=str)
async def test_a_log_in_with_invalid_json_is_400(
    dc1: SimulatedController, http: aiohttp.ClientSession, body: bytes
) -> None:
    async with http.post(f"{dc1.url}/login", data=body, headers={"Content-Type": "application/json"}) as response:
        assert response.status == 400


async def test_a_rotated_csrf_token_is_in_the_next_cookies(dc1: SimulatedController, client: Client) -> None:
    dc1.rotate_csrf()
    token = (await client.request("GET", "/api/image")).cookies["csrftoken"].value
    assert token != client.headers["X-CSRFToken"]
    response = await client.request("PATCH", "/api/image/image-0", headers={"X-CSRFToken": token}, json={})
    assert response.status == 404


async def test_too_many_wrong_passwords_lock_the_account(http: aiohttp.ClientSession) -> None:
    async with Simulator([ControllerSpec(name="c", lock_after=2)]) as simulator:
        controller = simulator.controllers["c"]
        seen = []
        for _ in range(2):
            seen.append(controller.locked)
            async with http.post(f"{controller.url}/login", data={"username": "admin", "password": "no"}):
                pass
        assert [*seen, controller.locked] == [False, False, True]


async def test_a_changed_password_applies_only_to_the_next_log_in(dc1: SimulatedController, client: Client) -> None:
    dc1.password = "changed"
    assert (await client.request("GET", "/api/image")).status == 200
    await client.log_in()
    assert dc1.logins == 2


async def test_every_response_to_a_logged_in_client_sets_the_cookies_again(client: Client) -> None:
    response = await client.request("GET", "/api/image")
    assert response.cookies.keys() == {"csrftoken", "avi-sessionid", "sessionid"}


async def test_without_a_session_there_is_a_401_in_plain_text_with_the_type_of_json(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    response = await Client(dc1, http).request("GET", "/api/image")
    assert (response.status, response.content_type) == (401, "application/json")
    assert await response.text() == "Authentication credentials were not provided."


async def test_a_write_with_a_wrong_csrf_token_gets_401_and_current_cookies(client: Client) -> None:
    uuid = (await client.images())[0]["uuid"]
    response = await client.request("PATCH", f"/api/image/{uuid}", headers={"X-CSRFToken": "old"}, json={})
    assert (response.status, await response.text()) == (401, "CSRF token missing or incorrect.")
    assert response.cookies["csrftoken"].value == client.headers["X-CSRFToken"]


async def test_log_out_ends_the_session(dc1: SimulatedController, client: Client) -> None:
    assert (await client.request("POST", "/logout")).status == 200
    assert (dc1.logouts, len(dc1.sessions)) == (1, 0)
    assert (await client.request("GET", "/api/image")).status == 401


async def test_expired_sessions_are_not_valid(dc1: SimulatedController, client: Client) -> None:
    dc1.expire_sessions()
    assert (await client.request("GET", "/api/image")).status == 401


async def test_initial_data_is_public_but_has_the_version_only_after_log_in(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    client = Client(dc1, http)
    anonymous = await (await client.request("GET", "/api/initial-data")).json()
    await client.log_in()
    logged_in = await (await client.request("GET", "/api/initial-data")).json()
    assert ("version" in anonymous, logged_in["version"]["Version"]) == (False, "30.2.1")


async def test_cluster_status_is_public(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    assert (await Client(dc1, http).request("GET", "/api/cluster/status")).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/cluster",
        "/api/cluster/runtime",
        "/api/cluster/version",
        "/api/version/controller",
        "/api/upgradestatusinfo",
    ],
)
async def test_cluster_routes_respond_after_log_in(client: Client, path: str) -> None:
    response = await client.request("GET", path)
    assert response.status == 200
    assert await response.json()


# -- versions and tenants


async def test_the_response_has_the_requested_version(client: Client) -> None:
    response = await client.request("GET", "/api/image", headers={"X-Avi-Version": "21.1.6"})
    assert response.headers["AVI_API_VERSION"] == "21.1.6"
    assert "status" in (await response.json())["results"][0]


async def test_without_a_version_the_progress_fields_are_left_out(client: Client) -> None:
    del client.headers["X-Avi-Version"]
    response = await client.request("GET", "/api/image")
    assert response.headers["AVI_API_VERSION"] == "16_4_2"
    assert not {"progress", "img_state", "events"} & (await response.json())["results"][0].keys()


async def test_a_version_above_the_controllers_is_rejected(client: Client) -> None:
    response = await client.request("GET", "/api/image", headers={"X-Avi-Version": "31.2.2"})
    assert (response.status, "Invalid version" in await response.text()) == (400, True)


async def test_an_unknown_tenant_is_rejected(client: Client) -> None:
    response = await client.request("GET", "/api/image", headers={"X-Avi-Tenant": "red"})
    assert (response.status, await response.json()) == (403, {"error": "Tenant 'red' does not exist!"})


@pytest.mark.parametrize(("tenant", "count"), [("admin", 2), ("blue", 1), ("*", 3)])
async def test_each_tenant_sees_its_own_images(
    dc1: SimulatedController, client: Client, tenant: str, count: int
) -> None:
    dc1.put({"uuid": "image-b", "tenant_ref": "https://c/api/tenant/blue"})
    response = await client.request("GET", "/api/image", headers={"X-Avi-Tenant": tenant})
    assert (await response.json())["count"] == count


async def test_a_tenant_can_be_chosen_by_its_uuid(dc1: SimulatedController, client: Client) -> None:
    response = await client.request("GET", "/api/image", headers={"X-Avi-Tenant-UUID": dc1.tenants["blue"]})
    assert (await response.json())["count"] == 0


async def test_image_inventory_exists_since_32_2_1(dc1: SimulatedController, client: Client) -> None:
    before = await client.request("GET", "/api/image-inventory")
    dc1.version = "32.2.1"
    after = await (await client.request("GET", "/api/image-inventory")).json()
    assert before.status == 404
    assert [info["in_use"] for group in after["results"] for info in group["image_info"]] == [True, False]


@pytest.mark.parametrize(("version", "which"), [("30.2.1", 0), ("31.2.2", 1)], ids=["first-wins", "last-wins"])
async def test_of_a_repeated_query_key_older_controllers_use_the_first(
    dc1: SimulatedController, client: Client, version: str, which: int
) -> None:
    dc1.version = version
    uuids = [image["uuid"] for image in await client.images()]
    found = await client.images(f"?uuid={uuids[0]}&uuid={uuids[1]}")
    assert [image["uuid"] for image in found] == [uuids[which]]


# -- images


async def test_an_upload_progresses_with_the_clock(dc1: SimulatedController, client: Client) -> None:
    uuid = dc1.upload("new", duration=60.0)
    seen = []
    for _ in range(3):
        image = await (await client.request("GET", f"/api/image/{uuid}")).json()
        seen.append((image["img_state"]["state"], image["progress"]))
        dc1.clock.advance(30.0)
    assert [state for state, _ in seen] == ["IMAGE_FSM_STARTED", "IMAGE_FSM_IN_PROGRESS", "IMAGE_FSM_COMPLETED"]
    assert seen[0][1] < seen[1][1] < seen[2][1] == 100


async def test_a_literal_image_is_served_as_given(dc1: SimulatedController, client: Client) -> None:
    nonsense = {"uuid": "string", "name": "string", "progress": "string", "events": [{"nodes_events": "string"}]}
    assert dc1.put(nonsense) == "string"
    assert (await client.images())[-1] == nonsense
    assert await (await client.request("GET", "/api/image/string")).json() == nonsense


async def test_a_touched_image_changes_and_a_removed_one_disappears(dc1: SimulatedController, client: Client) -> None:
    first, second = await client.images()
    dc1.touch(first["uuid"], progress=17)
    dc1.remove(second["uuid"])
    (left,) = await client.images()
    assert left["progress"] == 17
    assert int(left["_last_modified"]) > int(first["_last_modified"])
    assert dc1.image(first["uuid"])["progress"] == 17


async def test_an_unknown_image_is_404_in_json_and_an_unknown_path_404_in_html(client: Client) -> None:
    missing, unknown = await client.request("GET", "/api/image/image-0"), await client.request("GET", "/api/pool")
    assert (missing.status, await missing.json()) == (404, {"error": "Image object not found"})
    assert (unknown.status, unknown.content_type) == (404, "text/html")


async def test_a_method_without_a_route_is_405(client: Client) -> None:
    response = await client.request("DELETE", "/api/image")
    assert (response.status, await response.json()) == (405, {"error": "Method 'DELETE' not allowed"})


async def test_patch_returns_the_whole_object_without_a_name_in_its_url(client: Client) -> None:
    before = (await client.images())[0]
    response = await client.request("PATCH", f"/api/image/{before['uuid']}", json={"replace": {"name": "renamed"}})
    after = await response.json()
    assert (response.status, after["name"], after["url"]) == (200, "renamed", before["url"])
    assert after.keys() == before.keys()
    assert int(after["_last_modified"]) > int(before["_last_modified"])


async def test_during_an_upgrade_writes_are_rejected_and_reads_are_not(
    dc1: SimulatedController, client: Client
) -> None:
    uuid = (await client.images())[0]["uuid"]
    dc1.upgrading = True
    write = await client.request("PATCH", f"/api/image/{uuid}", json={"replace": {"name": "n"}})
    read = await client.request("GET", "/api/image")
    assert (write.status, "Configuration is disallowed during upgrade" in await write.text()) == (403, True)
    assert read.status == 200


async def test_a_read_only_account_cannot_write(http: aiohttp.ClientSession) -> None:
    spec = ControllerSpec(name="ro", images=1, accounts=(Account(username="reader", password="r", can_write=False),))
    async with Simulator([spec], speed=0.0) as simulator:
        client = Client(simulator.controllers["ro"], http)
        async with http.post(
            f"{client.controller.url}/login", data={"username": "reader", "password": "r"}
        ) as response:
            client.headers["X-CSRFToken"] = response.cookies["csrftoken"].value
        uuid = (await client.images())[0]["uuid"]
        assert (await client.request("PATCH", f"/api/image/{uuid}", json={"replace": {"name": "n"}})).status == 403


def package(filename: str = "controller.pkg", field: str = "file") -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field(field, b"\0" * 100_000, filename=filename, content_type="application/octet-stream")
    return form


async def test_an_uploaded_package_becomes_an_image_with_its_name_in_the_url(
    dc1: SimulatedController, client: Client
) -> None:
    response = await client.request("POST", "/api/image", data=package())
    made = await response.json()
    assert response.status == 201
    assert made["url"] == response.headers["Location"]
    assert made["url"].endswith(f"{made['uuid']}#{made['name']}")
    assert "#" not in dc1.image(made["uuid"])["url"]


async def test_an_uploaded_patch_becomes_an_image_of_type_patch(client: Client) -> None:
    made = await (await client.request("POST", "/api/image", data=package("avi_patch.pkg"))).json()
    assert made["type"] == "IMAGE_TYPE_PATCH"


@pytest.mark.parametrize(
    ("spec", "form", "status"),
    [
        (ControllerSpec(name="c", follower=True), package(), 400),
        (ControllerSpec(name="c", max_image_bytes=1000), package(), 413),
        (ControllerSpec(name="c"), package(field="image"), 400),
    ],
    ids=["follower", "too-large", "no-file"],
)
async def test_an_upload_can_be_rejected(
    http: aiohttp.ClientSession, spec: ControllerSpec, form: aiohttp.FormData, status: int
) -> None:
    async with Simulator([spec], speed=0.0) as simulator:
        client = await Client(simulator.controllers["c"], http).log_in()
        assert (await client.request("POST", "/api/image", data=form)).status == status


async def test_a_deleted_image_disappears_and_the_response_is_empty(client: Client) -> None:
    uuid = (await client.images())[1]["uuid"]
    response = await client.request("DELETE", f"/api/image/{uuid}")
    assert (response.status, await response.text(), response.content_type) == (204, "", "application/json")
    assert len(await client.images()) == 1


async def test_an_image_in_use_cannot_be_deleted(client: Client) -> None:
    uuid = (await client.images())[0]["uuid"]
    response = await client.request("DELETE", f"/api/image/{uuid}")
    assert (response.status, "object is referred by" in await response.text()) == (400, True)


# -- the socket


async def test_a_controller_listens_again_on_the_same_port(dc1: SimulatedController, client: Client) -> None:
    url = dc1.url
    await dc1.stop_listening()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.request("GET", "/api/image")
    await dc1.start_listening()
    assert (await client.request("GET", "/api/image")).status == 200
    assert dc1.url == url


async def test_requests_are_logged_with_their_status(dc1: SimulatedController, client: Client) -> None:
    await client.request("GET", "/api/image?page_size=200")
    login, listing = await dc1.wait_for_requests(2, answered=True)
    assert (login.method, login.path, login.status) == ("POST", "/login", 200)
    assert (listing.path, listing.query, listing.status) == ("/api/image", {"page_size": "200"}, 200)
    assert listing.headers["x-avi-version"] == "30.2.1"
    assert dc1.requests == [login, listing]


async def test_a_test_can_wait_for_the_next_request(dc1: SimulatedController, client: Client) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(dc1.next_request(path="/api/image"))
        await asyncio.sleep(0)
        group.create_task(client.request("GET", "/api/image"))
    assert waiting.result().status == 200


async def test_waiting_for_a_request_that_never_comes_times_out(dc1: SimulatedController) -> None:
    with pytest.raises(TimeoutError):
        await dc1.wait_for_requests(1, within_s=0.01)


async def test_a_request_beyond_the_burst_gets_429(http: aiohttp.ClientSession) -> None:
    spec = ControllerSpec(name="c", rate_limit=RateLimit(per_second=0.001, burst=1))
    async with Simulator([spec]) as simulator:
        client = Client(simulator.controllers["c"], http)
        assert [(await client.request("GET", "/api/cluster/status")).status for _ in range(2)] == [200, 429]


async def list_as_served(controller: SimulatedController) -> str:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as own:
        client = await Client(controller, own).log_in()
        return await (await client.request("GET", "/api/image")).text()


async def test_the_same_seed_gives_the_same_fleet_and_another_seed_another_fleet() -> None:
    bodies = []
    for seed in (7, 7, 8):
        async with Simulator.of("fleet", seed=seed, speed=0.0, start=START) as simulator:
            simulator.clock.advance(200.0)
            bodies.append([await list_as_served(controller) for controller in simulator.controllers.values()])
    assert (bodies[0] == bodies[1], bodies[0] == bodies[2]) == (True, False)


@pytest.mark.parametrize("turns", range(5))
async def test_a_connection_that_arrives_while_a_controller_stops_is_closed(
    dc1: SimulatedController, turns: int
) -> None:
    """``turns``: of the event loop, between the connection and the stop."""
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", URL(dc1.url).port)) as connection:
        connection.setblocking(False)
        for _ in range(turns):
            await asyncio.sleep(0)
        await dc1.stop_listening()
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            with suppress(ConnectionResetError):  # it was not accepted yet
                assert await loop.sock_recv(connection, 1) == b""
