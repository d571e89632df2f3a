"""Every key says what a reload does with it, and what a reload refuses follows from that."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from monitor.config.database import DatabaseUrl
from monitor.config.load import load
from monitor.config.reload_rules import check_restart, is_section, keys_of
from monitor.config.settings import Health, Settings, schema
from monitor.config.types import Config
from monitor.config.web_config import WebConfig, WebSettings
from monitor.config.web_tls import TlsServer

TLS = TlsServer(cert_file=Path("server.pem"), key_file=Path("server.key"))
WEB = WebConfig(path=Path("web.yml"))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "password").write_text("s3cret")
    (tmp_path / "config.yml").write_text(
        "controllers: [{name: dc1, url: https://avi.example.net, username: svc, password_file: password}]\n"
    )
    return load(tmp_path / "config.yml", {})


@pytest.mark.parametrize("shape", [Settings, WebSettings])
def test_every_key_declares_what_a_reload_does_with_it(shape: type[Struct]) -> None:
    keys = list(keys_of(shape))
    assert len(keys) > 15
    assert [key.path for key in keys if key.reload is None and not is_section(key.type)] == []


def test_these_keys_need_a_restart() -> None:
    restart = {key.path for shape in (Settings, WebSettings) for key in keys_of(shape) if key.reload == "restart"}
    assert restart == {
        "listen",
        "database",
        "database_file",
        "database_password_file",
        "health.listen",
        "log.level",
        "log.format",
        "tls_server_config",
    }


def test_keys_in_lists_are_keys_too() -> None:
    paths = {key.path for key in keys_of(Settings)}
    assert {"controllers", "controllers[].url", "controllers[].write.username", "tokens[].sha256"} <= paths


def test_the_schema_shows_what_a_reload_does() -> None:
    properties = schema()["$defs"]["Settings"]["properties"]
    assert (properties["listen"]["x-reload"], properties["anonymous"]["x-reload"]) == ("restart", "live")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"listen_port": 1}, "listen: found 127.0.0.1:1, expected 127.0.0.1:9972 {}"),
        (
            {"database": DatabaseUrl("postgresql://user:s3cret@host/name")},
            "database: found 'postgresql://host/name', expected 'sqlite:////var/lib/avi-upgrade-monitor/state.db' {}",
        ),
        (
            {"database_file": Path("/url")},
            "database_file: found /url, expected nothing {}",
        ),
        ({"health": Health(listen=("", 9973))}, "health.listen: found :9973, expected nothing {}"),
    ],
    ids=["listen", "database", "database-file", "health"],
)
def test_what_needs_a_restart_is_named_and_no_secret_shown(
    config: Config, change: dict[str, Any], problem: str
) -> None:
    assert list(check_restart(Settings, config, replace(config, **change))) == [
        problem.format("as at the start: changing it needs a restart")
    ]


def test_another_password_in_the_file_of_the_database_needs_no_restart(config: Config) -> None:
    """Would find a rotated password whose reload is refused."""
    urls = [DatabaseUrl(f"postgresql://{user}@host/name") for user in ("user:old", "other:new")]
    before, after = (replace(config, database=url, database_file=Path("/url")) for url in urls)
    assert list(check_restart(Settings, before, after)) == []


def test_a_key_in_a_section_is_named_by_its_path(config: Config) -> None:
    other = replace(config, log=replace(config.log, level="debug"))
    assert list(check_restart(Settings, config, other)) == [
        "log.level: found 'debug', expected 'info' as at the start: changing it needs a restart"
    ]


def test_what_is_live_is_not_named(config: Config) -> None:
    other = replace(config, controllers=(), tokens=(), poll=replace(config.poll, timeout_s=1.0), files=())
    assert list(check_restart(Settings, config, other)) == []


def test_a_section_can_be_changed_and_neither_added_nor_removed() -> None:
    with_tls = replace(WEB, tls=TLS)
    assert list(check_restart(WebSettings, with_tls, replace(WEB, tls=replace(TLS, cert_file=Path("b.pem"))))) == []
    assert list(check_restart(WebSettings, WEB, with_tls)) == [
        "tls_server_config: found a mapping, expected nothing as at the start: adding or removing it needs a restart"
    ]
    assert list(check_restart(WebSettings, with_tls, WEB)) == [
        "tls_server_config: found nothing, expected a mapping as at the start: adding or removing it needs a restart"
    ]
