"""The aiohttp application: the routes, and what happens around every request."""

import logging
import re
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import structlog
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from monitor.web.context import ANSWERED_AT, CALLER, REQUEST_ID, STATE, State
from monitor.web.problems import Problem, from_http_exception, problem_response
from monitor.web.route import Handler, Route
from monitor.web.routes import ROUTES

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_METHODS = hdrs.METH_ALL
_LARGEST_BODY = 64 * 1024
_BAD_REQUEST = 400
_CALLER_GONE = 499  # no status of HTTP, but what servers commonly count such requests under

log = structlog.get_logger()


def make_site(state: State) -> web.Application:
    """The application; it owns nothing, so it can be made for every test."""
    logging.getLogger("aiohttp.server").addFilter(_is_ours)
    site = web.Application(middlewares=[_around], client_max_size=_LARGEST_BODY)
    site[STATE] = state
    for route in ROUTES:
        site.router.add_route(route.method, route.path, _guarded(route), expect_handler=_continue)
        if route.method == hdrs.METH_GET:
            site.router.add_route(hdrs.METH_HEAD, route.path, _guarded(route), expect_handler=_continue)
    site.on_response_prepare.append(_sign)
    return site


def _is_ours(record: logging.LogRecord) -> bool:
    """
    Whether an error of the HTTP server is its own.

    A request that is no HTTP is not, nor a caller who goes in the middle of an answer; and anybody can do that often.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | ConnectionError))


def _guarded(route: Route) -> Handler:
    """The handler behind the door; who passed is ``request[CALLER]``."""

    async def handler(request: web.Request) -> web.StreamResponse:
        door = request.app[STATE].door
        if route.scope != "open":
            caller = request[CALLER] = await door.authenticate(request)
            door.authorize(caller, route.scope, route.path)
        return await route.handler(request)

    return handler


async def _continue(request: web.Request) -> None:
    """Answer the one expectation that there is, and ignore others, where aiohttp would refuse before our errors."""
    expected = request.headers.get(hdrs.EXPECT, "").lower()
    if expected == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # else aiohttp takes the answer for begun


@web.middleware
async def _around(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Give the request an id, answer every error in one form, count and log."""
    given = request.headers.get("X-Request-ID", "")
    request_id = request[REQUEST_ID] = given if _REQUEST_ID.match(given) else uuid4().hex
    started = time.perf_counter()
    try:
        request.app[STATE].door.check_client_certificate(request)
        response = await handler(request)
    except Problem as problem:
        response = problem_response(problem, request_id)
    except web.HTTPException as error:
        response = problem_response(from_http_exception(error, request.path), request_id)
    except ConnectionError:
        _count(request, _CALLER_GONE, time.perf_counter() - started)
        raise  # in the middle of an answer; there is nobody to tell
    except Exception:
        log.exception("request_bug", request_id=request_id, method=request.method, path=request.path)
        response = problem_response(Problem("internal-error", f"the log has it under {request_id}"), request_id)
    _count(request, response.status, request.get(ANSWERED_AT, time.perf_counter()) - started)
    log.debug("request", request_id=request_id, method=request.method, path=request.path, status=response.status)
    return response


def _count(request: web.Request, status: int, took_s: float) -> None:
    """Labels from closed sets only: what a caller makes up must not become a series."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource else "none"
    method = request.method if request.method in _METHODS else "other"
    request.app[STATE].own.requests.labels(route, method, str(status)).observe(took_s)


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    request_id = request.get(REQUEST_ID) or uuid4().hex  # none where aiohttp itself refused
    _sign_with(request_id, request.app[STATE], response)


def _sign_with(request_id: str, state: State, response: web.StreamResponse) -> None:
    """Give it the headers that every answer has."""
    response.headers["Server"] = "avi-upgrade-monitor"
    response.headers["X-Request-ID"] = request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.update(state.door.web.headers if state.door.web else {})


def answer_none(state: State, status: int) -> web.Response:
    """
    The answer where no request came to be, or aiohttp failed beside one.

    Fixed: what was sent may be a credential with one wrong character.
    """
    request_id = uuid4().hex
    detail = "what came is no HTTP request: a header has at most 8,190 bytes and no control characters"
    failed = Problem("internal-error", "the log has a traceback")
    problem = Problem("bad-request", detail) if status == _BAD_REQUEST else failed
    log.debug("request", request_id=request_id, method="none", path="", status=problem.status)
    response = problem_response(problem, request_id)
    _sign_with(request_id, state, response)
    return response
