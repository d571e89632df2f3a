"""``GET /api/image`` and one of them: the Image objects as last seen, in the Controller's own shape."""

from functools import partial

from aiohttp import web

from monitor.model.tracked import Tracked, TrackedObject
from monitor.patching.kinds import IMAGE
from monitor.patching.representation import Assessment
from monitor.polling.fleet import Entry
from monitor.web.context import CONTEXT
from monitor.web.handlers.objects import assessment, find_objects, object_response, page_response, wanted


async def list_images(request: web.Request) -> web.Response:
    """
    The Image objects as last seen, with the name of their controller.

    Query: ``name``, ``uuid``, ``controller`` (equal); ``page_size`` and ``page``.
    """
    images = find_objects(request, IMAGE, wanted(request, "name", "uuid"))
    return page_response(request, IMAGE, images, partial(assess_image, now=request.app[CONTEXT].now()))


async def get_image(request: web.Request) -> web.Response:
    """One Image object as last seen, with an ``ETag``. 409 when two controllers have the uuid and none is named."""
    return object_response(request, IMAGE, partial(assess_image, now=request.app[CONTEXT].now()))


def assess_image(_entry: Entry, tracked: TrackedObject[Tracked], *, now: float) -> Assessment:
    """Return what the daemon says of an image. ``now``: Unix seconds."""
    return assessment(tracked, now=now)
