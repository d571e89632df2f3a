"""The configuration as the daemon uses it: frozen and checked. Made by `monitor.config.load`."""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import get_args

from msgspec import Struct

from monitor.config.access import AnonymousScope, Token, User
from monitor.config.database import DatabaseUrl, read_database_file
from monitor.config.file_state import FileState
from monitor.config.settings import STALLED_AFTER_S, Annotations, Events, Health, Log, Poll, Upgrades
from monitor.config.text_file import read_secret
from monitor.config.values import is_loopback
from monitor.config.web_config import WebConfig
from monitor.model.secret import Secret

Network = IPv4Network | IPv6Network


class SecretFile(Struct, frozen=True):
    """A secret that is read from its file each time, so that it can be changed without a reload."""

    path: Path

    def __str__(self) -> str:
        return f"the file {self.path}"

    def read(self) -> Secret | None:
        """Give the present secret; None when the file is empty, missing or unreadable: it may be being written."""
        try:
            return Secret(read_secret(self.path)) or None
        except (OSError, ValueError):
            return None


class SecretVariable(Struct, frozen=True):
    """A secret from the environment, which does not change while the daemon runs."""

    name: str
    secret: Secret

    def __str__(self) -> str:
        return f"the variable {self.name}"

    def read(self) -> Secret | None:
        """Give the secret as it was when the configuration was read."""
        return self.secret


SecretSource = SecretFile | SecretVariable


class Tls(Struct, frozen=True, kw_only=True):
    """How the certificate of a Controller is verified; by the system's CAs when nothing is set. At most one is set."""

    authorities: str | None = None
    """The content of ``ca_file``, PEM. A reload reads it again; if it changed, the controller is connected anew."""
    fingerprints: frozenset[bytes] = frozenset()
    """SHA-256 of its certificates, 32 bytes each; one of them is enough."""
    insecure: bool = False


class Account(Struct, frozen=True):
    """A local account of a Controller."""

    username: str
    password: SecretSource


class Controller(Struct, frozen=True, kw_only=True):
    """One configured Avi Controller cluster. ``url``: its origin, without a slash at the end."""

    name: str
    url: str
    username: str
    password: SecretSource
    tenant: str = "admin"
    api_version: str | None = None
    """Pins X-Avi-Version; None: the highest that both sides know."""
    tls: Tls = Tls()
    write: Account | None = None
    """The account that adjusts images; None: the account that reads them."""
    watch_upgrades: bool = True
    upgrades_tenant: str = ""
    """Empty: the same as ``tenant``."""


class Config(Struct, frozen=True, kw_only=True):
    """The checked configuration. ``files``: every config file that was read, the main one first."""

    listen_host: str
    """Empty: every interface."""
    listen_port: int
    """0: a free one."""
    database: str
    """As it was when the configuration was read; see `log_in_to_database`."""
    poll: Poll
    log: Log
    events: Events
    controllers: tuple[Controller, ...]
    files: tuple[Path, ...]
    controller_files: tuple[str, ...] = ()
    """The paths and patterns of the key of this name, as they were written."""
    database_file: Path | None = None
    database_password_file: Path | None = None
    health: Health = Health()
    upgrades: Upgrades = Upgrades()
    annotations: Annotations = Annotations()
    stalled_after_s: float = STALLED_AFTER_S
    anonymous: frozenset[AnonymousScope] | None = None
    """The key of this name; None: it is not set. See ``anonymous_scopes``."""
    server_names: frozenset[str] = frozenset()
    """In lower case, without a port."""
    trusted_proxies: frozenset[Network] = frozenset()
    tokens: tuple[Token, ...] = ()
    users: tuple[User, ...] = ()
    web: WebConfig | None = None
    file_states: Mapping[Path, FileState] = {}
    """How each file looked just before it was read: config files, web configuration, and all that they name."""

    @property
    def listen(self) -> tuple[str, int]:
        """Host and port."""
        return self.listen_host, self.listen_port

    def log_in_to_database(self) -> tuple[str, str | None]:
        """
        Return the URL for a new connection, and the password that is not in it. Their files are read anew.

        Raises: ValueError that says what is wrong with a file, without any of it.
        """
        if self.database_file:
            return self._read_database_file(self.database_file), None
        if self.database_password_file is None:
            return self.database, None
        password = SecretFile(self.database_password_file).read()
        if password is None:
            raise ValueError(f"database_password_file: {self.database_password_file} is empty or cannot be read")
        return self.database, password.reveal()

    def _read_database_file(self, path: Path) -> str:
        try:
            url = read_database_file(path)
        except ValueError as error:
            raise ValueError(f"database_file: {path}: {error}") from error
        before = DatabaseUrl(self.database).place
        if url.place != before:
            raise ValueError(f"database_file: {path}: found {url.place}, expected {before} as at the start")
        return url

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the daemon."""
        return is_loopback(self.listen_host)

    @property
    def anonymous_scopes(self) -> frozenset[AnonymousScope]:
        """What a client without credentials may do; not set: all on loopback while there are no users, else nothing."""
        if self.anonymous is not None:
            return self.anonymous
        users = self.web and self.web.users
        return frozenset(get_args(AnonymousScope)) if self.loopback and not users else frozenset()


class Difference(Struct, frozen=True):
    """The names of the controllers that a reload touched."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
