"""Errors as ``application/problem+json`` (RFC 9457), with the ``error`` member that the vendor's SDK shows."""

from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

from monitor.config.values import write_size
from monitor.model.errors import ProblemKind
from monitor.patching.body import MAX_BODY_BYTES

TYPE: Final = "urn:avi-upgrade-monitor:problem:"

PROBLEM_KINDS: Final[Mapping[ProblemKind, tuple[int, str]]] = {
    "bad-request": (400, "Malformed HTTP request"),
    "bad-query": (400, "Invalid query parameter"),
    "bad-json": (400, "The body is not valid JSON"),
    "no-version": (400, "X-Avi-Version is missing or malformed"),
    "unknown-version": (400, "The Controller does not support this X-Avi-Version"),
    "unauthorized": (401, "Valid credentials are required"),
    "forbidden": (403, "Forbidden"),
    "no-such-route": (404, "No such route"),
    "no-such-image": (404, "No such image"),
    "no-such-unit": (404, "No such unit"),
    "no-such-upgrade": (404, "No such upgrade"),
    "no-such-controller": (404, "No such controller"),
    "name-mismatch": (404, "The object has a different name"),
    "tenant-mismatch": (404, "The tenant is not watched"),
    "method-not-allowed": (405, "Method not allowed"),
    "request-timeout": (408, "The body did not arrive in time"),
    "ambiguous-image": (409, "Ambiguous image"),
    "ambiguous-unit": (409, "Ambiguous unit"),
    "image-active": (409, "The image is being processed"),
    "client-closed-request": (499, "The client closed the request"),
    "precondition-failed": (412, "The object has changed"),
    "too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "Unsupported media type"),
    "misdirected-request": (421, "The daemon is not called so"),
    "not-writer": (421, "The daemon is a standby"),
    "bad-patch": (422, "The body is not a valid patch"),
    "unknown-field": (422, "Unknown field"),
    "read-only-field": (422, "The field is read-only"),
    "two-operations": (422, "More than one operation"),
    "bad-config": (422, "Invalid configuration"),
    "too-many-annotations": (422, "Too many annotations"),
    "controller-refused": (422, "The Controller refused the change"),
    "too-many-failures": (429, "Too many failed authentications"),
    "too-many-changes": (429, "Too many changes"),
    "too-many-requests": (429, "Too many requests"),
    "internal-error": (500, "Internal error"),
    "not-recorded": (500, "Done, but not recorded yet"),
    "altered-record": (500, "A record of the audit was altered"),
    "controller-failed": (502, "The Controller failed"),
    "database-down": (503, "The database does not answer"),
    "image-busy": (503, "Another change of the object is in progress"),
    "shutting-down": (503, "The daemon is shutting down"),
    "too-many-readers": (503, "Too many readers of the event stream"),
    "controller-upgrading": (503, "The Controller is being upgraded"),
    "controller-busy": (503, "The Controller is busy"),
    "outcome-unknown": (504, "The outcome is unknown"),
}
"""Status and title of every kind of problem."""

_SUMMARY: Final = "/api/upgradestatussummary"
_UNITS: Final = "/api/upgradestatusinfo"

_RETRY_AFTER: Final[Mapping[str, str]] = {"Retry-After": "Seconds to wait before the next attempt."}

HEADERS: Final[Mapping[ProblemKind, Mapping[str, str]]] = {
    "unauthorized": {"WWW-Authenticate": "The authentication schemes that are accepted."},
    "method-not-allowed": {"Allow": "The methods that are allowed."},
    "precondition-failed": {"ETag": "The current entity tag of the object."},
    "unsupported-media-type": {"Accept-Patch": "The media types that are accepted (RFC 5789)."},
    "not-writer": _RETRY_AFTER,
    "too-many-failures": _RETRY_AFTER,
    "too-many-changes": _RETRY_AFTER,
    "too-many-requests": _RETRY_AFTER,
    "image-busy": _RETRY_AFTER,
    "shutting-down": _RETRY_AFTER,
    "too-many-readers": _RETRY_AFTER,
    "controller-upgrading": _RETRY_AFTER,
    "controller-busy": _RETRY_AFTER,
}
"""The headers that a problem always has."""


class ProblemDetails(Struct, frozen=True, kw_only=True):
    """
    What was wrong (RFC 9457). ``error``: the same as ``detail``, for the vendor's SDK, which shows it.

    ``path``: the JSON path of the wrong member of the body. ``problems``: every problem of a configuration.
    ``writer``: the URL of the daemon to send the request to.
    """

    type: str
    title: str
    status: int
    detail: str
    path: str | UnsetType = UNSET
    problems: tuple[str, ...] | UnsetType = UNSET
    writer: str | UnsetType = UNSET
    request_id: str
    error: str


class Problem(Exception):
    """
    A request is refused with a problem response.

    ``path``: the JSON path of the wrong member of the body. ``status``: the Controller's own, where it is passed on;
    0 for that of the kind. ``writer``: the URL of the daemon that can carry it out.
    """

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        path: str = "",
        status: int = 0,
        problems: tuple[str, ...] = (),
        writer: str = "",
    ) -> None:
        super().__init__(detail)
        self.kind: ProblemKind = kind
        self.detail = detail
        self.headers = headers or {}
        self.path = path
        self.problems = problems
        self.writer = writer
        self.status = status or PROBLEM_KINDS[kind][0]


def problem_response(problem: Problem, request_id: str) -> web.Response:
    """The problem as a response. ``detail`` is shown to the client: it must contain no secret and no traceback."""
    body = ProblemDetails(
        type=TYPE + problem.kind,
        title=PROBLEM_KINDS[problem.kind][1],
        status=problem.status,
        detail=problem.detail,
        path=problem.path or UNSET,
        problems=problem.problems or UNSET,
        writer=problem.writer or UNSET,
        request_id=request_id,
        error=problem.detail,
    )
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(body),
        content_type="application/problem+json",
        headers=problem.headers,
    )


def from_http_exception(error: web.HTTPException, path: str) -> Problem:
    """The problem for an error that aiohttp itself raised. Its text is left out: it may repeat what the client sent."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{error.method} is not allowed on {path}; allowed: {allowed}"
        return Problem("method-not-allowed", detail, headers={"Allow": allowed})
    if error.status == 404:
        if path.startswith(_SUMMARY):
            return Problem("no-such-route", f"there is no route {path}; GET {_UNITS} has all that a summary would say")
        return Problem("no-such-route", f"there is no route {path}; GET /api/openapi.json lists the routes")
    if error.status == 413:
        return Problem("too-large", f"the body has more than {write_size(MAX_BODY_BYTES)}")
    return Problem("bad-request", f"the request cannot be handled: {error.reason}")
