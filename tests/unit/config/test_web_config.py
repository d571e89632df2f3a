"""
The web configuration file: what it means, and the words for what does not fit.

``tests/data/web-config`` holds one file a rule; the lines that it is answered with stand at its top, after ``#:``.
"""

import ssl
from pathlib import Path
from typing import Final

import pytest
import trustme
import yaml
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from monitor.config.file_state import FileState, file_states
from monitor.config.web_config import RateLimit, WebConfig, read_web_config
from monitor.config.web_tls import TlsServer, allows, ssl_context
from monitor.model.secret import Secret

HASH = "$2y$10$" + "s3cret" + "." * 47
_EXAMPLES: Final = Path(__file__).parents[2] / "data" / "web-config"
_INVALID: Final = sorted(path.name for path in _EXAMPLES.glob("*.yml") if path.read_text().startswith("#: "))
FULL: Final = (_EXAMPLES / "full.yml").read_text()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with certificates, and keys that fit and do not."""
    site = tmp_path_factory.mktemp("web")
    ca = trustme.CA()
    server, other = ca.issue_cert("localhost"), ca.issue_cert("localhost")
    ca.cert_pem.write_to_path(site / "ca.pem")
    server.private_key_pem.write_to_path(site / "server.key")
    other.private_key_pem.write_to_path(site / "other.key")
    for pem in server.cert_chain_pems:
        pem.write_to_path(site / "server.pem", append=True)
    (site / "empty.pem").touch()
    key = load_pem_private_key(server.private_key_pem.bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3cret"))
    (site / "locked.key").write_bytes(locked)
    return site


def read(site: Path, text: str) -> WebConfig:
    (site / "web.yml").write_text(text)
    web, problems = read_web_config(site / "web.yml", {})
    assert problems == ()
    assert web is not None
    return web


def problems_of(site: Path, text: str) -> list[str]:
    (site / "web.yml").write_text(text)
    web, problems = read_web_config(site / "web.yml", {})
    assert web is None
    return [problem.removeprefix(f"{site}/web.yml: ") for problem in problems]


def tls(site: Path, more: str = "") -> TlsServer:
    found = read(site, f"tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n{more}").tls
    assert found is not None
    return found


def test_every_key_is_read_and_paths_are_relative_to_the_file(site: Path) -> None:
    web = read(site, FULL)
    assert replace(web, tls_context=None) == WebConfig(
        path=site / "web.yml",
        tls=TlsServer(
            cert_file=site / "server.pem",
            key_file=site / "server.key",
            client_auth_type="RequireAndVerifyClientCert",
            client_ca_file=site / "ca.pem",
            client_allowed_sans=("prometheus.example.net", "192.0.2.7"),
            min_version="TLS12",
            max_version="TLS13",
            cipher_suites=("", "ECDHE-ECDSA-AES256-GCM-SHA384"),
            prefer_server_cipher_suites=False,
            curve_preferences=(),
        ),
        headers={
            "Strict-Transport-Security": "max-age=31536000",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "deny",
            "X-XSS-Protection": "0",
            "Content-Security-Policy": "default-src 'self'",
        },
        users={"prometheus": Secret(HASH)},
        rate_limit=RateLimit(interval_s=0.1, burst=20),
    )
    assert web.files == (site / "web.yml", site / "server.pem", site / "server.key", site / "ca.pem")


def test_the_defaults_are_those_of_the_toolkit(site: Path) -> None:
    assert read(site, "{}") == WebConfig(path=site / "web.yml", tls=None, headers={}, users={})
    assert read(site, "{}").files == (site / "web.yml",)
    assert tls(site) == TlsServer(cert_file=site / "server.pem", key_file=site / "server.key")


@pytest.mark.parametrize("name", _INVALID)
def test_an_invalid_file_gives_these_problems_and_none_shows_a_secret(site: Path, name: str) -> None:
    rows = (_EXAMPLES / name).read_text()
    expected = [row.removeprefix("#: ") for row in rows.splitlines() if row.startswith("#: ")]
    found = problems_of(site, rows)
    assert found == expected
    assert "s3cret" not in str(found)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert read_web_config(tmp_path / "no.yml", {}) == (
        None, (f"{tmp_path}/no.yml: cannot be read: No such file or directory",)
    )  # fmt: skip


def test_nothing_shows_a_hash(site: Path) -> None:
    assert "s3cret" not in repr(read(site, FULL))


# -- what is good for the exporter toolkit


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="no-byte"),
        pytest.param("# nothing yet\n", id="comment-alone"),
        pytest.param("---\n", id="empty-document"),
        pytest.param("null\n", id="null"),
        pytest.param("tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n", id="empty-sections"),
        pytest.param("tls_server_config: {}\nhttp_server_config: {headers: {}}\nrate_limit: {}\n", id="empty-mappings"),
        pytest.param("http_server_config: {headers: {X-Frame-Options: '', X-XSS-Protection: }}\n", id="blank-headers"),
        pytest.param("rate_limit: {interval: 0, burst: 0}\n", id="rate-limit-off"),
        pytest.param("rate_limit: {interval: -1s, burst: 20}\n", id="rate-limit-negative"),
    ],
)
def test_what_sets_nothing_is_the_default(site: Path, text: str) -> None:
    assert read(site, text) == WebConfig(path=site / "web.yml")


def test_plain_scalars_are_text_where_text_is_expected(site: Path) -> None:
    headers = "{X-XSS-Protection: 1, Content-Security-Policy: true, Strict-Transport-Security: 1.50}"
    assert read(site, f"http_server_config: {{headers: {headers}}}\n").headers == {
        "X-XSS-Protection": "1", "Content-Security-Policy": "true", "Strict-Transport-Security": "1.50"
    }  # fmt: skip


def test_allowed_names_and_users_that_look_like_numbers_are_text(site: Path) -> None:
    more = (
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: [10, 1.50]\n"
    )
    assert tls(site, more).client_allowed_sans == ("10", "1.50")
    assert read(site, f"basic_auth_users: {{007: {HASH}}}\n").users == {"007": Secret(HASH)}


@pytest.mark.parametrize(("word", "value"), [("off", False), ("No", False), ("ON", True), ("y", True), ("TRUE", True)])
def test_the_booleans_of_yaml_1_1_are_booleans(site: Path, word: str, value: bool) -> None:
    assert tls(site, f"  prefer_server_cipher_suites: {word}\n").prefer_server_cipher_suites is value
    read(site, f"http_server_config: {{http2: {word}}}\n")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1s", 1.0),
        ('"1s"', 1.0),
        ("100ms", 0.1),
        ("1m30.5s", 90.5),
        ("250us", 250e-6),
        ("2µs", 2e-6),
        ("500000000", 0.5),
    ],
)
def test_the_interval_of_a_rate_limit_is_a_duration_of_go(site: Path, written: str, seconds: float) -> None:
    limit = read(site, f"rate_limit: {{interval: {written}, burst: 20}}\n").rate_limit
    assert limit is not None
    assert limit.interval_s == pytest.approx(seconds)
    assert limit.burst == 20


def _inline(site: Path, **files: str) -> str:
    """Keys that hold the content of files."""
    blocks = []
    for key, name in files.items():
        body = "".join(f"    {line}\n" for line in (site / name).read_text().splitlines())
        blocks.append(f"  {key}: |\n{body}")
    return "tls_server_config:\n" + "".join(blocks)


def test_certificate_key_and_client_ca_may_stand_in_the_file_itself(site: Path) -> None:
    text = _inline(site, cert="server.pem", key="server.key", client_ca="ca.pem")
    web = read(site, f"{text}  client_auth_type: RequireAndVerifyClientCert\n")
    assert web.files == (site / "web.yml",)
    assert web.tls_context is not None
    assert web.tls_context.cert_store_stats()["x509_ca"] == 1
    key = (site / "server.key").read_text()
    assert [line for line in key.splitlines()[1:-1] if line in repr(web)] == []


def test_a_file_has_precedence_over_the_text_of_the_same_thing(site: Path) -> None:
    text = _inline(site, cert="server.pem", key="other.key")
    assert problems_of(site, text) == [
        "tls_server_config.key_file: found the key of another certificate, expected that of cert_file"
    ]
    read(site, f"{text}  key_file: server.key\n")


@pytest.mark.parametrize("policy", ["VerifyClientCertIfGiven", "RequireAndVerifyClientCert"])
def test_without_a_client_ca_clients_are_verified_by_the_cas_of_the_system(site: Path, policy: str) -> None:
    context = ssl_context(tls(site, f"  client_auth_type: {policy}\n"))
    assert context.verify_mode is not ssl.CERT_NONE


def test_certificates_and_keys_are_read_with_byte_order_mark_and_crlf(site: Path, tmp_path: Path) -> None:
    for name in ("server.pem", "server.key", "ca.pem"):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + (site / name).read_bytes().replace(b"\n", b"\r\n"))
    (tmp_path / "web.yml").write_bytes(b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode())
    web, problems = read_web_config(tmp_path / "web.yml", {})
    assert problems == ()
    assert web is not None
    assert web.tls_context is not None
    assert web.tls_context.cert_store_stats()["x509_ca"] == 1


_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["tls_server_config", "http_server_config", "headers", "basic_auth_users", "cert_file",
                         "key_file", "cipher_suites", "min_version"]), inner, max_size=4),
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=_TREES)
def test_any_tree_is_read_or_has_problems(tmp_path: Path, tree: object) -> None:

    (tmp_path / "web.yml").write_text(yaml.safe_dump(tree))
    web, problems = read_web_config(tmp_path / "web.yml", {})
    assert (web is None) == bool(problems)
    assert [line for line in problems if not line.startswith(f"{tmp_path}/web.yml: ")] == []


# -- what the sockets get


def test_the_context_is_what_was_configured(site: Path) -> None:
    context = read(site, FULL).tls_context
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    names = [each["name"] for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]
    assert names == ["ECDHE-ECDSA-AES256-GCM-SHA384"]


def test_the_context_of_the_defaults_asks_no_client_and_takes_tls_1_2_and_1_3(site: Path) -> None:
    context = ssl_context(tls(site))
    assert context.verify_mode is ssl.CERT_NONE
    assert context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert (context.minimum_version, context.maximum_version) == (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def test_suites_of_tls_1_3_alone_are_fine_where_nothing_else_is_served(site: Path) -> None:
    context = ssl_context(tls(site, "  min_version: TLS13\n  cipher_suites: [TLS_AES_256_GCM_SHA384]\n"))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("signature", ["ECDSA", "RSA"])
@pytest.mark.parametrize("cipher", ["AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256",
                                    "CHACHA20_POLY1305", "AES_128_CBC_SHA", "AES_256_CBC_SHA"])  # fmt: skip
def test_every_suite_of_the_toolkit_is_one_of_openssl(site: Path, signature: str, cipher: str) -> None:
    ssl_context(tls(site, f"  cipher_suites: [TLS_ECDHE_{signature}_WITH_{cipher}]\n"))


def test_a_file_that_is_removed_after_the_check_is_an_os_error(site: Path) -> None:
    gone = TlsServer(cert_file=site / "gone.pem", key_file=site / "gone.key")
    with pytest.raises(OSError, match="No such file"):
        ssl_context(gone)


def test_a_certificate_that_is_removed_after_the_check_is_a_problem(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_tls: TlsServer) -> ssl.SSLContext:
        raise FileNotFoundError

    monkeypatch.setattr("monitor.config.web_config.ssl_context", gone)
    assert problems_of(site, FULL) == ["tls_server_config: cannot be used: FileNotFoundError"]


def test_how_each_file_looked_before_it_was_read_is_told(site: Path) -> None:
    (site / "web.yml").write_text(FULL)
    seen: dict[Path, FileState] = {}
    web, _ = read_web_config(site / "web.yml", seen)
    assert web is not None
    assert seen == file_states(web.files)


def _named(*names: tuple[str, str]) -> dict[str, object]:
    return {"subjectAltName": names}


@pytest.mark.parametrize(
    ("certificate", "allowed"),
    [
        pytest.param(_named(("DNS", "a.example.net")), True, id="name"),
        pytest.param(_named(("DNS", "b"), ("email", "ops@example.net")), True, id="mail"),
        pytest.param(_named(("IP Address", "2001:DB8:0:0:0:0:0:1")), True, id="ipv6"),
        pytest.param(_named(("URI", "spiffe://x/y")), True, id="uri"),
        pytest.param(_named(("DNS", "A.example.net")), False, id="other-case"),
        pytest.param(_named(("DNS", "evil.a.example.net")), False, id="another"),
        pytest.param({"subject": ((("commonName", "a.example.net"),),)}, False, id="common-name-alone"),
        pytest.param({}, False, id="no-certificate"),
        pytest.param(None, False, id="no-tls"),
    ],
)
def test_a_client_is_allowed_by_the_names_of_its_certificate(
    site: Path, certificate: dict[str, object] | None, allowed: bool
) -> None:
    names = "[a.example.net, ops@example.net, '2001:db8::1', 'spiffe://x/y']"
    strict = tls(
        site,
        f"  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n  client_allowed_sans: {names}\n",
    )
    assert allows(strict, certificate) is allowed


def test_without_a_list_of_names_every_verified_client_is_allowed(site: Path) -> None:
    assert allows(tls(site), _named(("DNS", "any")))
