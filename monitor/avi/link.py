"""What the client has learned of one Controller."""

from msgspec import Struct

from monitor.avi.login import AccountFacts


class Link(Struct, frozen=True):
    """It is copied into the `SessionHealth` of the controller."""

    version: str = ""
    api_version: str = ""
    logins: int = 0
    certificate_expires_at: float | None = None
    account: AccountFacts = AccountFacts()
    """What the last good log-in said of the account."""
    clock_ahead_s: float | None = None
    """By how much the Controller's clock was ahead of ours at the last good log-in."""
