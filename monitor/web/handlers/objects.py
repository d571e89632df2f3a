"""What the routes of all kinds of object share: a page of objects as last seen, and one by its uuid."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from aiohttp import hdrs, web

from monitor.avi.paging import PAGE_SIZE
from monitor.model.tracked import Tracked, TrackedObject
from monitor.patching.kinds import ObjectKind
from monitor.patching.representation import Assessment, entity_tag, represent
from monitor.polling import eta
from monitor.polling.fleet import Entry
from monitor.polling.standing import RANKS
from monitor.web.context import CALLER, CONTEXT
from monitor.web.entity_tags import sent_tags
from monitor.web.problems import Problem
from monitor.web.query import number, other_page, required

_ALL: Final[Mapping[str, str]] = {}
_MOST_NAMES: Final = 10  # of controllers in a text: a fleet may have a thousand

Found: TypeAlias = tuple[Entry, TrackedObject[Tracked]]
"""An object, and the entry of the controller that has it."""

Assess: TypeAlias = Callable[[Entry, TrackedObject[Tracked]], Assessment]
"""Returns what the daemon says of an object at present."""


def find_controller(request: web.Request) -> Entry:
    """Return the entry of the controller that the query names. Raises: Problem."""
    name = required(request, "controller", "the name of a controller")
    entry = request.app[CONTEXT].fleet.entries.get(name) if request[CALLER].sees(name) else None
    if entry is None:
        raise Problem("no-such-controller", f"there is no controller {name[:200]!r} that you may see")
    return entry


def find_objects(request: web.Request, kind: ObjectKind, attributes: Mapping[str, str] = _ALL) -> list[Found]:
    """
    Return the objects with these attributes that the caller may see, on the controller of ``?controller=`` if it is
    given. Stale ones are left out.
    """
    caller, controller = request[CALLER], request.query.get("controller")
    return [
        (entry, tracked)
        for entry, tracked in request.app[CONTEXT].fleet.shown_objects(kind.resource)
        if (controller is None or controller == entry.name)
        and caller.sees(entry.name)
        and (not attributes or all(getattr(tracked.object, name) == value for name, value in attributes.items()))
    ]


def wanted(request: web.Request, *keys: str) -> dict[str, str]:
    """Return what the query says of these keys."""
    return {key: request.query[key] for key in keys if key in request.query}


def page_response(request: web.Request, kind: ObjectKind, objects: Sequence[Found], assess: Assess) -> web.Response:
    """
    Return the page of these objects that the query asks for: ``page_size`` (1 to 200, the default), ``page`` from 1.

    Shape: ``{"count": n, "results": [object, …], "next": reference?}``.
    """
    size = number(request, "page_size", max_value=PAGE_SIZE) or PAGE_SIZE
    page = number(request, "page") or 1
    shown = [object_body(kind, found, assess) for found in objects[(page - 1) * size : page * size]]
    more = b""
    if page * size < len(objects):
        more = b',"next":' + msgspec.json.encode(other_page(request, page=page + 1))
    body = b'{"count":%d,"results":[%b]%b}' % (len(objects), b",".join(shown), more)
    return web.Response(body=body, content_type="application/json")


def object_response(request: web.Request, kind: ObjectKind, assess: Assess) -> web.Response:
    """Return the object that the path names, with an ``ETag``; 304 if the client has it. Raises: Problem."""
    entry, tracked = find_object(request, kind)
    tag = entity_tag(raw_of(kind, entry, tracked), entry.name, tracked.annotations)
    if (sent_tags(request, hdrs.IF_NONE_MATCH) or frozenset()) & {tag, "*"}:
        return web.Response(status=304, headers={"ETag": f'"{tag}"'})
    body = object_body(kind, (entry, tracked), assess)
    return web.Response(body=body, content_type="application/json", headers={"ETag": f'"{tag}"'})


def find_object(request: web.Request, kind: ObjectKind) -> Found:
    """
    Return the object that the path names, among those that the caller may see.

    Raises: Problem when it is nowhere, or on two controllers and ``?controller=`` names none.
    """
    uuid, controller = request.match_info["uuid"], request.query.get("controller")
    every = [each for each in request.app[CONTEXT].fleet.entries.values() if request[CALLER].sees(each.name)]
    asked = [each for each in every if controller in {None, each.name}]
    known = [each for each in asked if kind.resource in each.collections and uuid in each.objects(kind.resource)]
    found = [each for each in known if not each.collections[kind.resource].health.stale]
    if not found:
        raise Problem(kind.missing, _absence(kind, uuid, known, asked))
    if len(found) > 1:
        names = ", ".join(sorted(each.name for each in found))
        raise Problem(kind.ambiguous, f"the {kind.noun} {uuid} is on {names}; name one with ?controller=")
    return found[0], found[0].objects(kind.resource)[uuid]


def _absence(kind: ObjectKind, uuid: str, stale: Sequence[Entry], asked: Sequence[Entry]) -> str:
    """Say why an object is not shown: no controller has it, or those that have it cannot be read."""
    if stale:
        names = _names(f"{each.name} ({each.session.reason})" for each in stale)
        return f"{names} had the {kind.noun} {uuid[:200]}, but cannot be read for too long now; try again when it can"
    unwatched = [each.name for each in asked if kind.resource not in each.collections]
    unread = [
        f"{each.name} ({health.reason})"
        for each in asked
        if kind.resource in each.collections and (health := each.collections[kind.resource].health).readable is False
    ]
    reasons = [f"no controller that you may see has the {kind.noun} {uuid[:200]} at present"]
    reasons += [f"not watched are those of {_names(unwatched)}"] if unwatched else []
    reasons += [f"the monitor may not read those of {_names(unread)}"] if unread else []
    return "; ".join(reasons)


def _names(names: Iterable[str]) -> str:
    first, *more = list(names)
    shown = ", ".join([first, *more[: _MOST_NAMES - 1]])
    return shown if len(more) < _MOST_NAMES else f"{shown} and {len(more) + 1 - _MOST_NAMES} more"


def raw_of(kind: ObjectKind, entry: Entry, tracked: TrackedObject[Tracked]) -> bytes:
    """Return the object as its controller gave it."""
    return bytes(entry.collections[kind.resource].snapshot.object_list.raws[tracked.object.uuid])


def object_body(kind: ObjectKind, found: Found, assess: Assess) -> bytes:
    """Return an object as the API shows it, with the daemon's members."""
    entry, tracked = found
    return represent(raw_of(kind, entry, tracked), entry.name, tracked.annotations, assess(entry, tracked))


def assessment(tracked: TrackedObject[Tracked], *, now: float) -> Assessment:
    """Return the standing of an object, what its work still takes, and for how long it has not moved."""
    remaining = eta.remaining(tracked, now=now)
    numbers = {
        "eta_seconds": remaining.likely_s if remaining else None,
        "eta_seconds_min": remaining.least_s if remaining else None,
        "eta_seconds_max": remaining.most_s if remaining else None,
        "stalled_seconds": eta.stalled_s(tracked, now=now),
    }
    estimates = {name: None if number is None else round(number, 1) for name, number in numbers.items()}
    return {"standing": tracked.standing, "standing_rank": RANKS[tracked.standing], **estimates}
