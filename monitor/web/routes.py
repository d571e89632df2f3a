"""
The table of routes: method, path, who may, what for. The README and the tests are checked against it.

The image routes answer in the Controller's own shape, so that the vendor's SDK reads them.
"""

from typing import Any, Final

import msgspec
from aiohttp import web

from monitor.config.types import Difference
from monitor.model.errors import ProblemKind
from monitor.web import parameters
from monitor.web.context import STATE
from monitor.web.handlers.audit import list_audit
from monitor.web.handlers.controllers import list_controllers
from monitor.web.handlers.events import stream_events
from monitor.web.handlers.images import get_image, list_images
from monitor.web.handlers.metrics import metrics
from monitor.web.handlers.nodes import list_nodes
from monitor.web.handlers.page import FILE_TYPES, get_file, get_page
from monitor.web.handlers.patch import options_image, patch_image
from monitor.web.handlers.reload import reload
from monitor.web.openapi import document
from monitor.web.openapi_patch import PATCH_BODY
from monitor.web.responses import AuditPage, Image, ImagePage, NodePage, PollingPage, Rehearsal
from monitor.web.route import Answer, Header, Route

_TEXT = ("text/plain",)
_ETAG = Header("ETag", "The entity tag of the image as it is.")
_FILE_TAG = Header("ETag", "The entity tag of the file.")
_SAME_FILE = {304: Answer("it is what it was", headers=(_FILE_TAG,))}
_ALLOW = Header("Allow", "The methods that are allowed.")
_ACCEPT_PATCH = Header("Accept-Patch", "The media types in which it is patched (RFC 5789).")
# `no-such-route`: a uuid with `{` or `}` in it matches no route
_ONE_IMAGE: Final[tuple[ProblemKind, ...]] = ("no-such-image", "no-such-route", "ambiguous-image")

_AFTER = "the image after the change; of a dry run, what would be done"
_ETAG_UNLESS_DRY = Header(
    "ETag", "The entity tag of the image after the change; not there after a dry run.", always=False
)
_OF_A_PATCH: Final[tuple[ProblemKind, ...]] = (
    "bad-query", "bad-json", "no-version", "unknown-version", "name-mismatch", "tenant-mismatch", "request-timeout",
    "image-active", "precondition-failed", "too-large", "unsupported-media-type", "bad-patch", "unknown-field",
    "read-only-field", "two-operations", "too-many-annotations", "image-busy", "shutting-down",
    "client-closed-request", "not-recorded", "controller-refused", "controller-failed", "database-down",
    "controller-upgrading", "controller-busy", "outcome-unknown",
)  # fmt: skip


_STREAM = "`event: state` with a LiveState, then `event: change` with a LiveChange each; comments while nothing happens"


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


async def openapi(_request: web.Request) -> web.Response:
    """This table, in the words that other programs read."""
    return web.Response(body=_DOCUMENT, content_type="application/json")


ROUTES: Final = (
    Route(
        "GET",
        "/",
        "open",
        "the live page; all that it shows comes from the routes below, with the credential that they need",
        get_page,
        {200: Answer("a page of HTML", (str,), ("text/html",), (_FILE_TAG,)), **_SAME_FILE},
    ),
    Route(
        "GET",
        "/page/{file}",
        "open",
        "the page's scripts and styles",
        get_file,
        {
            200: Answer("the file", (str,), FILE_TYPES, (_FILE_TAG,)),
            **_SAME_FILE,
        },
        problems=("no-such-route",),
        takes=(parameters.FILE,),
    ),
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
        "GET",
        "/api/image/{uuid}/nodes",
        "read",
        "what each node did for each task of the image",
        list_nodes,
        {200: Answer("one event a task and node", (NodePage,))},
        problems=_ONE_IMAGE,
        takes=(parameters.UUID, parameters.CONTROLLER),
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
        "/api/events",
        "read",
        "the fleet live, as Server-Sent Events: first the whole state, then changes",
        stream_events,
        {200: Answer(_STREAM, (str,), ("text/event-stream",))},
        problems=("too-many-readers",),
        takes=(parameters.LAST_EVENT_ID,),
    ),
    Route(
        "GET",
        "/api/audit",
        "admin",
        "who changed what, when, and how it ended; the newest first",
        list_audit,
        {200: Answer("one page of it", (AuditPage,))},
        problems=("bad-query", "database-down"),
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
