"""
Reads the upgrade status of one Controller with few requests: a summary of all units at each poll, and a whole unit
where something moves.

The list of all units in full has one object for each Service Engine, with past operations in it: it is read at the
start, when the version of the Controller or its units change, and now and then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

from msgspec import Raw, Struct
from msgspec.structs import replace

from monitor.avi.upgrade import decode_upgrade
from monitor.avi.upgrade_raw import (
    ENGINE_EVENTS,
    Trimmed,
    complete,
    summary_is_usable,
    trim,
    without_engine_events,
)
from monitor.config.settings import Upgrades
from monitor.model.errors import BadObject, BadStatus, PollError
from monitor.model.snapshot import ObjectList
from monitor.model.upgrade import UnitKind

_MAX_BYTES: Final = 8 * 1024 * 1024  # of all units of a Controller; then the largest are kept without events
_FAILURES_ALLOWED = 1  # of the summary, in a row, before the list of all units takes its place
_TRIMMED_AT_ONCE = 1024 * 1024  # bytes; more would hold the event loop for too long
_READ_ALONE: Final = frozenset[UnitKind]({"controller", "se_group", "unknown"})
"""The kinds that are read one by one. All facts of a Service Engine are in the summary."""

ReadList = Callable[[str, ObjectList], Awaitable[ObjectList]]
"""Reads the complete list of one kind of object; returns the list that it is given when no byte changed."""


class _Listed(Struct, frozen=True):
    """What decides whether a unit is read. ``busy``: whether it is active or suspended."""

    kind: UnitKind
    busy: bool


class UnitReader:
    """
    Keeps what it has read, so that an idle poll costs one request.

    ``read_list``: see `ReadList`; its first argument is the object's name in the API. ``read_one``: reads one object.
    ``read_cluster_uuid``: reads the uuid that ``GET /api/cluster`` names. ``monotonic``: seconds. All three raise
    PollError.
    """

    def __init__(
        self,
        read_list: ReadList,
        read_one: Callable[[str, str], Awaitable[bytes]],
        read_cluster_uuid: Callable[[], Awaitable[str]],
        *,
        monotonic: Callable[[], float],
        settings: Upgrades = Upgrades(),  # noqa: B008  frozen
    ) -> None:
        self._read_list = read_list
        self._read_one = read_one
        self._read_cluster_uuid = read_cluster_uuid
        self._monotonic = monotonic
        self.settings = settings
        self._version = ""
        self._summaries, self._infos = ObjectList(), ObjectList()
        self._summary_failures = 0
        self._summary_compared = False
        self._full_at = float("-inf")
        self._units: dict[str, Raw] = {}
        """The whole object of each unit, as it was read last."""
        self._summarized: set[str] = set()
        """The units of which only a summary was read since they changed."""
        self._too_large: dict[str, tuple[str, ...]] = {}
        """The members that it is kept without."""
        self._read_at: dict[str, float] = {}
        """When that was, of units that were read one by one."""
        self._known: Mapping[str, Raw] = {}
        """What the last list had of each unit."""
        self._listed: dict[str, _Listed] = {}
        """The units in it that can be decoded."""
        self.reads_summary = True
        """Whether the summary is read; if not, the list of all units in full is read at each poll."""
        self.given_up = 0
        """How often that was decided, once in a version at most."""
        self.cluster_uuid = ""
        """The uuid of the cluster, which is asked for only where several are listed."""

    def read_all_next(self) -> None:
        """Read all units in full at the next poll: the Controller was away, or has another leader."""
        self._full_at = float("-inf")

    async def read(self, before: ObjectList, *, version: str) -> ObjectList:
        """
        Read all units. ``version``: of the Controller, at present.

        Returns: ``before`` itself when nothing changed; else each unit in full, with what its summary has told since.
        Raises: PollError; what was read before stands. Its reason is ``absent`` when the Controller has no units.
        """
        if version != self._version:
            self._version, self._summary_compared = version, False
            self.reads_summary, self._summary_failures = True, 0
            self.read_all_next()
        summaries = await self._read_summaries() if self.reads_summary else None
        is_full = summaries is None or self._is_due(summaries)
        infos = await self._read_full(summaries) if is_full else ObjectList()
        if summaries is not None and self.reads_summary:
            listed = summaries
        else:  # not the pages, which have all that `trim` leaves out
            listed = replace(infos, pages=(), raws={uuid: self._units[uuid] for uuid in infos.raws})
        changed = self._note_changes(listed)
        if summaries is not None and not is_full:
            await self._read_moving(summaries, changed)
        elif sum(each.kind == "controller" for each in self._listed.values()) > 1:
            with suppress(PollError):  # the cluster that changed last is taken for it, then
                self.cluster_uuid = await self._read_cluster_uuid()
        self._known = listed.raws
        if summaries is not None:
            self._summaries = summaries
        self._limit_memory(before)
        raws = {uuid: self._units[uuid] for uuid in listed.raws}
        summarized = frozenset(self._summarized & raws.keys())
        too_large = {uuid: members for uuid, members in self._too_large.items() if members and uuid in raws}
        same = raws.keys() == before.raws.keys() and all(before.raws[uuid] is raw for uuid, raw in raws.items())
        if same and (summarized, too_large) == (before.summaries, before.too_large):
            return before
        return replace(listed, raws=raws, summaries=summarized, too_large=too_large)

    async def _read_summaries(self) -> ObjectList | None:
        """Return None when the Controller has no summary, or fails to give one: then the whole list is read."""
        try:
            summaries = await self._read_list("upgradestatussummary", self._summaries)
        except PollError as error:
            if error.status is None or error.status in {401, 403, 429, 503}:
                raise
            self._summary_failures += 1
            if self._summary_failures > _FAILURES_ALLOWED:
                self._give_up_summary()
            elif self._units:
                raise
            return None
        self._summary_failures = 0
        return summaries

    def _give_up_summary(self) -> None:
        self.reads_summary = False
        self.given_up += 1

    def _is_due(self, summaries: ObjectList) -> bool:
        overdue = self._monotonic() - self._full_at >= self.settings.full_interval_s
        return overdue or not self._summary_compared or summaries.raws.keys() != self._units.keys()

    async def _read_full(self, summaries: ObjectList | None) -> ObjectList:
        """Read the list of all units in full, and return it."""
        try:
            infos = await self._read_list("upgradestatusinfo", self._infos)
        except PollError as error:
            if error.status == 404:
                self.reads_summary, self._summary_failures = True, 0  # it is not the summary that is of no use
                raise BadStatus("absent", error.detail, phase=error.phase, status=error.status) from error
            raise
        if summaries is not None and not self._summary_compared:
            self._summary_compared = True
            if not summary_is_usable(summaries.raws, infos.raws):
                self._give_up_summary()
        if infos is not self._infos:
            size = sum(len(page.body) for page in infos.pages)
            trimmed = await asyncio.to_thread(_trim, infos.raws) if size > _TRIMMED_AT_ONCE else _trim(infos.raws)
            self._units = {uuid: _same(self._units.get(uuid), each.raw) for uuid, each in trimmed.items()}
            self._too_large = {uuid: each.left_out for uuid, each in trimmed.items() if each.left_out}
            self._infos = ObjectList() if self.reads_summary or size > _MAX_BYTES else infos
        self._summarized.clear()
        if summaries is not None:
            came_since = {uuid: raw for uuid, raw in summaries.raws.items() if uuid not in self._units}
            self._units |= came_since
            self._summarized.update(came_since)
        self._full_at = self._monotonic()
        return infos

    def _note_changes(self, listed: ObjectList) -> Collection[str]:
        """Return the uuids of units of which the list has changed."""
        if listed.raws is self._known:
            return ()
        changed = {uuid for uuid, raw in listed.raws.items() if self._known.get(uuid) != raw}
        for uuid in changed | (self._listed.keys() - listed.raws.keys()):
            self._listed.pop(uuid, None)
        for uuid in changed:
            with suppress(BadObject):  # the tracker logs it
                unit, _ = decode_upgrade(listed.raws[uuid])
                self._listed[uuid] = _Listed(unit.kind, unit.active or unit.suspended)
        return changed

    async def _read_moving(self, summaries: ObjectList, changed: Collection[str]) -> None:
        """Read one by one what moves, and take what only the summary tells of the others."""
        for uuid in changed:
            self._units[uuid] = complete(self._units[uuid], summaries.raws[uuid])
        self._summarized.update(changed)
        for uuid in self._to_read(changed)[: self.settings.max_reads_per_poll]:
            try:
                body = await self._read_one("upgradestatusinfo", uuid)
            except PollError as error:
                if error.status != 404:  # it has gone since: the next summary says so
                    raise
                continue
            large = len(body) > _TRIMMED_AT_ONCE
            trimmed = await asyncio.to_thread(trim, Raw(body)) if large else trim(Raw(body))
            self._units[uuid] = _same(self._units[uuid], trimmed.raw)
            self._too_large[uuid] = trimmed.left_out
            self._read_at[uuid] = self._monotonic()
            self._summarized.discard(uuid)

    def _limit_memory(self, before: ObjectList) -> None:
        excess = sum(memoryview(raw).nbytes for raw in self._units.values()) - _MAX_BYTES
        if excess <= 0:
            return
        for uuid in sorted(self._units, key=lambda uuid: -memoryview(self._units[uuid]).nbytes):
            whole = self._units[uuid]
            short = without_engine_events(whole)
            if short is not whole:
                excess -= memoryview(whole).nbytes - memoryview(short).nbytes
                self._units[uuid] = _same(before.raws.get(uuid), short)
                self._too_large[uuid] = (ENGINE_EVENTS,)
            if excess <= 0:
                return

    def _to_read(self, changed: Collection[str]) -> list[str]:
        """Return the units to read: clusters first, then those that changed, then those not read for the longest."""
        found = [
            (each.kind != "controller", uuid not in changed, self._read_at.get(uuid, 0.0), uuid)
            for uuid, each in self._listed.items()
            if each.kind in _READ_ALONE and (each.busy or uuid in changed)
        ]
        return [uuid for *_, uuid in sorted(found)]


def _trim(raws: Mapping[str, Raw]) -> dict[str, Trimmed]:
    """Trim copies, which do not keep the page from which they are."""
    return {uuid: trim(Raw(bytes(raw))) for uuid, raw in raws.items()}


def _same(known: Raw | None, raw: Raw) -> Raw:
    """Return the known one if it has the same bytes, so that it is found to be unchanged at once."""
    return known if known is not None and known == raw else raw
