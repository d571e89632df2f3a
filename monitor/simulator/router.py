"""The API of a Controller: its routes, and the checks that they share (readiness, session, CSRF, tenant, version)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from re import Pattern
from re import compile as compile_pattern
from typing import TypeAlias

from monitor.simulator import cluster_api, image_api, login_api, upgrade_api, versions
from monitor.simulator.fault_responses import UPGRADE_TEXT
from monitor.simulator.faults import Fault
from monitor.simulator.http_types import ApiError, HttpRequest, HttpResponse, html_response, plain_401
from monitor.simulator.request import ApiRequest
from monitor.simulator.sessions import WRITE_METHODS, NotAuthenticated, Session
from monitor.simulator.state import ControllerState

Handler: TypeAlias = Callable[[ControllerState, ApiRequest], HttpResponse]


@dataclass(frozen=True, slots=True)
class Route:
    """One route. ``public``: needs no session. ``since``: the Controller's version from which on it exists."""

    method: str
    path: Pattern[str]
    handler: Handler
    public: bool = False
    since: versions.Version = ()


def _route(method: str, path: str, handler: Handler, *, public: bool = False, since: versions.Version = ()) -> Route:
    pattern = compile_pattern(path.replace("{uuid}", r"(?P<uuid>[^/]+)") + "/?")
    return Route(method, pattern, handler, public, since)


ROUTES = (
    _route("POST", "/login", login_api.log_in, public=True),
    _route("POST", "/logout", login_api.log_out),
    _route("GET", "/api/initial-data", login_api.initial_data, public=True),
    _route("GET", "/api/cluster/status", cluster_api.status, public=True),
    _route("GET", "/api/cluster", cluster_api.cluster),
    _route("GET", "/api/cluster/runtime", cluster_api.runtime),
    _route("GET", "/api/cluster/version", cluster_api.version),
    _route("GET", "/api/version/controller", cluster_api.node_versions),
    _route("GET", "/api/upgradestatusinfo", upgrade_api.list_units),
    _route("GET", "/api/upgradestatusinfo/{uuid}", upgrade_api.get_unit),
    _route("GET", "/api/upgradestatussummary", upgrade_api.list_summaries),
    _route("GET", "/api/upgradestatussummary/{uuid}", upgrade_api.get_summary),
    _route("GET", "/api/systemreport", upgrade_api.list_reports),
    _route("GET", "/api/systemreport/{uuid}", upgrade_api.get_report),
    _route("POST", "/api/upgrade", upgrade_api.start),
    _route("POST", "/api/rollback", upgrade_api.roll_back),
    _route("GET", "/api/image-inventory", image_api.inventory, since=versions.IMAGE_INVENTORY),
    _route("GET", "/api/image", image_api.list_images),
    _route("POST", "/api/image", image_api.upload),
    _route("GET", "/api/image/{uuid}", image_api.get_image),
    _route("PATCH", "/api/image/{uuid}", image_api.patch),
    _route("DELETE", "/api/image/{uuid}", image_api.delete),
)


def respond(controller: ControllerState, request: HttpRequest, faults: tuple[Fault, ...] = ()) -> HttpResponse:
    """Return the response of the API, errors included."""
    if controller.bad_gateway:
        return html_response(502, "Bad Gateway")
    if controller.unready:
        return html_response(503, "Service Temporarily Unavailable")
    try:
        return _dispatch(controller, request, faults)
    except ApiError as error:
        return error.response()
    except NotAuthenticated as error:
        return plain_401(error.text).with_headers(*(error.session.cookies if error.session else ()))


def _dispatch(controller: ControllerState, request: HttpRequest, faults: tuple[Fault, ...]) -> HttpResponse:
    route, uuid = _find_route(controller, request)
    if route is None:
        return html_response(404, "Not Found")
    api_request = ApiRequest(request, uuid, faults)
    if route.public:
        session = controller.login_state.find(request.cookies)
        return route.handler(controller, replace(api_request, session=session))
    session = controller.login_state.authenticate(request)
    try:
        response = _handle(controller, route, replace(api_request, session=session), session)
    except ApiError as error:
        response = error.response()
    return response.with_headers(*session.cookies)  # every response to a client that is logged in sets them again


def _handle(controller: ControllerState, route: Route, api_request: ApiRequest, session: Session) -> HttpResponse:
    request = api_request.http
    version, version_header = versions.negotiate(request.headers.get("X-Avi-Version"), controller.version)
    if request.method in WRITE_METHODS and request.path != "/logout":
        _check_may_write(controller, session)
    query, tenant = _query(controller, request), _tenant(controller, request)
    response = route.handler(controller, replace(api_request, query=query, version=version, tenant=tenant))
    return response.with_headers(("AVI_API_VERSION", version_header), ("Vary", "Accept, Cookie"))


def _find_route(controller: ControllerState, request: HttpRequest) -> tuple[Route | None, str]:
    """Return the route and the uuid in the path. Raises: ApiError 405 when the path has no route with this method."""
    version = versions.parse(controller.version) or ()
    existing = [route for route in ROUTES if route.since <= version]
    matching = [(route, match) for route in existing if (match := route.path.fullmatch(request.path))]
    for route, match in matching:
        if route.method == request.method:
            return route, match.groupdict().get("uuid", "")
    if matching:
        raise ApiError(405, f"Method '{request.method}' not allowed")
    return None, ""


def _check_may_write(controller: ControllerState, session: Session) -> None:
    if controller.upgrading:
        raise ApiError(403, UPGRADE_TEXT)
    if not session.account.can_write:
        raise ApiError(403, "User does not have permission to write: PERMISSION_IMAGE")


def _tenant(controller: ControllerState, request: HttpRequest) -> str:
    """Return the name of the requested tenant, ``*`` for all. Raises: ApiError 403 for one that does not exist."""
    uuid = request.headers.get("X-Avi-Tenant-UUID")
    if uuid:
        tenant = next((name for name, known in controller.tenants.items() if known == uuid), uuid)
    else:
        tenant = request.headers.get("X-Avi-Tenant") or "admin"
    if tenant != "*" and tenant not in controller.tenants:
        raise ApiError(403, f"Tenant '{tenant}' does not exist!")
    return tenant


def _query(controller: ControllerState, request: HttpRequest) -> dict[str, str]:
    """Of a repeated key, older Controllers use the first value, newer ones the last."""
    last_wins = (versions.parse(controller.version) or ()) >= versions.LAST_QUERY_KEY_WINS
    return dict(request.query if last_wins else reversed(request.query))
