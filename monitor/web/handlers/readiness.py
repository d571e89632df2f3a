"""``GET /api/readiness``: what speaks for and against an upgrade of one controller to one of its images."""

import asyncio

import msgspec
from aiohttp import web

from monitor.avi.image import decode_spans
from monitor.avi.image_requirements import decode_requirements
from monitor.patching.kinds import IMAGE
from monitor.polling.fleet import Entry
from monitor.polling.readiness import ReadinessReport, readiness
from monitor.polling.readiness_facts import facts_of
from monitor.web.context import CONTEXT
from monitor.web.handlers.objects import Found, find_controller, raw_of
from monitor.web.problems import Problem
from monitor.web.query import required


async def get_readiness(request: web.Request) -> web.Response:
    """
    The readiness report, from what polls have brought: the Controller is not asked for anything.

    Query: ``controller``; ``image``: a uuid, or a name.
    Raises: Problem.
    """
    entry = find_controller(request)
    image = required(request, "image", "the uuid or the name of an image")
    report = await asyncio.to_thread(_report, _find(entry, image), at=request.app[CONTEXT].now())
    return web.Response(body=msgspec.json.encode(report), content_type="application/json")


def _find(entry: Entry, image: str) -> Found:
    """Return the image with this uuid, else the one with this name; also one that was seen too long ago."""
    images = entry.objects("image")
    if image in images:
        return entry, images[image]
    found = [tracked for tracked in images.values() if tracked.object.name == image]
    if not found:
        raise Problem("no-such-image", f"{entry.name} has no image with the uuid or name {image[:200]!r}")
    if len(found) > 1:
        uuids = ", ".join(tracked.object.uuid for tracked in found)
        raise Problem("ambiguous-image", f"{len(found)} images of {entry.name} have this name; give a uuid: {uuids}")
    return entry, found[0]


def _report(found: Found, *, at: float) -> ReadinessReport:
    """Runs in a thread: an image may have thousands of events."""
    entry, tracked = found
    raw = msgspec.Raw(raw_of(IMAGE, entry, tracked))
    facts = facts_of(entry, tracked.object.uuid, decode_spans(raw), decode_requirements(raw), at=at)
    return readiness(facts)
