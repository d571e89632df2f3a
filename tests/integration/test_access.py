"""Authentication over a real socket: scopes, controllers, failures, and that no secret appears in any output."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import aiohttp
import bcrypt
import pytest
import structlog
from aiohttp import encode_basic_auth

from monitor.config.access import digest_of
from monitor.daemon.app import Daemon
from monitor.daemon.logging import configure
from monitor.simulator import ControllerSpec, Simulator
from monitor.web.routes import ROUTES
from tests.support.daemons import polled, watching
from tests.support.limits import WAIT_TIMEOUT_S

FLEET = (ControllerSpec(name="dc1", images=2), ControllerSpec(name="dc2", images=3))
PASSWORDS = {"prometheus": "canary-password-1", "bob": "canary-password-2"}
HASHES = {user: bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode() for user, word in PASSWORDS.items()}
SCOPES: Mapping[str, tuple[list[str], list[str] | None]] = {
    "scraper": (["metrics"], None),
    "reader": (["read"], None),
    "alice": (["annotate"], ["dc1"]),
    "narrow": (["metrics", "read"], ["dc1"]),
    "root": (["admin"], None),
    "admin1": (["admin"], ["dc1"]),
}


def token(name: str) -> str:
    return f"aum_canary-{name}"


def entry(name: str) -> dict[str, object]:
    scopes, controllers = SCOPES[name]
    only = {"controllers": controllers} if controllers else {}
    return {"name": name, "sha256": digest_of(token(name)).hex(), "scopes": scopes, **only}


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(name)}"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": encode_basic_auth(user, password)}


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    web = tmp_path / "web.yml"
    web.write_text(json.dumps({
        "basic_auth_users": HASHES,
        "http_server_config": {"headers": {"X-Frame-Options": "deny", "Content-Security-Policy": "default-src x"}},
    }))  # fmt: skip
    async with (
        Simulator(FLEET, speed=0.0) as simulator,
        watching(
            simulator,
            tmp_path,
            web_config=web,
            tokens=[entry(name) for name in SCOPES],
            users=[{"name": "bob", "scopes": ["read"], "controllers": ["dc2"]}],
        ) as daemon,
    ):
        for name in simulator.controllers:
            await polled(daemon, name)
        yield daemon


@pytest.fixture
async def http(daemon: Daemon) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(daemon.url, timeout=aiohttp.ClientTimeout(WAIT_TIMEOUT_S)) as session:
        yield session


async def status(http: aiohttp.ClientSession, path: str, headers: Mapping[str, str] | None = None) -> int:
    async with http.get(path, headers=headers) as response:
        return response.status


@pytest.mark.parametrize(
    ("name", "metrics", "read"),
    [("scraper", 200, 403), ("reader", 403, 200), ("alice", 403, 200), ("root", 200, 200), ("unknown", 401, 401)],
)
async def test_a_token_has_the_routes_of_its_scopes(
    http: aiohttp.ClientSession, name: str, metrics: int, read: int
) -> None:
    found = [await status(http, path, headers=bearer(name)) for path in ("/metrics", "/api/image", "/api/controllers")]
    assert found == [metrics, read, read]


async def test_users_of_the_web_configuration_may_scrape_or_have_configured_scopes(http: aiohttp.ClientSession) -> None:
    prometheus, bob = (basic(user, PASSWORDS[user]) for user in ("prometheus", "bob"))
    assert [await status(http, path, headers=prometheus) for path in ("/metrics", "/api/image")] == [200, 403]
    assert [await status(http, path, headers=bob) for path in ("/metrics", "/api/image")] == [403, 200]
    assert await status(http, "/metrics", headers=basic("prometheus", PASSWORDS["bob"])) == 401


async def test_with_users_anonymous_clients_are_refused_unless_configured(http: aiohttp.ClientSession) -> None:
    async with http.get("/metrics") as response:
        problem = await response.json(content_type="application/problem+json")
        assert response.headers.getall("WWW-Authenticate") == [
            'Bearer realm="avi-upgrade-monitor"',
            'Basic realm="avi-upgrade-monitor", charset="UTF-8"',
        ]
    assert (response.status, problem["type"].rpartition(":")[2]) == (401, "unauthorized")
    assert [await status(http, path) for path in ("/-/healthy", "/-/ready")] == [200, 200]
    assert await status(http, "/-/healthy", headers=bearer("unknown")) == 200, "open routes do not authenticate"


async def test_every_route_that_is_not_open_needs_authentication(http: aiohttp.ClientSession) -> None:
    for route in ROUTES:
        path = route.path.replace("{uuid}", "image-x").replace("{file}", "style.css")
        async with http.request(route.method, path, headers=bearer("unknown")) as response:
            assert response.status in ({200} if route.scope == "open" else {401, 429}), route  # 429: after ten


@pytest.mark.parametrize("name", ["narrow", "alice"])
async def test_a_token_of_some_controllers_sees_no_others(
    http: aiohttp.ClientSession, daemon: Daemon, name: str
) -> None:
    headers = bearer(name)
    async with http.get("/api/controllers", headers=headers) as response:
        assert [each["name"] for each in (await response.json())["results"]] == ["dc1"]
    async with http.get("/api/image", headers=headers) as response:
        assert {each["controller"] for each in (await response.json())["results"]} == {"dc1"}
    uuids = [next(iter(daemon.fleet.entries[each].objects("image"))) for each in ("dc1", "dc2")]
    assert [await status(http, f"/api/image/{uuid}", headers=headers) for uuid in uuids] == [200, 404]
    async with http.get(f"/api/image/{uuids[1]}?controller=dc2", headers=headers) as response:
        assert response.status == 404


async def test_an_admin_of_some_controllers_cannot_reload_and_hears_of_no_others(
    http: aiohttp.ClientSession, daemon: Daemon, tmp_path: Path
) -> None:
    path = tmp_path / "config.yml"
    for text in (path.read_text(), path.read_text().replace("name: dc2", "name: dc2x\n  nonsense: true")):
        path.write_text(text)
        async with http.post("/-/reload", headers=bearer("admin1")) as response:
            assert (response.status, "dc2" in await response.text()) == (403, False)
    assert daemon.fleet.entries.keys() == {"dc1", "dc2"}


async def test_a_scrape_has_the_controllers_that_are_visible_to_the_scraper(http: aiohttp.ClientSession) -> None:
    for name, controllers in (("narrow", {"dc1"}), ("scraper", {"dc1", "dc2"})):
        async with http.get("/metrics", headers=bearer(name)) as response:
            text = await response.text()
        assert {each for each in ("dc1", "dc2") if f'controller="{each}"' in text} == controllers


async def test_the_headers_of_the_web_configuration_are_on_every_response(http: aiohttp.ClientSession) -> None:
    for path in ("/", "/metrics", "/-/healthy", "/none"):
        async with http.get(path, headers=bearer("root")) as response:
            assert response.headers["X-Frame-Options"] == "deny"
            assert response.headers.getall("Content-Security-Policy") == ["default-src x"]


async def test_they_are_also_on_the_response_to_a_malformed_request(daemon: Daemon) -> None:
    reader, writer = await asyncio.open_connection(*daemon.address)
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        writer.write(b"GET / HTTP/1.1\r\nAuthorization: Bearer \x01\r\n\r\n")
        answer = await reader.read()
    writer.close()
    assert b"\r\nX-Frame-Options: deny\r\n" in answer


async def test_too_many_failures_are_answered_429_and_lock_out_no_known_credential(http: aiohttp.ClientSession) -> None:
    assert await status(http, "/metrics", headers=basic("prometheus", PASSWORDS["prometheus"])) == 200
    statuses = [await status(http, "/metrics", headers=basic("prometheus", str(guess))) for guess in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    async with http.get("/metrics", headers=bearer("unknown")) as response:
        problem = await response.json(content_type="application/problem+json")
        assert (response.status, problem["type"].rpartition(":")[2]) == (429, "too-many-failures")
        assert 0 < int(response.headers["Retry-After"]) <= 6
    assert await status(http, "/metrics", headers=basic("prometheus", PASSWORDS["prometheus"])) == 200
    async with http.get("/metrics", headers=bearer("root")) as response:
        assert "avi_upgrade_monitor_auth_failures_total 13.0\n" in await response.text()


async def test_a_flood_of_wrong_passwords_does_not_keep_out_a_right_one_that_was_not_seen_before(
    http: aiohttp.ClientSession,
) -> None:
    statuses = [await status(http, "/metrics", headers=basic(f"eve{guess}", "x")) for guess in range(40)]
    assert 429 in statuses
    assert await status(http, "/metrics", headers=basic("prometheus", PASSWORDS["prometheus"])) == 200


async def raw(daemon: Daemon, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*daemon.address)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + request + b"\r\n")
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"Authorization: Bearer \xff\xfe\r\n", id="not-utf-8"),
        pytest.param(b"Authorization:\r\n", id="empty"),
        pytest.param(b"Authorization: Basic \xff\r\n", id="not-ascii"),
        pytest.param(b"Authorization: Bearer " + b"x" * 7000 + b"\r\n", id="long"),
    ],
)
async def test_a_malformed_credential_is_refused_with_a_problem(daemon: Daemon, header: bytes) -> None:
    answer = await raw(daemon, header)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"application/problem+json" in answer


# -- canaries


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that the daemon and its libraries log at debug level, in the operator's format."""
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("debug", "json", stream)
    root.setLevel(logging.DEBUG)
    yield stream
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)  # unlike an assignment, it also clears the loggers' caches


async def test_no_credential_appears_in_a_log_or_a_response(
    log: io.StringIO, daemon: Daemon, http: aiohttp.ClientSession
) -> None:
    answers = []
    credentials = [
        *(bearer(name) for name in SCOPES),
        *(basic(user, word) for user, word in PASSWORDS.items()),
        bearer("wrong"),
        {"Authorization": "canary-without-scheme"},
        basic("bob", "canary-wrong"),
        basic("canary-user", "canary-wrong"),
    ]
    for path in ("/", "/metrics", "/api/image", "/api/image/none", "/api/controllers", "/none"):
        for credential in credentials:
            async with http.get(path, headers=credential) as response:
                answers.append(f"{response.headers}{await response.text()}")
    secrets = ["canary", *HASHES.values(), *(digest_of(token(name)).hex() for name in SCOPES)]
    logged = log.getvalue()
    assert [event for event in ("auth_failed", '"event": "request"') if event not in logged] == []
    assert [secret for secret in secrets if secret in logged] == []
    assert [secret for secret in secrets if secret in "".join(answers)] == []
    assert [secret for secret in secrets if secret in repr(daemon.context.authenticator.web)] == []
