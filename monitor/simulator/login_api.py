"""Log-in, log-out and what a Controller tells a stranger."""

from urllib.parse import parse_qs

import msgspec

from monitor.simulator.http_types import Call, Json, Refusal, Reply, reply
from monitor.simulator.lifecycle import spoken
from monitor.simulator.request import Asked
from monitor.simulator.sessions import COOKIE_NAMES
from monitor.simulator.state import ControllerState


def log_in(controller: ControllerState, asked: Asked) -> Reply:
    """
    ``POST /login``, form-encoded or JSON, with a password or a token.

    Raises: Refusal 400 for a body that is neither, 401 ``Invalid credentials``.
    """
    said = _credentials(asked.call)
    session = controller.login_state.log_in(said.get("username", ""), said.get("password") or said.get("token", ""))
    username = session.account.username
    welcome = {
        "user_initialized": True,
        "version": _version(controller),
        "user": {"username": username, "name": username, "is_superuser": True, "local": True, "ui_property": "{}"},
        "tenants": [{"name": name, "uuid": uuid, "local": True} for name, uuid in controller.tenants.items()],
        "system_config": {"portal_configuration": {"allow_basic_authentication": False}},
        "controller": {"api_idle_timeout": round(controller.spec.idle_timeout_s / 60)},
        "session_cookie_name": COOKIE_NAMES[0],
    }
    return reply(welcome).carrying(*session.cookies)


def _credentials(call: Call) -> dict[str, str]:
    if "json" in call.headers.get("Content-Type", ""):
        try:
            return msgspec.json.decode(call.body, type=dict[str, str])
        except msgspec.DecodeError as error:
            raise Refusal(400, f"JSON parse error - {error}") from error
    return {key: values[0] for key, values in parse_qs(call.body.decode(errors="replace")).items()}


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


def log_out(controller: ControllerState, asked: Asked) -> Reply:
    """``POST /logout`` ends the session, and no other."""
    if asked.session:
        controller.login_state.log_out(asked.session)
    return reply({})


def initial_data(controller: ControllerState, asked: Asked) -> Reply:
    """For everybody; the version only for those who are logged in."""
    told: Json = {
        "current_time": spoken(controller.clock.now()),
        "sso": False,
        "welcome_workflow_complete": True,
        "setup_failed": False,
    }
    return reply({**told, "version": _version(controller)} if asked.session else told)
