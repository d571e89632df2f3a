"""The routes over a real socket: their responses and their problems."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from importlib.resources import files
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from structlog.testing import capture_logs
from yarl import URL

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Simulator, UploadSpec
from monitor.web.app import make_app
from monitor.web.context import Limits
from monitor.web.routes import ROUTES
from tests.support.daemons import UNHURRIED, polled, until, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.polling import entry_of

FLEET = (
    ControllerSpec(name="dc1", images=3, uploads=(UploadSpec(duration=60.0, started_ago=20.0),)),
    ControllerSpec(name="dc2", images=2, nodes=1),
)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(FLEET, speed=0.0) as simulator:
        yield simulator


@pytest.fixture
async def daemon(simulator: Simulator, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with watching(simulator, tmp_path) as daemon:
        for name in simulator.controllers:
            await polled(daemon, name)
        yield daemon


@pytest.fixture
async def http(daemon: Daemon) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(daemon.url, timeout=aiohttp.ClientTimeout(WAIT_TIMEOUT_S)) as session:
        yield session


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param("", "text/plain; version=0.0.4; charset=utf-8", id="nothing"),
        pytest.param("*/*", "text/plain; version=0.0.4; charset=utf-8", id="curl"),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            id="prometheus",
        ),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;q=0.2,text/plain;version=0.0.4;q=0.5",
            "text/plain; version=0.0.4; charset=utf-8",
            id="text-preferred",
        ),
    ],
)
async def test_accept_decides_the_format_and_prometheus_client_reads_it(
    http: aiohttp.ClientSession, accept: str, content_type: str
) -> None:
    async with http.get("/metrics", headers={"Accept": accept}) as response:
        text = await response.text()
        assert response.headers["Content-Type"] == content_type
        assert response.headers["Vary"] == "Accept, Accept-Encoding"
    parse = parse_openmetrics if "openmetrics" in content_type else parse_text
    families = {family.name: family for family in parse(text)}
    assert len(families["avi_image_info"].samples) == 6
    assert text.endswith("# EOF\n") == ("openmetrics" in content_type)


async def test_head_of_metrics_has_the_length_and_no_body(http: aiohttp.ClientSession) -> None:
    async with http.head("/metrics", headers={"Accept-Encoding": "identity"}) as response:
        assert response.status == 200
        assert int(response.headers["Content-Length"]) > 10_000
        assert await response.read() == b""


async def test_images_come_in_the_controllers_own_shape_with_their_controller(
    http: aiohttp.ClientSession, simulator: Simulator
) -> None:
    async with http.get("/api/image") as response:
        answer = await response.json()
    assert answer["count"] == 6
    assert "next" not in answer
    for image in answer["results"]:
        controller = simulator.controllers[image.pop("controller")]
        assert (image.pop("standing"), image.pop("standing_rank")) in {("active", 2), ("completed", 5)}
        assert image.pop("stalled_seconds") is None or image["img_state"]["state"] == "IMAGE_FSM_IN_PROGRESS"
        assert [image.pop(name) for name in ("eta_seconds", "eta_seconds_min", "eta_seconds_max")] == [None] * 3
        served = {**controller.image(image["uuid"]), "annotations": {}}
        served.pop("status", None)  # is not in the object model of the version that the daemon asks for
        assert image == served


async def test_images_are_filtered_by_name_uuid_and_controller(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/image", params={"controller": "dc2"}) as response:
        first, second = (await response.json())["results"]
    async with http.get("/api/image", params={"name": first["name"], "uuid": first["uuid"]}) as response:
        assert (await response.json()) == {"count": 1, "results": [first]}
    async with http.get("/api/image", params={"name": first["name"], "uuid": second["uuid"]}) as response:
        assert (await response.json()) == {"count": 0, "results": []}


async def test_images_are_paged_and_the_last_page_has_no_next(http: aiohttp.ClientSession, daemon: Daemon) -> None:
    seen, url = [], f"{daemon.url}/api/image?page_size=4"
    while url:
        async with http.get(url) as response:
            answer = await response.json()
        seen.append([image["uuid"] for image in answer["results"]])
        url = str(URL(url).join(URL(answer["next"]))) if "next" in answer else ""
    assert [len(page) for page in seen] == [4, 2]
    assert len({uuid for page in seen for uuid in page}) == 6


async def test_the_next_page_is_relative_and_keeps_the_query(http: aiohttp.ClientSession) -> None:
    query = {"controller": "dc1", "page_size": "1"}
    async with http.get("/api/image", params=query, headers={"Host": "127.0.0.1:1"}) as response:
        assert (await response.json())["next"] == "?controller=dc1&page_size=1&page=2"


@pytest.mark.parametrize("query", ["page_size=201", "page_size=0", "page_size=x", "page=-1", f"page={'9' * 5000}"])
async def test_an_invalid_page_is_refused_with_what_was_expected(http: aiohttp.ClientSession, query: str) -> None:
    async with http.get(f"/api/image?{query}") as response:
        problem = await response.json(content_type="application/problem+json")
    assert response.status == 400
    assert "expected a number from 1 to" in problem["detail"]
    assert problem["error"] == problem["detail"]


async def test_one_image_has_an_etag_that_changes_when_it_does(
    http: aiohttp.ClientSession, daemon: Daemon, simulator: Simulator
) -> None:
    uuid = next(iter(daemon.fleet.entries["dc2"].objects("image")))
    async with http.get(f"/api/image/{uuid}") as response:
        etag = response.headers["ETag"]
        assert (await response.json())["controller"] == "dc2"
    async with http.get(f"/api/image/{uuid}", headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    simulator.controllers["dc2"].touch(uuid, name="renamed")
    await until(daemon, "dc2", lambda entry: entry.objects("image")[uuid].object.name == "renamed")
    async with http.get(f"/api/image/{uuid}", headers={"If-None-Match": etag}) as response:
        assert response.status == 200
        assert response.headers["ETag"] != etag


async def test_an_image_on_two_controllers_needs_one_to_be_named(
    http: aiohttp.ClientSession, daemon: Daemon, simulator: Simulator
) -> None:
    uuid = next(iter(daemon.fleet.entries["dc2"].objects("image")))
    simulator.controllers["dc1"].put(simulator.controllers["dc2"].image(uuid))
    await until(daemon, "dc1", lambda entry: uuid in entry.objects("image"))
    async with http.get(f"/api/image/{uuid}") as response:
        problem = await response.json(content_type="application/problem+json")
        assert response.status == 409
        assert "dc1, dc2" in problem["detail"]
    async with http.get(f"/api/image/{uuid}?controller=dc1") as response:
        assert (await response.json())["controller"] == "dc1"


async def test_an_unknown_image_is_a_problem_that_names_it(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/image/image-none", headers={"X-Request-ID": "my-1"}) as response:
        problem = await response.json(content_type="application/problem+json")
    assert response.status == 404
    assert problem == {
        "type": "urn:avi-upgrade-monitor:problem:no-such-image",
        "title": "No such image",
        "status": 404,
        "detail": "no controller that you may see has the image image-none at present",
        "request_id": "my-1",
        "error": "no controller that you may see has the image image-none at present",
    }


async def test_nothing_is_kept_by_a_cache_but_the_page(http: aiohttp.ClientSession, daemon: Daemon) -> None:
    uuid = next(iter(daemon.fleet.entries["dc2"].objects("image")))
    for route in ROUTES:
        path = route.path.replace("{uuid}", uuid).replace("{file}", "style.css")
        async with http.request(route.method, path) as response:
            kept = "no-cache" if route.path in {"/", "/page/{file}"} else "no-store"
            assert response.headers["Cache-Control"] == kept, route
    for path in ("/none", "/api/image/none", "/metrics?x"):
        async with http.request("HEAD", path) as response:
            assert response.headers["Cache-Control"] == "no-store"
    head, _, _ = (await answer_to(daemon, b"not http\r\n\r\n")).partition(b"\r\n\r\n")
    assert b"Cache-Control: no-store" in head


async def test_an_invalid_request_id_is_replaced(http: aiohttp.ClientSession) -> None:
    async with http.get("/-/healthy", headers={"X-Request-ID": "a b\tc"}) as response:
        assert " " not in response.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/metrics", "GET, HEAD"),
        ("DELETE", "/api/image/x", "GET, HEAD, OPTIONS, PATCH"),
        ("PATCH", "/api/image", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_refused_with_the_allowed_ones(
    http: aiohttp.ClientSession, method: str, path: str, allowed: str
) -> None:
    async with http.request(method, path) as response:
        assert response.status == 405
        assert response.headers["Allow"] == allowed
        assert response.content_type == "application/problem+json"


async def test_requests_are_counted_by_closed_sets_of_labels(http: aiohttp.ClientSession) -> None:
    for path in ("/made/up", "/another", "/api/image/image-1"):
        async with http.request("PROPFIND", path) as response:
            assert response.status in {404, 405}
    async with http.get("/metrics") as response:
        text = await response.text()
    name = "avi_upgrade_monitor_http_request_duration_seconds_count"
    counted = [line for line in text.splitlines() if line.startswith(name)]
    assert counted == [
        f'{name}{{code="404",method="other",route="none"}} 2.0',
        f'{name}{{code="405",method="other",route="none"}} 1.0',
    ]


async def test_openmetrics_has_the_id_of_the_last_request_and_the_text_format_does_not(
    http: aiohttp.ClientSession,
) -> None:
    """With an exemplar, a slow request on a dashboard leads to its line of the log; the text format knows none."""
    async with http.get("/-/healthy", headers={"X-Request-ID": "my-1"}) as response:
        assert response.status == 200
    async with http.get("/metrics", headers={"Accept": "application/openmetrics-text"}) as response:
        text = await response.text()
    families = {family.name: family for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
    buckets = families["avi_upgrade_monitor_http_request_duration_seconds"].samples
    shown = [sample.exemplar.labels for sample in buckets if sample.exemplar and sample.labels["route"] == "/-/healthy"]
    assert shown == [{"request_id": "my-1"}]
    async with http.get("/metrics") as response:
        assert "my-1" not in await response.text()


async def test_controllers_show_the_state_of_polling(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/controllers") as response:
        answer = await response.json()
    assert [(each["name"], each["up"], each["images"], each["images_active"]) for each in answer["results"]] == [
        ("dc1", True, 4, 1),
        ("dc2", True, 2, 0),
    ]


async def test_the_page_loads_its_own_files_and_nothing_else(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as response:
        page = await response.text()
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)
    paths = re.findall(r'(?:src|href)="(/?page/[^"#]+)"', page)
    assert {path.rpartition(".")[2] for path in paths} >= {"css", "js"}
    for path in paths:
        async with http.get(f"/{path.removeprefix('/')}") as response:
            assert response.status == 200, path
            assert response.headers["Content-Security-Policy"] == policy
            assert response.headers["Cache-Control"] == "no-cache"
        async with http.get(response.url, headers={"If-None-Match": response.headers["ETag"]}) as again:
            assert again.status == 304


@pytest.mark.parametrize("name", ["none.js", "..%2Froutes.py", "__init__.py", ""])
async def test_nothing_but_the_pages_files_is_served(http: aiohttp.ClientSession, name: str) -> None:
    async with http.get(URL(f"/page/{name}", encoded=True)) as response:
        assert (response.status, (await response.json())["type"].rpartition(":")[2]) == (404, "no-such-route")


async def test_every_script_that_the_page_imports_exists(http: aiohttp.ClientSession) -> None:
    folder = files("monitor.web") / "page"
    scripts = {each.name: each.read_text() for each in folder.iterdir() if each.name.endswith(".js")}
    imported = {name for text in scripts.values() for name in re.findall(r'from "\./([\w.-]+)"', text)}
    assert imported <= scripts.keys()
    for name in scripts:
        async with http.get(f"/page/{name}") as response:
            assert (response.status, response.content_type) == (200, "text/javascript")


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
async def test_the_probes_succeed_when_all_is_well(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path) as response:
        assert (response.status, await response.text()) == (200, f"{path.rpartition('/')[2]}\n")


async def test_a_route_that_is_not_anonymous_needs_a_credential(simulator: Simulator, tmp_path: Path) -> None:
    async with (
        watching(simulator, tmp_path, anonymous=["metrics"]) as daemon,
        aiohttp.ClientSession(daemon.url) as http,
    ):
        async with http.get("/metrics") as response:
            assert response.status == 200
        async with http.get("/api/image") as response:
            problem = await response.json(content_type="application/problem+json")
            assert response.status == 401
            assert response.headers["WWW-Authenticate"] == 'Bearer realm="avi-upgrade-monitor"'
            assert problem["type"] == "urn:avi-upgrade-monitor:problem:unauthorized"
            assert problem["detail"].startswith("/api/image needs the scope read")


async def test_not_ready_until_the_database_answers(simulator: Simulator, tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("a file where a folder should be")
    database = f"sqlite:///{tmp_path}/in-the-way/state.db"
    async with watching(simulator, tmp_path, database=database) as daemon, aiohttp.ClientSession(daemon.url) as http:
        for name in simulator.controllers:
            await polled(daemon, name)
        async with http.get("/-/ready") as response:
            assert (response.status, await response.text()) == (503, "not ready: the database does not answer\n")
        async with http.get("/metrics") as response:
            assert "avi_upgrade_monitor_store_up 0.0\n" in await response.text()


async def test_an_unexpected_error_in_a_handler_is_a_problem_that_names_the_log_line(
    http: aiohttp.ClientSession, daemon: Daemon
) -> None:
    (image, *_) = daemon.fleet.entries["dc2"].objects("image").values()
    broken = entry_of("broken", {image.object.uuid: image})
    daemon.fleet.publish(broken)  # an image without its bytes: no poller publishes that
    with capture_logs() as logs:
        async with http.get("/api/image", params={"controller": "broken"}) as response:
            problem = await response.json(content_type="application/problem+json")
    assert response.status == 500
    assert problem["request_id"] in problem["detail"]
    assert [line["request_id"] for line in logs if line["event"] == "request_exception"] == [problem["request_id"]]


@pytest.fixture
async def impatient(simulator: Simulator, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with watching(simulator, tmp_path, poll=UNHURRIED, limits=Limits(response_timeout_s=2.0)) as daemon:
        yield daemon


async def test_a_scraper_that_does_not_read_is_disconnected_and_delays_no_other(
    impatient: Daemon, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = impatient
    flood = [{"task_name": f"task {n}", "nodes_events": [{"ip": {"addr": "x" * 150}}]} for n in range(1_900)]
    for number in range(20):
        state = {"state": "IMAGE_FSM_STARTED"}
        simulator.controllers["dc1"].put({"uuid": f"image-{number}", "img_state": state, "events": flood})
    await until(daemon, "dc1", lambda entry: len(entry.objects("image")) == 24)
    host, port = daemon.address
    reader, writer = await asyncio.open_connection(host, port, limit=1024)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
    async with aiohttp.ClientSession(daemon.url) as http, http.get("/metrics") as response:
        assert response.status == 200
        await response.read()
    name = "avi_upgrade_monitor_http_request_duration_seconds_count"
    labels = {"route": "/metrics", "method": "GET", "code": "499"}
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        while not daemon.context.self_metrics.registry.get_sample_value(name, labels):  # noqa: ASYNC110  there is no event to wait for
            await asyncio.sleep(0.01)
    writer.close()
    reader.feed_eof()
    errors = [record for record in caplog.records if record.name == "aiohttp.server"]
    assert not errors, "a slow scraper is not an error of the daemon"


async def test_idle_and_slow_clients_keep_out_neither_a_scraper_nor_the_polls(
    simulator: Simulator, tmp_path: Path
) -> None:
    async with watching(simulator, tmp_path, limits=Limits(max_connections=10)) as daemon, AsyncExitStack() as stack:
        for number in range(100):  # the kernel keeps 128 until the event loop accepts them
            silent = stack.enter_context(closing(socket.create_connection(daemon.address)))
            silent.sendall(b"GET /metrics HTTP/1.1\r\nHost:" if number % 2 else b"")
        async with aiohttp.ClientSession(daemon.url) as http, http.get("/metrics") as response:
            assert response.status == 200
        for name in simulator.controllers:
            await polled(daemon, name)


async def test_malformed_requests_are_refused_and_not_logged(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    for request in (b"GET / HTTP/1.1\r\nAuthorization: Bearer aum_x\x01\r\n\r\n", b"\x16\x03\x01 hello\r\n\r\n"):
        assert (await answer_to(daemon, request)).startswith(b"HTTP/1.0 400 ")
    assert caplog.records == []


async def answer_to(daemon: Daemon, sent: bytes) -> bytes:
    """Everything that the daemon sends in response, until it closes the connection."""
    reader, writer = await asyncio.open_connection(*daemon.address)
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        writer.write(sent)
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /api/image HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer CANARY\x01\r\n\r\n",
        b"GET /api/image HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"CANARY" * 1_500 + b"\r\n\r\n",
        b"PATCH /api/image/x HTTP/1.1\r\nHost: x\r\nContent-Length: CANARY\r\n\r\n",
        b"GET /CANARY" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CANARY\r\n\r\n",
    ],
    ids=["character", "header-too-long", "length", "path-too-long", "not-http"],
)
async def test_a_malformed_request_is_a_problem_that_repeats_nothing_of_it(daemon: Daemon, sent: bytes) -> None:
    head, _, body = (await answer_to(daemon, sent)).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    problem = msgspec.json.decode(body)
    assert (lines[0], headers["Content-Type"]) == ("HTTP/1.0 400 Bad Request", "application/problem+json")
    assert (headers["Server"], headers["X-Content-Type-Options"]) == ("avi-upgrade-monitor", "nosniff")
    assert problem == {
        "type": "urn:avi-upgrade-monitor:problem:bad-request",
        "title": "Malformed HTTP request",
        "status": 400,
        "detail": "not an HTTP request; a header has at most 8,190 bytes and no control characters",
        "request_id": headers["X-Request-ID"],
        "error": problem["detail"],
    }
    assert b"CANARY" not in head + body


def routes_of(app: web.Application) -> set[tuple[str, str]]:
    return {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}


async def test_the_application_has_the_routes_of_the_table_and_no_others(daemon: Daemon) -> None:
    table = {(route.method, route.path) for route in ROUTES}
    heads = {("HEAD", path) for method, path in table if method == "GET"}
    app = make_app(daemon.context)
    assert routes_of(app) == table | heads
    assert len(app.router.routes()) == len(table | heads), "none without a path"
