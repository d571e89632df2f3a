"""
Who may do what: scopes, and the config's ``tokens`` and ``users``. Only digests are kept of a token, so none can leak.

Knows no request: what a caller shows at the door is read in ``web.auth``.
"""

from collections.abc import Collection, Iterable, Iterator
from hashlib import sha256
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec import field as key_of

from monitor.config import values
from monitor.config.validation import Rule, kind, printable, quoted
from monitor.config.web_config import WebConfig

Scope = Literal["metrics", "read", "annotate", "adjust", "admin"]
"""What somebody may do at our door."""

AnonymousScope = Literal["metrics", "read"]
"""What may be given to callers that nobody knows; whoever changes something shows who he is."""

ANONYMOUS: Final = "anonymous"
"""The name of whoever shows nothing; nobody else may be called so."""

_IMPLIED: Final[dict[Scope, frozenset[Scope]]] = {
    "metrics": frozenset({"metrics"}),
    "read": frozenset({"read"}),
    "annotate": frozenset({"annotate", "read"}),
    "adjust": frozenset({"adjust", "annotate", "read"}),
    "admin": frozenset({"admin", "adjust", "annotate", "read", "metrics"}),
}


class Token(Struct, frozen=True, kw_only=True):
    """Somebody who shows a text that only he has. ``digest``: its SHA-256, 32 bytes."""

    name: str
    digest: bytes
    scopes: frozenset[Scope]
    controllers: frozenset[str] | None = None
    """Which of them it is for; None: all."""


class User(Struct, frozen=True, kw_only=True):
    """Somebody who shows a password of the web configuration, where his hash is."""

    name: str
    scopes: frozenset[Scope] = frozenset({"metrics"})  # what every exporter gives
    controllers: frozenset[str] | None = None


_Scopes = Annotated[frozenset[Scope], Meta(min_length=1, description="What it may do.")]
_Only = Annotated[
    frozenset[Annotated[str, kind(values.NAME)]],
    Meta(min_length=1, description="The controllers that it is for; all when not given."),
]


class TokenSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bearer token. Two of one name may live at once, so that one can follow the other."""

    name: Annotated[str, kind(values.NAME), Meta(description="Who has it, as the audit names him.")]
    digest: Annotated[bytes, kind(values.DIGEST), Meta(description="The SHA-256 of the token.")] = key_of(name="sha256")
    scopes: _Scopes
    controllers: _Only | UnsetType = UNSET


class UserSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One user of the web configuration; one that is not listed has the scope metrics."""

    name: Annotated[str, kind(values.NAME), Meta(description="As in `basic_auth_users` of the web configuration.")]
    scopes: _Scopes
    controllers: _Only | UnsetType = UNSET


def closure(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """Add what each scope includes: admin has all, adjust may annotate, and who may annotate may read."""
    return frozenset(each for scope in scopes for each in _IMPLIED[scope])


def digest_of(token: str) -> bytes:
    """Give what is kept of a token."""
    return sha256(token.encode()).digest()


def token_of(settings: TokenSettings) -> Token:
    """One token as it was configured."""
    only = None if settings.controllers is UNSET else settings.controllers
    return Token(name=settings.name, digest=settings.digest, scopes=settings.scopes, controllers=only)


def user_of(settings: UserSettings) -> User:
    """One user as he was configured."""
    only = None if settings.controllers is UNSET else settings.controllers
    return User(name=settings.name, scopes=settings.scopes, controllers=only)


_Entries = Iterable[TokenSettings | UserSettings]  # where the file has problems, an element or a field may be UNSET


def clashes(key: str, entries: _Entries, field: str) -> Iterator[str]:
    """Every entry whose ``field``, by its key in the file, is that of one before it. It is not shown."""
    first: dict[object, int] = {}
    for place, entry in enumerate(entries):
        value = getattr(entry, "digest" if field == "sha256" else field, UNSET)
        if value in first:
            yield f"{key}[{place}].{field}: found that of {key}[{first[value]}] again, expected one of its own"
        if value is not UNSET:
            first.setdefault(value, place)


def missing(users: Iterable[UserSettings], web: WebConfig | None) -> Iterator[str]:
    """Every user whom the web configuration does not know: he could never come in."""
    where = f"a user of {printable(str(web.path))}" if web else "no users where no web configuration is named"
    for place, user in enumerate(users):
        name = getattr(user, "name", UNSET)
        if name is not UNSET and not (web and name in web.users):
            yield f"users[{place}].name: found {quoted(name)}, expected {where}"


def strangers(key: str, entries: _Entries, known: Collection[str]) -> Iterator[str]:
    """Every controller that an entry is limited to and that is not configured. Asked of good entries only."""
    for place, entry in enumerate(entries):
        for name in sorted(set() if entry.controllers is UNSET else entry.controllers - set(known)):
            yield f"{key}[{place}].controllers: found {quoted(name)}, expected the name of a configured controller"


def _empty(name: str) -> Rule:
    def broken(settings: TokenSettings | UserSettings) -> str | None:
        return "found an empty list, expected at least one" if getattr(settings, name) == frozenset() else None

    return Rule(name, (name,), broken)


def _named_anonymous(settings: TokenSettings | UserSettings) -> str | None:
    return f"found {ANONYMOUS}, expected a name that tells who it is" if settings.name == ANONYMOUS else None


RULES: Final[dict[type, tuple[Rule, ...]]] = {
    struct: (Rule("name", ("name",), _named_anonymous), _empty("scopes"), _empty("controllers"))
    for struct in (TokenSettings, UserSettings)
}
