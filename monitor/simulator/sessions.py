"""
Accounts, sessions, CSRF tokens and lock-outs of one Controller. Knows cookies and headers, but no socket and no image.

Times are real seconds, not simulated ones: a clock that runs twenty times too fast must not end sessions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from monitor.simulator.http_types import ApiError, HttpRequest
from monitor.simulator.random_values import SeededRandom
from monitor.simulator.specs import Account, ControllerSpec

WRITE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
COOKIE_NAMES = ("avi-sessionid", "sessionid")  # of newer and older Controllers; both are set, one is enough
CSRF_TEXT = "CSRF token missing or incorrect."
NO_SESSION_TEXT = "Authentication credentials were not provided."
LOCKED_TEXT = "Invalid credentials. The account is locked after too many failed log-ins."  # the real text is unknown


class NotAuthenticated(Exception):
    """401 in plain text. ``session``: the session of the client, where only its CSRF token was wrong."""

    def __init__(self, text: str, session: "Session | None" = None) -> None:
        super().__init__(text)
        self.text = text
        self.session = session


@dataclass(slots=True)
class Session:
    """One log-in. Times are monotonic seconds."""

    session_id: str
    csrf: str
    account: Account
    created_at: float
    used_at: float
    cookies: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _FailedLogins:
    count: int = 0
    locked_until: float = 0.0


@dataclass(slots=True)
class Sessions:
    """The sessions of one Controller by session id, and counters for tests."""

    spec: ControllerSpec
    accounts: list[Account]
    rng: SeededRandom
    now: Callable[[], float]
    secure: bool = False  # False over plain HTTP: no client returns a Secure cookie there
    active: dict[str, Session] = field(default_factory=dict)
    logins: int = 0
    failed_logins: int = 0
    logouts: int = 0
    _failed: dict[str, _FailedLogins] = field(default_factory=dict)

    def log_in(self, username: str, secret: str) -> Session:
        """Start a session. Raises: ApiError 401; also for the right password while the account is locked."""
        failed = self._failed.setdefault(username, _FailedLogins())
        if failed.locked_until > self.now():
            self.failed_logins += 1
            raise ApiError(401, LOCKED_TEXT)
        account = next((known for known in self.accounts if known.username == username), None)
        if account is None or not secret or secret not in {account.password, account.token}:
            self._count_failure(failed)
            raise ApiError(401, "Invalid credentials")
        self._failed.pop(username)
        self.logins += 1
        while self.spec.max_sessions and len(self.active) >= self.spec.max_sessions:
            self.active.pop(next(iter(self.active)))
        return self._start(account)

    def locked(self, username: str) -> bool:
        """Whether the account is locked at the moment."""
        return username in self._failed and self._failed[username].locked_until > self.now()

    def _count_failure(self, failed: _FailedLogins) -> None:
        self.failed_logins += 1
        failed.count += 1
        if self.spec.lock_after and failed.count >= self.spec.lock_after:
            failed.locked_until = self.now() + self.spec.lock_s
            failed.count = 0

    def _start(self, account: Account) -> Session:
        now = self.now()
        session = Session(self.rng.token(), self.rng.token(), account, now, now)
        session.cookies = self._cookies(session)
        self.active[session.session_id] = session
        return session

    def find(self, cookies: Mapping[str, str]) -> Session | None:
        """Return the session of these cookies and note its use; end it when it was idle or alive for too long."""
        session = next((self.active[cookies[name]] for name in COOKIE_NAMES if cookies.get(name) in self.active), None)
        if session is None:
            return None
        now = self.now()
        if now - session.used_at > self.spec.idle_timeout_s or now - session.created_at > self.spec.force_timeout_s:
            del self.active[session.session_id]
            return None
        session.used_at = now
        return session

    def authenticate(self, request: HttpRequest) -> Session:
        """Raises: NotAuthenticated without a session, or for a write without CSRF token or Referer."""
        session = self.find(request.cookies)
        if session is None:
            raise NotAuthenticated(NO_SESSION_TEXT)
        csrf_is_good = request.headers.get("X-CSRFToken") == session.csrf and request.headers.get("Referer")
        if request.method in WRITE_METHODS and not csrf_is_good:
            raise NotAuthenticated(CSRF_TEXT, session)
        return session

    def log_out(self, session: Session) -> None:
        """End one session."""
        self.logouts += 1
        self.active.pop(session.session_id, None)

    def expire(self) -> None:
        """End all sessions; clients learn of it from the next 401."""
        self.active.clear()

    def rotate_csrf(self) -> None:
        """Give every session another CSRF token; clients receive it in the cookies of the next response."""
        for session in self.active.values():
            session.csrf = self.rng.token()
            session.cookies = self._cookies(session)

    def switch(self, session: Session) -> Session:
        """Replace the session by one with new cookies; the old cookies are no longer valid."""
        self.active.pop(session.session_id, None)
        return self._start(session.account)

    def _cookies(self, session: Session) -> tuple[tuple[str, str], ...]:
        secure = "; Secure" if self.secure else ""
        csrf = f"csrftoken={session.csrf}; Max-Age=31449600; Path=/{secure}"
        ids = [f"{name}={session.session_id}; HttpOnly; Max-Age=86400; Path=/{secure}" for name in COOKIE_NAMES]
        return tuple(("Set-Cookie", text) for text in (csrf, *ids))
