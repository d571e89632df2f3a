"""
Authentication and authorization of requests. Nothing else reads the header ``Authorization``.

An unknown credential is rejected, never treated as anonymous. Wrong credentials are limited by source. A known token,
and a password that was verified before, are accepted before the limit is checked, so that an attacker behind the same
address cannot lock out other clients.
"""

import math
from base64 import b64decode
from binascii import Error as Base64Error
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
from monitor.config.web_config import RateLimit
from monitor.config.web_tls import allows
from monitor.metrics.self_metrics import SelfMetrics
from monitor.web.auth.client_address import client_address
from monitor.web.auth.cross_site import check_host, check_origin
from monitor.web.auth.passwords import Passwords
from monitor.web.auth.throttle import Throttle, source_of
from monitor.web.problems import Problem

_REALM: Final = 'realm="avi-upgrade-monitor"'
_FAILURES: Final = 10  # in a row: enough for a person who mistypes, too few for a dictionary
_FAILURE_REFILL_S: Final = 6.0  # until one more attempt is allowed: 14,400 a day do not find a password
_CHANGE_REFILL_S: Final = 3.0  # each may take 40 KiB in database and log: about a gigabyte a day at the most

log = structlog.get_logger()


class Caller(Struct, frozen=True):
    """``scopes``: with all that they include. ``controllers``: those that are visible to the caller; None: all."""

    name: str
    scopes: frozenset[Scope]
    controllers: frozenset[str] | None = None

    def may(self, scope: Scope) -> bool:
        """Whether the caller has the scope."""
        return scope in self.scopes

    def sees(self, controller: str) -> bool:
        """Whether the controller is visible to the caller; if not, it does not exist in any response."""
        return self.controllers is None or controller in self.controllers


class _Bearer(Struct, frozen=True):
    digest: bytes
    scheme: str = "bearer"


class _Basic(Struct, frozen=True):
    user: str
    password: bytes
    scheme: str = "basic"


class _Malformed(Struct, frozen=True):
    scheme: Literal["bearer", "basic", "other"] = "other"


_Credential = _Bearer | _Basic | _Malformed


