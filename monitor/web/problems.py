"""Errors as ``application/problem+json`` (RFC 9457), with the ``error`` member that the vendor's SDK shows."""

from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

TYPE: Final = "urn:avi-upgrade-monitor:problem:"

KINDS: Final[Mapping[str, tuple[int, str]]] = {
    "bad-request": (400, "No HTTP request"),
    "bad-query": (400, "Bad query"),
    "bad-json": (400, "The body is no JSON"),
    "no-version": (400, "X-Avi-Version is needed"),
    "unknown-version": (400, "The Controller is older than this X-Avi-Version"),
    "unauthorized": (401, "Credentials are needed"),
    "forbidden": (403, "Forbidden"),
    "no-such-route": (404, "No such route"),
    "no-such-image": (404, "No such image"),
    "other-name": (404, "The image has another name"),
    "other-tenant": (404, "The tenant is not watched"),
    "method-not-allowed": (405, "Method not allowed"),
    "ambiguous-image": (409, "Ambiguous image"),
    "image-busy": (503, "The image is being changed"),
    "stopping": (503, "The monitor ends"),
    "caller-gone": (499, "The caller has gone"),
    "image-active": (409, "The image is being processed"),
    "too-slow": (408, "The body came too slowly"),
    "changed": (412, "The image is not what it was"),
    "too-large": (413, "The body is too large"),
    "media-type": (415, "Unsupported media type"),
    "bad-patch": (422, "The body is not what can be patched"),
    "unknown-field": (422, "No such field"),
    "read-only-field": (422, "The field is the Controller's own"),
    "two-operations": (422, "More than one operation"),
    "bad-config": (422, "The configuration is not good"),
    "too-many-annotations": (422, "Too many annotations"),
    "too-many-failures": (429, "Too many failures"),
    "too-many-readers": (503, "Too many readers"),
    "bug": (500, "A bug of ours"),
    "controller-failed": (502, "The Controller failed"),
    "store-down": (503, "The database does not answer"),
    "not-recorded": (500, "Done, but not recorded yet"),
    "controller-upgrading": (503, "The Controller is being upgraded"),
    "controller-busy": (503, "The Controller takes no more requests"),
    "outcome-unknown": (504, "Nobody knows whether it was done"),
    "refused": (422, "The Controller refused"),
}
"""Every problem: the last part of its type, which never changes, then its status and its title."""

HEADERS: Final[Mapping[str, Mapping[str, str]]] = {
    "unauthorized": {"WWW-Authenticate": "The schemes in which credentials can be shown."},
    "method-not-allowed": {"Allow": "The methods that are allowed."},
    "changed": {"ETag": "The present one."},
    "media-type": {"Accept-Patch": "The media types that can be sent (RFC 5789)."},
    "too-many-failures": {"Retry-After": "After how many seconds to come again."},
    "too-many-readers": {"Retry-After": "After how many seconds to come again."},
    "image-busy": {"Retry-After": "After how many seconds to come again."},
    "stopping": {"Retry-After": "After how many seconds to come again."},
    "controller-upgrading": {"Retry-After": "After how many seconds to come again."},
    "controller-busy": {"Retry-After": "After how many seconds to come again."},
}
"""The headers that a problem always has."""


class ProblemDetails(Struct, frozen=True, kw_only=True):
    """
    What was wrong (RFC 9457). ``error``: the same as ``detail``, for the vendor's SDK, which shows it.

    ``path``: the JSON path of the member of the body that is wrong. ``problems``: of a configuration, all of them.
    """

    type: str
    title: str
    status: int
    detail: str
    path: str | UnsetType = UNSET
    problems: tuple[str, ...] | UnsetType = UNSET
    request_id: str
    error: str


class Problem(Exception):
    """
    An answer that says what was wrong with the request. ``kind``: of KINDS.

    ``path``: the JSON path of the member of the body that is wrong. ``status``: only where a Controller's own comes
    through.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        path: str = "",
        status: int = 0,
        problems: tuple[str, ...] = (),
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = headers or {}
        self.path = path
        self.problems = problems
        self.status = status or KINDS[kind][0]


def respond(problem: Problem, request_id: str) -> web.Response:
    """The problem as a response. No stack, no secret: ``detail`` is written for the caller."""
    body = ProblemDetails(
        type=TYPE + problem.kind,
        title=KINDS[problem.kind][1],
        status=problem.status,
        detail=problem.detail,
        path=problem.path or UNSET,
        problems=problem.problems or UNSET,
        request_id=request_id,
        error=problem.detail,
    )
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(body),
        content_type="application/problem+json",
        headers=problem.headers,
    )


def of_http(error: web.HTTPException, path: str) -> Problem:
    """What aiohttp itself refuses, in our form."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{error.method} is not allowed on {path}; allowed: {allowed}"
        return Problem("method-not-allowed", detail, headers={"Allow": allowed})
    if error.status == 404:
        return Problem("no-such-route", f"there is nothing at {path}; GET /api/openapi.json names the routes")
    if error.status == 413:
        return Problem("too-large", "the body has more than 64 KiB")
    return Problem("bad-query", error.text or error.reason, status=error.status)
