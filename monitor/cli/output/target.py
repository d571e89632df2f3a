"""
Which images are watched, whether it has come as far as somebody waits for, and the words for that it has not. Pure.

A name is looked up until an image is found; from then on it is that very image, whatever else is given the name.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias, assert_never

from msgspec import Struct

from monitor.cli.api.responses import Rejected, TargetFailed, WaitTimeout
from monitor.cli.api.view import Change, ControllerGone, HealthTold, ImageGone, ImageTold, Key, View, Watched
from monitor.cli.output.format import absence_of, line_of
from monitor.config.validation import printable, quoted

Until: TypeAlias = Literal["completed", "failed"]


class Wanted(Struct, frozen=True):
    """``image``: a uuid or a name; empty: all images. ``controller``: the only one to look at; empty: all of them."""

    image: str = ""
    controller: str = ""


class Scene(Struct, frozen=True):
    """What there is to show. ``key``: the one image that is meant, once it is found. ``lost``: why nothing comes."""

    wanted: Wanted
    view: View = View()
    key: Key | None = None
    lost: str = ""


def find(view: View, wanted: Wanted) -> Key | None:
    """
    The image that is meant; None while there is none.

    Raises: Rejected when several are, and not exactly one of them is under way; when there is no such controller.
    """
    if wanted.controller and wanted.controller not in view.controllers:
        raise Rejected(f"there is no controller {quoted(wanted.controller)} that you may see")
    found = list(_named(view, wanted)) if wanted.image else []
    active = [(name, image) for name, image in found if image.active]
    if len(found) > 1 and len(active) != 1:
        each = "".join(f"\n  {printable(name)}  {printable(image.uuid)}  {image.state}" for name, image in found)
        raise Rejected(f"{len(found)} images are meant by {quoted(wanted.image)}; give --controller or a uuid:{each}")
    return next(((name, image.uuid) for name, image in active or found), None)


def _named(view: View, wanted: Wanted) -> Iterator[tuple[str, Watched]]:
    """Those whose uuid it is, else those whose name it is."""
    among = [(name, image) for name, _, image in view.images() if wanted.controller in {"", name}]
    by_uuid = [(name, image) for name, image in among if image.uuid == wanted.image]
    yield from by_uuid or ((name, image) for name, image in among if image.name == wanted.image)


def concerns(change: Change, wanted: Wanted, key: Key | None) -> bool:
    """Whether a change is one of what is watched."""
    if wanted.controller not in {"", change.controller}:
        return False
    match change:
        case ImageTold(controller, told):
            return not wanted.image or (controller, told.image.uuid) == key
        case ImageGone(controller, image):
            return not wanted.image or (controller, image.uuid) == key
        case HealthTold(controller) | ControllerGone(controller):
            return key is None or controller == key[0]
        case _:
            assert_never(change)


def reached(view: View, key: Key, until: Until) -> bool:
    """
    Whether the image is in the state that is waited for; False while it can come to it yet.

    Raises: TargetFailed when it cannot.
    """
    name, uuid = key
    known = view.controllers.get(name)
    if known is None:
        raise TargetFailed(f"{printable(name)}: the controller is watched no more")
    told = view.told(key)
    if told is None and known.health.seen_at is None:
        return False  # a daemon that has just begun knows no image yet
    if told is None:
        raise TargetFailed(f"{printable(name)}  {printable(uuid)}: the image is gone")
    if told.image.state not in {until, "started", "in_progress", "unknown"}:
        raise TargetFailed(printable(f"{name}  {told.image.name or uuid}: {ending(told.image)}"))
    return told.image.state == until


def ending(image: Watched) -> str:
    """How it ended; a stranger's text."""
    return f"{image.state}: {image.reason}" if image.reason else image.state


def late(view: View, wanted: Wanted, key: Key | None, *, now: float, lost: str) -> WaitTimeout:
    """That the time is over: how far it was, and what stood in the way. ``lost``: why there is no connection."""
    names = [key[0]] if key else [name for name in view.controllers if wanted.controller in {"", name}]
    absences = (absence_of(name, view.controllers.get(name)) for name in names)
    away = f"no connection to the daemon: {lost}" if lost else ""
    said = filter(None, (_far(view, wanted, key, now=now), *absences, away))
    return WaitTimeout("; ".join(map(printable, ("the time is over", *said))))


def _far(view: View, wanted: Wanted, key: Key | None, *, now: float) -> str:
    if key is None:
        return f"no image of the uuid or name {quoted(wanted.image)} was seen" if wanted.image else ""
    told = view.told(key)
    if told is None:
        return f"{key[0]}  {key[1]}: not known at present"
    return line_of(key[0], view.controllers[key[0]], told.image, now=now)
