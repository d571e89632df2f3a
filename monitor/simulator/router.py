"""
The API of a Controller: which path is answered by whom, and what is checked before: readiness, session, CSRF, tenant,
version. A call in, a reply out; no sockets.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from re import Pattern
from re import compile as pattern
from typing import TypeAlias

from monitor.simulator import cluster_api, image_api, login_api, versions
from monitor.simulator.fault_replies import UPGRADE_TEXT
from monitor.simulator.faults import Fault
from monitor.simulator.http_types import Call, Refusal, Reply, html, plain_401
from monitor.simulator.request import Asked
from monitor.simulator.sessions import WRITES, NotAuthenticated, Session
from monitor.simulator.state import ControllerState

Answer: TypeAlias = Callable[[ControllerState, Asked], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers which path; ``since`` is the Controller's version from which on the path exists."""

    method: str
    path: Pattern[str]
    answer: Answer
    public: bool = False  # needs no session
    since: versions.Version = ()


def _route(method: str, path: str, answer: Answer, *, public: bool = False, since: versions.Version = ()) -> Route:
    return Route(method, pattern(path.replace("{uuid}", r"(?P<uuid>[^/]+)") + "/?"), answer, public, since)


ROUTES = (
    _route("POST", "/login", login_api.log_in, public=True),
    _route("POST", "/logout", login_api.log_out),
    _route("GET", "/api/initial-data", login_api.initial_data, public=True),
    _route("GET", "/api/cluster/status", cluster_api.status, public=True),
    _route("GET", "/api/cluster", cluster_api.cluster),
    _route("GET", "/api/cluster/runtime", cluster_api.runtime),
    _route("GET", "/api/cluster/version", cluster_api.version),
    _route("GET", "/api/version/controller", cluster_api.node_versions),
    _route("GET", "/api/upgradestatusinfo", cluster_api.upgrade_status),
    _route("GET", "/api/image-inventory", image_api.inventory, since=versions.IMAGE_INVENTORY),
    _route("GET", "/api/image", image_api.images),
    _route("POST", "/api/image", image_api.upload),
    _route("GET", "/api/image/{uuid}", image_api.image),
    _route("PATCH", "/api/image/{uuid}", image_api.patch),
    _route("DELETE", "/api/image/{uuid}", image_api.delete),
)


def answered(controller: ControllerState, call: Call, faults: tuple[Fault, ...] = ()) -> Reply:
    """The reply, refusals included."""
    if controller.unready:
        return html(503, "Service Temporarily Unavailable")
    try:
        return _answered(controller, call, faults)
    except Refusal as refusal:
        return refusal.reply()
    except NotAuthenticated as nobody:
        return plain_401(nobody.text).carrying(*(nobody.session.cookies if nobody.session else ()))


def _answered(controller: ControllerState, call: Call, faults: tuple[Fault, ...]) -> Reply:
    route, uuid = _found(controller, call)
    if route is None:
        return html(404, "Not Found")
    asked = Asked(call, uuid, faults)
    if route.public:
        return route.answer(controller, replace(asked, session=controller.login_state.find(call.cookies)))
    session = controller.login_state.admit(call)
    try:
        reply = _inside(controller, route, replace(asked, session=session), session)
    except Refusal as refusal:
        reply = refusal.reply()
    return reply.carrying(*session.cookies)  # every reply to somebody who is logged in sets them again


def _inside(controller: ControllerState, route: Route, asked: Asked, session: Session) -> Reply:
    call = asked.call
    version, told = versions.negotiated(call.headers.get("X-Avi-Version"), controller.version)
    if call.method in WRITES and call.path != "/logout":
        _require_may_write(controller, session)
    asked = replace(asked, query=_query(controller, call), version=version, tenant=_tenant(controller, call))
    return route.answer(controller, asked).carrying(("AVI_API_VERSION", told), ("Vary", "Accept, Cookie"))


def _found(controller: ControllerState, call: Call) -> tuple[Route | None, str]:
    """Raises: Refusal 405 when the path is there but not under that method."""
    here = versions.parse(controller.version) or ()
    known = [(route, match) for route in ROUTES if (match := route.path.fullmatch(call.path)) and route.since <= here]
    for route, match in known:
        if route.method == call.method:
            return route, match.groupdict().get("uuid", "")
    if known:
        raise Refusal(405, f"Method '{call.method}' not allowed")
    return None, ""


def _require_may_write(controller: ControllerState, session: Session) -> None:
    if controller.upgrading:
        raise Refusal(403, UPGRADE_TEXT)
    if not session.account.writes:
        raise Refusal(403, "User does not have permission to write: PERMISSION_IMAGE")


def _tenant(controller: ControllerState, call: Call) -> str:
    """The name of the tenant asked for, ``*`` for all. Raises: Refusal 403 for one that does not exist."""
    uuid = call.headers.get("X-Avi-Tenant-UUID")
    named = call.headers.get("X-Avi-Tenant") or "admin"
    tenant = next((name for name, known in controller.tenants.items() if known == uuid), uuid) if uuid else named
    if tenant != "*" and tenant not in controller.tenants:
        raise Refusal(403, f"Tenant '{tenant}' does not exist!")
    return tenant


def _query(controller: ControllerState, call: Call) -> dict[str, str]:
    """Of a repeated key the first counts on older Controllers, the last on newer ones."""
    last_wins = (versions.parse(controller.version) or ()) >= versions.LAST_QUERY_KEY_WINS
    return dict(call.query if last_wins else reversed(call.query))