class Authenticator:
    """
    Finds the caller of a request, and checks its scopes, by the current configuration.

    ``clock``: monotonic seconds. ``max_changes``: how many a caller may make at once.
    """

    def __init__(
        self,
        config: Config,
        self_metrics: SelfMetrics,
        *,
        clock: Callable[[], float],
        passwords: Passwords | None = None,
        max_changes: int = 200,
    ) -> None:
        self._metrics = self_metrics
        self._failures = Throttle(clock, burst=_FAILURES, refill_s=_FAILURE_REFILL_S)
        self._changes = Throttle(clock, burst=max_changes, refill_s=_CHANGE_REFILL_S)
        self._passwords = passwords or Passwords()
        self._clock = clock
        self._rate_limit: RateLimit | None = None
        self._requests: Throttle | None = None
        self.set_config(config)

    def set_config(self, config: Config) -> None:
        """Use the tokens, users and web configuration of this configuration from now on."""
        self._callers = {user.name: _caller(user) for user in config.users}
        self._tokens = [(token.digest, _caller(token)) for token in config.tokens]
        self.web = config.web
        self._users = config.web.users if config.web else {}
        self._anonymous = Caller(ANONYMOUS, closure(config.anonymous_scopes))
        self._trusted_proxies = config.trusted_proxies
        self._server_names, self._loopback = config.server_names, config.loopback
        limit = config.web.rate_limit if config.web else None
        if limit != self._rate_limit:  # else a reload would fill the bucket
            self._rate_limit = limit
            self._requests = Throttle(self._clock, burst=limit.burst, refill_s=limit.interval_s) if limit else None

    def check_rate(self) -> None:
        """Count one request. Raises: Problem 429 when ``rate_limit`` of the web configuration does not allow it."""
        wait_s = self._requests.acquire("all") if self._requests is not None else 0.0  # an empty one is falsy
        if wait_s:
            detail = "there are more requests, of all clients together, than rate_limit in the web configuration allows"
            raise Problem("too-many-requests", detail, headers={hdrs.RETRY_AFTER: str(math.ceil(wait_s))})

    def check_site(self, request: web.Request) -> None:
        """Raises: Problem 421 or 403 for what the page of another site made a browser send."""
        check_host(request, self._server_names, loopback=self._loopback)
        check_origin(request, self._server_names)

    def check_client_certificate(self, request: web.Request) -> None:
        """Raises: Problem 403 when the web configuration does not allow any name of the client's certificate."""
        certificate = request.get_extra_info("peercert")
        if self.web and self.web.tls and not allows(self.web.tls, certificate):
            found = "the client certificate has none" if certificate else "there is no client certificate with one"
            raise Problem("forbidden", f"{found} of the names in client_allowed_sans")

    def client_address(self, request: web.Request) -> str:
        """Return the address of the client; of one behind a trusted proxy, what that says it is."""
        return client_address(
            request.remote or "", request.headers.getall(hdrs.X_FORWARDED_FOR, ()), self._trusted_proxies
        )

    async def authenticate(self, request: web.Request) -> Caller:
        """Return the caller. Raises: Problem 401 (unauthorized) or 429 (too-many-failures)."""
        headers = request.headers.getall(hdrs.AUTHORIZATION, ())
        if not headers:
            return self._anonymous
        credential = _decode_authorization(headers[0]) if len(headers) == 1 else _Malformed()
        caller = await self._find_known(credential)
        return caller or await self._verify(credential, source_of(self.client_address(request)))

    def authorize(self, caller: Caller, scope: Scope, what: str) -> None:
        """Raises: Problem 401 when an anonymous caller does not have the scope, 403 when any other does not."""
        if caller.may(scope):
            return
        if caller.name == ANONYMOUS:
            raise self._unauthorized(f"{what} needs the scope {scope}: send a token or a password that has it")
        has = ", ".join(sorted(caller.scopes))
        raise Problem("forbidden", f"{what} needs the scope {scope}; {caller.name} has {has}")

    def count_change(self, caller: Caller) -> None:
        """Raises: Problem 429 (too-many-changes): each change stays in the database and the log."""
        wait_s = self._changes.acquire(caller.name)
        if wait_s:
            detail = f"nothing was changed: {caller.name} has made too many changes; wait, or change less often"
            raise Problem("too-many-changes", detail, headers={hdrs.RETRY_AFTER: str(math.ceil(wait_s))})

    async def _find_known(self, credential: _Credential) -> Caller | None:
        """Return the caller of a known token or of a password that was verified before: both are cheap to check."""
        match credential:
            case _Bearer(digest):
                # All are compared, so that the response time does not reveal the position of a token.
                found = [caller for known, caller in self._tokens if compare_digest(known, digest)]
                return found[0] if found else None
            case _Basic(user, password) if await self._passwords.is_cached(user, password, self._users):
                return self._user(user)
            case _:
                return None

    async def _verify(self, credential: _Credential, source: str) -> Caller:
        """Check a password. It is counted as wrong first, so that parallel attempts do not evade the limit."""
        users = self._users
        basic = credential if isinstance(credential, _Basic) and users else None
        user = basic.user if basic else ""
        # A user that exists has attempts of its own: a flood of other names must not keep out a right password.
        counted = [source, *([f"{source} {user}"] if user in users else [])]
        wait_s = min([self._failures.acquire(key) for key in counted]) or float(self._passwords.is_busy(user, users))
        if wait_s:
            self._metrics.auth_failures.inc()
            detail = f"too many wrong credentials from {source}; this one was not checked"
            raise Problem("too-many-failures", detail, headers={hdrs.RETRY_AFTER: str(math.ceil(wait_s))})
        if basic and await self._passwords.verify(user, basic.password, users):
            for key in counted:
                self._failures.refund(key)
            return self._user(user)
        self._metrics.auth_failures.inc()
        log.warning("auth_failed", source=source, scheme=credential.scheme)
        raise self._unauthorized("the credentials are not known")

    def _user(self, name: str) -> Caller:
        return self._callers.get(name) or _caller(User(name=name))

    def _unauthorized(self, detail: str) -> Problem:
        headers = CIMultiDict({hdrs.WWW_AUTHENTICATE: f"Bearer {_REALM}"})
        if self._users:  # a header of its own: browsers read only the first challenge of a header
            headers.add(hdrs.WWW_AUTHENTICATE, f'Basic {_REALM}, charset="UTF-8"')
        return Problem("unauthorized", detail, headers=headers)


def _caller(configured: Token | User) -> Caller:
    return Caller(configured.name, closure(configured.scopes), configured.controllers)


def _decode_authorization(header: str) -> _Credential:
    """Decode by RFC 6750 and RFC 7617. aiohttp decodes bytes that are not UTF-8 to surrogates; this restores them."""
    scheme, _, rest = header.strip().partition(" ")
    text = rest.strip().encode("utf-8", "surrogateescape")
    match scheme.lower():
        case "bearer":
            return _Bearer(sha256(text).digest()) if text else _Malformed("bearer")
        case "basic":
            return _decode_basic(text)
        case _:
            return _Malformed()


def _decode_basic(text: bytes) -> _Basic | _Malformed:
    try:
        user, colon, password = b64decode(text, validate=True).partition(b":")
        return _Basic(user.decode(), password) if colon else _Malformed("basic")
    except (Base64Error, UnicodeDecodeError):
        return _Malformed("basic")
