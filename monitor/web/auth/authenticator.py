"""
The door: who a caller is, and what he may do. The only reader of ``Authorization``.

Whoever shows a credential that is not known is refused, never taken for anonymous. Wrong ones are limited by source;
a right token, and a password that was right before, always come in, so that nobody can lock those out.
"""

import math
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Literal

import structlog
from aiohttp import hdrs, web
from msgspec import Struct
from multidict import CIMultiDict

from monitor.config.access import ANONYMOUS, Scope, Token, User, closure
from monitor.config.types import Config
from monitor.config.web_config import WebConfig, allows
from monitor.metrics.self_metrics import SelfMetrics
from monitor.web.auth.passwords import Passwords
from monitor.web.auth.throttle import FailureThrottle, source_of
from monitor.web.problems import Problem

_REALM: Final = 'realm="avi-upgrade-monitor"'

log = structlog.get_logger()


class Caller(Struct, frozen=True):
    """Who asks. ``scopes``: with all that they include. ``controllers``: which he may see; None: all."""

    name: str
    scopes: frozenset[Scope]
    controllers: frozenset[str] | None = None

    def may(self, scope: Scope) -> bool:
        """Whether he has the scope."""
        return scope in self.scopes

    def sees(self, controller: str) -> bool:
        """Whether the controller exists for him."""
        return self.controllers is None or controller in self.controllers


class _Bearer(Struct, frozen=True):
    digest: bytes
    scheme: str = "bearer"


class _Basic(Struct, frozen=True):
    user: str
    password: bytes
    scheme: str = "basic"


class _Unreadable(Struct, frozen=True):
    scheme: Literal["bearer", "basic", "other"] = "other"


_Shown = _Bearer | _Basic | _Unreadable


class Authenticator:
    """Made once; ``renew`` gives it another web configuration. ``clock``: seconds that never go back."""

    def __init__(self, config: Config, own: SelfMetrics, *, clock: Callable[[], float]) -> None:
        self._own = own
        self._failures = FailureThrottle(clock)
        self._passwords = Passwords()
        self.adopt(config)

    def adopt(self, config: Config) -> None:
        """Let in those of this configuration from now on."""
        self._config = config
        self._callers = {each.name: _caller(each) for each in config.users}
        self._tokens = [(each.digest, _caller(each)) for each in config.tokens]
        self.renew(config.web)

    def renew(self, web: WebConfig | None) -> None:
        """Let in those of this web configuration from now on."""
        self.web = web
        self._users = web.users if web else {}
        self._anonymous = Caller(ANONYMOUS, closure(self._config.anonymous_beside(web)))

    def inspect(self, request: web.Request) -> None:
        """Raises: Problem 403 when the client's certificate is good but for nobody whom we let in."""
        shown = request.get_extra_info("peercert")
        if self.web and self.web.tls and not allows(self.web.tls, shown):
            raise Problem("forbidden", "the client certificate has none of the names that may come in")

    async def admit(self, request: web.Request) -> Caller:
        """Tell who asks. Raises: Problem 401 (unauthorized) or 429 (too-many-failures)."""
        given = request.headers.getall(hdrs.AUTHORIZATION, ())
        if not given:
            return self._anonymous
        shown = _read(given[0]) if len(given) == 1 else _Unreadable()
        return await self._known(shown) or await self._tried(shown, source_of(request.remote))

    def demand(self, caller: Caller, scope: Scope, what: str) -> None:
        """Raises: Problem 401 when nobody who may this is known yet, 403 when the caller is known and may not."""
        if caller.may(scope):
            return
        if caller.name == ANONYMOUS:
            raise self._unauthorized(f"{what} needs the scope {scope}: show a token or a password that has it")
        has = ", ".join(sorted(caller.scopes))
        raise Problem("forbidden", f"{what} needs the scope {scope}; {caller.name} has {has}")

    async def _known(self, shown: _Shown) -> Caller | None:
        """Whom it costs next to nothing to know."""
        match shown:
            case _Bearer(digest):
                # Every one is compared, so that the time tells nothing of where it was found.
                found = [caller for known, caller in self._tokens if compare_digest(known, digest)]
                return found[0] if found else None
            case _Basic(user, password) if await self._passwords.remembers(user, password, self._users):
                return self._user(user)
            case _:
                return None

    async def _tried(self, shown: _Shown, source: str) -> Caller:
        """The others: counted as failed first, so that many at once are no way around the count."""
        wait_s = self._failures.take(source) or float(self._passwords.busy)
        if wait_s:
            self._own.auth_failures.inc()
            detail = f"too many credentials from {source} were wrong; this one was not looked at"
            raise Problem("too-many-failures", detail, headers={hdrs.RETRY_AFTER: str(math.ceil(wait_s))})
        users = self._users
        if isinstance(shown, _Basic) and users and await self._passwords.check(shown.user, shown.password, users):
            self._failures.give_back(source)
            return self._user(shown.user)
        self._own.auth_failures.inc()
        log.warning("auth_failed", source=source, scheme=shown.scheme)
        raise self._unauthorized("these credentials are not known here")

    def _user(self, name: str) -> Caller:
        return self._callers.get(name) or _caller(User(name=name))

    def _unauthorized(self, detail: str) -> Problem:
        headers = CIMultiDict({hdrs.WWW_AUTHENTICATE: f"Bearer {_REALM}"})
        if self._users:  # on a line of its own: browsers read but the first challenge of one
            headers.add(hdrs.WWW_AUTHENTICATE, f'Basic {_REALM}, charset="UTF-8"')
        return Problem("unauthorized", detail, headers=headers)


def _caller(known: Token | User) -> Caller:
    return Caller(known.name, closure(known.scopes), known.controllers)


def _read(header: str) -> _Shown:
    """RFC 6750 and RFC 7617. Bytes that are no UTF-8 come from aiohttp as surrogates, and go back as what they were."""
    scheme, _, rest = header.strip().partition(" ")
    text = rest.strip().encode("utf-8", "surrogateescape")
    match scheme.lower():
        case "bearer":
            return _Bearer(sha256(text).digest()) if text else _Unreadable("bearer")
        case "basic":
            return _read_basic(text)
        case _:
            return _Unreadable()


def _read_basic(text: bytes) -> _Basic | _Unreadable:
    try:
        user, colon, password = b64decode(text, validate=True).partition(b":")
        return _Basic(user.decode(), password) if colon else _Unreadable("basic")
    except (NoBase64, UnicodeDecodeError):
        return _Unreadable("basic")
