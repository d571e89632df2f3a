"""
The service manager: what it tells us in the environment, what we tell it, and the socket that it passes.

See sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3). A variable that is meant for another process, or is
malformed, is ignored: a leaked variable must not stop the daemon. No failure here does. The watchdog is notified while
``stall_reason`` gives none: the heartbeat ticks, and no poller is overdue.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from socket import AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM, socket
from typing import Final

import structlog
from msgspec import Struct

from monitor.model.errors import MonitorError
from monitor.model.snapshot import Snapshot
from monitor.model.tracked import Tracked
from monitor.polling.fleet import Entry, Fleet

_STATUS_INTERVAL_S = 10.0  # people read the status; a watchdog of less than twice this is notified more often

log = structlog.get_logger()


FIRST_SOCKET: Final = 3  # the descriptor after standard error, by the protocol


class ServiceManager(Struct, frozen=True, kw_only=True):
    """What the service manager wants and gives; the defaults: there is none."""

    notify: str = ""
    """The address of its notification socket; empty: none."""
    watchdog_s: float | None = None
    """The longest time between two signs of life; None: it needs none."""
    sockets: int = 0
    """How many sockets it opened for us, from ``FIRST_SOCKET`` on."""


def read_service_manager(environ: Mapping[str, str], *, pid: int) -> ServiceManager:
    """Read the variables that are meant for the process ``pid``."""
    watchdog_for_us = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
    watchdog_us = _number(environ.get("WATCHDOG_USEC", "")) if watchdog_for_us else 0
    sockets_for_us = environ.get("LISTEN_PID") == str(pid)
    return ServiceManager(
        notify=_address(environ.get("NOTIFY_SOCKET", "")),
        watchdog_s=watchdog_us / 1e6 if watchdog_us else None,
        sockets=_number(environ.get("LISTEN_FDS", "")) if sockets_for_us else 0,
    )


def _address(text: str) -> str:
    """Give the address as a socket takes it: a path or, written with ``@``, a name in the kernel's abstract space."""
    if text.startswith("@"):
        return f"\0{text[1:]}"
    return text if text.startswith("/") else ""  # vsock: and the like are for virtual machines


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0  # of 64 bits


def take_passed_socket(count: int) -> socket | None:
    """
    Take the socket that a service manager opened for us; None when there is none. Called once.

    Raises: MonitorError when there are several, or it is not a TCP socket.
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
    raise MonitorError(
        "the service manager passed something other than a TCP socket: expected ListenStream= with a port"
    )


class StatusReporter:
    """
    Reports the state of the daemon to the service manager; that it has stalled, or recovered, to the log, too.

    ``stall_reason``: why the daemon has stalled; empty while it has not. ``not_ready_reason``: as ``/-/ready`` has it.
    """

    def __init__(
        self,
        manager: ServiceManager,
        fleet: Fleet,
        *,
        stall_reason: Callable[[], Awaitable[str]],
        not_ready_reason: Callable[[], str],
    ) -> None:
        self._manager = manager
        self._fleet = fleet
        self._stall_reason = stall_reason
        self._not_ready_reason = not_ready_reason
        self._summary = FleetSummary()
        self._stalled = ""
        self._status = ""

    def ready(self) -> None:
        """Started, or a reload has ended, successful or not."""
        self._send("READY=1")

    def reloading(self) -> None:
        """A reload begins; ``ready`` ends it. The timestamp tells it from an earlier one."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon is ending."""
        self._send("STOPPING=1")

    async def run(self) -> None:
        """Send status and signs of life until cancelled."""
        watchdog_s = self._manager.watchdog_s
        # Half the time, as sd_watchdog_enabled(3) advises.
        interval_s = min(_STATUS_INTERVAL_S, watchdog_s / 2) if watchdog_s else _STATUS_INTERVAL_S
        while True:
            await self._report()
            await asyncio.sleep(interval_s)

    async def _report(self) -> None:
        stalled = await self._stall_reason()
        if stalled and not self._stalled:
            log.error("poller_stuck", cause=stalled)
        if self._stalled and not stalled:
            log.info("poller_recovered")
        self._stalled = stalled
        status = f"stuck: {stalled}" if stalled else self._status_of_polls()
        lines = [f"STATUS={status}"] if status != self._status else []
        self._status = status
        self._send(*lines, *(() if stalled else ("WATCHDOG=1",)))

    def _status_of_polls(self) -> str:
        if reason := self._not_ready_reason():
            return f"not ready: {reason}"
        return self._summary.line(self._fleet.entries)

    def _send(self, *lines: str) -> None:
        if not lines or not self._manager.notify:
            return
        with suppress(OSError), socket(AF_UNIX, SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(), self._manager.notify)


class FleetSummary:
    """The fleet in one line. A snapshot that has not changed is not counted again: it may have many thousand images."""

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
