"""
The web configuration file that every Prometheus exporter takes: TLS, client certificates, passwords, headers.

Its keys and their meaning are the exporter toolkit's, so that what is written for another exporter serves here and
``promtool check web-config`` can judge it. What Python's ssl cannot do is refused rather than left out.
"""

import re
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import UNSET, Struct, UnsetType, field, structs

from monitor.config import values
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
# The toolkit's names to OpenSSL's. Those of TLS 1.3 are always on, there as here.
_CIPHERS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"), ""),
    **{
        f"TLS_ECDHE_{signature}_WITH_{theirs}": f"ECDHE-{signature}-{openssl}"
        for signature in ("ECDSA", "RSA")
        for theirs, openssl in (
            ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
            ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
            ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
            ("CHACHA20_POLY1305", "CHACHA20-POLY1305"),
            ("AES_128_CBC_SHA", "AES128-SHA"),
            ("AES_256_CBC_SHA", "AES256-SHA"),
        )
    },
}


def _file(text: str, site: ParseContext) -> Path:
    path = site.directory / text
    try:
        path.open("rb").close()
    except (OSError, ValueError) as error:
        raise InvalidValue(f"a PEM file: {reason(error)}") from error
    return path


def _bcrypt(text: str, _: ParseContext) -> Secret:
    if not _BCRYPT.fullmatch(text):
        raise ValueError("a bcrypt hash")
    return Secret(text)


def _header(text: str, _: ParseContext) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError(text)
    return text


def _cipher(text: str, _: ParseContext) -> str:
    try:
        return _CIPHERS[text]
    except KeyError as error:
        raise ValueError(text) from error


_FILE: Final = kind(Kind(expected="a PEM file", parse=_file))
_HASH: Final = kind(Kind(expected="a bcrypt hash, such as `htpasswd -nBC 10 NAME` prints", parse=_bcrypt, shown=False))
_TEXT: Final = kind(Kind(expected="1 to 4096 printable ASCII characters", parse=_header))
_CIPHER: Final = kind(Kind(expected="a cipher suite such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", parse=_cipher))
_WORD: Final = kind(values.WORD)

TlsVersion = Literal["TLS12", "TLS13"]  # OpenSSL serves nothing older


class TlsServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How we prove who we are, and whom we ask to do so. ``cipher_suites``: in OpenSSL's words."""

    cert_file: Annotated[Path, _FILE]
    key_file: Annotated[Path, _FILE]
    client_auth_type: Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = "NoClientCert"
    client_ca_file: Annotated[Path, kind(values.CA_FILE)] | UnsetType = UNSET
    client_allowed_sans: tuple[Annotated[str, _WORD], ...] = ()
    min_version: TlsVersion = "TLS12"
    max_version: TlsVersion = "TLS13"
    cipher_suites: tuple[Annotated[str, _CIPHER], ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[Annotated[str, _WORD], ...] = ()


class Headers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the toolkit lets be put on every response, and no more."""

    strict_transport_security: Annotated[str, _TEXT] | UnsetType = field(
        name="Strict-Transport-Security", default=UNSET
    )
    content_type_options: Literal["nosniff"] | UnsetType = field(name="X-Content-Type-Options", default=UNSET)
    frame_options: Literal["deny", "sameorigin"] | UnsetType = field(name="X-Frame-Options", default=UNSET)
    xss_protection: Annotated[str, _TEXT] | UnsetType = field(name="X-XSS-Protection", default=UNSET)
    content_security_policy: Annotated[str, _TEXT] | UnsetType = field(name="Content-Security-Policy", default=UNSET)


class HttpServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``http2``: taken, as the toolkit's own default is true, and of no effect: we speak HTTP/1.1."""

    http2: bool = True
    headers: Headers = field(default_factory=Headers)


class _Shape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tls_server_config: TlsServer | UnsetType = UNSET
    http_server_config: HttpServer = field(default_factory=HttpServer)
    basic_auth_users: Mapping[str, Annotated[Secret, _HASH]] = {}


class WebConfig(Struct, frozen=True, kw_only=True):
    """One web configuration file, checked. ``users``: bcrypt hashes by name."""

    path: Path
    tls: TlsServer | None = None
    headers: Mapping[str, str] = {}
    users: Mapping[str, Secret] = {}

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file on which it depends; when one of them changes, it is to be read again."""
        named = (self.tls.cert_file, self.tls.key_file, self.tls.client_ca_file) if self.tls else ()
        return self.path, *(path for path in named if path is not UNSET)


def read_web_config(path: Path) -> tuple[WebConfig | None, tuple[str, ...]]:
    """Read the file and look at those that it names. None: the problems say why; none shows a hash or a key."""
    tree, problems = read_tree(path)
    shape = None
    if tree is not None:
        shape, more = check(tree, _Shape, ParseContext(path.parent, {}), _RULEBOOK)
        problems += more
    if problems or not isinstance(shape, _Shape):
        return None, tuple(f"{printable(str(path))}: {problem}" for problem in problems)
    return _web_config(path, shape), ()


def _web_config(path: Path, shape: _Shape) -> WebConfig:
    headers = shape.http_server_config.headers
    given = {each.encode_name: getattr(headers, each.name) for each in structs.fields(headers)}
    return WebConfig(
        path=path,
        tls=None if shape.tls_server_config is UNSET else shape.tls_server_config,
        headers={name: text for name, text in given.items() if text is not UNSET},
        users=shape.basic_auth_users,
    )


def ssl_context(tls: TlsServer) -> ssl.SSLContext:
    """Make what a listening socket needs. Or OSError, ValueError, when a file is no longer what it was."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_own(context, tls)
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


def _load_own(context: ssl.SSLContext, tls: TlsServer) -> None:
    context.load_cert_chain(tls.cert_file, tls.key_file, password="")  # else a locked key asks the terminal


def allows(tls: TlsServer, certificate: Mapping[str, object] | None) -> bool:
    """
    Whether a client that showed this verified certificate, or none, may go on.

    ``certificate``: as ``getpeercert`` gives it. None was shown only where none is required.
    """
    if not tls.client_allowed_sans or not certificate:
        return True
    names = certificate.get("subjectAltName", ())
    shown = {_plain(str(name)) for _, name in names} if isinstance(names, tuple) else set()
    return not shown.isdisjoint(map(_plain, tls.client_allowed_sans))


def _plain(name: str) -> str:
    """Write an address in one way only; other names are what they are, as in the toolkit."""
    try:
        return ip_address(name).compressed
    except ValueError:
        return name


def _unfit_key(tls: TlsServer) -> str | None:
    try:
        _load_own(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls)
    except (OSError, ValueError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            return "found the key of another certificate, expected that of cert_file"
        return "found no certificate, or a key that is locked or none, expected PEM files of both"
    return None


def _asks_in_vain(tls: TlsServer) -> str | None:
    asks = tls.client_auth_type != "NoClientCert"
    if asks and tls.client_ca_file is UNSET:
        return f"found none while client_auth_type is {tls.client_auth_type}, expected the CA of the clients"
    if not asks and tls.client_ca_file is not UNSET:
        return "found a file while client_auth_type is NoClientCert, expected RequireAndVerifyClientCert there"
    return None


def _names_nobody(tls: TlsServer) -> str | None:
    if not tls.client_allowed_sans or tls.client_auth_type != "NoClientCert":
        return None
    return "found names while client_auth_type is NoClientCert, expected RequireAndVerifyClientCert there"


def _upside_down(tls: TlsServer) -> str | None:
    if tls.min_version <= tls.max_version:
        return None
    return f"found {tls.max_version}, expected at least min_version ({tls.min_version})"


def _none_for_tls_1_2(tls: TlsServer) -> str | None:
    if not tls.cipher_suites or any(tls.cipher_suites) or tls.min_version == "TLS13":
        return None
    return "found suites of TLS 1.3 alone, expected one of TLS 1.2 too, or min_version: TLS13"


def _curves(tls: TlsServer) -> str | None:
    return "found a list, expected none: the curves cannot be chosen here" if tls.curve_preferences else None


_RULEBOOK: Final = SchemaRules(
    rules={
        TlsServer: (
            Rule("key_file", ("cert_file", "key_file"), _unfit_key),
            Rule("client_ca_file", ("client_ca_file", "client_auth_type"), _asks_in_vain),
            Rule("client_allowed_sans", ("client_allowed_sans", "client_auth_type"), _names_nobody),
            Rule("max_version", ("min_version", "max_version"), _upside_down),
            Rule("cipher_suites", ("cipher_suites", "min_version"), _none_for_tls_1_2),
            Rule("curve_preferences", ("curve_preferences",), _curves),
        ),
    },
    unknown={
        "cert": "found a certificate in the file itself (not shown), expected cert_file in its place",
        "key": "found a key in the file itself (not shown), expected key_file in its place",
        "client_ca": "found a certificate in the file itself (not shown), expected client_ca_file in its place",
    },
)
