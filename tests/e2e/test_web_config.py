"""The example of a web configuration: promtool accepts it, and the daemon does what it says."""

import asyncio
import datetime as dt
import json
import os
import re
import shutil
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import bcrypt
import pytest
import trustme
from aiohttp import encode_basic_auth
from structlog.testing import capture_logs

from monitor.cli.commands.simulate import write_config
from monitor.config.web_config import read_web_config
from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Simulator
from tests.support.daemons import QUICK_WATCH, polled, rewrite, samples, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.programs import eventually, output_of, program, started

EXAMPLE = Path(__file__).parents[2] / "deploy" / "web-config.yml"
CA = trustme.CA()
OTHER_CA = trustme.CA()
PASSWORD = "canary-password"
SCRAPER = {"Authorization": encode_basic_auth("prometheus", PASSWORD)}
COMMAND = (sys.executable, "-W", "error", "-m", "monitor")


def put(path: Path, issued: trustme.LeafCert) -> None:
    """Write certificate and key, each by renaming."""
    for suffix, body in (
        (".pem", b"".join(pem.bytes() for pem in issued.cert_chain_pems)),
        (".key", issued.private_key_pem.bytes()),
    ):
        path.with_suffix(".new").write_bytes(body)
        os.replace(path.with_suffix(".new"), path.with_suffix(suffix))  # noqa: PTH105


def edit(path: Path, before: str, after: str) -> None:
    """Edit in place, as an editor does."""
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def hashes(path: Path) -> list[str]:
    return re.findall(r"\$2b\$\S+", path.read_text())


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example, with the files that it names, and a known password."""
    (tmp_path / "tls").mkdir()
    put(tmp_path / "tls" / "server", CA.issue_cert("127.0.0.1", common_name="first"))
    CA.cert_pem.write_to_path(tmp_path / "tls" / "clients-ca.pem")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    text, number = re.subn(r"(?m)^  prometheus: \$2b\$\S+$", lambda _: f"  prometheus: {hashed}", EXAMPLE.read_text())
    assert number == 1
    (tmp_path / "web-config.yml").write_text(text)
    return tmp_path / "web-config.yml"


@pytest.fixture
async def daemon(example: Path, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with (
        Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator,
        watching(simulator, tmp_path, web_config=example, reload_timing=QUICK_WATCH) as daemon,
    ):
        await polled(daemon, "dc1")
        yield daemon


def client(issued: trustme.LeafCert | None, *, trusts: trustme.CA = CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    trusts.configure_trust(context)
    if issued:
        issued.configure_cert(context)
    return context


def good() -> ssl.SSLContext:
    return client(CA.issue_cert("prometheus.example.net"))


async def get(daemon: Daemon, context: ssl.SSLContext, path: str = "/metrics", **headers: str) -> tuple[int, str]:
    timeout = aiohttp.ClientTimeout(WAIT_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        http.get(daemon.url + path, ssl=context, headers=headers) as response,
    ):
        return response.status, await response.text()


async def test_promtool_accepts_the_example(example: Path) -> None:
    status, out, errors = await output_of(program("promtool"), "check", "web-config", str(example))
    assert (status, out + errors) == (0, f"{example} SUCCESS\n")


HASH = "$2b$04$uXNJ5hWquBshyj/mt1lStep8nbIjtq1Y.cif6Ht0PXXjcl1sKim5i"
SERVER = "cert_file: tls/server.pem, key_file: tls/server.key"
GOOD = {
    "no-byte": "",
    "comment-alone": "# nothing yet\n",
    "null": "null\n",
    "empty-sections": "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\n",
    "empty-mappings": "tls_server_config: {}\nhttp_server_config: {headers: {}}\nbasic_auth_users: {}\n",
    "byte-order-mark-and-crlf": "\ufeffhttp_server_config:\r\n  http2: false\r\n",
    "plain-scalars": "http_server_config: {headers: {X-XSS-Protection: 1, Content-Security-Policy: true}}\n",
    "header-without-value": "http_server_config: {headers: {X-XSS-Protection: }}\n",
    "booleans-of-yaml-1.1": "http_server_config: {http2: off}\n",
    "user-like-a-number": f"basic_auth_users: {{007: {HASH}}}\n",
    "tls": f"tls_server_config: {{{SERVER}}}\n",
    "client-ca": f"tls_server_config: {{{SERVER}, client_auth_type: RequireAndVerifyClientCert, "
    "client_ca_file: tls/clients-ca.pem}\n",
    "clients-of-any-ca": f"tls_server_config: {{{SERVER}, client_auth_type: VerifyClientCertIfGiven}}\n",
    "versions-and-suites": f"tls_server_config: {{{SERVER}, min_version: TLS12, max_version: TLS13,"
    " prefer_server_cipher_suites: no, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]}\n",
}
BAD = {
    "unknown-key": "http: {}\n",
    "list": "[]\n",
    "key-twice": "http_server_config: {}\nhttp_server_config: {}\n",
    "user-without-hash": "basic_auth_users: {bob: }\n",
    "user-with-a-password": "basic_auth_users: {bob: s3cret}\n",
    "header-that-is-not-allowed": "http_server_config: {headers: {Content-Type: foo}}\n",
    "frame-options": "http_server_config: {headers: {X-Frame-Options: never}}\n",
    "boolean": "http_server_config: {http2: perhaps}\n",
    "certificate-without-key": "tls_server_config: {cert_file: tls/server.pem, key_file: ''}\n",
    "certificate-that-is-missing": "tls_server_config: {cert_file: tls/no.pem, key_file: tls/server.key}\n",
    "client-ca-without-policy": f"tls_server_config: {{{SERVER}, client_ca_file: tls/clients-ca.pem}}\n",
    "version": f"tls_server_config: {{{SERVER}, min_version: TLS111}}\n",
    "suite": f"tls_server_config: {{{SERVER}, cipher_suites: [TLS_NOTHING]}}\n",
}
"""Files with keys that Debian's promtool knows: not `rate_limit`, `client_allowed_sans`, `cert`, `key`, `client_ca`."""


