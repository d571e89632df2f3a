"""``GET /api/image`` and one of them: the Image objects as last seen, in the Controller's own shape."""

from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import hdrs, web

from monitor.avi.paging import PAGE_SIZE
from monitor.model.tracked import Tracked, TrackedObject
from monitor.patching.representation import entity_tag, represent
from monitor.polling import eta
from monitor.polling.fleet import Entry
from monitor.polling.standing import RANKS
from monitor.web.context import CALLER, CONTEXT
from monitor.web.entity_tags import sent_tags
from monitor.web.problems import Problem
from monitor.web.query import number, other_page


async def list_images(request: web.Request) -> web.Response:
    """
    The Image objects as last seen, with the name of their controller.

    Query: ``name``, ``uuid``, ``controller`` (equal); ``page_size`` (1 to 200, the default) and ``page``, from 1.
    Shape: ``{"count": n, "results": [image, …], "next": reference?}``.
    """
    wanted = {key: request.query[key] for key in ("name", "uuid", "controller") if key in request.query}
    caller = request[CALLER]
    seen = (
        (entry, tracked) for entry, tracked in request.app[CONTEXT].fleet.objects("image") if caller.sees(entry.name)
    )
    images = [(entry, tracked) for entry, tracked in seen if _matches(entry, tracked, wanted)]
    size = number(request, "page_size", max_value=PAGE_SIZE) or PAGE_SIZE
    page = number(request, "page") or 1
    now = request.app[CONTEXT].now()
    shown = [_body(entry, tracked, now=now) for entry, tracked in images[(page - 1) * size : page * size]]
    more = b""
    if page * size < len(images):
        more = b',"next":' + msgspec.json.encode(other_page(request, page=page + 1))
    body = b'{"count":%d,"results":[%b]%b}' % (len(images), b",".join(shown), more)
    return web.Response(body=body, content_type="application/json")


def _matches(entry: Entry, tracked: TrackedObject[Tracked], wanted: Mapping[str, str]) -> bool:
    facts = {"name": tracked.object.name, "uuid": tracked.object.uuid, "controller": entry.name}
    return wanted.items() <= facts.items()


async def get_image(request: web.Request) -> web.Response:
    """One Image object as last seen, with an ``ETag``. 409 when two controllers have the uuid and none is named."""
    entry, tracked = find_image(request)
    tag = entity_tag(raw_of(entry, tracked), entry.name, tracked.annotations)
    if (sent_tags(request, hdrs.IF_NONE_MATCH) or frozenset()) & {tag, "*"}:
        return web.Response(status=304, headers={"ETag": f'"{tag}"'})
    body = _body(entry, tracked, now=request.app[CONTEXT].now())
    return web.Response(body=body, content_type="application/json", headers={"ETag": f'"{tag}"'})


def find_image(request: web.Request) -> tuple[Entry, TrackedObject[Tracked]]:
    """
    The image that the path names, among those that the caller may see.

    Raises: Problem when it is nowhere, or on two controllers and ``?controller=`` names none.
    """
    uuid, controller = request.match_info["uuid"], request.query.get("controller")
    entries = [each for each in request.app[CONTEXT].fleet.entries.values() if request[CALLER].sees(each.name)]
    known = [each for each in entries if uuid in each.objects("image") and controller in {None, each.name}]
    found = [each for each in known if not each.collections["image"].health.stale]
    if not found:
        raise Problem("no-such-image", _absence(uuid, known))
    if len(found) > 1:
        names = ", ".join(sorted(each.name for each in found))
        raise Problem("ambiguous-image", f"the image {uuid} is on {names}; name one with ?controller=")
    return found[0], found[0].objects("image")[uuid]


def _absence(uuid: str, stale: Sequence[Entry]) -> str:
    """Why an image is not shown: no controller has it, or those that had it cannot be read."""
    if not stale:
        return f"no controller that you may see has the image {uuid[:200]} at present"
    names = ", ".join(f"{each.name} ({each.session.reason})" for each in stale)
    return f"{names} had the image {uuid[:200]}, but cannot be read for too long now; try again when it can"


def raw_of(entry: Entry, tracked: TrackedObject[Tracked]) -> bytes:
    """The object as its controller gave it."""
    return bytes(entry.collections["image"].snapshot.object_list.raws[tracked.object.uuid])


def _body(entry: Entry, tracked: TrackedObject[Tracked], *, now: float) -> bytes:
    return represent(raw_of(entry, tracked), entry.name, tracked.annotations, _assessment(tracked, now=now))


def _assessment(tracked: TrackedObject[Tracked], *, now: float) -> Mapping[str, float | int | str | None]:
    """What the daemon adds: the standing of the image, what the upload still takes, how long it has not moved."""
    remaining = eta.remaining(tracked, now=now)
    numbers = {
        "eta_seconds": remaining.likely_s if remaining else None,
        "eta_seconds_min": remaining.least_s if remaining else None,
        "eta_seconds_max": remaining.most_s if remaining else None,
        "stalled_seconds": eta.stalled_s(tracked, now=now),
    }
    estimates = {name: None if number is None else round(number, 1) for name, number in numbers.items()}
    return {"standing": tracked.standing, "standing_rank": RANKS[tracked.standing], **estimates}
