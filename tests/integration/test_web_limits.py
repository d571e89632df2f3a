"""`rate_limit`, `client_allowed_sans` and a certificate inside the web configuration, as a client meets them."""

import ssl
from pathlib import Path

import aiohttp
import msgspec
import trustme

from monitor.simulator import ControllerSpec, Simulator
from tests.support.daemons import rewrite, watching
from tests.support.limits import WAIT_TIMEOUT_S

SPEC = ControllerSpec(name="dc1", images=1)
CA = trustme.CA()


async def get(url: str, path: str, context: ssl.SSLContext | bool = True) -> tuple[int, bytes, str]:
    """Return status, body and Retry-After of a request on a connection of its own."""
    timeout = aiohttp.ClientTimeout(WAIT_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url + path, ssl=context) as response:
        return response.status, await response.read(), response.headers.get("Retry-After", "")


def problem_of(body: bytes) -> tuple[str, str]:
    """Return the kind and the text of a problem."""
    problem = msgspec.json.decode(body, type=dict[str, str | int])
    return str(problem["type"]).rpartition(":")[2], str(problem["detail"])


async def test_a_rate_limit_counts_all_requests_and_a_reload_does_not_fill_it_again(tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text("rate_limit:\n  interval: 1h\n  burst: 3\n")
    paths = ["/-/healthy", "/metrics", "/nowhere"]
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path, web_config=web) as daemon:
        assert [(await get(daemon.url, path))[0] for path in paths] == [200, 200, 404]
        for path in paths:
            status, body, retry_after = await get(daemon.url, path)
            assert (status, problem_of(body)[0]) == (429, "too-many-requests")
            assert 0 < int(retry_after) <= 3600
        await daemon.reloader.reload()
        assert (await get(daemon.url, "/-/healthy"))[0] == 429
        rewrite(web, "rate_limit: {interval: 0}\n")
        await daemon.reloader.reload()
        assert (await get(daemon.url, "/-/healthy"))[0] == 200


def client(*names: str) -> ssl.SSLContext:
    """Trusts the daemon, and has a certificate with these names, or none."""
    context = ssl.create_default_context()
    CA.configure_trust(context)
    if names:
        CA.issue_cert(*names).configure_cert(context)
    return context


def indented(pem: bytes) -> str:
    return "".join(f"    {line}\n" for line in pem.decode().splitlines())


async def test_allowed_names_keep_out_clients_without_a_certificate_also_where_none_is_required(tmp_path: Path) -> None:
    issued = CA.issue_cert("127.0.0.1")
    web = tmp_path / "web.yml"
    web.write_text(
        "tls_server_config:\n"
        f"  cert: |\n{indented(b''.join(pem.bytes() for pem in issued.cert_chain_pems))}"
        f"  key: |\n{indented(issued.private_key_pem.bytes())}"
        f"  client_ca: |\n{indented(CA.cert_pem.bytes())}"
        "  client_auth_type: VerifyClientCertIfGiven\n"
        "  client_allowed_sans: [prometheus.example.net]\n"
    )
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path, web_config=web) as daemon:
        assert (await get(daemon.url, "/metrics", client("prometheus.example.net")))[0] == 200
        status, body, _ = await get(daemon.url, "/metrics", client("grafana.example.net"))
        assert (status, problem_of(body)) == (
            403, ("forbidden", "the client certificate has none of the names in client_allowed_sans")
        )  # fmt: skip
        for path in ("/metrics", "/-/healthy", "/"):
            status, body, _ = await get(daemon.url, path, client())
            assert (status, problem_of(body)) == (
                403, ("forbidden", "there is no client certificate with one of the names in client_allowed_sans")
            )  # fmt: skip