@pytest.mark.parametrize(
    ("text", "good"),
    [
        *(pytest.param(text, True, id=name) for name, text in GOOD.items()),
        *(pytest.param(text, False, id=name) for name, text in BAD.items()),
    ],
)
async def test_what_is_good_for_promtool_is_good_here_and_what_is_bad_is_bad(
    example: Path, text: str, good: bool
) -> None:
    rewrite(example, text)
    status, _, _ = await output_of(program("promtool"), "check", "web-config", str(example))
    assert (status == 0) is good
    _, problems = read_web_config(example, {})
    assert (not problems) is good, problems


async def test_check_config_accepts_the_example_and_lists_every_problem_of_another(
    example: Path, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("s3cret")
    for secret in (tmp_path / "password", tmp_path / "tls" / "server.key", example):
        secret.chmod(0o600)
    (tmp_path / "config.yml").write_text(
        "controllers: [{name: dc1, url: https://avi.example.net, username: svc, password_file: password}]\n"
    )
    check = (*COMMAND, "check-config", "--config", str(tmp_path / "config.yml"), "--web.config.file", str(example))
    status, out, errors = await output_of(*check)
    assert (status, errors) == (0, "")
    assert "valid, 1 controller in 1 file" in out
    shutil.copy(tmp_path / "tls" / "server.pem", tmp_path / "tls" / "server.key")
    edit(example, "deny", "never")
    status, _, errors = await output_of(*check)
    assert status == 2
    assert [line.removeprefix(f"{example}: ").partition(": ")[0] for line in errors.splitlines()] == [
        "tls_server_config.key_file", "http_server_config.headers.X-Frame-Options"
    ]  # fmt: skip


async def test_with_certificate_and_password_prometheus_scrapes(daemon: Daemon) -> None:
    assert daemon.url.startswith("https://127.0.0.1:")
    status, text = await get(daemon, good(), **SCRAPER)
    assert status == 200
    assert samples(text, "avi_controller_up", controller="dc1") == [1.0]


async def test_the_command_serves_it(example: Path, tmp_path: Path) -> None:
    edit(example, "  # client_allowed_sans", "  client_allowed_sans")
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        settings = {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/state.db"}
        config, log = write_config(simulator, tmp_path, settings), tmp_path / "log"
        async with started(
            *COMMAND, "run", "--config", str(config), "--web.config.file", str(example), log=log
        ) as daemon:
            (address,) = await eventually(lambda: addresses(log), bool)
            async with aiohttp.ClientSession(f"https://{address}", headers=SCRAPER) as http:
                async with http.get("/metrics", ssl=good()) as response:
                    assert response.status == 200
                async with http.get("/metrics", ssl=client(CA.issue_cert("grafana"))) as response:
                    assert response.status == 403
            daemon.terminate()
            assert await daemon.wait() == 0


async def addresses(log: Path) -> list[str]:
    """The address in the log, once the daemon listens."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]  # noqa: ASYNC240
    return [str(line["address"]) for line in lines if line["event"] == "started"]


async def test_a_certificate_without_a_password_or_with_a_wrong_one_is_not_enough(daemon: Daemon) -> None:
    context = good()
    assert (await get(daemon, context))[0] == 401
    assert (await get(daemon, context, Authorization=encode_basic_auth("prometheus", "wrong")))[0] == 401
    assert (await get(daemon, context, "/api/image", **SCRAPER))[0] == 403
    assert (await get(daemon, context, "/-/healthy"))[0] == 200


def expired() -> trustme.LeafCert:
    return CA.issue_cert("prometheus.example.net", not_after=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))


@pytest.mark.parametrize(
    "context",
    [
        pytest.param(client(None), id="no-certificate"),
        pytest.param(client(OTHER_CA.issue_cert("prometheus.example.net")), id="of-another-ca"),
        pytest.param(client(expired()), id="expired"),
        pytest.param(client(CA.issue_cert("x"), trusts=OTHER_CA), id="a-client-that-does-not-trust-the-server"),
    ],
)
async def test_without_a_good_certificate_not_even_the_health_is_shown(daemon: Daemon, context: ssl.SSLContext) -> None:
    with pytest.raises(aiohttp.ClientError):
        await get(daemon, context, "/-/healthy")


async def test_plain_http_to_the_tls_port_gets_no_answer(daemon: Daemon) -> None:
    reader, writer = await asyncio.open_connection(*daemon.address)
    writer.write(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        try:
            answer = await reader.read()
        except ConnectionResetError:
            answer = b""
    writer.close()
    assert b"HTTP" not in answer


async def served(daemon: Daemon) -> str:
    """The common name of the certificate that a new connection gets."""
    reader, writer = await asyncio.open_connection(*daemon.address, ssl=good())
    certificate = writer.get_extra_info("peercert")
    writer.write(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).endswith(b"healthy\n")
    writer.close()
    return str(dict(pair for group in certificate["subject"] for pair in group)["commonName"])


async def test_a_renewed_certificate_is_served_without_a_restart_and_open_connections_stay(
    daemon: Daemon, tmp_path: Path
) -> None:
    async with aiohttp.ClientSession(daemon.url, connector=aiohttp.TCPConnector(ssl=good(), limit=1)) as http:
        async with http.get("/-/healthy") as response:
            assert response.status == 200
        put(tmp_path / "tls" / "server", CA.issue_cert("127.0.0.1", common_name="second"))
        assert await eventually(lambda: served(daemon), lambda name: name == "second") == "second"
        async with http.get("/-/healthy") as response:
            assert response.status == 200


async def test_after_a_change_of_the_client_ca_certificates_of_the_old_one_are_refused(
    daemon: Daemon, tmp_path: Path
) -> None:
    other = client(OTHER_CA.issue_cert("prometheus.example.net"))
    OTHER_CA.cert_pem.write_to_path(tmp_path / "tls" / "clients-ca.pem")

    async def healthy(context: ssl.SSLContext) -> bool:
        try:
            return (await get(daemon, context, "/-/healthy"))[0] == 200
        except aiohttp.ClientError:
            return False

    assert await eventually(lambda: healthy(other), bool)
    assert not await healthy(good())


async def test_a_bad_file_changes_nothing_and_the_log_has_the_problems(daemon: Daemon, example: Path) -> None:
    with capture_logs() as logs:
        edit(example, "prometheus: $2b$", "prometheus: ")

        async def logged() -> list[str]:
            return [str(log["problems"]) for log in logs if log["event"] == "reload_failed"]

        (problems,) = await eventually(logged, bool)
    assert "basic_auth_users.prometheus: found a value (not shown)" in problems
    assert (await get(daemon, good(), **SCRAPER))[0] == 200


async def test_client_certificates_can_be_limited_to_names(daemon: Daemon, example: Path) -> None:
    edit(example, "  # client_allowed_sans", "  client_allowed_sans")
    other = client(CA.issue_cert("grafana.example.net"))
    status, text = await eventually(lambda: get(daemon, other, **SCRAPER), lambda answer: answer[0] != 200)
    assert status == 403
    assert "the client certificate has none of the names in client_allowed_sans" in text
    assert (await get(daemon, other, "/-/healthy"))[0] == 403
    assert (await get(daemon, good(), **SCRAPER))[0] == 200


async def test_no_response_and_no_log_shows_a_key_a_hash_or_a_password(
    daemon: Daemon, example: Path, tmp_path: Path
) -> None:
    key = (tmp_path / "tls" / "server.key").read_text()
    secrets = [PASSWORD, *hashes(example), *key.splitlines()[1:-1]]
    context = good()
    with capture_logs() as logs:
        answers = [
            await get(daemon, context, path, **headers)
            for path in ("/", "/metrics", "/api/controllers", "/none")
            for headers in (SCRAPER, {}, {"Authorization": encode_basic_auth("prometheus", PASSWORD + "x")})
        ]
        (tmp_path / "tls" / "server.key").write_text(key.replace("\n", "\nx", 1))

        async def logged() -> bool:
            return any(log["event"] == "reload_failed" for log in logs)

        await eventually(logged, bool)
    shown = f"{answers}{logs}{daemon.context.authenticator.web!r}"
    assert [secret for secret in secrets if secret in shown] == []
