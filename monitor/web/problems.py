"""Errors as ``application/problem+json`` (RFC 9457), with the ``error`` member that the vendor's SDK shows."""

from collections.abc import Mapping

import msgspec
from aiohttp import web


class Problem(Exception):
    """An answer that says what was wrong with the request. ``kind``: the last part of a stable problem type."""

    def __init__(
        self, status: int, kind: str, title: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.headers = headers or {}


def respond(problem: Problem, request_id: str) -> web.Response:
    """The problem as a response. No stack, no secret: ``detail`` is written for the caller."""
    body = {
        "type": f"urn:avi-upgrade-monitor:problem:{problem.kind}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": request_id,
        "error": problem.detail,
    }
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
        return Problem(405, "method-not-allowed", "Method not allowed", detail, {"Allow": allowed})
    if error.status == 404:
        return Problem(404, "no-such-route", "No such route", f"there is nothing at {path}; GET / names the routes")
    return Problem(error.status, "http", error.reason, error.text or error.reason)
