"""
Reads the upgrade status of one Controller with few requests: a summary of all units at each poll, and a whole unit
where something moves.

The list of all units in full has one object for each Service Engine, with past operations in it: it is read at the
start, when the version of the Controller or its units change, and now and then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from msgspec import Raw
from msgspec.structs import replace

from monitor.avi.upgrade import decode_upgrade
from monitor.avi.upgrade_raw import complete, summary_is_usable, trim
from monitor.model.errors import BadObject, PollError
from monitor.model.snapshot import ObjectList
from monitor.model.upgrade import UnitKind, Upgrade

FULL_INTERVAL_S: Final = 900.0
MAX_READS: Final = 24
"""Units read one by one in one poll: at an interval of 5 s, fewer than 6 requests a second."""

_FAILURES_ALLOWED = 1  # of the summary, in a row, before the list of all units takes its place
_TRIMMED_AT_ONCE = 1024 * 1024  # bytes of a list; more would hold the event loop for too long
_READ_ALONE: Final = frozenset[UnitKind]({"controller", "se_group", "unknown"})
"""The kinds that are read one by one. All facts of a Service Engine are in the summary."""

ReadList = Callable[[str, ObjectList], Awaitable[ObjectList]]
"""Reads the complete list of one kind of object; returns the list that it is given when no byte changed."""


class UnitReader:
    """
    Keeps what it has read, so that an idle poll costs one request.

    ``read_list``: see `ReadList`; its first argument is the object's name in the API. ``read_one``: reads one object.
    ``monotonic``: seconds. Both raise PollError.
    """

    def __init__(
        self,
        read_list: ReadList,
        read_one: Callable[[str, str], Awaitable[bytes]],
        *,
        monotonic: Callable[[], float],
        full_interval_s: float = FULL_INTERVAL_S,
        max_reads: int = MAX_READS,
    ) -> None:
        self._read_list = read_list
        self._read_one = read_one
        self._monotonic = monotonic
        self._full_interval_s = full_interval_s
        self._max_reads = max_reads
        self._version = ""
        self._summaries, self._infos = ObjectList(), ObjectList()
        self._summary_failures = 0
        self._summary_compared = False
        self._full_at = float("-inf")
        self._units: dict[str, Raw] = {}
        """The whole object of each unit, as it was read last."""
        self._read_at: dict[str, float] = {}
        """When that was, of units that were read one by one."""
        self.summary_is_usable = True
        """Whether the summary is read; if not, the list of all units in full is read at each poll."""

    def read_all_next(self) -> None:
        """Read all units in full at the next poll: the Controller was away, or has another leader."""
        self._full_at = float("-inf")

    async def read(self, before: ObjectList, *, version: str) -> ObjectList:
        """
        Read all units. ``version``: of the Controller, at present.

        Returns: ``before`` itself when nothing changed; else each unit in full, with what its summary has told since.
        Raises: PollError; what was read before stands.
        """
        if version != self._version:
            self._version, self._summary_compared = version, False
            self.summary_is_usable, self._summary_failures = True, 0
            self.read_all_next()
        known = self._summaries.raws
        summaries = await self._read_summaries() if self.summary_is_usable else None
        if summaries is None or self._is_due(summaries):
            await self._read_full(summaries)
        else:
            await self._read_moving(summaries, known)
        if summaries is not None:
            self._summaries = summaries
        listed = summaries if summaries is not None and self.summary_is_usable else self._infos
        raws = {uuid: self._units[uuid] for uuid in listed.raws}
        if raws.keys() == before.raws.keys() and all(before.raws[uuid] is raw for uuid, raw in raws.items()):
            return before
        return replace(listed, raws=raws)

    async def _read_summaries(self) -> ObjectList | None:
        """Return None when the Controller has no summary, or fails to give one: then the whole list is read."""
        try:
            summaries = await self._read_list("upgradestatussummary", self._summaries)
        except PollError as error:
            if error.status is None or error.status in {401, 403, 429, 503}:
                raise
            self._summary_failures += 1
            if self._summary_failures <= _FAILURES_ALLOWED:
                raise
            self.summary_is_usable = False
            return None
        self._summary_failures = 0
        return summaries

    def _is_due(self, summaries: ObjectList) -> bool:
        overdue = self._monotonic() - self._full_at >= self._full_interval_s
        return overdue or summaries.raws.keys() != self._units.keys()

    async def _read_full(self, summaries: ObjectList | None) -> None:
        infos = await self._read_list("upgradestatusinfo", self._infos)
        if summaries is not None and not self._summary_compared:
            self.summary_is_usable = summary_is_usable(summaries.raws, infos.raws)
            self._summary_compared = True
        if infos is not self._infos:
            size = sum(len(page.body) for page in infos.pages)
            trimmed = await asyncio.to_thread(_trim, infos.raws) if size > _TRIMMED_AT_ONCE else _trim(infos.raws)
            self._units = {uuid: _same(self._units.get(uuid), raw) for uuid, raw in trimmed.items()}
            self._infos = ObjectList() if self.summary_is_usable else infos
        if summaries is not None:
            came_since = {uuid: raw for uuid, raw in summaries.raws.items() if uuid not in self._units}
            self._units |= came_since
        self._full_at = self._monotonic()

    async def _read_moving(self, summaries: ObjectList, known: Mapping[str, Raw]) -> None:
        """Read one by one what moves, and take what only the summary tells of the others."""
        changed = {uuid for uuid, raw in summaries.raws.items() if known.get(uuid) != raw}
        for uuid in changed:
            self._units[uuid] = complete(self._units[uuid], summaries.raws[uuid])
        for uuid in self._to_read(summaries, changed)[: self._max_reads]:
            try:
                body = await self._read_one("upgradestatusinfo", uuid)
            except PollError as error:
                if error.status != 404:  # it has gone since: the next summary says so
                    raise
                continue
            self._units[uuid] = _same(self._units[uuid], trim(Raw(body)).raw)
            self._read_at[uuid] = self._monotonic()

    def _to_read(self, summaries: ObjectList, changed: Collection[str]) -> list[str]:
        """Return the units to read: clusters first, then those that changed, then those not read for the longest."""
        found: list[tuple[int, bool, float, str]] = []
        for uuid, raw in summaries.raws.items():
            unit = _decoded(raw)
            if unit and unit.kind in _READ_ALONE and (uuid in changed or unit.active or unit.state == "suspended"):
                found.append((unit.kind != "controller", uuid not in changed, self._read_at.get(uuid, 0.0), uuid))
        return [uuid for *_, uuid in sorted(found)]


def _decoded(summary: Raw) -> Upgrade | None:
    try:
        return decode_upgrade(summary)[0]
    except BadObject:
        return None


def _trim(raws: Mapping[str, Raw]) -> dict[str, Raw]:
    """Trim copies, which do not keep the page from which they are."""
    return {uuid: trim(Raw(bytes(raw))).raw for uuid, raw in raws.items()}


def _same(known: Raw | None, raw: Raw) -> Raw:
    """Return the known one if it has the same bytes, so that it is found to be unchanged at once."""
    return known if known is not None and known == raw else raw
