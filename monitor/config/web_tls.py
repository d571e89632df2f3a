"""
The section ``tls_server_config`` of the web configuration: the daemon's certificate, and which clients may connect.

Settings that Python's ssl module cannot apply are rejected, not ignored.
"""

import os
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Final, Literal

from msgspec import UNSET, Struct, UnsetType

from monitor.config import values, web_values
from monitor.config.reload_rules import LIVE
from monitor.config.text_file import read_pem
from monitor.config.validation import Rule, written_as
from monitor.config.values import read_authorities
from monitor.model.secret import Secret

_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_PemFile = Annotated[Path, written_as(web_values.PEM_FILE), LIVE]
_Pem = Annotated[str, written_as(web_values.PEM), LIVE]
_Word = Annotated[str, written_as(values.WORD)]

TlsVersion = Literal["TLS12", "TLS13"]  # not TLS 1.0 and 1.1, which OpenSSL disables by default


class TlsServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The keys of the section. Certificate, key and CA are in a file or in the text itself; the file has precedence.

    ``cipher_suites``: as OpenSSL names them.
    """

    cert: _Pem | UnsetType = UNSET
    key: Annotated[Secret, written_as(web_values.KEY), LIVE] | UnsetType = UNSET
    client_ca: _Pem | UnsetType = UNSET
    cert_file: _PemFile | UnsetType = UNSET
    key_file: _PemFile | UnsetType = UNSET
    client_auth_type: Annotated[
        Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"], LIVE
    ] = "NoClientCert"
    client_ca_file: Annotated[Path, written_as(values.CA_FILE), LIVE] | UnsetType = UNSET
    client_allowed_sans: Annotated[tuple[_Word, ...], LIVE] | UnsetType = UNSET
    min_version: Annotated[TlsVersion, LIVE] = "TLS12"
    max_version: Annotated[TlsVersion, LIVE] = "TLS13"
    cipher_suites: Annotated[tuple[Annotated[str, written_as(web_values.CIPHER)], ...], LIVE] = ()
    prefer_server_cipher_suites: Annotated[bool, written_as(web_values.BOOL), LIVE] = True
    curve_preferences: Annotated[tuple[_Word, ...], LIVE] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it names."""
        return tuple(path for path in (self.cert_file, self.key_file, self.client_ca_file) if path is not UNSET)


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
    context.verify_mode = _VERIFY[tls.client_auth_type]
    if tls.client_ca_file is not UNSET:
        context.load_verify_locations(cadata=read_authorities(tls.client_ca_file))
    elif tls.client_ca is not UNSET:
        context.load_verify_locations(cadata=tls.client_ca)
    elif context.verify_mode is not ssl.CERT_NONE:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)  # as Go does, and so the toolkit
    return context


def _load_certificate(context: ssl.SSLContext, tls: TlsServer) -> None:
    certificate = tls.cert if tls.cert_file is UNSET else read_pem(tls.cert_file)
    key = tls.key if tls.key_file is UNSET else Secret(read_pem(tls.key_file))
    assert certificate is not UNSET, "checked by a rule"  # noqa: S101
    assert key is not UNSET, "checked by a rule"  # noqa: S101
    with _as_file(certificate) as cert_path, _as_file(key.reveal()) as key_path:
        context.load_cert_chain(cert_path, key_path, password="")  # "": OpenSSL must not prompt for one


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """Give the path of an unnamed file with this text, in memory where the platform can: ssl reads only files."""
    with os.fdopen(os.memfd_create("pem"), "w+") if sys.platform == "linux" else TemporaryFile("w+") as file:
        file.write(text)
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"


def allows(tls: TlsServer, certificate: Mapping[str, object] | None) -> bool:
    """
    Whether ``client_allowed_sans`` accepts a client with this verified certificate.

    ``certificate``: of ``getpeercert``; empty or None for a client without one, which has none of the names.
    """
    if tls.client_allowed_sans is UNSET:
        return True
    names = (certificate or {}).get("subjectAltName", ())
    presented = {_normalize(str(name)) for _, name in names} if isinstance(names, tuple) else set()
    return not presented.isdisjoint(map(_normalize, tls.client_allowed_sans))


def _normalize(name: str) -> str:
    """Return an IP address in canonical form; other names are compared literally, as in the toolkit."""
    try:
        return ip_address(name).compressed
    except ValueError:
        return name


def _check_certificate(tls: TlsServer) -> str | None:
    if tls.cert_file is UNSET and tls.cert is UNSET:
        return "found none, expected a PEM file, or the certificate itself under cert"
    return None


def _check_key(tls: TlsServer) -> str | None:
    if tls.key_file is UNSET and tls.key is UNSET:
        return "found none, expected a PEM file, or the key itself under key"
    if tls.cert_file is UNSET and tls.cert is UNSET:
        return None  # that is said already
    try:
        _load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls)
    except (OSError, ValueError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            return "found the key of another certificate, expected that of cert_file"
        return "found no certificate, or no key that can be read without a passphrase, expected PEM of both"
    return None


def _check_client_ca(tls: TlsServer) -> str | None:
    given = tls.client_ca_file is not UNSET or tls.client_ca is not UNSET
    if given and tls.client_auth_type == "NoClientCert":
        return "found a CA while client_auth_type is NoClientCert, expected RequireAndVerifyClientCert beside it"
    return None


def _check_client_ca_text(tls: TlsServer) -> str | None:
    try:
        if tls.client_ca is not UNSET:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=tls.client_ca)
    except (ssl.SSLError, ValueError):
        return "found no certificate that is complete, expected CA certificates as PEM text"
    return None


def _check_allowed_sans(tls: TlsServer) -> str | None:
    if tls.client_allowed_sans is UNSET:
        return None
    if not tls.client_allowed_sans:
        return "found an empty list, which allows no client at all, expected names, or no such key"
    if tls.client_auth_type == "NoClientCert":
        return "found names while client_auth_type is NoClientCert, expected RequireAndVerifyClientCert beside them"
    return None


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


_CERTIFICATE_AND_KEY: Final = ("cert", "key", "cert_file", "key_file")

RULES: Final = (
    Rule("cert_file", ("cert", "cert_file"), _check_certificate),
    Rule("key_file", _CERTIFICATE_AND_KEY, _check_key),
    Rule("client_ca_file", ("client_ca", "client_ca_file", "client_auth_type"), _check_client_ca),
    Rule("client_ca", ("client_ca",), _check_client_ca_text),
    Rule("client_allowed_sans", ("client_allowed_sans", "client_auth_type"), _check_allowed_sans),
    Rule("max_version", ("min_version", "max_version"), _check_version_order),
    Rule("cipher_suites", ("cipher_suites", "min_version"), _check_cipher_suites),
    Rule("curve_preferences", ("curve_preferences",), _check_curves),
)
