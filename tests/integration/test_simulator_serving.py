"""A simulated Controller over a real socket, seen by an ordinary HTTP client."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from monitor.simulator import Account, ControllerSpec, RateLimit, SimulatedController, Simulator

START = 1_740_000_000.0
SPEC = ControllerSpec(name="dc1", version="30.2.1", nodes=3, images=2, tenants=("blue",))


class Client:
    """What every client of a Controller does: cookies in a jar, the CSRF token in a header, the version in another."""

    def __init__(self, controller: SimulatedController, http: aiohttp.ClientSession) -> None:
        self.controller = controller
        self.http = http
        self.headers = {"X-Avi-Version": controller.version, "Referer": controller.url}

    async def log_in(self) -> "Client":
        form = {"username": self.controller.username, "password": self.controller.password}
        async with self.http.post(f"{self.controller.url}/login", data=form) as answer:
            assert answer.status == 200
            self.headers["X-CSRFToken"] = answer.cookies["csrftoken"].value
        return self

    async def ask(self, method: str, path: str, **how: Any) -> aiohttp.ClientResponse:  # noqa: ANN401  as aiohttp has it
        headers = {**self.headers, **how.pop("headers", {})}
        url = f"{self.controller.url}{path}"
        async with self.http.request(method, url, headers=headers, allow_redirects=False, **how) as answer:
            await answer.read()
        return answer

    async def images(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.ask("GET", f"/api/image{query}")
        found: list[dict[str, Any]] = (await answer.json())["results"]
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


# -- doors


@pytest.mark.parametrize("encoding", ["data", "json"])
async def test_log_in_takes_forms_and_json(
    dc1: SimulatedController, http: aiohttp.ClientSession, encoding: str
) -> None:
    credentials: dict[str, Any] = {encoding: {"username": dc1.username, "password": dc1.password}}
    async with http.post(f"{dc1.url}/login", **credentials) as answer:
        welcome = await answer.json()
    assert (welcome["version"]["Version"], welcome["session_cookie_name"]) == ("30.2.1", "avi-sessionid")
    assert answer.cookies.keys() == {"csrftoken", "avi-sessionid", "sessionid"}
    assert answer.cookies["sessionid"].value == answer.cookies["avi-sessionid"].value
    assert (dc1.logins, len(dc1.sessions)) == (1, 1)


async def test_a_wrong_password_is_refused_and_counted(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{dc1.url}/login", data={"username": "admin", "password": "no"}) as answer:
        assert (answer.status, await answer.json()) == (401, {"error": "Invalid credentials"})
    assert (dc1.logins, dc1.failed_logins) == (0, 1)


@pytest.mark.parametrize("body", [b"{", b'{"username": 5}', b"[]"], ids=str)
async def test_a_log_in_that_is_no_json_is_400(
    dc1: SimulatedController, http: aiohttp.ClientSession, body: bytes
) -> None:
    async with http.post(f"{dc1.url}/login", data=body, headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 400


async def test_a_rotated_csrf_token_stands_in_the_next_cookies(dc1: SimulatedController, client: Client) -> None:
    dc1.rotate_csrf()
    token = (await client.ask("GET", "/api/image")).cookies["csrftoken"].value
    assert token != client.headers["X-CSRFToken"]
    answer = await client.ask("PATCH", "/api/image/image-0", headers={"X-CSRFToken": token}, json={})
    assert answer.status == 404


async def test_too_many_wrong_passwords_lock_the_account(http: aiohttp.ClientSession) -> None:
    async with Simulator([ControllerSpec(name="c", lock_after=2)]) as simulator:
        controller = simulator.controllers["c"]
        told = []
        for _ in range(2):
            told.append(controller.locked)
            async with http.post(f"{controller.url}/login", data={"username": "admin", "password": "no"}):
                pass
        assert [*told, controller.locked] == [False, False, True]


async def test_a_changed_password_counts_for_the_next_log_in_only(dc1: SimulatedController, client: Client) -> None:
    dc1.password = "changed"
    assert (await client.ask("GET", "/api/image")).status == 200
    await client.log_in()
    assert dc1.logins == 2


async def test_every_answer_to_somebody_logged_in_sets_the_cookies_again(client: Client) -> None:
    answer = await client.ask("GET", "/api/image")
    assert answer.cookies.keys() == {"csrftoken", "avi-sessionid", "sessionid"}


async def test_without_a_session_there_is_a_401_in_plain_text_that_calls_itself_json(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    answer = await Client(dc1, http).ask("GET", "/api/image")
    assert (answer.status, answer.content_type) == (401, "application/json")
    assert await answer.text() == "Authentication credentials were not provided."


async def test_a_write_with_a_wrong_csrf_token_gets_401_and_fresh_cookies(client: Client) -> None:
    uuid = (await client.images())[0]["uuid"]
    answer = await client.ask("PATCH", f"/api/image/{uuid}", headers={"X-CSRFToken": "old"}, json={})
    assert (answer.status, await answer.text()) == (401, "CSRF token missing or incorrect.")
    assert answer.cookies["csrftoken"].value == client.headers["X-CSRFToken"]


async def test_log_out_ends_the_session(dc1: SimulatedController, client: Client) -> None:
    assert (await client.ask("POST", "/logout")).status == 200
    assert (dc1.logouts, len(dc1.sessions)) == (1, 0)
    assert (await client.ask("GET", "/api/image")).status == 401


async def test_expired_sessions_are_gone(dc1: SimulatedController, client: Client) -> None:
    dc1.expire_sessions()
    assert (await client.ask("GET", "/api/image")).status == 401


async def test_initial_data_is_open_but_tells_the_version_only_after_log_in(
    dc1: SimulatedController, http: aiohttp.ClientSession
) -> None:
    client = Client(dc1, http)
    stranger = await (await client.ask("GET", "/api/initial-data")).json()
    await client.log_in()
    known = await (await client.ask("GET", "/api/initial-data")).json()
    assert ("version" in stranger, known["version"]["Version"]) == (False, "30.2.1")


async def test_cluster_status_is_open(dc1: SimulatedController, http: aiohttp.ClientSession) -> None:
    assert (await Client(dc1, http).ask("GET", "/api/cluster/status")).status == 200


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
async def test_the_cluster_tells_about_itself_after_log_in(client: Client, path: str) -> None:
    answer = await client.ask("GET", path)
    assert answer.status == 200
    assert await answer.json()


# -- versions and tenants


async def test_the_answer_echoes_the_version(client: Client) -> None:
    answer = await client.ask("GET", "/api/image", headers={"X-Avi-Version": "21.1.6"})
    assert answer.headers["AVI_API_VERSION"] == "21.1.6"
    assert "status" in (await answer.json())["results"][0]


async def test_without_a_version_the_progress_fields_are_silently_gone(client: Client) -> None:
    del client.headers["X-Avi-Version"]
    answer = await client.ask("GET", "/api/image")
    assert answer.headers["AVI_API_VERSION"] == "16_4_2"
    assert not {"progress", "img_state", "events"} & (await answer.json())["results"][0].keys()


async def test_a_version_above_the_controllers_is_refused(client: Client) -> None:
    answer = await client.ask("GET", "/api/image", headers={"X-Avi-Version": "31.2.2"})
    assert (answer.status, "Invalid version" in await answer.text()) == (400, True)


async def test_a_tenant_that_does_not_exist_is_refused(client: Client) -> None:
    answer = await client.ask("GET", "/api/image", headers={"X-Avi-Tenant": "red"})
    assert (answer.status, await answer.json()) == (403, {"error": "Tenant 'red' does not exist!"})


@pytest.mark.parametrize(("tenant", "count"), [("admin", 2), ("blue", 1), ("*", 3)])
async def test_each_tenant_sees_its_own_images(
    dc1: SimulatedController, client: Client, tenant: str, count: int
) -> None:
    dc1.put({"uuid": "image-b", "tenant_ref": "https://c/api/tenant/blue"})
    answer = await client.ask("GET", "/api/image", headers={"X-Avi-Tenant": tenant})
    assert (await answer.json())["count"] == count


async def test_a_tenant_goes_by_its_uuid_too(dc1: SimulatedController, client: Client) -> None:
    answer = await client.ask("GET", "/api/image", headers={"X-Avi-Tenant-UUID": dc1.tenants["blue"]})
    assert (await answer.json())["count"] == 0


async def test_image_inventory_is_there_from_32_2_1_on(dc1: SimulatedController, client: Client) -> None:
    before = await client.ask("GET", "/api/image-inventory")
    dc1.version = "32.2.1"
    after = await (await client.ask("GET", "/api/image-inventory")).json()
    assert before.status == 404
    assert [info["in_use"] for group in after["results"] for info in group["image_info"]] == [True, False]


@pytest.mark.parametrize(("version", "which"), [("30.2.1", 0), ("31.2.2", 1)], ids=["first-wins", "last-wins"])
async def test_of_a_repeated_query_key_older_controllers_take_the_first(
    dc1: SimulatedController, client: Client, version: str, which: int
) -> None:
    dc1.version = version
    uuids = [image["uuid"] for image in await client.images()]
    found = await client.images(f"?uuid={uuids[0]}&uuid={uuids[1]}")
    assert [image["uuid"] for image in found] == [uuids[which]]


# -- images


async def test_an_upload_goes_its_way_with_the_clock(dc1: SimulatedController, client: Client) -> None:
    uuid = dc1.upload("new", duration=60.0)
    seen = []
    for _ in range(3):
        image = await (await client.ask("GET", f"/api/image/{uuid}")).json()
        seen.append((image["img_state"]["state"], image["progress"]))
        dc1.clock.advance(30.0)
    assert [state for state, _ in seen] == ["IMAGE_FSM_STARTED", "IMAGE_FSM_IN_PROGRESS", "IMAGE_FSM_COMPLETED"]
    assert seen[0][1] < seen[1][1] < seen[2][1] == 100


async def test_a_literal_image_is_served_as_given(dc1: SimulatedController, client: Client) -> None:
    nonsense = {"uuid": "string", "name": "string", "progress": "string", "events": [{"nodes_events": "string"}]}
    assert dc1.put(nonsense) == "string"
    assert (await client.images())[-1] == nonsense
    assert await (await client.ask("GET", "/api/image/string")).json() == nonsense


async def test_a_touched_image_changes_and_a_removed_one_is_gone(dc1: SimulatedController, client: Client) -> None:
    first, second = await client.images()
    dc1.touch(first["uuid"], progress=17)
    dc1.remove(second["uuid"])
    (left,) = await client.images()
    assert left["progress"] == 17
    assert int(left["_last_modified"]) > int(first["_last_modified"])
    assert dc1.image(first["uuid"])["progress"] == 17


async def test_an_image_that_is_not_there_is_404_in_json_and_an_unknown_path_404_in_html(client: Client) -> None:
    missing, unknown = await client.ask("GET", "/api/image/image-0"), await client.ask("GET", "/api/pool")
    assert (missing.status, await missing.json()) == (404, {"error": "Image object not found"})
    assert (unknown.status, unknown.content_type) == (404, "text/html")


async def test_a_method_that_does_not_fit_is_405(client: Client) -> None:
    answer = await client.ask("DELETE", "/api/image")
    assert (answer.status, await answer.json()) == (405, {"error": "Method 'DELETE' not allowed"})


async def test_patch_answers_with_the_whole_object_without_a_name_behind_its_url(client: Client) -> None:
    before = (await client.images())[0]
    answer = await client.ask("PATCH", f"/api/image/{before['uuid']}", json={"replace": {"name": "renamed"}})
    after = await answer.json()
    assert (answer.status, after["name"], after["url"]) == (200, "renamed", before["url"])
    assert after.keys() == before.keys()
    assert int(after["_last_modified"]) > int(before["_last_modified"])


async def test_during_an_upgrade_writes_are_refused_and_reads_are_not(dc1: SimulatedController, client: Client) -> None:
    uuid = (await client.images())[0]["uuid"]
    dc1.upgrading = True
    write = await client.ask("PATCH", f"/api/image/{uuid}", json={"replace": {"name": "n"}})
    read = await client.ask("GET", "/api/image")
    assert (write.status, "Configuration is disallowed during upgrade" in await write.text()) == (403, True)
    assert read.status == 200


async def test_who_may_only_read_cannot_write(http: aiohttp.ClientSession) -> None:
    spec = ControllerSpec(name="ro", images=1, accounts=(Account(username="reader", password="r", can_write=False),))
    async with Simulator([spec], speed=0.0) as simulator:
        client = Client(simulator.controllers["ro"], http)
        async with http.post(f"{client.controller.url}/login", data={"username": "reader", "password": "r"}) as answer:
            client.headers["X-CSRFToken"] = answer.cookies["csrftoken"].value
        uuid = (await client.images())[0]["uuid"]
        assert (await client.ask("PATCH", f"/api/image/{uuid}", json={"replace": {"name": "n"}})).status == 403


def package(filename: str = "controller.pkg", field: str = "file") -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field(field, b"\0" * 100_000, filename=filename, content_type="application/octet-stream")
    return form


async def test_an_uploaded_package_becomes_an_image_with_its_name_behind_the_url(
    dc1: SimulatedController, client: Client
) -> None:
    answer = await client.ask("POST", "/api/image", data=package())
    made = await answer.json()
    assert answer.status == 201
    assert made["url"] == answer.headers["Location"]
    assert made["url"].endswith(f"{made['uuid']}#{made['name']}")
    assert "#" not in dc1.image(made["uuid"])["url"]


async def test_an_uploaded_patch_becomes_a_patch(client: Client) -> None:
    made = await (await client.ask("POST", "/api/image", data=package("avi_patch.pkg"))).json()
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
async def test_an_upload_can_be_refused(
    http: aiohttp.ClientSession, spec: ControllerSpec, form: aiohttp.FormData, status: int
) -> None:
    async with Simulator([spec], speed=0.0) as simulator:
        client = await Client(simulator.controllers["c"], http).log_in()
        assert (await client.ask("POST", "/api/image", data=form)).status == status


async def test_a_deleted_image_is_gone_and_the_answer_is_empty_json(client: Client) -> None:
    uuid = (await client.images())[1]["uuid"]
    answer = await client.ask("DELETE", f"/api/image/{uuid}")
    assert (answer.status, await answer.text(), answer.content_type) == (204, "", "application/json")
    assert len(await client.images()) == 1


async def test_the_image_that_the_cluster_runs_cannot_be_deleted(client: Client) -> None:
    uuid = (await client.images())[0]["uuid"]
    answer = await client.ask("DELETE", f"/api/image/{uuid}")
    assert (answer.status, "object is referred by" in await answer.text()) == (400, True)


# -- the socket


async def test_a_controller_that_does_not_listen_refuses_and_comes_back_on_the_same_port(
    dc1: SimulatedController, client: Client
) -> None:
    url = dc1.url
    await dc1.stop_listening()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.ask("GET", "/api/image")
    await dc1.start_listening()
    assert (await client.ask("GET", "/api/image")).status == 200
    assert dc1.url == url


async def test_requests_are_on_record_with_their_status(dc1: SimulatedController, client: Client) -> None:
    await client.ask("GET", "/api/image?page_size=200")
    login, listing = await dc1.requested(2, answered=True)
    assert (login.method, login.path, login.status) == ("POST", "/login", 200)
    assert (listing.path, listing.query, listing.status) == ("/api/image", {"page_size": "200"}, 200)
    assert listing.headers["x-avi-version"] == "30.2.1"
    assert dc1.requests == [login, listing]


async def test_one_can_wait_for_the_next_request(dc1: SimulatedController, client: Client) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(dc1.next_request(path="/api/image"))
        await asyncio.sleep(0)
        group.create_task(client.ask("GET", "/api/image"))
    assert waiting.result().status == 200


async def test_to_wait_for_a_request_that_never_comes_ends(dc1: SimulatedController) -> None:
    with pytest.raises(TimeoutError):
        await dc1.requested(1, within_s=0.01)


async def test_beyond_the_rate_limit_there_is_429(http: aiohttp.ClientSession) -> None:
    spec = ControllerSpec(name="c", rate_limit=RateLimit(per_second=0.001, burst=1))
    async with Simulator([spec]) as simulator:
        client = Client(simulator.controllers["c"], http)
        assert [(await client.ask("GET", "/api/cluster/status")).status for _ in range(2)] == [200, 429]


async def list_as_served(controller: SimulatedController) -> str:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as own:
        client = await Client(controller, own).log_in()
        return await (await client.ask("GET", "/api/image")).text()


async def test_one_seed_gives_one_fleet_and_another_seed_another() -> None:
    bodies = []
    for seed in (7, 7, 8):
        async with Simulator.of("fleet", seed=seed, speed=0.0, start=START) as simulator:
            simulator.clock.advance(200.0)
            bodies.append([await list_as_served(controller) for controller in simulator.controllers.values()])
    assert (bodies[0] == bodies[1], bodies[0] == bodies[2]) == (True, False)
