"""
The target of ``watch``: which image it means, whether it has reached the state that is waited for. Pure.

A name is looked up until an image matches. From then on the target is that image, even if another one takes its name.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias, assert_never

from monitor.cli.api.responses import TargetFailed, WaitTimeout
from monitor.cli.api.stream_objects import StreamImage
from monitor.cli.api.view import (
    Change,
    ControllerRemoved,
    FleetView,
    HealthChanged,
    ImageChanged,
    ImageRemoved,
    ObjectKey,
    UnitChanged,
    UnitRemoved,
    UpgradeChanged,
)
from monitor.cli.output.format import describe_image, describe_outage
from monitor.cli.output.watch_state import (
    Target,
    WatchState,
    choose,
    lost_text,
    no_response_text,
    require_controller,
)
from monitor.config.validation import printable, quoted

EndState: TypeAlias = Literal["completed", "failed"]


def find_image(view: FleetView, target: Target) -> ObjectKey | None:
    """
    Return the image that the target means; None while none matches.

    Raises: Rejected when several match, unless exactly one of them is active; when there is no such controller.
    """
    require_controller(view, target.controller)
    found = list(_matches(view, target)) if target.image else []
    return choose(found, target.image, "images", lambda image: f"{image.uuid}  {image.state}")


def _matches(view: FleetView, target: Target) -> Iterator[tuple[str, StreamImage]]:
    """Yield the images with this uuid, else those with this name."""
    candidates = [(name, image) for name, _, image in view.images() if target.controller in {"", name}]
    by_uuid = [(name, image) for name, image in candidates if image.uuid == target.image]
    yield from by_uuid or ((name, image) for name, image in candidates if image.name == target.image)


def is_relevant(change: Change, target: Target, key: ObjectKey | None) -> bool:
    """Whether a change is about the target."""
    if target.controller not in {"", change.controller}:
        return False
    match change:
        case ImageChanged(controller, received):
            return not target.image or (controller, received.object.uuid) == key
        case ImageRemoved(controller, image):
            return not target.image or (controller, image.uuid) == key
        case HealthChanged(controller) | ControllerRemoved(controller):
            return key is None or controller == key[0]
        case UnitChanged() | UnitRemoved() | UpgradeChanged():
            return False
        case _:
            assert_never(change)


def has_reached(view: FleetView, key: ObjectKey, until: EndState) -> bool:
    """
    Whether the image is in the state that is waited for; False while it can still reach it.

    Raises: TargetFailed when it cannot.
    """
    name, uuid = key
    controller = view.controllers.get(name)
    if controller is None:
        raise TargetFailed(f"{printable(name)}: the daemon no longer watches this controller")
    received = view.get(key)
    if received is None and controller.health.seen_at is None:
        return False  # a daemon that has just started knows no images yet
    if received is None:
        raise TargetFailed(f"{printable(name)}  {printable(uuid)}: the image is gone")
    image = received.object
    if image.state not in {until, "started", "in_progress", "unknown"}:
        ending = f"{image.state}: {image.reason}" if image.reason else image.state
        raise TargetFailed(printable(f"{name}  {image.name or uuid}: {ending}"))
    return image.state == until


def wait_timeout(state: WatchState, target: Target, *, now: float) -> WaitTimeout:
    """Return the error for a timeout: how far the image was, and what prevented polling or the connection."""
    view, key = state.view, state.key
    if view.clock_offset_s is None:
        return WaitTimeout(no_response_text(state))
    names = [key[0]] if key else [name for name in view.controllers if target.controller in {"", name}]
    outages = (describe_outage(name, view.controllers.get(name)) for name in names)
    parts = filter(None, (_describe_target(state, target, now=now), *outages, lost_text(state)))
    return WaitTimeout("; ".join(map(printable, ("timed out", *parts))))


def _describe_target(state: WatchState, target: Target, *, now: float) -> str:
    if state.key is None:
        return f"no image with the uuid or name {quoted(target.image)} was found" if target.image else ""
    name, uuid = state.key
    received = state.view.get(state.key)
    if received is None:
        return f"{name}  {uuid}: not known at present"
    return describe_image(name, state.view.controllers[name], received.object, now=now)
