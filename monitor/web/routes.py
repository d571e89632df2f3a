"""
The table of routes: method, path, scope, purpose. The documentation and the tests are checked against it.

The image routes have the Controller's own shape, so that the vendor's SDK can read them.
"""

from typing import Any, Final

import msgspec
from aiohttp import web

from monitor.config.types import Difference
from monitor.model.errors import ProblemKind
from monitor.polling.readiness import ReadinessReport
from monitor.polling.upgrade_report import UpgradeReport
from monitor.web import parameters
from monitor.web.handlers.audit import list_audit
from monitor.web.handlers.controllers import list_controllers
from monitor.web.handlers.events import stream_events
from monitor.web.handlers.images import get_image, list_images
from monitor.web.handlers.inventory import list_inventory
from monitor.web.handlers.metrics import metrics
from monitor.web.handlers.nodes import list_nodes
from monitor.web.handlers.page import FILE_TYPES, get_file, get_page
from monitor.web.handlers.patch import options_image, options_unit, patch_image, patch_unit
from monitor.web.handlers.probes import healthy, ready, writer
from monitor.web.handlers.readiness import get_readiness
from monitor.web.handlers.reload import reload
from monitor.web.handlers.tasks import list_tasks
from monitor.web.handlers.units import get_unit, list_units
from monitor.web.handlers.upgrade_report import get_upgrade_report
from monitor.web.openapi import document
from monitor.web.openapi_patch import PATCH_BODY, UNIT_PATCH_BODY
from monitor.web.responses import (
    AuditPage,
    ControllerPage,
    DryRun,
    Image,
    ImagePage,
    InventoryPage,
    NodePage,
    TaskPage,
    UnitDryRun,
    UnitPage,
    UpgradeStatusInfo,
)
from monitor.web.route import Header, Response, Route

_TEXT = ("text/plain",)
_ETAG = Header("ETag", "The entity tag of the object.")
_FILE_ETAG = Header("ETag", "The entity tag of the file.")
_FILE_NOT_MODIFIED = {304: Response("the file has not changed", headers=(_FILE_ETAG,))}
_ALLOW = Header("Allow", "The methods that are allowed.")
_ACCEPT_PATCH = Header("Accept-Patch", "The media types that PATCH accepts (RFC 5789).")
# `no-such-route`: a uuid with `{` or `}` in it matches no route
_ONE_IMAGE: Final[tuple[ProblemKind, ...]] = ("no-such-image", "no-such-route", "ambiguous-image")
_ONE_UNIT: Final[tuple[ProblemKind, ...]] = ("no-such-unit", "no-such-route", "ambiguous-unit")

_PATCHED = "the object after the change; for a dry run, what would be done"
_PATCHED_ETAG = Header("ETag", "The entity tag of the object after the change; absent after a dry run.", required=False)
_OF_AN_ANNOTATION: Final[tuple[ProblemKind, ...]] = (
    "bad-query", "bad-json", "no-version", "name-mismatch", "tenant-mismatch", "request-timeout", "precondition-failed",
    "too-large", "unsupported-media-type", "bad-patch", "read-only-field", "two-operations", "too-many-annotations",
    "too-many-changes", "image-busy", "shutting-down", "client-closed-request", "database-down", "outcome-unknown",
    "not-writer",
)  # fmt: skip
_OF_A_PATCH: Final[tuple[ProblemKind, ...]] = (
    *_OF_AN_ANNOTATION,
    "unknown-version", "image-active", "unknown-field", "not-recorded", "controller-refused", "controller-failed",
    "controller-upgrading", "controller-busy",
)  # fmt: skip
_STREAM = (
    "`event: state` with a StateMessage, then an `event: change` with a ChangeMessage for each change; comments between"
)


async def openapi(_request: web.Request) -> web.Response:
    """The OpenAPI document of this table."""
    return web.Response(body=_DOCUMENT, content_type="application/json")


