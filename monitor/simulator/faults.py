"""Faults on order: what has been ordered, and which of it hits a request; what each does stands in ``kinds.py``."""

import asyncio
from collections.abc import Collection

import msgspec

from monitor.simulator.http_types import Call


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    One thing that goes wrong.

    ``times``: how many matching requests it hits; None = all, until cleared. ``path`` and everything below it; ``/``
    is everything. ``method`` empty: any. ``seconds``, ``size`` and ``value`` mean what the kind says, and None is the
    kind's own default. Faults that alter an image alter the first, or ``all``.
    """

    kind: str
    times: int | None = None
    path: str = "/api/image"
    method: str = ""
    seconds: float | None = None
    size: int | None = None
    value: str | None = None
    all: bool = False

    def matches(self, call: Call) -> bool:
        """Whether the call is one of those that are meant."""
        below = self.path.rstrip("/")
        return call.method.startswith(self.method) and (call.path == below or call.path.startswith(f"{below}/"))


class Faults:
    """The faults of one Controller, in the order in which they were ordered; one request may meet several."""

    def __init__(self, kinds: Collection[str]) -> None:
        self._kinds = kinds
        self._ordered: list[tuple[Fault, int | None]] = []
        self._cleared = asyncio.Event()

    @property
    def ordered(self) -> tuple[Fault, ...]:
        """What is still to come, with the times that are left."""
        return tuple(msgspec.structs.replace(fault, times=left) for fault, left in self._ordered)

    def order(self, fault: Fault) -> None:
        """Raises: ValueError for a kind that does not exist."""
        if fault.kind not in self._kinds:
            message = f"no such fault: {fault.kind}; there are {', '.join(sorted(self._kinds))}"
            raise ValueError(message)
        self._ordered.append((fault, fault.times))

    def clear(self) -> None:
        """Order nothing any more; requests that hang go on."""
        self._ordered.clear()
        cleared, self._cleared = self._cleared, asyncio.Event()
        cleared.set()

    async def cleared(self) -> None:
        """Return when the faults are cleared the next time."""
        await self._cleared.wait()

    def take(self, call: Call) -> tuple[Fault, ...]:
        """The faults that hit this request; each is used up by one."""
        hits = tuple(fault for fault, left in self._ordered if left != 0 and fault.matches(call))
        counted = [(fault, left - 1 if left and fault.matches(call) else left) for fault, left in self._ordered]
        self._ordered = [(fault, left) for fault, left in counted if left != 0]
        return hits
