"""A PATCH at a standby: passed on to the daemon that writes, once, as the client's own; or refused with its URL."""

import asyncio
import sqlite3
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp
import pytest
import trustme

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, SimulatedController, Simulator
from tests.support.conformance import require_conformance
from tests.support.daemons import polled, until, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.operators import ALICE, EVE, TOKENS, ask, audit, patch

VIA = "1.1 avi-upgrade-monitor"


class Pair:
    """Two daemons on one database, and the one image that both watch."""

    def __init__(self, folder: Path, controller: SimulatedController, writer: Daemon) -> None:
        self._folder = folder
        self.controller = controller
        self.writer = writer
        (self.uuid,) = writer.fleet.entries["dc1"].objects("image")

    def set_writer_url(self, url: str) -> None:
        """What a writer would have written that is somewhere else, or nowhere any more."""
        with closing(sqlite3.connect(self._folder / "state.db", timeout=WAIT_TIMEOUT_S)) as connection, connection:
            connection.execute("UPDATE writer SET url = ?", [url])

    @asynccontextmanager
    async def standby(self, simulator: Simulator, web_config: Path | None = None) -> AsyncIterator[Daemon]:
        (self._folder / "standby").mkdir()
        database = f"sqlite:///{self._folder}/state.db"
        async with watching(
            simulator, self._folder / "standby", web_config=web_config, database=database, tokens=TOKENS
        ) as daemon:
            await until(daemon, "dc1", lambda entry: entry.session.up)
            yield daemon


@asynccontextmanager
async def running_pair(folder: Path, web_config: Path | None = None) -> AsyncIterator[tuple[Simulator, Pair]]:
    async with (
        Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator,
        watching(simulator, folder, web_config=web_config, tokens=TOKENS) as writer,
    ):
        await until(writer, "dc1", lambda entry: entry.session.up)
        yield simulator, Pair(folder, simulator.controllers["dc1"], writer)


async def test_a_change_at_a_standby_is_made_once_by_the_writer_in_the_name_of_the_client(tmp_path: Path) -> None:
    """It would be refused, made by both, or stand in the audit as a change by the standby."""
    async with running_pair(tmp_path) as (simulator, pair), pair.standby(simulator) as standby:
        got = await patch(standby, pair.uuid, {"annotations": {"a": "b"}}, token=ALICE, X_Request_ID="r-1")
        assert got.status == 200, got.body
        assert got.json["annotations"] == {"a": "b"}
        for daemon in (standby, pair.writer):
            read = await ask(daemon, "GET", f"/api/image/{pair.uuid}")
            assert (read.json["annotations"], read.tag) == ({"a": "b"}, got.tag), "both show it at once"
        adjusted = await patch(standby, pair.uuid, {"name": "x"}, If_Match=got.tag)
        assert (adjusted.status, adjusted.json["name"]) == (200, "x")
        assert sum(request.method == "PATCH" for request in pair.controller.requests) == 1
        await until(standby, "dc1", lambda entry: entry.objects("image")[pair.uuid].object.name == "x")
        for daemon in (standby, pair.writer):
            entries = await audit(daemon)
            assert [(entry["actor"], entry["outcome"]) for entry in entries] == [("bob", "done"), ("alice", "done")]
            assert entries[1]["request_id"] == "r-1"


async def test_what_the_writer_refuses_is_refused_with_its_words(tmp_path: Path) -> None:
    """A client of the standby would miss the status, the ETag or the reason."""
    async with running_pair(tmp_path) as (simulator, pair), pair.standby(simulator) as standby:
        got = await patch(standby, pair.uuid, {"annotations": {"a": "b"}}, If_Match='"other"')
        assert (got.status, got.kind) == (412, "precondition-failed")
        assert got.tag == (await ask(pair.writer, "GET", f"/api/image/{pair.uuid}")).tag
        require_conformance("PATCH", f"/api/image/{pair.uuid}", got.status, got.headers, got.body)
        dry = await patch(standby, pair.uuid, {"annotations": {"a": "b"}}, query={"dry_run": "true"})
        assert (dry.status, dry.json["dry_run"]) == (200, True)
        assert (await patch(standby, pair.uuid, {"name": "x"}, token=ALICE)).kind == "forbidden"
        assert (await patch(standby, pair.uuid, {"annotations": {"a": "b"}}, token=EVE)).kind == "forbidden"
        assert [entry["outcome"] for entry in await audit(pair.writer)] == ["refused"]


async def test_a_change_that_was_passed_on_is_not_passed_on_again(tmp_path: Path) -> None:
    """Two standbys that take each other for the writer would send it in circles."""
    async with running_pair(tmp_path) as (simulator, pair), pair.standby(simulator) as standby:
        got = await patch(standby, pair.uuid, {"annotations": {"a": "b"}}, Via=VIA)
        assert (got.status, got.kind, got.json["writer"]) == (421, "not-writer", pair.writer.url)
        require_conformance("PATCH", f"/api/image/{pair.uuid}", got.status, got.headers, got.body)
        assert not await audit(pair.writer)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1", "Cannot connect to host 127.0.0.1:1"),
        ("http://nowhere.invalid", "Cannot connect to host nowhere.invalid:80"),
        ("", "it has not said where it is: start it with --advertise-url"),
    ],
)
async def test_where_the_writer_cannot_be_reached_the_client_is_told_where_it_is(
    tmp_path: Path, url: str, why: str
) -> None:
    async with running_pair(tmp_path) as (simulator, pair):
        pair.set_writer_url(url)
        async with pair.standby(simulator) as standby:
            got = await patch(standby, pair.uuid, {"annotations": {"a": "b"}})
            assert (got.status, got.kind, got.json.get("writer", "")) == (421, "not-writer", url)
            assert got.json["detail"].startswith("nothing was changed: ")
            assert why in got.json["detail"]
            assert got.headers["Retry-After"] == "5"


