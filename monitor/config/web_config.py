"""
The web configuration file that every Prometheus exporter takes: TLS, client certificates, passwords, headers.

Keys and meaning are those of the exporter toolkit, so a file for another exporter works here and ``promtool check
web-config`` checks it. Settings that Python's ssl module cannot apply are rejected, not ignored.
"""

import re
import ssl
from collections.abc import Mapping, MutableMapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import UNSET, Struct, UnsetType, field, structs

from monitor.config import values
from monitor.config.file_state import FileState, file_state, file_states
from monitor.config.reload_rules import LIVE, RESTART
from monitor.config.validation import InvalidValue, Kind, ParseContext, Rule, SchemaRules, check, kind, printable
from monitor.config.yaml_reader import read_tree, reason
from monitor.model.secret import Secret

_BCRYPT: Final = re.compile(r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_HEADER: Final = re.compile(r"[\x20-\x7e]{1,4096}")
_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# The toolkit's names mapped to OpenSSL's. Suites of TLS 1.3 are always enabled, in the toolkit and here.
_CIPHERS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"), ""),
    **{
        f"TLS_ECDHE_{signature}_WITH_{toolkit}": f"ECDHE-{signature}-{openssl}"
        for signature in ("ECDSA", "RSA")
        for toolkit, openssl in (
            ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
            ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
            ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
            ("CHACHA20_POLY1305", "CHACHA20-POLY1305"),
            ("AES_128_CBC_SHA", "AES128-SHA"),
            ("AES_256_CBC_SHA", "AES256-SHA"),
        )
    },
}


def _parse_file(text: str, context: ParseContext) -> Path:
    path = context.directory / text
    try:
        path.open("rb").close()
    except (OSError, ValueError) as error:
        raise InvalidValue(f"a PEM file: {reason(error)}") from error
    return path


def _parse_bcrypt(text: str, _: ParseContext) -> Secret:
    if not _BCRYPT.fullmatch(text):
        raise ValueError("a bcrypt hash")
    return Secret(text)


def _parse_header(text: str, _: ParseContext) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError(text)
    return text


def _parse_cipher(text: str, _: ParseContext) -> str:
    try:
        return _CIPHERS[text]
    except KeyError as error:
        raise ValueError(text) from error


_FILE: Final = kind(Kind(expected="a PEM file", parse=_parse_file))
_HASH: Final = kind(
    Kind(expected="a bcrypt hash, such as `htpasswd -nBC 10 NAME` prints", parse=_parse_bcrypt, shown=False)
)
_TEXT: Final = kind(Kind(expected="1 to 4096 printable ASCII characters", parse=_parse_header))
_CIPHER: Final = kind(
    Kind(expected="a cipher suite such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", parse=_parse_cipher)
)
_WORD: Final = kind(values.WORD)

TlsVersion = Literal["TLS12", "TLS13"]  # not TLS 1.0 and 1.1, which OpenSSL disables by default


class TlsServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The daemon's certificate, and which client certificates it requests. ``cipher_suites``: as OpenSSL names them."""

    cert_file: Annotated[Path, _FILE, LIVE]
    key_file: Annotated[Path, _FILE, LIVE]
    client_auth_type: Annotated[
        Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"], LIVE
    ] = "NoClientCert"
    client_ca_file: Annotated[Path, kind(values.CA_FILE), LIVE] | UnsetType = UNSET
    client_allowed_sans: Annotated[tuple[Annotated[str, _WORD], ...], LIVE] = ()
    min_version: Annotated[TlsVersion, LIVE] = "TLS12"
    max_version: Annotated[TlsVersion, LIVE] = "TLS13"
    cipher_suites: Annotated[tuple[Annotated[str, _CIPHER], ...], LIVE] = ()
    prefer_server_cipher_suites: Annotated[bool, LIVE] = True
    curve_preferences: Annotated[tuple[Annotated[str, _WORD], ...], LIVE] = ()


class Headers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Headers of every response; the toolkit allows no others."""

    strict_transport_security: Annotated[str, _TEXT, LIVE] | UnsetType = field(
        name="Strict-Transport-Security", default=UNSET
    )
    content_type_options: Annotated[Literal["nosniff"], LIVE] | UnsetType = field(
        name="X-Content-Type-Options", default=UNSET
    )
    frame_options: Annotated[Literal["deny", "sameorigin"], LIVE] | UnsetType = field(
        name="X-Frame-Options", default=UNSET
    )
    xss_protection: Annotated[str, _TEXT, LIVE] | UnsetType = field(name="X-XSS-Protection", default=UNSET)
    content_security_policy: Annotated[str, _TEXT, LIVE] | UnsetType = field(
        name="Content-Security-Policy", default=UNSET
    )


class HttpServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``http2`` is accepted, because the toolkit's default is true, and has no effect: the daemon serves HTTP/1.1."""

    http2: Annotated[bool, LIVE] = True
    headers: Headers = field(default_factory=Headers)


class WebSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file as it is written."""

    tls: Annotated[TlsServer, RESTART] | UnsetType = field(name="tls_server_config", default=UNSET)
    http: HttpServer = field(name="http_server_config", default_factory=HttpServer)
    users: Annotated[Mapping[str, Annotated[Secret, _HASH]], LIVE] = field(
        name="basic_auth_users", default_factory=dict
    )


class WebConfig(Struct, frozen=True, kw_only=True):
    """One web configuration file, checked. ``users``: bcrypt hashes by name."""

    path: Path
    tls: TlsServer | None = None
    tls_context: ssl.SSLContext | None = None
    """Made from ``tls`` when the file is read, so that applying it cannot fail. None without TLS."""
    headers: Mapping[str, str] = {}
    users: Mapping[str, Secret] = {}

    @property
    def files(self) -> tuple[Path, ...]:
        """The file, and the certificate, key and CA that it names; a change of any of them requires a reload."""
        return self.path, *_named_files(self.tls)


def _named_files(tls: TlsServer | None) -> tuple[Path, ...]:
    named = (tls.cert_file, tls.key_file, tls.client_ca_file) if tls else ()
    return tuple(path for path in named if path is not UNSET)


def read_web_config(path: Path, seen: MutableMapping[Path, FileState]) -> tuple[WebConfig | None, tuple[str, ...]]:
    """
    Read the file and those that it names. Returns: the configuration or None, and the problems, without secrets.

    ``seen`` receives the state of each file just before it was read.
    """
    seen[path] = file_state(path)
    tree, problems = read_tree(path)
    settings = None
    if tree is not None:
        settings, more = check(tree, WebSettings, ParseContext(path.parent, {}), _RULES)
        problems += more
    if problems or not isinstance(settings, WebSettings):
        return None, _with_path(path, *problems)
    tls = None if settings.tls is UNSET else settings.tls
    seen.update(file_states(_named_files(tls)))
    try:
        context = ssl_context(tls) if tls else None
    except (OSError, ValueError) as error:  # a file has changed since it was checked
        return None, _with_path(path, f"tls_server_config: cannot be used: {type(error).__name__}")
    headers = {each.encode_name: getattr(settings.http.headers, each.name) for each in structs.fields(Headers)}
    given = {name: text for name, text in headers.items() if text is not UNSET}
    return WebConfig(path=path, tls=tls, tls_context=context, headers=given, users=settings.users), ()


def _with_path(path: Path, *problems: str) -> tuple[str, ...]:
    return tuple(f"{printable(str(path))}: {problem}" for problem in problems)


def ssl_context(tls: TlsServer) -> ssl.SSLContext:
    """
    Return the context of a listening socket.

    Raises: OSError, ValueError when a file is no longer valid, though it was when it was checked.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_certificate(context, tls)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    context.set_alpn_protocols(["http/1.1"])
    if any(tls.cipher_suites):
        context.set_ciphers(":".join(filter(None, tls.cipher_suites)))
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if tls.client_ca_file is not UNSET:
        context.load_verify_locations(cafile=tls.client_ca_file)
        context.verify_mode = _VERIFY[tls.client_auth_type]
    return context


def _load_certificate(context: ssl.SSLContext, tls: TlsServer) -> None:
    context.load_cert_chain(tls.cert_file, tls.key_file, password="")  # "": OpenSSL must not prompt for one


def allows(tls: TlsServer, certificate: Mapping[str, object] | None) -> bool:
    """
    Whether ``client_allowed_sans`` accepts a client with this verified certificate.

    ``certificate``: of ``getpeercert``. A client without one is accepted: TLS already refused it where one is required.
    """
    if not tls.client_allowed_sans or not certificate:
        return True
    names = certificate.get("subjectAltName", ())
    presented = {_normalize(str(name)) for _, name in names} if isinstance(names, tuple) else set()
    return not presented.isdisjoint(map(_normalize, tls.client_allowed_sans))


def _normalize(name: str) -> str:
    """Return an IP address in canonical form; other names are compared literally, as in the toolkit."""
    try:
        return ip_address(name).compressed
    except ValueError:
        return name


def _check_key(tls: TlsServer) -> str | None:
    try:
        _load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls)
    except (OSError, ValueError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            return "found the key of another certificate, expected that of cert_file"
        return "found no certificate, or no key that can be read without a passphrase, expected PEM files of both"
    return None


def _check_client_ca(tls: TlsServer) -> str | None:
    requested = tls.client_auth_type != "NoClientCert"
    if requested and tls.client_ca_file is UNSET:
        return f"found none while client_auth_type is {tls.client_auth_type}, expected the CA of the clients"
    if not requested and tls.client_ca_file is not UNSET:
        return "found a file while client_auth_type is NoClientCert, expected RequireAndVerifyClientCert beside it"
    return None


def _check_allowed_sans(tls: TlsServer) -> str | None:
    if not tls.client_allowed_sans or tls.client_auth_type != "NoClientCert":
        return None
    return "found names while client_auth_type is NoClientCert, expected RequireAndVerifyClientCert beside them"


def _check_version_order(tls: TlsServer) -> str | None:
    if tls.min_version <= tls.max_version:
        return None
    return f"found {tls.max_version}, expected at least min_version ({tls.min_version})"


def _check_cipher_suites(tls: TlsServer) -> str | None:
    if not tls.cipher_suites or any(tls.cipher_suites) or tls.min_version == "TLS13":
        return None
    return "found only suites of TLS 1.3, expected one of TLS 1.2 too, or min_version: TLS13"


def _check_curves(tls: TlsServer) -> str | None:
    return "found a list, expected none: Python cannot choose the curves" if tls.curve_preferences else None


_RULES: Final = SchemaRules(
    rules={
        TlsServer: (
            Rule("key_file", ("cert_file", "key_file"), _check_key),
            Rule("client_ca_file", ("client_ca_file", "client_auth_type"), _check_client_ca),
            Rule("client_allowed_sans", ("client_allowed_sans", "client_auth_type"), _check_allowed_sans),
            Rule("max_version", ("min_version", "max_version"), _check_version_order),
            Rule("cipher_suites", ("cipher_suites", "min_version"), _check_cipher_suites),
            Rule("curve_preferences", ("curve_preferences",), _check_curves),
        ),
    },
    unknown={
        "cert": "found a certificate in the file itself (not shown), expected cert_file instead",
        "key": "found a key in the file itself (not shown), expected key_file instead",
        "client_ca": "found a certificate in the file itself (not shown), expected client_ca_file instead",
    },
)
