"""
The formats of text in the web configuration, each one row at the end.

What a text means is decided by its key, as in the exporter toolkit: ``X-XSS-Protection: 1`` is a text, ``burst: 20`` a
number, ``http2: off`` a boolean of YAML 1.1. So the file is read with every scalar as text.
"""

import re
from pathlib import Path
from typing import Final

from monitor.config.text_file import read_pem, reason
from monitor.config.validation import InvalidValue, ParseContext, TextFormat
from monitor.model.secret import Secret

_BCRYPT: Final = re.compile(r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_HEADER: Final = re.compile(r"[\x20-\x7e]{1,4096}")
_INT: Final = re.compile(r"[-+]?[0-9]{1,9}")
_BOOLS: Final = {
    **dict.fromkeys(("y", "yes", "true", "on"), True),
    **dict.fromkeys(("n", "no", "false", "off"), False),
}
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_NUMBER_AND_UNIT: Final = re.compile(r"([0-9]{1,9}\.?[0-9]{0,9}|\.[0-9]{1,9})(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_DURATION: Final = re.compile(rf"[-+]?(?:{_NUMBER_AND_UNIT.pattern})+", re.ASCII)

# The toolkit's names mapped to OpenSSL's. Suites of TLS 1.3 are always enabled, in the toolkit and here.
_CIPHERS: Final = {
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


def _parse_pem_file(text: str, context: ParseContext) -> Path:
    path = context.file(text)
    try:
        read_pem(path)
    except (OSError, ValueError) as error:
        raise InvalidValue(f"a PEM file: {reason(error)}") from error
    return path


def _parse_pem(text: str, _: ParseContext) -> str:
    if "-----BEGIN " not in text:
        raise ValueError("no PEM")
    return text.encode("ascii", "ignore").decode()  # as of a file: only comments can be anything else


def _parse_key(text: str, context: ParseContext) -> Secret:
    return Secret(_parse_pem(text, context))


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


def _parse_bool(text: str, _: ParseContext) -> bool:
    known = _BOOLS.get(text.lower())
    if known is None or text not in (text.lower(), text.upper(), text.capitalize()):
        raise ValueError(text)
    return known


def _parse_int(text: str, _: ParseContext) -> int:
    if not _INT.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _parse_go_duration(text: str, _: ParseContext) -> float:
    """Parse a duration as Go writes it, ``1.5s`` or ``1m30s``, to seconds. A number alone is in nanoseconds."""
    if _INT.fullmatch(text):
        return int(text) * 1e-9
    if not _DURATION.fullmatch(text):
        raise ValueError(text)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _NUMBER_AND_UNIT.findall(text))
    return -seconds if text.startswith("-") else seconds


PEM_FILE: Final = TextFormat(expected="a PEM file", parse=_parse_pem_file)
PEM: Final = TextFormat(expected="a certificate as PEM text", parse=_parse_pem, shown=False)
KEY: Final = TextFormat(expected="a private key as PEM text", parse=_parse_key, shown=False)
BCRYPT: Final = TextFormat(
    expected="a bcrypt hash, such as `htpasswd -nBC 10 NAME` prints", parse=_parse_bcrypt, shown=False
)
HEADER: Final = TextFormat(expected="1 to 4096 printable ASCII characters", parse=_parse_header)
CIPHER: Final = TextFormat(expected="a cipher suite such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", parse=_parse_cipher)
BOOL: Final = TextFormat(expected="true or false", parse=_parse_bool)
INT: Final = TextFormat(expected="a whole number", parse=_parse_int)
GO_DURATION: Final = TextFormat(expected="a duration such as 100ms, 1s or 1m30s, or 0", parse=_parse_go_duration)
