"""Log-in, log-out and the data that a Controller shows without a log-in."""

from urllib.parse import parse_qs

import msgspec

from monitor.simulator.http_types import ApiError, HttpRequest, HttpResponse, Json, json_response
from monitor.simulator.lifecycle import format_time
from monitor.simulator.request import ApiRequest
from monitor.simulator.sessions import COOKIE_NAMES
from monitor.simulator.state import ControllerState


def log_in(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """
    ``POST /login``, form-encoded or JSON, with a password or a token.

    Raises: ApiError 400 for a body that is neither, 401 ``Invalid credentials``, also from a Controller that has just
    returned from an upgrade.
    """
    if controller.upgrades.refuses_logins(controller.clock.now()):
        controller.login_state.failed_logins += 1
        raise ApiError(401, "Invalid credentials")
    credentials = _credentials(request.http)
    secret = credentials.get("password") or credentials.get("token", "")
    session = controller.login_state.log_in(credentials.get("username", ""), secret)
    username, superuser = session.account.username, session.account.superuser
    document = {
        "user_initialized": True,
        "version": _version(controller),
        "user": {"username": username, "name": username, "is_superuser": superuser, "local": True, "ui_property": "{}"},
        "tenants": [{"name": name, "uuid": uuid, "local": True} for name, uuid in controller.tenants.items()],
        "system_config": {"portal_configuration": {"allow_basic_authentication": False}},
        "controller": {"api_idle_timeout": round(controller.spec.idle_timeout_s / 60)},
        "session_cookie_name": COOKIE_NAMES[0],
    }
    return json_response(document).with_headers(*session.cookies)


def _credentials(request: HttpRequest) -> dict[str, str]:
    if "json" in request.headers.get("Content-Type", ""):
        try:
            return msgspec.json.decode(request.body, type=dict[str, str])
        except msgspec.DecodeError as error:
            raise ApiError(400, f"JSON parse error - {error}") from error
    return {key: values[0] for key, values in parse_qs(request.body.decode(errors="replace")).items()}


def _version(controller: ControllerState) -> Json:
    return {
        "Version": controller.version,
        "build": controller.build_no,
        "Tag": f"{controller.version}-{controller.build_no}",
        "Product": "controller",
        "ProductName": "Avi Cloud Controller",
        "min_version": 15.2,  # a number, as recorded
        "Date": "2024-08-26T10:10:10+00:00",
    }


def log_out(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``POST /logout``; ends the session of the client, and no other."""
    if request.session:
        controller.login_state.log_out(request.session)
    return json_response({})


def initial_data(controller: ControllerState, request: ApiRequest) -> HttpResponse:
    """``GET /api/initial-data``; public, with the version only after a log-in."""
    document: Json = {
        "current_time": format_time(controller.clock.now()),
        "sso": False,
        "welcome_workflow_complete": True,
        "setup_failed": False,
    }
    return json_response({**document, "version": _version(controller)} if request.session else document)
