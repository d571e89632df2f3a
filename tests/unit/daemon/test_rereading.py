"""The web configuration is read again when a file of it changes; a bad one changes nothing and is said once."""

import asyncio
import os
import ssl
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import trustme
from structlog.testing import capture_logs

from monitor.config.web_config import TlsServer, WebConfig, read_web_config
from monitor.daemon.rereading import Rereading
from tests.support.limits import WAIT_TIMEOUT_S

HASH = f"$2b$04${'.' * 53}"
TLS = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
CA = trustme.CA()


class Folder:
    """A web configuration on disk, what keeps it, and what became of it."""

    def __init__(self, path: Path, text: str = TLS) -> None:
        self.path = path
        self.applied: list[tuple[WebConfig, ssl.SSLContext | None]] = []
        self.happened = asyncio.Event()
        self.write("web.yml", text)
        self.issue()
        web, _ = read_web_config(path / "web.yml")
        assert web is not None
        self.rereading = Rereading(web, self._apply)

    def _apply(self, web: WebConfig, context: ssl.SSLContext | None) -> None:
        self.applied.append((web, context))
        self.happened.set()

    def write(self, name: str, text: str | bytes) -> None:
        """As a careful operator does: whole, by renaming."""
        (self.path / "new").write_bytes(text if isinstance(text, bytes) else text.encode())
        (self.path / "new").replace(self.path / name)

    def issue(self, name: str = "server") -> None:
        issued = CA.issue_cert("localhost")
        self.write(f"{name}.key", issued.private_key_pem.bytes())
        self.write(f"{name}.pem", b"".join(pem.bytes() for pem in issued.cert_chain_pems))

    async def look(self, times: int = 2) -> None:
        for _ in range(times):
            await self.rereading.look()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as logs:
        yield logs


Logs = list[MutableMapping[str, Any]]


async def test_what_does_not_change_is_not_read(folder: Folder, logs: Logs) -> None:
    await folder.look(5)
    assert (folder.applied, logs) == ([], [])


async def test_a_changed_file_is_put_to_use_once_and_said(folder: Folder, logs: Logs) -> None:
    folder.write("web.yml", f"{TLS}basic_auth_users: {{bob: {HASH}}}\n")
    await folder.look(5)
    ((web, context),) = folder.applied
    assert list(web.users) == ["bob"]
    assert isinstance(context, ssl.SSLContext)
    assert logs == [{"event": "web_config_reread", "log_level": "info", "file": f"{folder.path}/web.yml"}]


async def test_a_file_is_read_when_it_looks_the_same_twice(folder: Folder) -> None:
    folder.write("web.yml", f"{TLS}# half of i")
    await folder.look(1)
    folder.write("web.yml", f"{TLS}# half of it, and the rest\n")
    await folder.look(1)
    assert folder.applied == []
    await folder.look(1)
    assert len(folder.applied) == 1


@pytest.mark.parametrize("name", ["server.pem", "server.key"])
async def test_a_certificate_without_its_key_is_waited_with_until_both_are_there(
    folder: Folder, logs: Logs, name: str
) -> None:
    folder.issue("next")
    other = {"server.pem": "server.key", "server.key": "server.pem"}[name]
    folder.write(name, (folder.path / name.replace("server", "next")).read_bytes())
    await folder.look(4)
    assert folder.applied == []
    folder.write(other, (folder.path / other.replace("server", "next")).read_bytes())
    await folder.look(4)
    assert len(folder.applied) == 1
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("web_config_bad", "warning"),
        ("web_config_reread", "info"),
    ]


async def test_a_bad_file_changes_nothing_and_is_said_once_for_each_set_of_problems(folder: Folder, logs: Logs) -> None:
    folder.write("web.yml", "basic_auth_users: {bob: s3cret}\n")
    await folder.look(5)
    folder.write("web.yml", "tls: {}\n")
    await folder.look(5)
    assert folder.applied == []
    assert [log["problems"][0].partition(": ")[2][:25] for log in logs] == [
        "basic_auth_users.bob: fou",
        "tls: unknown key, expecte",
    ]
    assert "s3cret" not in str(logs)


async def test_a_bad_file_that_is_as_it_was_again_is_good_again(folder: Folder, logs: Logs) -> None:
    folder.write("web.yml", "tls: {}\n")
    await folder.look()
    folder.write("web.yml", TLS)
    await folder.look(4)
    assert [log["event"] for log in logs] == ["web_config_bad", "web_config_reread"]


async def test_a_file_that_is_gone_is_bad(folder: Folder, logs: Logs) -> None:
    (folder.path / "web.yml").unlink()
    await folder.look(3)
    (log,) = logs
    assert log["problems"] == (f"{folder.path}/web.yml: cannot be read: No such file or directory",)


async def test_a_bad_file_is_read_again_when_what_it_newly_names_is_there(folder: Folder, logs: Logs) -> None:
    folder.write("web.yml", TLS.replace("server.", "next."))
    await folder.look(3)
    folder.issue("next")
    await folder.look(3)
    assert [log["event"] for log in logs] == ["web_config_bad", "web_config_reread"]
    folder.issue("server")
    await folder.look(3)
    assert len(folder.applied) == 1, "what is named no more is watched no more"
    folder.issue("next")
    await folder.look(3)
    assert len(folder.applied) == 2


async def test_a_link_that_is_turned_is_a_change(folder: Folder) -> None:
    (folder.path / "old.yml").write_text(TLS)
    (folder.path / "new.yml").write_text(f"{TLS}basic_auth_users: {{bob: {HASH}}}\n")
    (folder.path / "web.yml").unlink()
    (folder.path / "web.yml").symlink_to("old.yml")
    await folder.look()
    assert len(folder.applied) == 1
    (folder.path / "link").symlink_to("new.yml")
    (folder.path / "link").replace(folder.path / "web.yml")
    os.utime(folder.path / "new.yml", ns=(0, 0))
    await folder.look()
    assert [list(web.users) for web, _ in folder.applied] == [[], ["bob"]]


async def test_to_plain_http_it_is_a_restart(folder: Folder, logs: Logs) -> None:
    folder.write("web.yml", "{}\n")
    await folder.look()
    assert folder.applied == []
    (log,) = logs
    assert log["problems"] == (
        f"{folder.path}/web.yml: tls_server_config: found a change from or to plain HTTP, expected a restart",
    )


async def test_a_certificate_that_goes_between_two_looks_at_it_is_bad(
    folder: Folder, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_tls: TlsServer) -> ssl.SSLContext:
        raise FileNotFoundError

    monkeypatch.setattr("monitor.daemon.rereading.ssl_context", gone)
    folder.issue()
    await folder.look()
    assert [log["problems"] for log in logs] == [
        (f"{folder.path}/web.yml: tls_server_config: cannot be used: FileNotFoundError",)
    ]


async def test_without_tls_there_is_no_context(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "{}\n")
    folder.write("web.yml", f"basic_auth_users: {{bob: {HASH}}}\n")
    await folder.look()
    assert [(list(web.users), context) for web, context in folder.applied] == [(["bob"], None)]


async def test_it_looks_by_itself(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.daemon.rereading._EVERY_S", 0.0)
    folder.write("web.yml", f"{TLS}# changed\n")
    async with asyncio.timeout(WAIT_TIMEOUT_S), asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(folder.rereading.run(), name="look")
        await folder.happened.wait()
        looking.cancel()
    assert len(folder.applied) == 1
