"""
The web configuration file that every Prometheus exporter takes: TLS, client certificates, passwords, headers, a limit.

Keys and meaning are those of the exporter toolkit, so a file for another exporter works here and ``promtool check
web-config`` checks it. docs/how-to/tls.md lists the differences.
"""

import ssl
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import UNSET, Struct, UnsetType, field, structs

from monitor.config import web_tls, web_values
from monitor.config.file_state import FileState, file_state
from monitor.config.reload_rules import LIVE, RESTART, keys_of
from monitor.config.validation import ParseContext, Rule, SchemaRules, check, printable, written_as
from monitor.config.web_tls import TlsServer, ssl_context
from monitor.config.yaml_reader import read_text_tree
from monitor.model.secret import Secret

_USERS: Final = "basic_auth_users"
_Bool = Annotated[bool, written_as(web_values.BOOL), LIVE]
_Text = Annotated[str, written_as(web_values.HEADER), LIVE]


class Headers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Headers of every response; the toolkit allows no others."""

    strict_transport_security: _Text | UnsetType = field(name="Strict-Transport-Security", default=UNSET)
    content_type_options: Annotated[Literal["nosniff"], LIVE] | UnsetType = field(
        name="X-Content-Type-Options", default=UNSET
    )
    frame_options: Annotated[Literal["deny", "sameorigin"], LIVE] | UnsetType = field(
        name="X-Frame-Options", default=UNSET
    )
    xss_protection: _Text | UnsetType = field(name="X-XSS-Protection", default=UNSET)
    content_security_policy: _Text | UnsetType = field(name="Content-Security-Policy", default=UNSET)


class HttpServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``http2`` is accepted, because the toolkit's default is true, and has no effect: the daemon serves HTTP/1.1."""

    http2: _Bool = True
    headers: Headers = field(default_factory=Headers)


class RateLimit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request every ``interval_s``, over all clients, and at most ``burst`` at once; no limit if it is not > 0."""

    interval_s: Annotated[float, written_as(web_values.GO_DURATION), LIVE] = field(name="interval", default=0.0)
    burst: Annotated[int, written_as(web_values.INT), LIVE] = 0


class WebSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file as it is written."""

    tls: Annotated[TlsServer, RESTART] | UnsetType = field(name="tls_server_config", default=UNSET)
    http: HttpServer = field(name="http_server_config", default_factory=HttpServer)
    users: Annotated[Mapping[str, Annotated[Secret, written_as(web_values.BCRYPT)]], LIVE] = field(
        name=_USERS, default_factory=dict
    )
    rate_limit: RateLimit = field(default_factory=RateLimit)


_KEYS: Final = frozenset(key.path for key in keys_of(WebSettings))


class WebConfig(Struct, frozen=True, kw_only=True):
    """One web configuration file, checked. ``users``: bcrypt hashes by name. ``rate_limit``: None for no limit."""

    path: Path
    tls: TlsServer | None = None
    tls_context: ssl.SSLContext | None = None
    """Made from ``tls`` when the file is read, so that applying it cannot fail. None without TLS."""
    headers: Mapping[str, str] = {}
    users: Mapping[str, Secret] = {}
    rate_limit: RateLimit | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The file, and the certificate, key and CA that it names; a change of any of them requires a reload."""
        return self.path, *(self.tls.files if self.tls else ())

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """Those of the files that hold a secret: a key, or hashes of passwords."""
        key_file = self.tls.key_file if self.tls else UNSET
        inline = bool(self.users) or (self.tls is not None and self.tls.key is not UNSET)
        return *((self.path,) if inline else ()), *(() if key_file is UNSET else (key_file,))


def read_web_config(path: Path, seen: MutableMapping[Path, FileState]) -> tuple[WebConfig | None, tuple[str, ...]]:
    """
    Read the file and those that it names. Returns: the configuration or None, and the problems, without secrets.

    ``seen`` receives the state of each file just before it was read.
    """
    seen[path] = file_state(path)
    tree, problems = read_text_tree(path)
    settings = None
    if tree is not None:
        settings, more = check(_without_empty(tree), WebSettings, ParseContext(path.parent, {}, seen), _RULES)
        problems += more
    if problems or not isinstance(settings, WebSettings):
        return None, _with_path(path, *problems)
    tls = None if settings.tls is UNSET else settings.tls
    try:
        context = ssl_context(tls) if tls else None
    except (OSError, ValueError) as error:  # a file has changed since it was checked
        return None, _with_path(path, f"tls_server_config: cannot be used: {type(error).__name__}")
    headers = {each.encode_name: getattr(settings.http.headers, each.name) for each in structs.fields(Headers)}
    given = {name: text for name, text in headers.items() if text is not UNSET}
    limit = settings.rate_limit if settings.rate_limit.interval_s > 0.0 else None
    return WebConfig(path=path, tls=tls, tls_context=context, headers=given, users=settings.users, rate_limit=limit), ()


def _without_empty(tree: object, above: str = "") -> object:
    """
    Leave out known keys without a value, and empty sections, which in the toolkit set nothing.

    Not below the users: a user without a hash must be a problem, for without users every client gets in.
    """
    if not isinstance(tree, dict):
        return tree
    return {
        key: value if key == _USERS else _without_empty(value, f"{above}{key}.")
        for key, value in tree.items()
        if value not in (None, "", {}) or f"{above}{key}" not in _KEYS
    }


def _with_path(path: Path, *problems: str) -> tuple[str, ...]:
    return tuple(f"{printable(str(path))}: {problem}" for problem in problems)


def _check_burst(limit: RateLimit) -> str | None:
    if limit.interval_s <= 0.0 or limit.burst > 0:
        return None
    return f"found {limit.burst}, expected at least 1: with less, every request would be answered 429"


_RULES: Final = SchemaRules(
    rules={
        TlsServer: web_tls.RULES,
        RateLimit: (Rule("burst", ("interval_s", "burst"), _check_burst),),
    }
)
