"""What the page of another site makes a browser send, at the door of a real daemon."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import bcrypt
import pytest
from aiohttp import encode_basic_auth

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Simulator
from monitor.web.routes import ROUTES
from tests.support.conformance import require_conformance
from tests.support.daemons import until, watching
from tests.support.operators import ALICE, ROOT, TOKENS, ask, audit, patch

PASSWORD = "remembered"
CHANGING = [route for route in ROUTES if route.method not in {"GET", "HEAD", "OPTIONS"}]
OPEN = [route for route in ROUTES if route.scope == "open"]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator([ControllerSpec(name="dc1", images=2)], speed=0.0) as simulator:
        yield simulator


@pytest.fixture
async def daemon(simulator: Simulator, tmp_path: Path) -> AsyncIterator[Daemon]:
    """On loopback, with what is allowed there by default, and a name."""
    async with watching(simulator, tmp_path, tokens=TOKENS, server_names=["monitor.example.net"]) as daemon:
        await until(daemon, "dc1", lambda entry: entry.session.up)
        yield daemon


def uuid_of(daemon: Daemon) -> str:
    return next(iter(daemon.fleet.entries["dc1"].objects("image")))


# -- DNS rebinding


@pytest.mark.parametrize("path", ["/metrics", "/api/image", "/api/controllers", "/api/events", "/", "/-/healthy"])
async def test_a_name_of_another_site_reads_nothing(daemon: Daemon, path: str) -> None:
    got = await ask(daemon, "GET", path, token="", Host="rebound.evil.example:9972")
    assert (got.status, got.kind) == (421, "misdirected-request")
    assert "`server_names`" in got.json["detail"]
    require_conformance("GET", path, got.status, got.headers, got.body)


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LocalHost.:9972", "127.0.0.1:9972", "127.8.8.8", "[::1]:9972", "[::1]",
        "monitor.example.net", "Monitor.Example.Net:443",
    ],
)  # fmt: skip
async def test_localhost_loopback_and_configured_names_are_known(daemon: Daemon, host: str) -> None:
    assert (await ask(daemon, "GET", "/metrics", token="", Host=host)).status == 200


@pytest.mark.parametrize("host", ["", "192.0.2.7", "localhost.evil.example", "[::1", "127.0.0.1.evil.example", "evil"])
async def test_no_other_name_is_known(daemon: Daemon, host: str) -> None:
    assert (await ask(daemon, "GET", "/metrics", token="", Host=host)).status == 421


async def test_a_client_with_a_credential_may_use_any_name(daemon: Daemon) -> None:
    assert (await ask(daemon, "GET", "/metrics", token=ROOT, Host="proxy.example.org")).status == 200
    assert (await ask(daemon, "GET", "/metrics", token="aum_unknown", Host="proxy.example.org")).status == 401


@pytest.mark.parametrize(
    ("names", "host", "status"),
    [
        ([], "any.example.org", 200),
        (["monitor.example.net"], "any.example.org", 421),
        (["monitor.example.net"], "monitor.example.net:9972", 200),
        (["monitor.example.net"], "192.0.2.7:9972", 200),
    ],
)
async def test_elsewhere_names_are_checked_when_they_are_configured(
    simulator: Simulator, tmp_path: Path, names: list[str], host: str, status: int
) -> None:
    """An address is the name of no other site."""
    everywhere = {"listen": "0.0.0.0:0", "anonymous": ["metrics"], "server_names": names}
    async with watching(simulator, tmp_path, **everywhere) as daemon:  # type: ignore[arg-type]
        assert (await ask(daemon, "GET", "/metrics", token="", Host=host)).status == status


# -- forms


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://monitor.example.net"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_the_page_of_another_site_changes_nothing(daemon: Daemon, headers: dict[str, str]) -> None:
    named = {name.replace("-", "_"): value for name, value in headers.items()}
    paths = ["/-/reload", "/api/image/{uuid}", "/api/upgradestatusinfo/{uuid}"]
    assert [route.path for route in CHANGING] == paths
    for route in CHANGING:
        path = route.path.replace("{uuid}", uuid_of(daemon))
        got = await ask(daemon, route.method, path, {"annotations": {"a": "b"}}, token=ROOT, **named)
        assert (got.status, got.kind) == (403, "forbidden"), route.path
        assert "found" in got.json["detail"]
    assert not await audit(daemon)


async def test_a_form_with_a_remembered_password_causes_no_reload_and_no_log_in(
    simulator: Simulator, tmp_path: Path
) -> None:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(json.dumps({"basic_auth_users": {"root": hashed}}))
    users = [{"name": "root", "scopes": ["admin"]}]
    async with watching(simulator, tmp_path, web_config=tmp_path / "web.yml", users=users) as daemon:
        await until(daemon, "dc1", lambda entry: entry.session.up)
        remembered = {"Authorization": encode_basic_auth("root", PASSWORD)}
        before = simulator.controllers["dc1"].logins
        async with aiohttp.ClientSession(daemon.url, headers=remembered) as http:
            for headers in FOREIGN:
                async with http.post("/-/reload", data={"a": "b"}, headers=headers) as response:
                    assert response.status == 403
            async with http.post("/-/reload", data={"a": "b"}) as response:
                assert response.status == 200
        assert simulator.controllers["dc1"].logins == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://behind-a-proxy.example"},
        {"Host": "localhost:9972", "Origin": "http://localhost:9972"},
        {"Host": "127.0.0.1", "Origin": "http://127.0.0.1:19700"},
        {"Host": "[::1]:9972", "Origin": "http://[::1]:9972"},
        {"Origin": "https://monitor.example.net"},
        {"Origin": "https://a.example:8443", "X-Forwarded-Host": "a.example:8443"},
    ],
    ids=str,
)
async def test_our_own_page_and_clients_that_are_no_browsers_change_what_they_may(
    daemon: Daemon, headers: dict[str, str]
) -> None:
    named = {name.replace("-", "_"): value for name, value in headers.items()}
    got = await patch(daemon, uuid_of(daemon), {"annotations": {"a": "b"}}, token=ALICE, **named)
    assert got.status == 200
