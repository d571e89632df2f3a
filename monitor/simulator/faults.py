"""The faults that were added for one Controller, and which of them hit a request; ``fault_table`` has the kinds."""

import asyncio
from collections.abc import Collection

import msgspec

from monitor.simulator.http_types import HttpRequest


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    One fault that a test or an operator added.

    ``times``: how many matching requests it hits; None: all, until the faults are cleared. ``path``: the path and
    everything below it; ``/`` is everything. ``method``: empty is any. ``seconds``, ``size`` and ``value`` have a
    meaning and a default in each kind. A fault that changes images changes the first one of a list, or ``all``.
    """

    kind: str
    times: int | None = None
    path: str = "/api/image"
    method: str = ""
    seconds: float | None = None
    size: int | None = None
    value: str | None = None
    all: bool = False

    def matches(self, request: HttpRequest) -> bool:
        """Whether method and path of the request are those of the fault."""
        path = self.path.rstrip("/")
        in_path = request.path == path or request.path.startswith(f"{path}/")
        return self.method in {"", request.method} and in_path


class ActiveFaults:
    """The faults of one Controller, oldest first; one request may be hit by several."""

    def __init__(self, kinds: Collection[str]) -> None:
        self._kinds = kinds
        self._active: list[tuple[Fault, int | None]] = []
        self._cleared = asyncio.Event()

    @property
    def active(self) -> tuple[Fault, ...]:
        """The faults that will still hit, each with the ``times`` that remain."""
        return tuple(msgspec.structs.replace(fault, times=left) for fault, left in self._active)

    def add(self, fault: Fault) -> None:
        """Raises: ValueError for a kind that does not exist."""
        if fault.kind not in self._kinds:
            message = f"unknown fault {fault.kind!r}; expected one of {', '.join(sorted(self._kinds))}"
            raise ValueError(message)
        self._active.append((fault, fault.times))

    def clear(self) -> None:
        """Remove all faults; requests that hang continue."""
        self._active.clear()
        cleared, self._cleared = self._cleared, asyncio.Event()
        cleared.set()

    async def wait_cleared(self) -> None:
        """Return when the faults are cleared the next time."""
        await self._cleared.wait()

    def consume(self, request: HttpRequest) -> tuple[Fault, ...]:
        """Return the faults that hit this request, and count it for each of them."""
        hits = tuple(fault for fault, left in self._active if left != 0 and fault.matches(request))
        counted = [(fault, left - 1 if left and fault.matches(request) else left) for fault, left in self._active]
        self._active = [(fault, left) for fault, left in counted if left != 0]
        return hits
