"""
``/simulator``: the handles of a simulated Controller over HTTP, for demonstrations and for tests in other processes.

No log-in: it is there because it is a simulator, and it answers whatever else is broken.
"""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from monitor.simulator.faults import Fault
from monitor.simulator.http_types import Call, Json, Refusal, Reply, reply
from monitor.simulator.lifecycle import spoken
from monitor.simulator.specs import UploadSpec
from monitor.simulator.state import ControllerState

T = TypeVar("T")
PREFIX = "/simulator"


class Advance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /simulator/advance``; may be negative."""

    seconds: float


def is_control(call: Call) -> bool:
    """Whether the call is meant for the simulator, not for the Controller."""
    return call.path == PREFIX or call.path.startswith(f"{PREFIX}/")


def answered(controller: ControllerState, call: Call) -> Reply:
    """The reply, refusals included."""
    handle = HANDLES.get((call.method, call.path.rstrip("/")))
    try:
        return handle(controller, call) if handle else reply({"error": "no such handle"}, status=404)
    except Refusal as refusal:
        return refusal.reply()


def _state(controller: ControllerState, _: Call) -> Reply:
    now = controller.clock.now()
    images = [_summary(served.image) for served in controller.images.served(now, (99,))]
    told = {
        "name": controller.name,
        "version": controller.version,
        "now": spoken(now),
        "speed": controller.clock.speed,
        "upgrading": controller.upgrading,
        "unready": controller.unready,
        "sessions": len(controller.login_state.live),
        "logins": controller.login_state.logins,
        "failed_logins": controller.login_state.failed_logins,
        "requests": len(controller.journal.requests),
        "faults": controller.faults.ordered,
        "images": images,
    }
    return reply(told)


def _summary(image: Json) -> Json:
    return {field: image.get(field) for field in ("uuid", "name", "img_state", "progress")}


def _order(controller: ControllerState, call: Call) -> Reply:
    try:
        controller.faults.order(_read(call, Fault))
    except ValueError as error:
        raise Refusal(400, str(error)) from error
    return reply(controller.faults.ordered, status=201)


def _clear(controller: ControllerState, _: Call) -> Reply:
    controller.faults.clear()
    return Reply(204)


def _advance(controller: ControllerState, call: Call) -> Reply:
    controller.clock.jump(_read(call, Advance).seconds)
    return reply({"now": spoken(controller.clock.now())})


def _upload(controller: ControllerState, call: Call) -> Reply:
    return reply({"uuid": controller.plan(_read(call, UploadSpec))}, status=201)


def _read(call: Call, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(call.body, type=shape)
    except msgspec.DecodeError as error:
        raise Refusal(400, str(error)) from error


Handle: TypeAlias = Callable[[ControllerState, Call], Reply]

HANDLES: dict[tuple[str, str], Handle] = {
    ("GET", PREFIX): _state,
    ("POST", f"{PREFIX}/faults"): _order,
    ("DELETE", f"{PREFIX}/faults"): _clear,
    ("POST", f"{PREFIX}/advance"): _advance,
    ("POST", f"{PREFIX}/uploads"): _upload,
}
