"""
The table of routes: method, path, who may, what for. The page, the README and the tests are checked against it.

The image routes answer in the Controller's own shape, so that the vendor's SDK reads them.
"""

from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from html import escape
from typing import Final, Literal

import msgspec
from aiohttp import web

from monitor import __version__
from monitor.avi.schema import PAGE_SIZE
from monitor.config import Scope
from monitor.fleet import Entry
from monitor.model import Track
from monitor.web.problems import Problem
from monitor.web.scrape import metrics
from monitor.web.state import STATE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Route(msgspec.Struct, frozen=True):
    """One row. ``scope``: what a caller must be allowed; ``open``: everybody may."""

    method: str
    path: str
    scope: Scope | Literal["open"]
    summary: str
    handler: Handler


async def healthy(request: web.Request) -> web.Response:
    """200 while the scheduler's heartbeat is young."""
    return _word(request.app[STATE].not_healthy(), "healthy")


async def ready(request: web.Request) -> web.Response:
    """200 when the store is open and every controller was tried, or 30 s have gone."""
    return _word(request.app[STATE].not_ready(), "ready")


def _word(complaint: str, word: str) -> web.Response:
    return web.Response(
        text=f"not {word}: {complaint}\n" if complaint else f"{word}\n", status=503 if complaint else 200
    )


async def list_images(request: web.Request) -> web.Response:
    """
    The Image objects as last seen, with the name of their controller.

    Query: ``name``, ``uuid``, ``controller`` (equal); ``page_size`` (1 to 200, the default) and ``page``, from 1.
    Shape: ``{"count": n, "results": [image, …], "next": url?}``.
    """
    wanted = {key: request.query[key] for key in ("name", "uuid", "controller") if key in request.query}
    images = [(entry, track) for entry, track in request.app[STATE].fleet.images() if _is(entry, track, wanted)]
    size = _number(request, "page_size", most=PAGE_SIZE) or PAGE_SIZE
    page = _number(request, "page") or 1
    shown = [_body(entry, track.image.uuid) for entry, track in images[(page - 1) * size : page * size]]
    more = b""
    if page * size < len(images):
        more = b',"next":' + msgspec.json.encode(str(request.url.update_query(page=page + 1)))
    body = b'{"count":%d,"results":[%b]%b}' % (len(images), b",".join(shown), more)
    return web.Response(body=body, content_type="application/json")


def _is(entry: Entry, track: Track, wanted: Mapping[str, str]) -> bool:
    facts = {"name": track.image.name, "uuid": track.image.uuid, "controller": entry.name}
    return wanted.items() <= facts.items()


async def get_image(request: web.Request) -> web.Response:
    """One Image object as last seen, with an ``ETag``. 409 when two controllers have the uuid and none is named."""
    uuid, controller = request.match_info["uuid"], request.query.get("controller")
    entries = request.app[STATE].fleet.entries.values()
    found = [each for each in entries if not each.health.stale and uuid in each.snapshot.images]
    if controller is not None:
        found = [each for each in found if each.name == controller]
    if not found:
        raise Problem(404, "no-such-image", "No such image", f"no controller has the image {uuid} at present")
    if len(found) > 1:
        names = ", ".join(sorted(each.name for each in found))
        detail = f"the image {uuid} is on {names}; name one with ?controller="
        raise Problem(409, "ambiguous-image", "Ambiguous image", detail)
    body = _body(found[0], uuid)
    etag = blake2b(body, digest_size=16).hexdigest()
    if request.if_none_match and any(known.value in {etag, "*"} for known in request.if_none_match):
        return web.Response(status=304, headers={"ETag": f'"{etag}"'})
    return web.Response(body=body, content_type="application/json", headers={"ETag": f'"{etag}"'})


def _body(entry: Entry, uuid: str) -> bytes:
    """An image's JSON as the Controller gave it, with our members behind its own."""
    raw = bytes(entry.snapshot.listing.raws[uuid])
    return b'%b,"controller":%b}' % (raw[:-1], msgspec.json.encode(entry.name))


def _number(request: web.Request, key: str, *, most: int = 1_000_000) -> int:
    """A positive number of the query; 0 when absent."""
    text = request.query.get(key)
    if text is None:
        return 0
    if not (text.isdecimal() and len(text) < 10 and 0 < int(text) <= most):
        detail = f"{key}: found {text[:40]!r}, expected a number from 1 to {most}"
        raise Problem(400, "bad-query", "Bad query", detail)
    return int(text)


async def list_controllers(request: web.Request) -> web.Response:
    """How polling each controller goes. Times in Unix seconds, null when never."""
    results = [_controller(entry) for entry in request.app[STATE].fleet.entries.values()]
    body = msgspec.json.encode({"count": len(results), "results": results})
    return web.Response(body=body, content_type="application/json")


def _controller(entry: Entry) -> dict[str, object]:
    health = entry.health
    images = [track.image for track in entry.snapshot.images.values()] if not health.stale else []
    return {
        "name": entry.name,
        "up": health.up,
        "stale": health.stale,
        "auth_suspended": health.auth_suspended,
        "upgrade_in_progress": health.upgrading,
        "reason": health.reason,
        "cause": health.cause,
        "version": health.version,
        "api_version": health.api_version,
        "images": len(images),
        "images_active": sum(image.active for image in images),
        "last_poll_attempt_timestamp_seconds": health.attempted_at,
        "last_poll_success_timestamp_seconds": health.succeeded_at,
        "poll_interval_seconds": health.interval_s,
    }


async def page(_request: web.Request) -> web.Response:
    """The routes, for a person with a browser."""
    return web.Response(text=_PAGE, content_type="text/html", headers={"Content-Security-Policy": "default-src 'none'"})


ROUTES: Final = (
    Route("GET", "/", "read", "this page", page),
    Route("GET", "/metrics", "metrics", "Prometheus metrics, as text 0.0.4 or OpenMetrics 1.0.0", metrics),
    Route("GET", "/-/healthy", "open", "200 while the daemon's scheduler runs", healthy),
    Route("GET", "/-/ready", "open", "200 when the store is open and every controller was tried once", ready),
    Route("GET", "/api/image", "read", "all images as last seen, in the Controller's own shape", list_images),
    Route("GET", "/api/image/{uuid}", "read", "one image as last seen, with its ETag", get_image),
    Route("GET", "/api/controllers", "read", "how polling each controller goes", list_controllers),
)


def _row(route: Route) -> str:
    path = escape(route.path)
    link = path if "{" in path else f'<a href="{path}">{path}</a>'
    return f"<tr><td>{route.method}</td><td>{link}</td><td>{escape(route.summary)}</td></tr>"


_ROWS = "\n".join(map(_row, ROUTES))
_PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>avi-upgrade-monitor</title>
<h1>avi-upgrade-monitor {__version__}</h1>
<p>Watches the image objects of Avi Load Balancer Controllers.</p>
<table>
<tr><th align="left">Method</th><th align="left">Route</th><th align="left">What it gives</th></tr>
{_ROWS}
</table>
</html>
"""
