"""
Who is logged in: accounts, sessions, CSRF tokens, lock-outs. Knows cookies and headers, but no socket and no image.

Sessions live in real seconds, not in simulated ones: a clock that runs twenty times too fast must log nobody out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from monitor.simulator.http_types import Call, Refusal
from monitor.simulator.random_values import Seeded
from monitor.simulator.specs import Account, ControllerSpec

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
COOKIE_NAMES = ("avi-sessionid", "sessionid")  # newer and older Controllers; both are set, either is accepted
CSRF_TEXT = "CSRF token missing or incorrect."
NO_SESSION_TEXT = "Authentication credentials were not provided."
LOCKED_TEXT = "Invalid credentials. The account is locked after too many failed log-ins."  # wording is a guess


class NotAuthenticated(Exception):
    """401 in plain text. ``session`` is there when it was only the CSRF token that was wrong."""

    def __init__(self, text: str, session: "Session | None" = None) -> None:
        super().__init__(text)
        self.text = text
        self.session = session


@dataclass(slots=True)
class Session:
    """One log-in. ``used_at`` and ``began_at`` are monotonic seconds."""

    sid: str
    csrf: str
    account: Account
    began_at: float
    used_at: float
    cookies: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Failures:
    count: int = 0
    locked_until: float = 0.0


@dataclass(slots=True)
class Sessions:
    """All sessions of one Controller, and the counters that tests look at."""

    spec: ControllerSpec
    accounts: list[Account]
    rng: Seeded
    now: Callable[[], float]
    secure: bool = False  # over plain HTTP the Secure flag has to go, or no client sends the cookies back
    live: dict[str, Session] = field(default_factory=dict)
    logins: int = 0
    failed_logins: int = 0
    logouts: int = 0
    _failures: dict[str, _Failures] = field(default_factory=dict)

    def log_in(self, username: str, secret: str) -> Session:
        """Raises: Refusal 401 ``Invalid credentials``, also while the account is locked."""
        failures = self._failures.setdefault(username, _Failures())
        if failures.locked_until > self.now():
            self.failed_logins += 1
            raise Refusal(401, LOCKED_TEXT)
        account = next((known for known in self.accounts if known.username == username), None)
        if account is None or not secret or secret not in {account.password, account.token}:
            self._failed(failures)
            raise Refusal(401, "Invalid credentials")
        self._failures.pop(username)
        self.logins += 1
        self._make_room()
        return self._open(account)

    def locked(self, username: str) -> bool:
        """Whether the account is locked at the moment."""
        return username in self._failures and self._failures[username].locked_until > self.now()

    def _failed(self, failures: _Failures) -> None:
        self.failed_logins += 1
        failures.count += 1
        if self.spec.lock_after and failures.count >= self.spec.lock_after:
            failures.locked_until = self.now() + self.spec.lock_s
            failures.count = 0

    def _make_room(self) -> None:
        while self.spec.max_sessions and len(self.live) >= self.spec.max_sessions:
            self.live.pop(next(iter(self.live)))

    def _open(self, account: Account) -> Session:
        now = self.now()
        session = Session(self.rng.token(), self.rng.token(), account, now, now)
        session.cookies = self._cookies(session)
        self.live[session.sid] = session
        return session

    def find(self, cookies: Mapping[str, str]) -> Session | None:
        """The live session behind the cookies of a request, marked as used; one that idled too long is dropped."""
        session = next((self.live[cookies[name]] for name in COOKIE_NAMES if cookies.get(name) in self.live), None)
        if session is None:
            return None
        now = self.now()
        if now - session.used_at > self.spec.idle_timeout_s or now - session.began_at > self.spec.force_timeout_s:
            del self.live[session.sid]
            return None
        session.used_at = now
        return session

    def admit(self, call: Call) -> Session:
        """Raises: NotAuthenticated without a session, or for a write without the CSRF token and a Referer."""
        session = self.find(call.cookies)
        if session is None:
            raise NotAuthenticated(NO_SESSION_TEXT)
        csrf_is_good = call.headers.get("X-CSRFToken") == session.csrf and call.headers.get("Referer")
        if call.method in WRITES and not csrf_is_good:
            raise NotAuthenticated(CSRF_TEXT, session)
        return session

    def log_out(self, session: Session) -> None:
        """End one session."""
        self.logouts += 1
        self.live.pop(session.sid, None)

    def expire(self) -> None:
        """End all sessions, without a word to anybody."""
        self.live.clear()

    def rotate_csrf(self) -> None:
        """Every session gets another CSRF token; clients learn of it from the cookies of the next reply."""
        for session in self.live.values():
            session.csrf = self.rng.token()
            session.cookies = self._cookies(session)

    def switched(self, session: Session) -> Session:
        """The session goes on under new cookies; the old ones are worth nothing from now on."""
        self.live.pop(session.sid, None)
        return self._open(session.account)

    def _cookies(self, session: Session) -> tuple[tuple[str, str], ...]:
        secure = "; Secure" if self.secure else ""
        csrf = f"csrftoken={session.csrf}; Max-Age=31449600; Path=/{secure}"
        sids = [f"{name}={session.sid}; HttpOnly; Max-Age=86400; Path=/{secure}" for name in COOKIE_NAMES]
        return tuple(("Set-Cookie", text) for text in (csrf, *sids))
