"""``GET /api/upgradestatusinfo/{uuid}/tasks``: what nodes and Service Engines did in the operation of one unit."""

import asyncio
from typing import Final

import msgspec
from aiohttp import web
from msgspec import UNSET

from monitor.avi.upgrade import decode_spans
from monitor.model.tracked import Tracked, TrackedObject
from monitor.model.upgrade import Checks, Engines, EngineState, EngineTimes, Upgrade, UpgradeProgress
from monitor.patching.kinds import UNIT
from monitor.polling.fleet import Entry
from monitor.web.handlers.nodes import node_page
from monitor.web.handlers.objects import find_object, raw_of
from monitor.web.responses import CheckException, Engine, TaskPage

_WORST_FIRST: Final[tuple[EngineState, ...]] = (
    "failed", "suspended", "in_progress", "not_started", "skipped", "completed"
)  # fmt: skip


async def list_tasks(request: web.Request) -> web.Response:
    """
    The events and pre-checks of one unit, and of an SE group its Service Engines. Decoded when asked for.

    Raises: Problem (no-such-unit, ambiguous-unit).
    """
    entry, tracked = find_object(request, UNIT)
    unit = await asyncio.to_thread(decode_spans, msgspec.Raw(raw_of(UNIT, entry, tracked)))  # it may have thousands
    return web.Response(body=msgspec.json.encode(_page(entry, tracked, unit)), content_type="application/json")


def _page(entry: Entry, tracked: TrackedObject[Tracked], unit: Upgrade) -> TaskPage:
    """Return all of it. ``unit``: the object of ``tracked``, with its events."""
    events = node_page(unit.events)
    is_group = unit.kind == "se_group"
    return TaskPage(
        events.tasks,
        events.nodes,
        events.events,
        checks=[
            CheckException(each.code, each.result, each.description, list(each.details))
            for each in (unit.checks or Checks()).exceptions
        ],
        engines=_engines(entry, tracked, unit.engines or Engines()) if is_group else UNSET,
        notes=list(unit.notes) if is_group else UNSET,
    )


def _engines(entry: Entry, group: TrackedObject[Tracked], engines: Engines) -> list[Engine]:
    """Return the Service Engines of a group, each once, those first that need an operator."""
    times = group.progress.engines if isinstance(group.progress, UpgradeProgress) else EngineTimes()
    states: dict[str, EngineState] = {}
    for state in _WORST_FIRST:
        for uuid in getattr(engines, state):
            states.setdefault(uuid, state)
    units = entry.objects(UNIT.resource)
    return [
        Engine(
            uuid,
            units[uuid].object.name if uuid in units else "",
            state,
            times.since.get(uuid) if state == "in_progress" else None,
            times.took_s.get(uuid) if state == "completed" else None,
        )
        for uuid, state in states.items()
    ]
