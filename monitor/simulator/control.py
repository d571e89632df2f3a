"""
``/simulator``: controls a simulated Controller over HTTP, for demonstrations and for tests in other processes.

It needs no log-in, and no fault affects it. So it is for programs on this machine alone: neither for those on another
one, nor for the page of another site in a browser on this one, also not under a name of its own (DNS rebinding).
"""

from collections.abc import Callable
from ipaddress import ip_address
from typing import TypeAlias, TypeVar

import msgspec

from monitor.simulator.faults import Fault
from monitor.simulator.http_types import ApiError, HttpRequest, HttpResponse, json_response
from monitor.simulator.lifecycle import format_time
from monitor.simulator.specs import UploadSpec
from monitor.simulator.state import ControllerState

T = TypeVar("T")
PREFIX = "/simulator"
SUMMARY_FIELDS = ("uuid", "name", "img_state", "progress")
NEWEST = (99,)  # an API version in which an Image has all fields


class Advance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /simulator/advance``. ``seconds`` may be negative."""

    seconds: float


def is_control(request: HttpRequest) -> bool:
    """Whether the request is for the simulator, not for the Controller."""
    return request.path == PREFIX or request.path.startswith(f"{PREFIX}/")


def respond(controller: ControllerState, request: HttpRequest) -> HttpResponse:
    """Return the response of a control route, errors included."""
    handler = ROUTES.get((request.method, request.path.rstrip("/")))
    try:
        _require_local(request)
        return handler(controller, request) if handler else json_response({"error": "no such route"}, status=404)
    except ApiError as error:
        return error.response()


def _require_local(request: HttpRequest) -> None:
    """Raises: ApiError 403 for a client on another machine, and for the page of another site."""
    host = request.headers.get("Host", "localhost")
    if not _is_loopback(request.remote) or not _is_loopback(_name_of(host)):
        detail = f"{PREFIX} is for this machine alone: ask it by http://127.0.0.1 or http://localhost"
        raise ApiError(403, f"{detail}, not from {request.remote} as {host[:80]}")
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    if origin not in {None, f"http://{host}", f"https://{host}"} or site not in {"none", "same-origin"}:
        raise ApiError(403, f"{PREFIX} is not for the page of another site")


def _name_of(host: str) -> str:
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name.lower() == "localhost"


def _get_state(controller: ControllerState, _: HttpRequest) -> HttpResponse:
    now = controller.clock.now()
    images = [served.image for served in controller.images.served(now, NEWEST)]
    state = {
        "name": controller.name,
        "version": controller.version,
        "now": format_time(now),
        "speed": controller.clock.speed,
        "upgrading": controller.upgrading,
        "unready": controller.unready,
        "sessions": len(controller.login_state.active),
        "logins": controller.login_state.logins,
        "failed_logins": controller.login_state.failed_logins,
        "requests": len(controller.request_log.requests),
        "faults": controller.faults.active,
        "images": [{field: image.get(field) for field in SUMMARY_FIELDS} for image in images],
    }
    return json_response(state)


def _add_fault(controller: ControllerState, request: HttpRequest) -> HttpResponse:
    try:
        controller.faults.add(_decode(request, Fault))
    except ValueError as error:
        raise ApiError(400, str(error)) from error
    return json_response(controller.faults.active, status=201)


def _clear_faults(controller: ControllerState, _: HttpRequest) -> HttpResponse:
    controller.faults.clear()
    return HttpResponse(204)


def _advance(controller: ControllerState, request: HttpRequest) -> HttpResponse:
    controller.clock.jump(_decode(request, Advance).seconds)
    return json_response({"now": format_time(controller.clock.now())})


def _add_upload(controller: ControllerState, request: HttpRequest) -> HttpResponse:
    return json_response({"uuid": controller.add_upload(_decode(request, UploadSpec))}, status=201)


def _resume(controller: ControllerState, _: HttpRequest) -> HttpResponse:
    return json_response({"resumed": controller.upgrades.resume(controller.clock.now())})


def _decode(request: HttpRequest, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(request.body, type=shape)
    except msgspec.DecodeError as error:
        raise ApiError(400, str(error)) from error


Handler: TypeAlias = Callable[[ControllerState, HttpRequest], HttpResponse]

ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", PREFIX): _get_state,
    ("POST", f"{PREFIX}/faults"): _add_fault,
    ("DELETE", f"{PREFIX}/faults"): _clear_faults,
    ("POST", f"{PREFIX}/advance"): _advance,
    ("POST", f"{PREFIX}/uploads"): _add_upload,
    ("POST", f"{PREFIX}/resume"): _resume,
}
