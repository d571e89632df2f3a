"""Every secret there is, put in every place there is: none is seen anywhere, in the log at debug level or elsewhere."""

import asyncio
import base64
import ssl
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp
import bcrypt
import trustme
import yaml
from yarl import URL

from monitor.cli.commands.simulate import write_config
from monitor.simulator import Account, ControllerSpec, Fault, SimulatedController, Simulator
from tests.support.operators import token
from tests.support.programs import eventually, output_of, program, started

SECRETS: Mapping[str, str] = {
    "password of the reader": 'canary-read "é/9',
    "password of the writer": "canary-write+&=%4",
    "token of an admin": "aum_canary-admin-token",
    "token of nobody": "aum_canary-wrong-token",
    "password at our door": "canary-basic-password",
    "wrong password at our door": "canary-basic-wrong",
}
READER, WRITER, ADMIN, NOBODY, BASIC, WRONG = SECRETS.values()
FAULTS = ("http_500", "html_502", "unauthorized", "forbidden_upgrade", "redirect", "close", "invalid_json")
BODIES = (
    b'{"annotations": {"a": "b"}}', b'{"name": "x"}', b'{"replace": {"name": "y"}}', b'{"progress": 1}', b"{", b"[]",
    b'{"json_patch": [{"op": "remove", "path": "/se_patch_ref"}]}',
)  # fmt: skip


def forms(secret: str) -> Iterator[str]:
    """A secret as it is, and as it stands in URLs, JSON and headers."""
    yield secret
    yield quote(secret, safe="")
    yield secret.encode("unicode_escape").decode()
    yield base64.b64encode(secret.encode()).decode().rstrip("=")


@asynccontextmanager
async def process(folder: Path, config: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The daemon as it runs in life, with all that it says in ``log``; its address."""
    command = (sys.executable, "-m", "monitor", "run", "--config", str(config), "--log-level", "debug")
    async with started(*command, "--web.config.file", str(folder / "web.yml"), log=folder / "log") as running:

        async def address() -> str:
            lines = [line for line in (folder / "log").read_text().splitlines() if '"started"' in line]
            return yaml.safe_load(lines[0])["address"] if lines else ""

        yield running, f"https://{await eventually(address, bool)}"


def set_up(folder: Path, simulator: Simulator, ca: trustme.CA) -> Path:
    """A config with a secret in every place that takes one."""
    certificate = ca.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    hashed = bcrypt.hashpw(BASIC.encode(), bcrypt.gensalt(4)).decode()
    tls = {"cert_file": "cert.pem", "key_file": "key.pem"}
    (folder / "web.yml").write_text(yaml.safe_dump({"tls_server_config": tls, "basic_auth_users": {"prom": hashed}}))
    settings = {
        "listen": "127.0.0.1:0",
        "database": f"sqlite:///{folder}/state.db",
        "poll": {"active_interval": "50ms", "idle_interval": "100ms", "timeout": "1s", "max_backoff": "100ms"},
        "tokens": [token("root", ADMIN, "admin")],
        "users": [{"name": "prom", "scopes": ["metrics", "read"]}],
        "anonymous": ["read"],
    }
    path = write_config(simulator, folder, settings)
    written = yaml.safe_load(path.read_text())
    for name, secret in (("reader", READER), ("writer", WRITER)):
        (folder / name).write_text(secret)
    account = {"username": "reader", "password_file": "reader"}
    write = {"write": {"username": "writer", "password_file": "writer"}}
    written["controllers"] = [{**each, **account, **write} for each in written["controllers"]]
    path.write_text(yaml.safe_dump(written))
    return path


def authorizations() -> Iterator[str]:
    yield ""
    yield from (f"Bearer {secret}" for secret in (ADMIN, NOBODY))
    yield from (aiohttp.encode_basic_auth("prom", password) for password in (BASIC, WRONG))
    yield f"Digest {ADMIN}"


async def provoke(url: str, uuid: str, controller: SimulatedController, ca: trustme.CA) -> list[str]:
    """Ask for everything, as everybody, in good times and in bad; all answers, headers and all."""
    tls = ssl.create_default_context()
    ca.configure_trust(tls)
    said: list[str] = []
    paths = (
        "/", "/metrics", "/-/ready", "/api/image", f"/api/image/{uuid}", "/api/controllers", "/api/audit",
        "/api/openapi.json", "/none",
    )  # fmt: skip
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:

        async def ask(method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> None:
            async with session.request(method, url + path, data=body, headers=headers) as response:
                said.append(f"{response.headers}\n{await response.text()}")

        for kind in ("", *FAULTS):
            controller.faults.clear()
            if kind:
                controller.faults.add(Fault(kind))
            for body in BODIES:
                how = {"X-Avi-Version": "30.2.1", "Content-Type": "application/json"}
                await ask("PATCH", f"/api/image/{uuid}", {**how, "Authorization": f"Bearer {ADMIN}"}, body)
        for authorization in authorizations():
            for path in paths:
                await ask("GET", path, {"Authorization": authorization} if authorization else {})
            await ask("POST", "/-/reload", {"Authorization": authorization} if authorization else {})
            said += [await answer_to(url, nonsense, tls) for nonsense in no_http(authorization)]
    return said


def no_http(authorization: str) -> Iterator[bytes]:
    """Requests with a credential, which no server can read."""
    head = f"GET /api/image HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}"
    yield f"{head}\x01\r\n\r\n".encode()
    yield f"{head}{'x' * 9_000}\r\n\r\n".encode()
    yield f"{head}\r\nContent-Length: {authorization}.\r\n\r\n".encode()
    yield f"NO {authorization}\r\n\r\n".encode()


async def answer_to(url: str, sent: bytes, tls: ssl.SSLContext) -> str:
    """All that is answered to these bytes before the connection is closed."""
    address = URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=tls)
    async with asyncio.timeout(20.0):
        writer.write(sent)
        answer = (await reader.read()).decode()
    writer.close()
    assert "400" in answer.partition("\r\n")[0]
    return answer


async def test_no_secret_is_seen_anywhere(tmp_path: Path) -> None:
    ps = program("ps")
    ca = trustme.CA()
    accounts = (
        Account(username="reader", password=READER, can_write=False),
        Account(username="writer", password=WRITER),
    )
    spec = ControllerSpec(name="dc1", images=1, accounts=accounts, lock_after=0)
    async with Simulator([spec], speed=0.0) as simulator:
        controller = simulator.controllers["dc1"]
        (uuid,) = controller.images.names(controller.clock.now())
        config = set_up(tmp_path, simulator, ca)
        cookies: set[str] = set()
        async with process(tmp_path, config) as (running, url):
            await controller.wait_for_requests(1, path="/api/image", answered=True)
            said = await provoke(url, uuid, controller, ca)
            cookies |= {text for each in controller.sessions.values() for text in (each.session_id, each.csrf)}
            said.append((await output_of(ps, "-o", "args", "-p", str(running.pid)))[1])
        said.append((tmp_path / "log").read_text())
        key = (tmp_path / "key.pem").read_text().splitlines()[1]
        secrets = {**SECRETS, **{f"cookie {number}": text for number, text in enumerate(cookies)}, "key": key}
        assert cookies, "there were sessions to leak"
        said.append((tmp_path / "state.db").read_bytes().decode(errors="replace"))
        assert any('"audit"' in text for text in said), "there was something to leak into"
        for name, secret in secrets.items():
            for form in forms(secret):
                assert not [text for text in said if form in text], f"the {name} is seen"
