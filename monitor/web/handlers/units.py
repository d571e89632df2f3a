"""
``GET /api/upgradestatusinfo`` and one of them: the units as last seen, in the Controller's own shape.

The cluster that drives an upgrade comes first: many scripts take the first object of the list for it.
"""

from functools import partial
from typing import Final, get_args

from aiohttp import web

from monitor.avi.upgrade_enums import KINDS
from monitor.model.tracked import Tracked, TrackedObject
from monitor.model.upgrade import UpgradeState
from monitor.patching.kinds import UNIT
from monitor.patching.representation import Assessment
from monitor.polling.fleet import Entry
from monitor.polling.standing import RANKS
from monitor.web.context import CONTEXT
from monitor.web.handlers.objects import Found, assessment, find_objects, object_response, page_response, wanted
from monitor.web.query import choice

NODE_TYPES: Final = tuple(KINDS)
STATES: Final = get_args(UpgradeState)


async def list_units(request: web.Request) -> web.Response:
    """
    The units of all controllers as last seen: first the clusters that drive, then by their standing.

    Query: ``name``, ``uuid``, ``controller``, ``node_type``, ``state`` (equal); ``page_size`` and ``page``.
    """
    choice(request, "state", STATES)
    attributes = wanted(request, "name", "uuid", "state")
    if node_type := choice(request, "node_type", NODE_TYPES):
        attributes["kind"] = KINDS[node_type]
    units = sorted(find_objects(request, UNIT, attributes), key=_place)
    return page_response(request, UNIT, units, partial(_assess, now=request.app[CONTEXT].now()))


async def get_unit(request: web.Request) -> web.Response:
    """One unit as last seen, with an ``ETag``. 409 when two controllers have the uuid and none is named."""
    return object_response(request, UNIT, partial(_assess, now=request.app[CONTEXT].now()))


def _place(found: Found) -> int:
    """Return the sort key of a unit; those with the same one stay in the order of the Controller."""
    entry, tracked = found
    drives = entry.overview is not None and tracked.object.uuid == entry.overview.cluster
    return -1 if drives else RANKS[tracked.standing]


def _assess(entry: Entry, tracked: TrackedObject[Tracked], *, now: float) -> Assessment:
    collection = entry.collections[UNIT.resource]
    objects = collection.snapshot.object_list
    return {
        "observed_at": collection.health.succeeded_at,
        "detail": "summary" if tracked.object.uuid in objects.summaries else "full",
        "left_out": objects.too_large.get(tracked.object.uuid, ()),
        "upgrade_state": tracked.object.state,
        **assessment(tracked, now=now),
    }
