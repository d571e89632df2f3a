"""
The formats of text in the config: durations, sizes, addresses, origins, files, each one row at the end.

Files are opened here, so that a missing one is reported with all other problems; their content is not kept.
"""

import re
import ssl
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from monitor.config.text_file import read_pem, read_secret, reason, without_newlines
from monitor.config.validation import InvalidValue, ParseContext, TextFormat, quoted

_SECONDS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_BYTES: Final = {"GiB": 1024**3, "MiB": 1024**2, "KiB": 1024, "B": 1}
_DURATION: Final = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in _SECONDS))
_SIZE: Final = re.compile(r"([0-9]{1,15})(GiB|MiB|KiB|B)")
_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]*)):([0-9]{1,5})")
_ORIGIN: Final = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::([0-9]{1,5}))?/?", re.IGNORECASE)
_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_VERSION: Final = re.compile(r"auto|[0-9]+(?:\.[0-9]+){1,3}")
_FINGERPRINT: Final = re.compile(r"[0-9A-Fa-f]{64}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_ANNOTATION: Final = re.compile(r"[a-zA-Z0-9._/-]{1,63}")


def parse_duration_s(text: str) -> float:
    """Parse ``300ms``, ``5s``, ``1h30m``: d h m s ms in this order, each at most once. Raises: ValueError."""
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise ValueError("a duration such as 300ms, 5s or 2m")
    return sum(int(count or 0) * seconds for count, seconds in zip(match.groups(), _SECONDS.values(), strict=True))


def write_duration(seconds: float) -> str:
    """Write seconds in the largest unit up to hours that leaves no remainder: ``5s``, ``24h``."""
    unit = next(unit for unit in ("h", "m", "s", "ms") if seconds % _SECONDS[unit] == 0 or unit == "ms")
    return f"{round(seconds / _SECONDS[unit])}{unit}"


def parse_size(text: str) -> int:
    """Parse ``1000B``, ``64KiB``, ``32MiB``, ``1GiB`` to bytes. Raises: ValueError."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError("a size such as 64KiB or 32MiB")
    return int(match[1]) * _BYTES[match[2]]


def write_size(count: int) -> str:
    """Write bytes in the largest unit that leaves no remainder."""
    unit = next(unit for unit, size in _BYTES.items() if count % size == 0)
    return f"{count // _BYTES[unit]}{unit}"


def is_loopback(host: str) -> bool:
    """Whether the host is this machine. Of names only localhost is: another may resolve to any address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def host_of(origin: str) -> str:
    """Give the host of an origin that was parsed here; an IPv6 address without its brackets."""
    return urlsplit(origin).hostname or ""


def read_authorities(path: Path) -> str:
    """
    Read CA certificates. Returns: PEM text, of which OpenSSL can use every certificate.

    Raises: ValueError that says what is wrong with the file.
    """
    try:
        text = read_pem(path)
    except (OSError, ValueError) as error:
        raise ValueError(reason(error)) from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError("there is none in it, or one that is not complete") from error
    return text


def write_address(address: tuple[str, int]) -> str:
    """Write host and port as in the config."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parse_positive_duration(text: str, _: ParseContext) -> float:
    seconds = parse_duration_s(text)
    if not seconds:
        raise InvalidValue("a duration above zero such as 300ms, 5s or 2m")
    return seconds


def _parse_positive_size(text: str, _: ParseContext) -> int:
    size = parse_size(text)
    if not size:
        raise InvalidValue("a size above zero such as 64KiB or 32MiB")
    return size


def _parse_address(text: str, _: ParseContext) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(text)
    if not match or int(match[3]) > 65535:
        raise ValueError(text)
    if match[1]:
        ip_address(match[1])  # raises ValueError, too
    return match[1] or match[2], int(match[3])


def _parse_origin(text: str, _: ParseContext) -> str:
    match = _ORIGIN.fullmatch(text)
    if not match or not _is_authority(match[2], match[3]):
        raise InvalidValue(found=_describe_origin(text))
    return f"{match[1].lower()}://{match[2]}" + (f":{match[3]}" if match[3] else "")


def _is_authority(host: str, port: str | None) -> bool:
    try:
        if host[0] == "[":
            IPv6Address(host[1:-1])
        elif host.rpartition(".")[2].isdecimal():
            IPv4Address(host)
        else:
            host.encode("idna")  # raises where a label is empty or too long
        return int(port or 1) in range(1, 65536)
    except ValueError:
        return False


def _describe_origin(text: str) -> str:
    """Quote it only where it cannot hold a secret."""
    if "@" in text:
        return "a user name or password in the URL (not shown)"
    if set("?#") & set(text):
        return "a query or fragment in the URL (not shown)"
    return quoted(text)


def _parse_network(text: str, _: ParseContext) -> str:
    return str(ip_network(text))  # raises ValueError, too


def _parse_host(text: str, _: ParseContext) -> str:
    return _match(_HOST, text).lower()


def _parse_api_version(text: str, _: ParseContext) -> str:
    return _match(_VERSION, text)


def _parse_fingerprint(text: str, _: ParseContext) -> bytes:
    return bytes.fromhex(_match(_FINGERPRINT, text.replace(":", "")))


def _parse_digest(text: str, _: ParseContext) -> bytes:
    return bytes.fromhex(_match(_DIGEST, text))


def _parse_annotation_key(text: str, _: ParseContext) -> str:
    return _match(_ANNOTATION, text)


def _match(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(pattern.pattern)
    return text


def _parse_word(text: str, _: ParseContext) -> str:
    if not text or len(text) > 255 or not text.isprintable():
        raise ValueError(text)
    return text


def is_name(text: str) -> bool:
    """Whether a controller, token or user may be called so: 1 to 63 printable characters."""
    return 0 < len(text) <= 63 and text.isprintable()


def _parse_name(text: str, _: ParseContext) -> str:
    if not is_name(text):
        raise ValueError(text)
    return text


def _parse_password_file(text: str, context: ParseContext) -> Path:
    path = context.file(text)
    shown = quoted(text) if "/" in text else ""  # else it may be the password itself, under the wrong key
    try:
        secret = read_secret(path)
    except (OSError, ValueError) as error:
        raise InvalidValue(f"a file that holds the password: {reason(error)}", found=shown) from error
    if not secret:
        raise InvalidValue("a file that holds the password: it is empty", found=shown)
    return path


def _parse_password_env(text: str, context: ParseContext) -> str:
    if not _VARIABLE.fullmatch(text):
        raise InvalidValue("the name of an environment variable")
    if not without_newlines(context.environ.get(text, "")):
        # A password that was put here by mistake is seldom all capitals.
        raise InvalidValue(
            "an environment variable that is set and not empty", found=quoted(text) if text.isupper() else ""
        )
    return text


def _parse_ca_file(text: str, context: ParseContext) -> Path:
    path = context.file(text)
    try:
        read_authorities(path)
    except ValueError as error:
        raise InvalidValue(f"a PEM file of CA certificates: {error}") from error
    return path


def _parse_files(text: str, context: ParseContext) -> str:
    if not text.isprintable():
        raise ValueError(text)
    try:
        _ = has_wildcard(text) or (context.directory / text).stat()
    except OSError as error:
        raise InvalidValue(f"a file, or a pattern such as controllers.d/*.yml: {reason(error)}") from error
    return text


def has_wildcard(text: str) -> bool:
    """Whether it is a pattern, which may match nothing."""
    return bool(set("*?[") & set(text))


DURATION: Final = TextFormat(
    expected="a duration such as 300ms, 5s or 2m",
    parse=_parse_positive_duration,
    pattern=f"(?=[0-9]){_DURATION.pattern}",
    write=write_duration,
)
SIZE: Final = TextFormat(
    expected="a size such as 64KiB or 32MiB", parse=_parse_positive_size, pattern=_SIZE.pattern, write=write_size
)
ADDRESS: Final = TextFormat(
    expected="host:port such as 127.0.0.1:9972, [::1]:9972 or :9972", parse=_parse_address, pattern=_ADDRESS.pattern,
    write=write_address,
)  # fmt: skip
ORIGIN: Final = TextFormat(
    expected="the origin of a Controller such as https://avi.example.net, without path and user name",
    parse=_parse_origin, pattern="[Hh][Tt][Tt][Pp][Ss]?://[^@?#]+", shown=False,
)  # fmt: skip
HOST: Final = TextFormat(
    expected="a name such as monitor.example.net, without scheme and port", parse=_parse_host, pattern=_HOST.pattern
)
NETWORK: Final = TextFormat(
    expected="an address, or a network whose host bits are 0, such as 10.0.0.0/8 or 2001:db8::/32",
    parse=_parse_network,
)
NAME: Final = TextFormat(
    expected="a name of 1 to 63 printable characters, in quotes if it looks like a number", parse=_parse_name
)
WORD: Final = TextFormat(
    expected="1 to 255 printable characters, in quotes if they look like a number", parse=_parse_word
)
API_VERSION: Final = TextFormat(
    expected='auto, or a version in quotes such as "30.2.1"', parse=_parse_api_version, pattern=_VERSION.pattern
)
FINGERPRINT: Final = TextFormat(
    expected="the SHA-256 of the certificate: 64 hex digits, colons allowed",
    parse=_parse_fingerprint, pattern="[0-9A-Fa-f](:?[0-9A-Fa-f]){63}",
)  # fmt: skip
PASSWORD_FILE: Final = TextFormat(expected="a file that holds the password", parse=_parse_password_file, shown=False)
PASSWORD_ENV: Final = TextFormat(
    expected="the name of an environment variable", parse=_parse_password_env, pattern=_VARIABLE.pattern, shown=False
)
DIGEST: Final = TextFormat(
    expected="the SHA-256 of the token: 64 lower-case hex digits, such as `token new` prints",
    parse=_parse_digest, pattern=_DIGEST.pattern, shown=False,
)  # fmt: skip
ANNOTATION_KEY: Final = TextFormat(
    expected="the key of an annotation: 1 to 63 of letters, digits and . _ / -",
    parse=_parse_annotation_key, pattern=_ANNOTATION.pattern,
)  # fmt: skip
CA_FILE: Final = TextFormat(expected="a PEM file of CA certificates", parse=_parse_ca_file)
FILES: Final = TextFormat(expected="a file, or a pattern such as controllers.d/*.yml", parse=_parse_files)
