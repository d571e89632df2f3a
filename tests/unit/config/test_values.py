"""What the texts of the config mean. The words for a wrong one are in ``test_config``, beside the file that has it."""

from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from monitor.config import values
from monitor.config.validation import InvalidValue, ParseContext, TextFormat
from monitor.config.values import (
    host_of,
    is_loopback,
    parse_duration_s,
    parse_size,
    write_address,
    write_duration,
    write_size,
)

_FINGERPRINT = "0f" * 32


@pytest.fixture
def site(tmp_path: Path) -> ParseContext:
    (tmp_path / "password").write_text("s3cret\n")
    (tmp_path / "empty").write_text("\r\n")
    (tmp_path / "huge").write_bytes(b"x" * (64 * 1024 + 1))
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    return ParseContext(tmp_path, {"SET": "s3cret", "EMPTY": "\n"})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300ms", 0.3),
        ("5s", 5),
        ("2m", 120),
        ("24h", 86400),
        ("7d", 604800),
        ("1h30m", 5400),
        ("1d2h3m4s5ms", 93784.005),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "soon", "-5s", "5 s", "1.5s", "5S", "30m1h", "1h1h", "5s\n", "٥s", "9" * 10 + "s"]
)
def test_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration such as"):
        parse_duration_s(text)


@given(st.integers(min_value=1, max_value=10**9 - 1))
def test_a_duration_that_is_written_is_read_again(milliseconds: int) -> None:
    seconds = parse_duration_s(f"{milliseconds}ms")
    assert parse_duration_s(write_duration(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(("seconds", "text"), [(0.3, "300ms"), (5, "5s"), (70, "70s"), (300, "5m"), (86400, "24h")])
def test_a_duration_is_written_in_the_largest_unit(seconds: float, text: str) -> None:
    assert write_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"), [("1000B", 1000), ("64KiB", 65536), ("32MiB", 33554432), ("1GiB", 1073741824)]
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "32", "32MB", "32 MiB", "-1B", "1.5GiB", "32mib", "MiB"])
def test_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a size such as"):
        parse_size(text)


@given(st.integers(min_value=1, max_value=2**40))
def test_a_size_that_is_written_is_read_again(size: int) -> None:
    assert parse_size(write_size(size)) == size


@pytest.mark.parametrize(
    ("text_format", "text", "value"),
    [
        pytest.param(values.DURATION, "5s", 5.0, id="duration"),
        pytest.param(values.SIZE, "1KiB", 1024, id="size"),
        pytest.param(values.ADDRESS, "127.0.0.1:9972", ("127.0.0.1", 9972), id="address"),
        pytest.param(values.ADDRESS, "[::1]:0", ("::1", 0), id="address-ipv6"),
        pytest.param(values.ADDRESS, ":9972", ("", 9972), id="address-of-every-interface"),
        pytest.param(values.ADDRESS, "localhost:65535", ("localhost", 65535), id="address-by-name"),
        pytest.param(values.ORIGIN, "https://avi.example.net/", "https://avi.example.net", id="origin"),
        pytest.param(values.ORIGIN, "HTTP://[::1]:8080", "http://[::1]:8080", id="origin-ipv6"),
        pytest.param(values.NAME, "d" * 63, "d" * 63, id="name"),
        pytest.param(values.NAME, "Zürich 1", "Zürich 1", id="name-beyond-ascii"),
        pytest.param(values.WORD, "*", "*", id="word"),
        pytest.param(values.API_VERSION, "auto", "auto", id="version-auto"),
        pytest.param(values.API_VERSION, "30.2.1", "30.2.1", id="version"),
        pytest.param(values.FINGERPRINT, _FINGERPRINT.upper(), b"\x0f" * 32, id="fingerprint"),
        pytest.param(values.FINGERPRINT, ":".join(["0f"] * 32), b"\x0f" * 32, id="fingerprint-with-colons"),
        pytest.param(values.DIGEST, _FINGERPRINT, b"\x0f" * 32, id="digest"),
        pytest.param(values.ANNOTATION_KEY, "Change/number-1._", "Change/number-1._", id="annotation-key"),
        pytest.param(values.PASSWORD_ENV, "SET", "SET", id="password-env"),
        pytest.param(values.FILES, "c.d/*.yml", "c.d/*.yml", id="pattern"),
        pytest.param(values.FILES, "ca.pem", "ca.pem", id="file"),
    ],
)
def test_a_text_means(site: ParseContext, text_format: TextFormat, text: str, value: object) -> None:
    assert text_format.parse(text, site) == value


@pytest.mark.parametrize(("text_format", "name"), [(values.PASSWORD_FILE, "password"), (values.CA_FILE, "ca.pem")])
def test_a_path_is_relative_to_the_file_that_names_it(site: ParseContext, text_format: TextFormat, name: str) -> None:
    assert text_format.parse(name, site) == site.directory / name
    assert text_format.parse(str(site.directory / name), site) == site.directory / name


