"""What `check-config` warns of: no controllers, secrets that look mistaken, files that every user may open."""

from pathlib import Path

import pytest
import trustme

from monitor.config.config_warnings import warnings_of
from monitor.config.load import load

CONFIG = """
database: {database}
controllers:
  - {{name: dc1, url: https://avi.example.net, username: svc, password_file: password}}
  - {{name: dc2, url: https://avi2.example.net, username: svc, {source}}}
"""
HASH = "$2b$04$" + "." * 53


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration without a warning."""
    for name, text in (
        ("password", "s3cret\n"),
        ("config.yml", CONFIG.format(database="sqlite://", source="password_env: PASSWORD")),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o640)
    return tmp_path


def found(site: Path, *, variable: str = "s3cret", web: Path | None = None) -> list[str]:
    config = load(site / "config.yml", {"PASSWORD": variable}, web)
    return [warning.replace(f"{site}/", "") for warning in warnings_of(config)]


def test_a_secret_of_owner_and_group_alone_is_no_warning(site: Path) -> None:
    assert found(site) == []


def test_no_controllers_are_a_warning(site: Path) -> None:
    (site / "config.yml").write_text("controllers: []")
    why = "found none, here or in controller_files: the daemon starts and polls nothing"
    assert found(site) == [f"config.yml: controllers: {why}"]


@pytest.mark.parametrize(
    ("mode", "may"), [(0o644, "read"), (0o642, "write"), (0o666, "read and write")], ids=["read", "write", "both"]
)
def test_a_password_file_that_every_user_may_open_is_a_warning(site: Path, mode: int, may: str) -> None:
    (site / "password").chmod(mode)
    rights = f"found mode 0{mode:o}, with which every user of this machine may {may} it"
    assert found(site) == [f"password: {rights}, expected one for the daemon's user and group alone, such as 0600"]


def test_a_config_file_that_every_user_may_write_is_a_warning_and_reading_it_is_not(site: Path) -> None:
    (site / "config.yml").chmod(0o644)
    assert found(site) == []
    (site / "config.yml").chmod(0o646)
    (warning,) = found(site)
    assert warning.startswith("config.yml: found mode 0646, with which every user of this machine may write it")


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@h/db", "postgresql://h/db?password=s3cret"])
def test_a_config_file_with_the_password_of_the_database_is_a_secret(site: Path, url: str) -> None:
    (site / "config.yml").write_text(CONFIG.format(database=url, source="password_env: PASSWORD"))
    assert found(site) == []
    (site / "config.yml").chmod(0o644)
    (warning,) = found(site)
    assert warning.startswith("config.yml: found mode 0644")


def test_the_key_and_the_hashes_of_the_web_configuration_are_secrets(site: Path) -> None:
    ca = trustme.CA()
    issued = ca.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(site / "server.pem")
    (site / "server.pem").chmod(0o644)
    web = site / "web.yml"
    web.write_text("tls_server_config: {cert_file: server.pem, key_file: server.pem}\n")
    web.chmod(0o644)
    assert [warning.partition(":")[0] for warning in found(site, web=web)] == ["server.pem"]
    web.write_text(f"basic_auth_users: {{bob: {HASH}}}\n")
    assert [warning.partition(":")[0] for warning in found(site, web=web)] == ["web.yml"]


@pytest.mark.parametrize("text", [" s3cret", "s3cret ", "s3cret\t", "s3cret\u00a0", "\t s3cret"])
def test_blanks_at_the_ends_of_a_password_are_a_warning_that_does_not_show_it(site: Path, text: str) -> None:
    (site / "password").write_text(f"{text}\n")
    blanks = "found blanks at the beginning or the end, which are part of the password; remove them if not"
    assert found(site) == [f"password: {blanks}"]
    assert found(site, variable=text) == [f"password: {blanks}", f"environment variable PASSWORD: {blanks}"]


@pytest.mark.parametrize("text", ["s3\tcret", "s3\ncret", "s3\u200bcret", "s3\u00a0cret", "\x00s3cret", "\ufeffs3cret"])
def test_characters_that_cannot_be_seen_are_a_warning_that_does_not_show_the_password(site: Path, text: str) -> None:
    (warning,) = found(site, variable=text)
    assert warning.startswith("environment variable PASSWORD: found characters that are not printable")
    assert "s3" not in warning


def test_a_password_file_of_many_controllers_is_one_warning(site: Path) -> None:
    (site / "config.yml").write_text(CONFIG.format(database="sqlite://", source="password_file: password"))
    (site / "password").write_text(" s3cret")
    (site / "password").chmod(0o666)
    assert len(found(site)) == 2


def test_a_file_that_is_gone_since_it_was_read_is_no_warning(site: Path) -> None:
    config = load(site / "config.yml", {"PASSWORD": "s3cret"})
    (site / "password").unlink()
    assert list(warnings_of(config)) == []