PROBES: Final = (
    Route(
        "GET",
        "/-/healthy",
        "open",
        "200 unless the daemon has stalled",
        healthy,
        {200: Response("healthy", (str,), _TEXT), 503: Response("not healthy, with the reason", (str,), _TEXT)},
    ),
    Route(
        "GET",
        "/-/ready",
        "open",
        "200 when the database works, and every controller was polled once or the start was 30 s ago",
        ready,
        {200: Response("ready", (str,), _TEXT), 503: Response("not ready, with the reason", (str,), _TEXT)},
    ),
    Route(
        "GET",
        "/-/writer",
        "open",
        "200 from the daemon that writes to the database, 503 from a standby",
        writer,
        {200: Response("writer", (str,), _TEXT), 503: Response("not writer, with the reason", (str,), _TEXT)},
    ),
)
"""What the listener of `health` serves, and nothing else."""

ROUTES: Final = (
    Route(
        "GET",
        "/",
        "open",
        "the live page; it contains no data, and reads the routes below with the reader's credential",
        get_page,
        {200: Response("an HTML page", (str,), ("text/html",), (_FILE_ETAG,)), **_FILE_NOT_MODIFIED},
    ),
    Route(
        "GET",
        "/page/{file}",
        "open",
        "the page's scripts and styles",
        get_file,
        {200: Response("the file", (str,), FILE_TYPES, (_FILE_ETAG,)), **_FILE_NOT_MODIFIED},
        problems=("no-such-route",),
        parameters=(parameters.FILE,),
    ),
    Route(
        "GET",
        "/metrics",
        "metrics",
        "Prometheus metrics, as text 0.0.4 or OpenMetrics 1.0.0",
        metrics,
        {200: Response("the format that `Accept` prefers", (str,), (*_TEXT, "application/openmetrics-text"))},
    ),
    *PROBES,
    Route(
        "POST",
        "/-/reload",
        "admin",
        "read the configuration again, all or nothing",
        reload,
        {200: Response("the controllers that were added, changed and removed", (Difference,))},
        problems=("bad-config", "too-many-changes"),
    ),
    Route(
        "GET",
        "/api/image",
        "read",
        "all images as last seen, in the Controller's own shape",
        list_images,
        {200: Response("one page of images", (ImagePage,))},
        problems=("bad-query",),
        parameters=parameters.FILTERS,
    ),
    Route(
        "GET",
        "/api/image/{uuid}",
        "read",
        "one image as last seen, with its ETag",
        get_image,
        {
            200: Response("the image", (Image,), headers=(_ETAG,)),
            304: Response("the image has not changed", headers=(_ETAG,)),
        },
        problems=_ONE_IMAGE,
        parameters=(parameters.UUID, parameters.CONTROLLER, parameters.IF_NONE_MATCH),
    ),
    Route(
        "GET",
        "/api/image/{uuid}/nodes",
        "read",
        "what each node did for each task of the image",
        list_nodes,
        {200: Response("one event per task and node", (NodePage,))},
        problems=_ONE_IMAGE,
        parameters=(parameters.UUID, parameters.CONTROLLER),
    ),
    Route(
        "OPTIONS",
        "/api/image/{uuid}",
        "read",
        "which methods the image has, and which media types PATCH accepts",
        options_image,
        {204: Response("the answer is in the headers", headers=(_ALLOW, _ACCEPT_PATCH))},
        problems=("no-such-route",),
        parameters=(parameters.UUID,),
    ),
    Route(
        "PATCH",
        "/api/image/{uuid}",
        "annotate",
        "annotate the image, or change it on its Controller",
        patch_image,
        {200: Response(_PATCHED, (Image, DryRun), headers=(_PATCHED_ETAG,))},
        problems=(*_ONE_IMAGE, *_OF_A_PATCH),
        parameters=parameters.PATCH,
        request_body=PATCH_BODY,
    ),
    Route(
        "GET",
        "/api/upgradestatusinfo",
        "read",
        "what is upgraded as one, as last seen, in the Controller's own shape: clusters, SE groups, Service Engines",
        list_units,
        {200: Response("one page of units", (UnitPage,))},
        problems=("bad-query",),
        parameters=parameters.UNIT_FILTERS,
    ),
    Route(
        "GET",
        "/api/upgradestatusinfo/{uuid}",
        "read",
        "one unit as last seen, with its ETag",
        get_unit,
        {
            200: Response("the unit", (UpgradeStatusInfo,), headers=(_ETAG,)),
            304: Response("the unit has not changed", headers=(_ETAG,)),
        },
        problems=_ONE_UNIT,
        parameters=(parameters.UNIT_UUID, parameters.UNIT_CONTROLLER, parameters.IF_NONE_MATCH),
    ),
    Route(
        "GET",
        "/api/upgradestatusinfo/{uuid}/tasks",
        "read",
        "what nodes and Service Engines did in the operation of the unit, and its pre-checks",
        list_tasks,
        {200: Response("events, checks and, of an SE group, its Service Engines", (TaskPage,))},
        problems=_ONE_UNIT,
        parameters=(parameters.UNIT_UUID, parameters.UNIT_CONTROLLER),
    ),
    Route(
        "OPTIONS",
        "/api/upgradestatusinfo/{uuid}",
        "read",
        "which methods the unit has, and which media types PATCH accepts",
        options_unit,
        {204: Response("the answer is in the headers", headers=(_ALLOW, _ACCEPT_PATCH))},
        problems=("no-such-route",),
        parameters=(parameters.UNIT_UUID,),
    ),
    Route(
        "PATCH",
        "/api/upgradestatusinfo/{uuid}",
        "annotate",
        "annotate the present operation of the unit; nothing is sent to its Controller",
        patch_unit,
        {200: Response(_PATCHED, (UpgradeStatusInfo, UnitDryRun), headers=(_PATCHED_ETAG,))},
        problems=(*_ONE_UNIT, *_OF_AN_ANNOTATION),
        parameters=parameters.UNIT_PATCH,
        request_body=UNIT_PATCH_BODY,
    ),
    Route(
        "GET",
        "/api/image-inventory",
        "read",
        "all images by version, with the units that use them, and which may be deleted; in the shape of release 32.2.1",
        list_inventory,
        {200: Response("one page of images", (InventoryPage,))},
        problems=("bad-query",),
        parameters=parameters.INVENTORY,
    ),
    Route(
        "GET",
        "/api/controllers",
        "read",
        "the state of polling each controller",
        list_controllers,
        {200: Response("all controllers that are visible to the caller", (ControllerPage,))},
    ),
    Route(
        "GET",
        "/api/events",
        "read",
        "the fleet live, as Server-Sent Events: first the full state, then changes",
        stream_events,
        {200: Response(_STREAM, (str,), ("text/event-stream",))},
        problems=("too-many-readers",),
        parameters=(parameters.LAST_EVENT_ID,),
    ),
    Route(
        "GET",
        "/api/upgrade-report",
        "read",
        "what happened in an upgrade of a controller: phases, units, Service Engines, who annotated what",
        get_upgrade_report,
        {200: Response("the report, also on an upgrade that goes on", (UpgradeReport,))},
        problems=("bad-query", "no-such-controller", "no-such-upgrade", "database-down"),
        parameters=parameters.UPGRADE_REPORT,
    ),
    Route(
        "GET",
        "/api/readiness",
        "read",
        "what speaks for and against an upgrade of a controller to an image, line by line; nothing is started",
        get_readiness,
        {200: Response("the report", (ReadinessReport,))},
        problems=("bad-query", "no-such-controller", "no-such-image", "ambiguous-image"),
        parameters=parameters.READINESS,
    ),
    Route(
        "GET",
        "/api/audit",
        "admin",
        "who changed what and when, with the outcome; the newest first",
        list_audit,
        {200: Response("one page of entries", (AuditPage,))},
        problems=("bad-query", "database-down", "altered-record"),
        parameters=parameters.AUDIT,
    ),
    Route(
        "GET",
        "/api/openapi.json",
        "read",
        "these routes as an OpenAPI 3.1 document",
        openapi,
        {200: Response("the document", (dict[str, Any],))},
    ),
)

_DOCUMENT = msgspec.json.encode(document(ROUTES))
