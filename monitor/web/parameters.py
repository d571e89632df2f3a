"""The parameters of requests, each once, with the type and the limits that the handler checks."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from monitor.avi.paging import PAGE_SIZE
from monitor.model.upgrade import UpgradeState
from monitor.patching.audit import PAGE_SIZE as AUDIT_PAGE_SIZE
from monitor.patching.body import VERSION_PATTERN
from monitor.polling.upgrade_log import MAX_LOGS
from monitor.web.handlers import audit
from monitor.web.handlers.patch import BOOLEANS
from monitor.web.handlers.units import NODE_TYPES
from monitor.web.query import LARGEST_PAGE_NUMBER
from monitor.web.route import Parameter

_Boolean = Annotated[str, Meta(pattern=f"^({'|'.join(BOOLEANS)})$")]
_ApiVersion = Annotated[str, Meta(pattern=f"^{VERSION_PATTERN}$")]
_Name = Annotated[str, Meta(min_length=1)]
_PageSize = Annotated[int, Meta(ge=1, le=PAGE_SIZE)]
_PageNumber = Annotated[int, Meta(ge=1, le=LARGEST_PAGE_NUMBER)]
_LogNumber = Annotated[int, Meta(ge=1, le=MAX_LOGS)]
_AuditPageSize = Annotated[int, Meta(ge=1, le=audit.MAX_PAGE_SIZE)]
_RecordNumber = Annotated[int, Meta(ge=1, le=audit.MAX_NUMBER)]

UUID: Final = Parameter("path", "uuid", "The image's `uuid`, as its Controller gave it.", required=True)
CONTROLLER: Final = Parameter("query", "controller", "The controller's name; needed when several have the image.")

INVENTORY: Final = (
    Parameter("query", "controller", "Only images on this controller."),
    Parameter("query", "page_size", f"Images on a page; default {PAGE_SIZE}.", _PageSize),
    Parameter("query", "page", "The number of the page; the first is 1.", _PageNumber),
)
FILTERS: Final = (
    Parameter("query", "name", "Only images with this name."),
    Parameter("query", "uuid", "Only images with this uuid."),
    *INVENTORY,
)
IF_NONE_MATCH: Final = Parameter("header", "If-None-Match", "Entity tags; 304 when it has one of them.")

UNIT_UUID: Final = Parameter("path", "uuid", "The unit's `uuid`, as its Controller gave it.", required=True)
UNIT_CONTROLLER: Final = Parameter("query", "controller", "The controller's name; needed when several have the unit.")
UNIT_FILTERS: Final = (
    Parameter("query", "name", "Only units with this name; it need not be unique."),
    Parameter("query", "uuid", "Only units with this uuid."),
    Parameter("query", "node_type", "Only units of this kind, in the Controller's words.", Literal[NODE_TYPES]),
    Parameter("query", "controller", "Only units on this controller."),
    Parameter("query", "state", "Only units with this `upgrade_state`.", UpgradeState),
    Parameter("query", "page_size", f"Units on a page; default {PAGE_SIZE}.", _PageSize),
    Parameter("query", "page", "The number of the page; the first is 1.", _PageNumber),
)

LAST_EVENT_ID: Final = Parameter(
    "header", "Last-Event-ID", "Send only the events after this one; the full state when they are not buffered."
)
FILE: Final = Parameter("path", "file", "The name of one of the page's files.", required=True)

_DRY_RUN: Final = Parameter("query", "dry_run", "Change nothing; return what would be done.", _Boolean)
_API_VERSION: Final = Parameter(
    "header", "X-Avi-Version", "The API version of the body, such as 30.2.1.", _ApiVersion, required=True
)
_TENANT_UUID: Final = Parameter("header", "X-Avi-Tenant-UUID", "The same, by uuid.")
_CSRF_TOKEN: Final = Parameter(
    "header", "X-CSRFToken", "Accepted and not needed: there are no sessions; each request authenticates."
)
_IF_MATCH: Final = Parameter("header", "If-Match", "Entity tags; 412 when it has none of them.")

PATCH: Final = (
    UUID,
    CONTROLLER,
    Parameter("query", "name", "A guard: 404 when the image has another name."),
    _DRY_RUN,
    Parameter("query", "force", "Adjust the image although it is being processed.", _Boolean),
    _API_VERSION,
    Parameter("header", "X-Avi-Tenant", "404 when the images of this tenant are not watched."),
    _TENANT_UUID,
    _CSRF_TOKEN,
    _IF_MATCH,
)

UNIT_PATCH: Final = (
    UNIT_UUID,
    UNIT_CONTROLLER,
    Parameter("query", "name", "A guard: 404 when the unit has another name."),
    _DRY_RUN,
    _API_VERSION,
    Parameter("header", "X-Avi-Tenant", "404 when the units of this tenant are not watched."),
    _TENANT_UUID,
    _CSRF_TOKEN,
    _IF_MATCH,
)

UPGRADE_REPORT: Final = (
    Parameter("query", "controller", "The name of the controller.", _Name, required=True),
    Parameter("query", "number", "Which upgrade: 1 is the last one, the default; 2 the one before it.", _LogNumber),
)

READINESS: Final = (
    Parameter("query", "controller", "The name of the controller.", _Name, required=True),
    Parameter("query", "image", "The image: its uuid, or its name if no other has the same.", _Name, required=True),
)

AUDIT: Final = (
    Parameter("query", "uuid", "Only changes of the image or unit with this uuid."),
    Parameter("query", "image", "The same, as it was called first; without effect beside `uuid`."),
    Parameter("query", "controller", "Only changes on this controller."),
    Parameter("query", "actor", "Only changes by the caller with this name."),
    Parameter("query", "since", "Only changes at or after this time, Unix seconds.", float),
    Parameter("query", "until", "Only changes at or before this time, Unix seconds.", float),
    Parameter("query", "page_size", f"Entries on a page; default {AUDIT_PAGE_SIZE}.", _AuditPageSize),
    Parameter("query", "before", "Only entries with a lower number.", _RecordNumber),
)
