"""
The table of routes: method, path, who may, what for. The page, the README and the tests are checked against it.

The image routes answer in the Controller's own shape, so that the vendor's SDK reads them.
"""

from html import escape
from typing import Any, Final

import msgspec
from aiohttp import web

from monitor import __version__
from monitor.watches import Difference
from monitor.web import parameters
from monitor.web.auditing import list_audit
from monitor.web.contract import Answer, Header, Route
from monitor.web.controllers import list_controllers
from monitor.web.images import get_image, list_images
from monitor.web.openapi import document
from monitor.web.patchbody import PATCH_BODY
from monitor.web.patching import options_image, patch_image
from monitor.web.reload import reload
from monitor.web.scrape import metrics
from monitor.web.shapes import AuditPage, Image, ImagePage, PollingPage, Rehearsal
from monitor.web.state import STATE

_TEXT = ("text/plain",)
_ETAG = Header("ETag", "The entity tag of the image as it is.")
_ALLOW = Header("Allow", "The methods that are allowed.")
_ACCEPT_PATCH = Header("Accept-Patch", "The media types in which it is patched (RFC 5789).")
_ONE_IMAGE = ("no-such-image", "no-such-route", "ambiguous-image")  # a uuid may have what no segment of a path has

_AFTER = "the image after the change; of a dry run, what would be done"
_ETAG_UNLESS_DRY = Header(
    "ETag", "The entity tag of the image after the change; not there after a dry run.", always=False
)
_OF_A_PATCH = (
    "bad-query", "bad-json", "no-version", "unknown-version", "other-name", "other-tenant", "too-slow", "image-active",
    "changed", "too-large", "media-type", "bad-patch", "unknown-field", "read-only-field", "two-operations",
    "too-many-annotations", "image-busy", "stopping", "caller-gone", "not-recorded", "refused", "controller-failed",
    "store-down", "controller-upgrading", "controller-busy", "outcome-unknown",
)  # fmt: skip


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


async def page(_request: web.Request) -> web.Response:
    """The routes, for a person with a browser."""
    return web.Response(text=_PAGE, content_type="text/html", headers={"Content-Security-Policy": "default-src 'none'"})


async def openapi(_request: web.Request) -> web.Response:
    """This table, in the words that other programs read."""
    return web.Response(body=_DOCUMENT, content_type="application/json")


ROUTES: Final = (
    Route("GET", "/", "read", "this page", page, {200: Answer("a page of HTML", (str,), ("text/html",))}),
    Route(
        "GET",
        "/metrics",
        "metrics",
        "Prometheus metrics, as text 0.0.4 or OpenMetrics 1.0.0",
        metrics,
        {200: Answer("as `Accept` prefers", (str,), (*_TEXT, "application/openmetrics-text"))},
    ),
    Route(
        "GET",
        "/-/healthy",
        "open",
        "200 while the daemon's scheduler runs",
        healthy,
        {200: Answer("healthy", (str,), _TEXT), 503: Answer("not healthy, and why", (str,), _TEXT)},
    ),
    Route(
        "GET",
        "/-/ready",
        "open",
        "200 when the store is open and every controller was tried once",
        ready,
        {200: Answer("ready", (str,), _TEXT), 503: Answer("not ready, and why", (str,), _TEXT)},
    ),
    Route(
        "POST",
        "/-/reload",
        "admin",
        "read the configuration again, all or nothing",
        reload,
        {200: Answer("the controllers that were added, changed and removed", (Difference,))},
        problems=("bad-config",),
    ),
    Route(
        "GET",
        "/api/image",
        "read",
        "all images as last seen, in the Controller's own shape",
        list_images,
        {200: Answer("one page of them", (ImagePage,))},
        problems=("bad-query",),
        takes=parameters.FILTERS,
    ),
    Route(
        "GET",
        "/api/image/{uuid}",
        "read",
        "one image as last seen, with its ETag",
        get_image,
        {200: Answer("the image", (Image,), headers=(_ETAG,)), 304: Answer("it is what it was", headers=(_ETAG,))},
        problems=_ONE_IMAGE,
        takes=(parameters.UUID, parameters.CONTROLLER, parameters.IF_NONE_MATCH),
    ),
    Route(
        "OPTIONS",
        "/api/image/{uuid}",
        "read",
        "what the image can be asked, and how it is patched",
        options_image,
        {204: Answer("it is in the headers", headers=(_ALLOW, _ACCEPT_PATCH))},
        problems=("no-such-route",),
        takes=(parameters.UUID,),
    ),
    Route(
        "PATCH",
        "/api/image/{uuid}",
        "annotate",
        "annotate the image, or change it on its controller",
        patch_image,
        {200: Answer(_AFTER, (Image, Rehearsal), headers=(_ETAG_UNLESS_DRY,))},
        problems=(*_ONE_IMAGE, *_OF_A_PATCH),
        takes=parameters.PATCH,
        body=PATCH_BODY,
    ),
    Route(
        "GET",
        "/api/controllers",
        "read",
        "how polling each controller goes",
        list_controllers,
        {200: Answer("all that the caller may see", (PollingPage,))},
    ),
    Route(
        "GET",
        "/api/audit",
        "admin",
        "who changed what, when, and how it ended; the newest first",
        list_audit,
        {200: Answer("one page of it", (AuditPage,))},
        problems=("bad-query", "store-down"),
        takes=parameters.AUDIT,
    ),
    Route(
        "GET",
        "/api/openapi.json",
        "read",
        "these routes as an OpenAPI 3.1 document",
        openapi,
        {200: Answer("the document", (dict[str, Any],))},
    ),
)

_DOCUMENT = msgspec.json.encode(document(ROUTES))


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
