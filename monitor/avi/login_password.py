"""
The password of one account on one Controller, and whether it may be tried. Sends nothing.

A Controller locks an account after a few refusals, three at the fewest. So a refused password is not tried again, with
one exception: while the Controllers are upgraded, their portal starts before its users are known, and refuses what it
accepted before.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from monitor.config.types import SecretSource
from monitor.model.errors import LoginRefused, PollError, Unavailable
from monitor.model.secret import Secret

RETRY_AFTER_S: Final = 120.0
"""How soon a password is tried again that was refused because of an upgrade."""

_EXCUSED_FOR_S: Final = 900.0  # after an upgrade was last known to be under way
_KNOWN_GOOD_FOR_S: Final = 86_400.0  # after the Controller last accepted the password


class UpgradeWindow:
    """When an upgrade of one Controller was last known to be under way, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.seen_at = -inf


class LoginPassword:
    """``source``: where the password is. ``upgrade``: of the Controller. ``monotonic``: seconds."""

    def __init__(self, source: SecretSource, upgrade: UpgradeWindow, *, monotonic: Callable[[], float]) -> None:
        self._source = source
        self._upgrade = upgrade
        self._monotonic = monotonic
        self._password: Secret | None = None
        self._refused: Secret | None = None
        self._excused: Secret | None = None
        """The password that was refused once because of an upgrade, and not accepted since."""
        self._retry_at = -inf
        self._accepted: Secret | None = None
        self._accepted_at = -inf

    def read(self) -> Secret:
        """
        Return the password to log in with. If its file is empty, it is being rewritten: the last password is returned.

        Raises: LoginRefused when there is none, or the Controller refused it; Unavailable when it is not yet time to
        try it again.
        """
        self._password = self._source.read() or self._password
        if self._password is None:
            detail = f"no password: {self._source} is empty, missing or unreadable"
            raise LoginRefused("auth", detail, phase="login")
        if self._password == self._refused:
            raise LoginRefused("auth", "suspended: the Controller refused this password; change it", phase="login")
        wait_s = self._retry_at - self._monotonic()
        if self._password == self._excused and wait_s > 0:
            raise _not_yet("the Controller refused the password during an upgrade", wait_s)
        return self._password

    def accepted(self) -> None:
        """Note that the Controller accepted the password. One that was refused earlier may be valid again, too."""
        self._accepted, self._refused, self._excused = self._password, None, None
        self.used()

    def used(self) -> None:
        """Note that the Controller accepted a request in the session that began with the password."""
        self._accepted_at = self._monotonic()

    def refused(self, error: LoginRefused) -> PollError:
        """Note that the Controller refused the password. Returns: the error to raise."""
        now = self._monotonic()
        is_upgrade = now - self._upgrade.seen_at <= _EXCUSED_FOR_S
        was_good = self._password == self._accepted and now - self._accepted_at <= _KNOWN_GOOD_FOR_S
        if is_upgrade and was_good and self._password != self._excused:
            self._excused, self._retry_at = self._password, now + RETRY_AFTER_S
            return _not_yet(error.detail, RETRY_AFTER_S)
        self._refused, self._excused = self._password, None
        return error

    def note_upgrade(self) -> None:
        """Note that an upgrade of the Controller is under way at present."""
        self._upgrade.seen_at = self._monotonic()

    def inherit(self, before: "LoginPassword") -> None:
        """Know what was known of the password of the same account, before its settings changed."""
        self._refused, self._excused, self._retry_at = before._refused, before._excused, before._retry_at  # noqa: SLF001
        self._accepted, self._accepted_at = before._accepted, before._accepted_at  # noqa: SLF001


def _not_yet(why: str, wait_s: float) -> Unavailable:
    detail = f"{why}; it is tried once more in {wait_s:.0f} s"
    return Unavailable("upgrading", detail, phase="login", retry_after_s=wait_s)
