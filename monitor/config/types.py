"""The configuration as the daemon uses it: frozen and checked. Made by `monitor.config.load`."""

from pathlib import Path
from typing import get_args

from msgspec import Struct

from monitor.config.access import AnonymousScope, Token, User
from monitor.config.settings import Annotations, Events, Log, Poll
from monitor.config.values import is_loopback, read_secret
from monitor.config.web_config import WebConfig
from monitor.model.secret import Secret


class SecretFile(Struct, frozen=True):
    """A secret that is read anew each time, so that it can be changed without a reload."""

    path: Path

    def read(self) -> Secret | None:
        """Give the present secret; None when the file is empty, missing or unreadable: it is being written."""
        try:
            return Secret(read_secret(self.path)) or None
        except (OSError, ValueError):
            return None


class SecretVariable(Struct, frozen=True):
    """A secret from the environment, which does not change while we run."""

    name: str
    secret: Secret

    def read(self) -> Secret | None:
        """Give the secret, as it was at start."""
        return self.secret


SecretSource = SecretFile | SecretVariable


class Tls(Struct, frozen=True, kw_only=True):
    """How a Controller proves who it is; by the system's CAs when nothing is set. At most one is."""

    authorities: str | None = None
    """What is in ``ca_file``, PEM, good when it was read. The file is not read again: another text is another trust."""
    fingerprint: bytes | None = None
    """SHA-256 of its certificate, 32 bytes."""
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
    """Who adjusts images; None: the account that reads them."""


class Config(Struct, frozen=True, kw_only=True):
    """All that was configured, checked. ``files``: every config file that was read, the main one first."""

    listen_host: str
    """Empty: every interface."""
    listen_port: int
    """0: a free one."""
    database: str
    poll: Poll
    log: Log
    events: Events
    controllers: tuple[Controller, ...]
    files: tuple[Path, ...]
    controller_files: tuple[str, ...] = ()
    """The paths and patterns of the key of this name, as they were written."""
    annotations: Annotations = Annotations()
    stalled_after_s: float = 600.0
    anonymous: frozenset[AnonymousScope] | None = None
    """What anybody may do; None: not stated, see ``anonymous_beside``."""
    tokens: tuple[Token, ...] = ()
    users: tuple[User, ...] = ()
    web: WebConfig | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach us."""
        return is_loopback(self.listen_host)

    def anonymous_beside(self, web: WebConfig | None) -> frozenset[AnonymousScope]:
        """Tell what anybody may do; unstated: both on loopback while there are no users, else nothing."""
        if self.anonymous is not None:
            return self.anonymous
        return frozenset(get_args(AnonymousScope)) if self.loopback and not (web and web.users) else frozenset()


class Difference(Struct, frozen=True):
    """The names of the controllers that a reload touched."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
