"""What requests carry beside a body: each parameter once, with the type and the limits that its reader has."""

from typing import Annotated, Final

from msgspec import Meta

from monitor.avi.paging import PAGE_SIZE
from monitor.web.handlers import audit as auditing
from monitor.web.handlers.images import LARGEST_PAGE_NUMBER
from monitor.web.handlers.patch import TRUTHS
from monitor.web.route import Parameter

_Flag = Annotated[str, Meta(pattern=f"^({'|'.join(TRUTHS)})$")]
_ApiVersion = Annotated[str, Meta(pattern=r"^[0-9]{1,4}(\.[0-9]{1,6}){1,3}$")]
_PageSize = Annotated[int, Meta(ge=1, le=PAGE_SIZE)]
_PageNumber = Annotated[int, Meta(ge=1, le=LARGEST_PAGE_NUMBER)]
_AuditPageSize = Annotated[int, Meta(ge=1, le=auditing.LARGEST_PAGE)]
_RecordNumber = Annotated[int, Meta(ge=1, le=auditing.LARGEST_NUMBER)]

UUID: Final = Parameter("path", "uuid", "The image's `uuid`, as its Controller gave it.", required=True)
CONTROLLER: Final = Parameter("query", "controller", "The name of the controller, where several have the image.")

FILTERS: Final = (
    Parameter("query", "name", "Only images of this name."),
    Parameter("query", "uuid", "Only images of this uuid."),
    Parameter("query", "controller", "Only images on this controller."),
    Parameter("query", "page_size", f"How many images a page has; {PAGE_SIZE} if not given.", _PageSize),
    Parameter("query", "page", "Which page, from 1.", _PageNumber),
)
IF_NONE_MATCH: Final = Parameter("header", "If-None-Match", "Entity tags; 304 when the image has one of them.")

LAST_EVENT_ID: Final = Parameter("header", "Last-Event-ID", "Only what came after it, where that is still known.")
FILE: Final = Parameter("path", "file", "One of the page's files.", required=True)

PATCH: Final = (
    UUID,
    CONTROLLER,
    Parameter("query", "name", "A guard: 404 when the image has another name."),
    Parameter("query", "dry_run", "Do nothing; answer what would be done.", _Flag),
    Parameter("query", "force", "Adjust the image although it is being processed.", _Flag),
    Parameter("header", "X-Avi-Version", "The API version of the body, such as 30.2.1.", _ApiVersion, required=True),
    Parameter("header", "X-Avi-Tenant", "404 when the images of this tenant are not watched."),
    Parameter("header", "X-Avi-Tenant-UUID", "The same, by uuid."),
    Parameter("header", "X-CSRFToken", "Accepted and not needed: here is no session, but a credential each request."),
    Parameter("header", "If-Match", "Entity tags; 412 when the image has none of them."),
)

AUDIT: Final = (
    Parameter("query", "image", "Only changes of the image of this uuid."),
    Parameter("query", "controller", "Only changes on this controller."),
    Parameter("query", "actor", "Only changes by whoever has this name."),
    Parameter("query", "since", "Only changes from this moment on, Unix seconds.", float),
    Parameter("query", "until", "Only changes up to this moment, Unix seconds.", float),
    Parameter("query", "page_size", f"How many a page has; {auditing.PAGE_SIZE} if not given.", _AuditPageSize),
    Parameter("query", "before", "Only records before the one of this number.", _RecordNumber),
)
