"""``GET /api/image-inventory``: the images by version, in the shape of the Controllers that have this route, 32.2.1."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Final, cast

import msgspec
from aiohttp import web

from monitor.avi.paging import PAGE_SIZE
from monitor.avi.upgrade_enums import KINDS
from monitor.avi.values import version_key
from monitor.model.image import Image
from monitor.patching.kinds import IMAGE
from monitor.polling.inventory import ImageUse, User, image_uses
from monitor.web.context import CONTEXT
from monitor.web.handlers.images import assess_image
from monitor.web.handlers.objects import Assess, Found, find_objects, object_body
from monitor.web.query import number, other_page
from monitor.web.responses import ImageUser

_NODE_TYPES: Final = {kind: node_type for node_type, kind in KINDS.items()}


async def list_inventory(request: web.Request) -> web.Response:
    """
    The images of all controllers as last seen, with the units that refer to them, and whether they may be deleted.

    Query: ``controller`` (equal); ``page_size`` and ``page``, which count images.
    Shape: ``{"count": n, "results": [{"version": v, "image_info": [use of an image, …]}, …], "next": reference?}``.
    """
    size = number(request, "page_size", max_value=PAGE_SIZE) or PAGE_SIZE
    page = number(request, "page") or 1
    images = sorted(find_objects(request, IMAGE), key=_place)
    shown = images[(page - 1) * size : page * size]
    # in a thread: a controller may have hundreds of units
    results = await asyncio.to_thread(_by_version, shown, partial(assess_image, now=request.app[CONTEXT].now()))
    more = {"next": other_page(request, page=page + 1)} if page * size < len(images) else {}
    count = len({_version(found) for found in images})
    body = msgspec.json.encode({"count": count, "results": results, **more})
    return web.Response(body=body, content_type="application/json")


def _version(found: Found) -> str:
    return cast("Image", found[1].object).version


def _place(found: Found) -> tuple[object, ...]:
    """Return the sort key: the newest version first, images without a version last."""
    entry, image = found[0], found[1].object
    newest_first = tuple(-part for part in version_key(_version(found)))
    return not newest_first, newest_first, _version(found), entry.name, image.name, image.uuid


def _by_version(images: Sequence[Found], assess: Assess) -> list[Mapping[str, object]]:
    entries = {entry.name: entry for entry, _ in images}
    uses = {name: image_uses(entry) for name, entry in entries.items()}
    return [
        {
            "version": version,
            "image_info": [_info(found, uses[found[0].name][found[1].object.uuid], assess) for found in group],
        }
        for version, group in groupby(images, key=_version)
    ]


def _info(found: Found, use: ImageUse, assess: Assess) -> Mapping[str, object]:
    return {
        "image": msgspec.Raw(object_body(IMAGE, found, assess)),
        "in_use": use.in_use,
        "in_use_info": [_shown(user) for user in use.users],
        "deletable": use.deletable,
        "reasons": use.reasons,
    }


def _shown(user: User) -> ImageUser:
    unit = user.unit
    return ImageUser(unit.name, _NODE_TYPES.get(unit.kind, ""), unit.uuid, list(user.roles))
