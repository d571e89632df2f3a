"""The probes on an address of their own, beside a daemon that lets in only clients with certificate and password."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import trustme

from monitor.config.values import write_address
from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Simulator
from monitor.web.routes import ROUTES
from tests.support.daemons import polled, watching

CA = trustme.CA()
WEB = f"""
tls_server_config:
  cert_file: server.pem
  key_file: server.pem
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example.net]
basic_auth_users: {{prometheus: $2b$04${"." * 53}}}
rate_limit: {{interval: 1h, burst: 1}}
"""
PROBES = ["/-/healthy", "/-/ready", "/-/writer"]


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    CA.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "web.yml").write_text(WEB)
    async with (
        Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator,
        watching(simulator, tmp_path, web_config=tmp_path / "web.yml", health={"listen": "127.0.0.1:0"}) as daemon,
    ):
        await polled(daemon, "dc1")
        yield daemon


@pytest.fixture
async def http(daemon: Daemon) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url(daemon)) as session:
        yield session


def url(daemon: Daemon) -> str:
    assert daemon.health_address is not None
    return f"http://{write_address(daemon.health_address)}"


@pytest.mark.parametrize("path", PROBES)
async def test_a_probe_needs_neither_tls_nor_a_credential_nor_a_known_name(
    http: aiohttp.ClientSession, path: str
) -> None:
    """Would find a kubelet that gets 401, 403, 421 or 429, and so restarts the daemon again and again."""
    for headers in ({}, {"Host": "pod.example.net"}, {"Authorization": "Bearer nonsense"}):
        async with http.get(path, headers=headers) as response:
            assert (response.status, await response.text()) == (200, f"{path.rpartition('/')[2]}\n")
    async with http.head(path) as response:
        assert (response.status, await response.text()) == (200, "")


async def test_nothing_else_is_served(http: aiohttp.ClientSession) -> None:
    """Would find data, or a way to change something, that a client reaches without a credential."""
    others = [route for route in ROUTES if route.path not in PROBES]
    assert len(others) > 10
    for route in others:
        async with http.request(route.method, route.path.replace("{", "").replace("}", "")) as response:
            problem = await response.json(content_type="application/problem+json")
            assert (response.status, problem["type"].rpartition(":")[2]) == (404, "no-such-route")
    async with http.post("/-/ready") as response:
        assert (response.status, set(response.headers["Allow"].split(", "))) == (405, {"GET", "HEAD"})


async def test_a_probe_fails_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("a file where a folder should be")
    database = f"sqlite:///{tmp_path}/in-the-way/state.db"
    async with (
        Simulator([], speed=0.0) as simulator,
        watching(simulator, tmp_path, database=database, health={"listen": "127.0.0.1:0"}) as daemon,
        aiohttp.ClientSession(url(daemon)) as http,
        http.get("/-/ready") as response,
    ):
        assert (response.status, await response.text()) == (503, "not ready: the database does not answer\n")


async def test_without_the_key_there_is_no_such_listener(tmp_path: Path) -> None:
    async with Simulator([], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        assert daemon.health_address is None