@pytest.mark.parametrize(
    ("text_format", "text"),
    [
        pytest.param(values.DURATION, "0s", id="duration-zero"),
        pytest.param(values.SIZE, "0KiB", id="size-zero"),
        pytest.param(values.ADDRESS, "9972", id="address-without-host"),
        pytest.param(values.ADDRESS, "::1:9972", id="address-without-brackets"),
        pytest.param(values.ADDRESS, "[localhost]:9972", id="address-name-in-brackets"),
        pytest.param(values.ADDRESS, "[::1::]:9972", id="address-unfit-ipv6"),
        pytest.param(values.ADDRESS, "localhost:65536", id="address-port"),
        pytest.param(values.ORIGIN, "//avi", id="origin-without-scheme"),
        pytest.param(values.ORIGIN, "https://avi?x", id="origin-query"),
        pytest.param(values.ORIGIN, "https://a@avi", id="origin-user"),
        pytest.param(values.ORIGIN, "https://avi\n", id="origin-newline"),
        pytest.param(values.ORIGIN, "https://[127.0.0.1]", id="origin-ipv4-in-brackets"),
        pytest.param(values.ORIGIN, "https://[:]", id="origin-unfit-ipv6"),
        pytest.param(values.NAME, "n" * 64, id="name-long"),
        pytest.param(values.NAME, "", id="name-empty"),
        pytest.param(values.WORD, "a\nb", id="word-newline"),
        pytest.param(values.WORD, "w" * 256, id="word-long"),
        pytest.param(values.API_VERSION, "30", id="version"),
        pytest.param(values.FINGERPRINT, "0f" * 20, id="fingerprint-of-sha-1"),
        pytest.param(values.DIGEST, _FINGERPRINT.upper(), id="digest-upper-case"),
        pytest.param(values.DIGEST, _FINGERPRINT[1:], id="digest-short"),
        pytest.param(values.ANNOTATION_KEY, "a" * 64, id="annotation-key-long"),
        pytest.param(values.ANNOTATION_KEY, "a\n", id="annotation-key-newline"),
        pytest.param(values.PASSWORD_FILE, "empty", id="password-file-empty"),
        pytest.param(values.PASSWORD_FILE, "a\0b", id="password-file-null-byte"),
        pytest.param(values.PASSWORD_FILE, "huge", id="password-file-huge"),
        pytest.param(values.PASSWORD_ENV, "NOT_SET", id="password-env-unset"),
        pytest.param(values.PASSWORD_ENV, "EMPTY", id="password-env-empty"),
        pytest.param(values.PASSWORD_ENV, "$SET", id="password-env-no-name"),
        pytest.param(values.CA_FILE, "password", id="ca-file-without-certificate"),
        pytest.param(values.CA_FILE, "missing", id="ca-file-missing"),
        pytest.param(values.FILES, "missing.yml", id="file-missing"),
        pytest.param(values.FILES, "n" * 300, id="file-name-too-long"),
        pytest.param(values.FILES, "a\0/*", id="pattern-null-byte"),
    ],
)
def test_a_text_is_refused(site: ParseContext, text_format: TextFormat, text: str) -> None:
    with pytest.raises((InvalidValue, ValueError)):
        text_format.parse(text, site)


def test_a_password_under_the_wrong_key_is_not_shown(site: ParseContext) -> None:
    for text_format in (values.PASSWORD_FILE, values.PASSWORD_ENV):
        with pytest.raises(InvalidValue) as caught:
            text_format.parse("hunter2", site)
        assert "hunter2" not in caught.value.expected + caught.value.found
        assert not text_format.shown


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("LOCALHOST", True), ("127.0.0.2", True), ("::1", True), ("10.0.0.1", False), ("", False)],
)
def test_loopback_is_this_machine_alone(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("origin", "host"), [("https://avi.example.net", "avi.example.net"), ("http://[::1]:80", "::1"), ("", "")]
)
def test_the_host_of_an_origin(origin: str, host: str) -> None:
    assert host_of(origin) == host


@pytest.mark.parametrize("text", ["127.0.0.1:9972", "[::1]:9972", ":0"])
def test_an_address_that_is_written_is_what_was_read(site: ParseContext, text: str) -> None:
    address = values.ADDRESS.parse(text, site)
    assert isinstance(address, tuple)
    assert write_address(address) == text


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example.net", "1.2.3.999", "1.2.3"])
def test_an_impossible_host_is_not_an_origin(site: ParseContext, host: str) -> None:
    with pytest.raises(InvalidValue):
        values.ORIGIN.parse(f"https://{host}", site)
