"""The aiohttp application: its routes, and the middleware of all requests."""

import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from uuid import uuid4

import structlog
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from monitor.patching.body import MAX_BODY_BYTES
from monitor.web.context import CALLER, CONTEXT, REQUEST_ID, RESPONSE_STARTED_AT, Context
from monitor.web.problems import Problem, from_http_exception, problem_response
from monitor.web.route import Handler, Route
from monitor.web.routes import PROBES, ROUTES

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_METHODS = hdrs.METH_ALL
_BAD_REQUEST = 400
_CLIENT_CLOSED_REQUEST = 499  # not an HTTP status, but what nginx and others log such requests as

log = structlog.get_logger()


def make_app(context: Context) -> web.Application:
    """Return the application. All its state is in the context, which several applications can share."""
    return _make_app(context, ROUTES, _admit)


def make_health_app(context: Context) -> web.Application:
    """Return the application of the probes alone, which asks nothing of a client."""
    return _make_app(context, PROBES, lambda _request: None)


def _make_app(context: Context, routes: Iterable[Route], admit: Callable[[web.Request], None]) -> web.Application:
    """``admit``: raises a Problem for a request that no route may handle."""
    logging.getLogger("aiohttp.server").addFilter(_is_server_error)
    handle = web.middleware(partial(_handle_request, admit=admit))
    app = web.Application(middlewares=[handle], client_max_size=MAX_BODY_BYTES)
    app[CONTEXT] = context
    for route in routes:
        app.router.add_route(route.method, route.path, _authorized(route), expect_handler=_handle_expect)
        if route.method == hdrs.METH_GET:
            app.router.add_route(hdrs.METH_HEAD, route.path, _authorized(route), expect_handler=_handle_expect)
    app.on_response_prepare.append(_on_response_prepare)
    return app


def _is_server_error(record: logging.LogRecord) -> bool:
    """
    Return whether a log record of aiohttp reports an error of the server.

    Malformed requests and disconnects do not: any client could fill the log with them.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | ConnectionError))


def _authorized(route: Route) -> Handler:
    """Wrap the handler of a route: it is called only for a caller that has the scope of the route."""

    async def handler(request: web.Request) -> web.StreamResponse:
        authenticator = request.app[CONTEXT].authenticator
        if route.scope != "open":
            caller = request[CALLER] = await authenticator.authenticate(request)
            authenticator.authorize(caller, route.scope, route.path)
        return await route.handler(request)

    return handler


async def _handle_expect(request: web.Request) -> None:
    """Answer ``100-continue``, and ignore other expectations; aiohttp would answer those without our error format."""
    expectation = request.headers.get(hdrs.EXPECT, "").lower()
    if expectation == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # otherwise aiohttp believes that the response has begun


def _admit(request: web.Request) -> None:
    authenticator = request.app[CONTEXT].authenticator
    authenticator.check_rate()
    authenticator.check_client_certificate(request)
    authenticator.check_site(request)


async def _handle_request(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    *,
    admit: Callable[[web.Request], None],
) -> web.StreamResponse:
    """Give the request an id, turn every error into a problem response, measure and log."""
    given = request.headers.get("X-Request-ID", "")
    request_id = request[REQUEST_ID] = given if _REQUEST_ID.match(given) else uuid4().hex
    started_at = time.perf_counter()
    try:
        admit(request)
        response = await handler(request)
    except Problem as problem:
        response = problem_response(problem, request_id)
    except web.HTTPException as error:
        response = problem_response(from_http_exception(error, request.path), request_id)
    except ConnectionError:
        _observe(request, _CLIENT_CLOSED_REQUEST, time.perf_counter() - started_at)
        raise  # the client disconnected during the response
    except Exception:
        log.exception("request_exception", request_id=request_id, method=request.method, path=request.path)
        detail = f"unexpected error; the log has a traceback under the request id {request_id}"
        response = problem_response(Problem("internal-error", detail), request_id)
    _observe(request, response.status, request.get(RESPONSE_STARTED_AT, time.perf_counter()) - started_at)
    log.debug("request", request_id=request_id, method=request.method, path=request.path, status=response.status)
    return response


def _observe(request: web.Request, status: int, duration_s: float) -> None:
    """Measure the request. Labels come from closed sets, so that clients cannot create series."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource else "none"
    method = request.method if request.method in _METHODS else "other"
    request.app[CONTEXT].self_metrics.requested(route, method, status, duration_s, request[REQUEST_ID])


async def _on_response_prepare(request: web.Request, response: web.StreamResponse) -> None:
    request_id = request.get(REQUEST_ID) or uuid4().hex  # not set where aiohttp itself refused the request
    _add_headers(response, request_id, request.app[CONTEXT])


def _add_headers(response: web.StreamResponse, request_id: str, context: Context) -> None:
    """Add the headers that every response has."""
    response.headers["Server"] = "avi-upgrade-monitor"
    response.headers["X-Request-ID"] = request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")  # what a credential shows must not outlive it in a cache
    web_config = context.authenticator.web
    response.headers.update(web_config.headers if web_config else {})


def error_response(context: Context, status: int) -> web.Response:
    """
    The response to bytes that are not an HTTP request, or when aiohttp itself fails.

    The text is fixed: the bytes may be a credential with one wrong character.
    """
    request_id = uuid4().hex
    if status == _BAD_REQUEST:
        detail = "not an HTTP request; a header has at most 8,190 bytes and no control characters"
        problem = Problem("bad-request", detail)
    else:
        problem = Problem("internal-error", "unexpected error; the log has a traceback")
    log.debug("request", request_id=request_id, method="none", path="", status=problem.status)
    response = problem_response(problem, request_id)
    _add_headers(response, request_id, context)
    return response
