"""
Who started us, as a service manager says it in the environment: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).

Pure. What is said to another process, or badly, is not said to us: a variable that leaked must not stop anything.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

FIRST_SOCKET: Final = 3  # the descriptor after standard error, by the protocol


class Supervisor(Struct, frozen=True, kw_only=True):
    """What the service manager wants and gives. Nothing at all, where a person started us."""

    notify: str = ""
    """The address of the socket where he hears us; empty: he does not want to."""
    watchdog_s: float | None = None
    """How long he waits for a sign of life; None: he does not."""
    sockets: int = 0
    """How many he opened for us, from ``FIRST_SOCKET`` on."""


def supervisor_of(environ: Mapping[str, str], *, pid: int) -> Supervisor:
    """Read what is meant for the process ``pid``."""
    watching = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
    waits_us = _number(environ.get("WATCHDOG_USEC", "")) if watching else 0
    passed = environ.get("LISTEN_PID") == str(pid)
    return Supervisor(
        notify=_address(environ.get("NOTIFY_SOCKET", "")),
        watchdog_s=waits_us / 1e6 if waits_us else None,
        sockets=_number(environ.get("LISTEN_FDS", "")) if passed else 0,
    )


def _address(written: str) -> str:
    """As a socket takes it: a path, or, written with ``@``, a name in the kernel's abstract space."""
    if written.startswith("@"):
        return f"\0{written[1:]}"
    return written if written.startswith("/") else ""  # vsock: and the like are for virtual machines


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0  # of 64 bits, all of them
