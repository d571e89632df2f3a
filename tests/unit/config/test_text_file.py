"""The one rule by which all text files of operators are read."""

from pathlib import Path

import pytest
import trustme

from monitor.config.load import load
from monitor.config.text_file import read_pem, read_secret, read_text, reason
from monitor.config.types import SecretFile
from monitor.model.secret import Secret

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"a\nb\n", "a\nb\n", id="lf"),
        pytest.param(b"a\r\nb\r\n", "a\nb\n", id="crlf"),
        pytest.param(BOM + b"a\r\n", "a\n", id="byte-order-mark"),
        pytest.param("Zürich €".encode(), "Zürich €", id="utf-8"),
        pytest.param(b"", "", id="empty"),
        pytest.param(BOM, "", id="byte-order-mark-alone"),
    ],
)
def test_a_text_is_read_without_byte_order_mark_and_with_lf(tmp_path: Path, body: bytes, text: str) -> None:
    (tmp_path / "file").write_bytes(body)
    assert read_text(tmp_path / "file") == text


@pytest.mark.parametrize(
    "body",
    [b"s3cret", b"s3cret\n", b"s3cret\r\n", BOM + b"s3cret\r\n", BOM + b"s3cret", b"s3cret\n\n"],
    ids=["bare", "lf", "crlf", "mark-and-crlf", "mark", "two-newlines"],
)
def test_a_secret_is_the_same_from_every_editor(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "file").write_bytes(body)
    assert read_secret(tmp_path / "file") == "s3cret"
    assert SecretFile(tmp_path / "file").read() == Secret("s3cret")


def test_a_secret_keeps_its_blanks_and_inner_lines(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b" s3\ncret \r\n\n")
    assert read_secret(tmp_path / "password") == " s3\ncret "


def test_a_file_with_nothing_but_a_byte_order_mark_is_being_written(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(BOM + b"\r\n")
    assert SecretFile(tmp_path / "password").read() is None


def test_a_pem_file_is_read_whatever_its_comments_are_written_in(tmp_path: Path) -> None:
    pem = trustme.CA().cert_pem.bytes()
    (tmp_path / "ca.pem").write_bytes(BOM + b"# Z\xfcrich\r\n" + pem)
    assert read_pem(tmp_path / "ca.pem") == "# Zrich\r\n" + pem.decode()


@pytest.mark.parametrize("size", [64 * 1024 + 1, 20 * 1024 * 1024])
def test_a_file_that_is_too_large_is_an_os_error(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    read = read_secret if size < 1024 * 1024 else read_text
    with pytest.raises(OSError, match="File too large"):
        read(tmp_path / "file")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(FileNotFoundError(2, "No such file or directory", "/etc"), "No such file or directory", id="os"),
        pytest.param(TimeoutError(), "TimeoutError", id="os-without-words"),
        pytest.param(UnicodeDecodeError("utf-8", b"s3cret", 0, 1, "s3cret"), "not UTF-8 text", id="unicode"),
        pytest.param(
            UnicodeDecodeError("utf-8", "s3cret".encode("utf-16"), 0, 1, "s3cret"),
            "UTF-16 text; save it as UTF-8",
            id="utf-16",
        ),
        pytest.param(ValueError("embedded null byte"), "not a usable path", id="path"),
    ],
)
def test_a_reason_shows_neither_path_nor_content(error: Exception, text: str) -> None:
    assert reason(error) == text


def test_every_file_that_a_config_names_may_come_from_another_system(tmp_path: Path) -> None:
    """Config, controller file, password and CA, each with byte order mark and CRLF."""

    def write(name: str, text: str) -> None:
        (tmp_path / name).write_bytes(BOM + text.replace("\n", "\r\n").encode())

    write("config.yml", "controller_files: [more.yml]\n")
    write(
        "more.yml",
        "controllers:\n"
        "  - {name: dc1, url: https://avi.example.net, username: svc, password_file: password,\n"
        "     tls: {ca_file: ca.pem}}\n",
    )
    write("password", "s3cret\n")
    write("ca.pem", trustme.CA().cert_pem.bytes().decode())
    (controller,) = load(tmp_path / "config.yml", {}).controllers
    assert controller.password.read() == Secret("s3cret")
    assert controller.tls.authorities is not None
    assert "BEGIN CERTIFICATE" in controller.tls.authorities
