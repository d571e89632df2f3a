"""
Scopes, and the config's ``tokens`` and ``users``. Only the digest of a token is kept, so no token can leak.

Knows no request: ``web.auth`` reads the credentials of a client.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec import field as key_of

from monitor.config import values
from monitor.config.reload_rules import LIVE
from monitor.config.validation import Rule, written_as

Scope = Literal["metrics", "read", "annotate", "adjust", "admin"]
"""What a client may do."""

AnonymousScope = Literal["metrics", "read"]
"""What a client without credentials may be allowed to do: never a change, which needs a name in the audit."""

ANONYMOUS: Final = "anonymous"
"""The name of a client without credentials; no token and no user may have it."""

_IMPLIED: Final[dict[Scope, frozenset[Scope]]] = {
    "metrics": frozenset({"metrics"}),
    "read": frozenset({"read"}),
    "annotate": frozenset({"annotate", "read"}),
    "adjust": frozenset({"adjust", "annotate", "read"}),
    "admin": frozenset({"admin", "adjust", "annotate", "read", "metrics"}),
}


class Token(Struct, frozen=True, kw_only=True):
    """One bearer token. ``digest``: its SHA-256, 32 bytes."""

    name: str
    digest: bytes
    scopes: frozenset[Scope]
    controllers: frozenset[str] | None = None
    """The controllers that it is for; None: all."""


class User(Struct, frozen=True, kw_only=True):
    """A user of the web configuration, which has the hash of the password."""

    name: str
    scopes: frozenset[Scope] = frozenset({"metrics"})  # what a user of any exporter may do
    controllers: frozenset[str] | None = None


_Scopes = Annotated[frozenset[Scope], LIVE, Meta(min_length=1, description="What it may do.")]
_Only = Annotated[
    frozenset[Annotated[str, written_as(values.NAME)]],
    LIVE,
    Meta(min_length=1, description="The controllers that it is for; all when not given."),
]


class TokenSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bearer token. Two may have one name, so that a token can be replaced without a gap."""

    name: Annotated[str, written_as(values.NAME), LIVE, Meta(description="The name of its owner in the audit.")]
    digest: Annotated[bytes, written_as(values.DIGEST), LIVE, Meta(description="The SHA-256 of the token.")] = key_of(
        name="sha256"
    )
    scopes: _Scopes
    controllers: _Only | UnsetType = UNSET


class UserSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One user of the web configuration; a user that is not listed has the scope metrics."""

    name: Annotated[
        str, written_as(values.NAME), LIVE, Meta(description="As in `basic_auth_users` of the web configuration.")
    ]
    scopes: _Scopes
    controllers: _Only | UnsetType = UNSET


def closure(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """Add what each scope includes: admin includes all, adjust includes annotate, annotate includes read."""
    return frozenset(each for scope in scopes for each in _IMPLIED[scope])


def digest_of(token: str) -> bytes:
    """Give the SHA-256 of a token, 32 bytes: all that is kept of it."""
    return sha256(token.encode()).digest()


def token_of(settings: TokenSettings) -> Token:
    """Give the token of these settings."""
    only = None if settings.controllers is UNSET else settings.controllers
    return Token(name=settings.name, digest=settings.digest, scopes=settings.scopes, controllers=only)


def user_of(settings: UserSettings) -> User:
    """Give the user of these settings."""
    only = None if settings.controllers is UNSET else settings.controllers
    return User(name=settings.name, scopes=settings.scopes, controllers=only)


def _not_empty(name: str) -> Rule:
    def check(settings: TokenSettings | UserSettings) -> str | None:
        return "found an empty list, expected at least one" if getattr(settings, name) == frozenset() else None

    return Rule(name, (name,), check)


def _check_name(settings: TokenSettings | UserSettings) -> str | None:
    if settings.name != ANONYMOUS:
        return None
    return f"found {ANONYMOUS}, expected another name: it means a client without credentials"


RULES: Final[dict[type, tuple[Rule, ...]]] = {
    struct: (Rule("name", ("name",), _check_name), _not_empty("scopes"), _not_empty("controllers"))
    for struct in (TokenSettings, UserSettings)
}
