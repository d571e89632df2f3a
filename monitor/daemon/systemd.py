"""
What the service manager hears of us: ready, reloading, stopping, how it goes, and that we live. See sd_notify(3).

That we live is said as long as ``ailing`` knows of nothing: the heart beats, and no poller is behind. The loop here
only sets the pace at which it is asked; a daemon whose timers run while its polls do not falls silent, to be restarted.
Nothing here fails the daemon: whoever does not listen misses something, no more.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, socket

import structlog

from monitor.daemon.supervisor import Supervisor
from monitor.model.snapshot import Snapshot
from monitor.polling.fleet import Entry, Fleet

_EVERY_S = 10.0  # the status is for people; a watchdog that waits less than twice as long is told more often

log = structlog.get_logger()


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
        self._counted: Mapping[str, tuple[Snapshot, int]] = {}

    def line(self, entries: Mapping[str, Entry]) -> str:
        """``48/50 controllers up, 2 uploads active``: active as far as is known now, of no controller that is stale."""
        self._counted = {name: self._count(entry) for name, entry in entries.items()}
        up = sum(entry.health.up for entry in entries.values())
        active = sum(number for name, (_, number) in self._counted.items() if not entries[name].health.stale)
        return f"{up}/{len(entries)} controllers up, {active} upload{'s' * (active != 1)} active"

    def _count(self, entry: Entry) -> tuple[Snapshot, int]:
        known = self._counted.get(entry.name)
        if known and known[0] is entry.snapshot:
            return known
        return entry.snapshot, sum(track.image.active for track in entry.snapshot.images.values())
