"""Messages of the daemon's event stream, as the command line receives them, and the view after them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from monitor.cli.api.messages import Message, decode_message
from monitor.cli.api.sse import Event
from monitor.cli.api.view import Change, FleetView, ImageChanged, ImageRemoved, apply

NOW: Final = 1000.0
UP: dict[str, Any] = {"up": True, "stale": False, "reason": None, "seen_at": 990.0}
DOWN: dict[str, Any] = {"up": False, "stale": False, "reason": "connect", "cause": "refused", "seen_at": 900.0}
NEW: dict[str, Any] = {"up": False, "stale": False, "reason": None, "seen_at": None}


RANKS: Final = {"failed": 0, "stalled": 1, "active": 2, "unknown": 3, "acknowledged": 4, "completed": 5}


def image(uuid: str, state: str = "in_progress", *, standing: str = "", **more: object) -> dict[str, object]:
    standing = standing or {"in_progress": "active", "started": "active"}.get(state, state)
    shown = {"standing": standing, "standing_rank": RANKS.get(standing, 3)}
    return {"uuid": uuid, "name": f"n-{uuid}", "state": state, "changed_at": NOW, "newer": [1], **shown, **more}


def part(
    controller: str, *images: dict[str, object], health: Mapping[str, object] | None = UP, gone: Iterable[str] = ()
) -> dict[str, object]:
    """``health``: of the session and of the read of images; None: unchanged."""
    resource: dict[str, object] = {"objects": list(images), "gone": list(gone)}
    if health is None:
        return {"controller": controller, "resources": {"image": resource}}
    read = {key: health[key] for key in ("stale", "seen_at")}
    session = {key: value for key, value in health.items() if key not in read}
    return {"controller": controller, "session": session, "resources": {"image": {"health": read, **resource}}}


def state(*parts: dict[str, object], now: float = NOW) -> Message:
    return _decode("state", {"now": now, "version": "0.1.0", "parts": parts})


def change(part: dict[str, object], now: float = NOW) -> Message:
    return _decode("change", {"now": now, "part": part})


def _decode(kind: str, data: object) -> Message:
    message = decode_message(Event(kind, msgspec.json.encode(data), ""))
    assert message is not None
    return message


def after(*messages: Message, received_at: float = NOW) -> tuple[FleetView, tuple[Change, ...]]:
    """Return the view after all messages, and the changes of the last one."""
    view = FleetView()
    changes: tuple[Change, ...] = ()
    for message in messages:
        view, changes = apply(view, message, received_at=received_at)
    return view, changes


def summarize(changes: Iterable[Change]) -> list[tuple[str, ...]]:
    """Return the type of each change with its controller and image."""
    return [(type(each).__name__, each.controller, *_uuid(each)) for each in changes]


def _uuid(change: Change) -> tuple[str, ...]:
    match change:
        case ImageChanged(_, received):
            return (received.object.uuid,)
        case ImageRemoved(_, image):
            return (image.uuid,)
        case _:
            return ()