CA = trustme.CA()


def serving_tls(folder: Path, *more: str) -> Path:
    """A web configuration with a certificate of the CA for 127.0.0.1."""
    issued = CA.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    CA.cert_pem.write_to_path(folder / "ca.pem")
    path = folder / "web.yml"
    path.write_text("\n  ".join(("tls_server_config:", "cert_file: server.pem", "key_file: server.pem", *more)) + "\n")
    return path


@pytest.mark.parametrize(
    ("trusted", "more", "status", "why"),
    [
        (True, (), 200, ""),
        (False, (), 421, "certificate verify failed"),
        (True, ("client_auth_type: RequireAndVerifyClientCert", "client_ca_file: ca.pem"), 421, "cannot be reached"),
    ],
    ids=["trusted", "not-trusted", "asks-for-a-certificate"],
)
async def test_the_writer_is_asked_over_tls_if_its_certificate_is_trusted(  # noqa: PLR0917  the cases
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool, more: tuple[str, ...], status: int, why: str
) -> None:
    """A credential would be sent to whoever holds the address, or a refusal would pass for an unknown outcome."""
    web_config = serving_tls(tmp_path, *more)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with running_pair(tmp_path, web_config) as (simulator, pair), pair.standby(simulator) as standby:
        got = await patch(standby, pair.uuid, {"annotations": {"a": "b"}})
        assert got.status == status, got.body
        assert why in got.json.get("detail", "")


async def test_a_request_that_came_by_tls_does_not_leave_without_it(tmp_path: Path) -> None:
    """The credential that the client sent by TLS could be read on the way to the writer."""
    async with running_pair(tmp_path) as (simulator, pair):
        pair.set_writer_url("http://192.0.2.1:9972")
        async with pair.standby(simulator, serving_tls(tmp_path)) as standby:
            tls = ssl.create_default_context(cadata=CA.cert_pem.bytes().decode())
            headers = {"Authorization": f"Bearer {ALICE}", "X-Avi-Version": "30.2.1"}
            async with aiohttp.ClientSession() as session:
                url = f"{standby.url}/api/image/{pair.uuid}"
                response = await session.patch(url, json={"annotations": {"a": "b"}}, headers=headers, ssl=tls)
                assert response.status == 421
                assert "is not passed on without it" in (await response.json())["detail"]


async def test_of_a_writer_that_dies_over_a_change_the_outcome_is_unknown(tmp_path: Path) -> None:
    """A client that heard 421 or 503 would make the change a second time."""
    received: list[bytes] = []

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /-/writer ")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.abort()

    async with (
        running_pair(tmp_path) as (simulator, pair),
        await asyncio.start_server(die, "127.0.0.1", 0) as dying,
    ):
        host, port = dying.sockets[0].getsockname()
        pair.set_writer_url(f"http://{host}:{port}")
        async with pair.standby(simulator) as standby:
            got = await patch(standby, pair.uuid, {"annotations": {"a": "b"}})
            assert (got.status, got.kind) == (504, "outcome-unknown")
            assert "read the object again" in got.json["detail"]
    assert len(received) == 1, "it is sent once"
    assert f"Via: {VIA}\r\n".encode() in received[0]
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in received[0]


async def test_a_writer_that_answers_nothing_is_found_out_before_anything_is_sent(tmp_path: Path) -> None:
    """Of a daemon that is stopped, the kernel still takes connections: the outcome would be unknown."""
    received: list[bytes] = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())
        writer.transport.abort()

    async with (
        running_pair(tmp_path) as (simulator, pair),
        await asyncio.start_server(hang, "127.0.0.1", 0) as hanging,
    ):
        host, port = hanging.sockets[0].getsockname()
        pair.set_writer_url(f"http://{host}:{port}")
        async with pair.standby(simulator) as standby:
            got = await patch(standby, pair.uuid, {"annotations": {"a": "b"}})
            assert (got.status, got.kind) == (421, "not-writer")
    assert not [request for request in received if b"PATCH" in request]


async def test_a_daemon_that_is_no_writer_any_more_is_not_asked(tmp_path: Path) -> None:
    """It would refuse the change, with the address of one that it takes for the writer."""
    async with running_pair(tmp_path) as (simulator, pair), pair.standby(simulator) as standby:
        pair.set_writer_url(standby.url)
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            while "/-/writer answered 503" not in (got := await patch(standby, pair.uuid, {"name": "x"})).json.get(
                "detail", ""
            ):
                await polled(standby, "dc1")
        assert (got.status, got.kind) == (421, "not-writer")
