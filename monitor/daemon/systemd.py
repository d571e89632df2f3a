"""
The service manager: what it wants of us, what it hears, and the socket that it passes.

See sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3). A variable that is meant for another process, or is badly
written, is ignored: what leaked must not stop anything. The watchdog is fed as long as ``ailing`` knows of nothing: the
heart beats, and no poller is behind. The loop here only sets the pace at which it is asked. Nothing here fails the
daemon.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from socket import AF_INET, AF_INET6, AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, socket
from typing import Final

import structlog
from msgspec import Struct

from monitor.model.errors import MonitorError
from monitor.model.snapshot import Snapshot
from monitor.model.tracked import Tracked
from monitor.polling.fleet import Entry, Fleet

_EVERY_S = 10.0  # the status is for people; a watchdog that waits less than twice as long is told more often

log = structlog.get_logger()


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


def inherited(count: int) -> socket | None:
    """
    Take the socket that a service manager opened for us; None when there is none. Called once.

    Raises: MonitorError when there are several, or it is none for TCP.
    """
    if not count:
        return None
    if count > 1:
        raise MonitorError(f"found {count} sockets from the service manager, expected one: a single ListenStream=")
    with suppress(OSError):  # the descriptor may not even be open
        passed = socket(fileno=FIRST_SOCKET)
        passed.set_inheritable(False)
        if passed.type == SOCK_STREAM and passed.family in {AF_INET, AF_INET6}:
            return passed
        passed.detach()
    raise MonitorError("what the service manager passed is no TCP socket: expected ListenStream= with a port")


class Notifier:
    """Tells the ``supervisor``. ``ailing``: why the daemon does not go on as it should; empty when it does."""

    def __init__(self, supervisor: Supervisor, fleet: Fleet, *, ailing: Callable[[], str]) -> None:
        self._supervisor = supervisor
        self._fleet = fleet
        self._ailing = ailing
        self._tally = Tally()
        self._ailment = ""
        self._status = ""

    def ready(self) -> None:
        """Started, or a reload is over, well or not."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """A reload begins; ``ready`` ends it. Dated, so that it cannot be taken for an earlier one."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    async def run(self) -> None:
        """Report for ever."""
        waits_s = self._supervisor.watchdog_s
        every_s = min(_EVERY_S, waits_s / 2) if waits_s else _EVERY_S  # half, as sd_watchdog_enabled(3) advises
        while True:
            self._report()
            await asyncio.sleep(every_s)

    def _report(self) -> None:
        ailment = self._ailing()
        if ailment and not self._ailment:
            log.error("stuck", cause=ailment)
        if self._ailment and not ailment:
            log.info("unstuck")
        self._ailment = ailment
        status = f"stuck: {ailment}" if ailment else self._tally.line(self._fleet.entries)
        said = [f"STATUS={status}"] if status != self._status else []
        self._status = status
        self._tell(*said, *(() if ailment else ("WATCHDOG=1",)))

    def _tell(self, *lines: str) -> None:
        if not lines or not self._supervisor.notify:
            return
        with suppress(OSError), socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC) as sender:
            sender.sendto("\n".join(lines).encode(), self._supervisor.notify)


class Tally:
    """The fleet in one line. Images that are what they were are not counted again: there may be many thousands."""

    def __init__(self) -> None:
        self._counted: Mapping[str, tuple[Snapshot[Tracked], int]] = {}

    def line(self, entries: Mapping[str, Entry]) -> str:
        """``48/50 controllers up, 2 uploads active``: active as far as is known now, of no controller that is stale."""
        self._counted = {name: self._count(entry) for name, entry in entries.items()}
        up = sum(entry.session.up for entry in entries.values())
        active = sum(
            number for name, (_, number) in self._counted.items() if not entries[name].collections["image"].health.stale
        )
        return f"{up}/{len(entries)} controllers up, {active} upload{'s' * (active != 1)} active"

    def _count(self, entry: Entry) -> tuple[Snapshot[Tracked], int]:
        known, snapshot = self._counted.get(entry.name), entry.collections["image"].snapshot
        if known and known[0] is snapshot:
            return known
        return snapshot, sum(tracked.object.active for tracked in snapshot.objects.values())
