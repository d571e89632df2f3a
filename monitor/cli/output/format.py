"""One line about an upload or a controller: the remaining time, a stall, a failed poll. Pure."""

from datetime import UTC, datetime
from typing import Final

from monitor.cli.api.stream_objects import Eta, StreamImage
from monitor.cli.api.view import ControllerView
from monitor.cli.output.tables import format_time, percent_text, tasks_text

_UNITS: Final = ((5400.0, 3600.0, "h", 1), (90.0, 60.0, "min", 0), (0.0, 1.0, "s", 0))
"""The shortest duration for which a unit is used, the unit in seconds, its symbol, and the decimals."""


def format_duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``2.5 h``."""
    size, unit, decimals = _unit(seconds)
    return f"{seconds / size:.{decimals}f} {unit}"


def format_remaining(eta: Eta, *, now: float) -> str:
    """``4 min left (3–6)``, or ``overdue`` after the latest expected end. ``now``: by the daemon's clock."""
    if now > eta.latest:
        return "overdue"
    remaining = [max(0.0, at - now) for at in (eta.earliest, eta.ends_at, eta.latest)]
    size, unit, decimals = _unit(remaining[1])
    shortest, expected, longest = (f"{seconds / size:.{decimals}f}" for seconds in remaining)
    return f"{expected} {unit} left" + (f" ({shortest}–{longest})" if shortest != longest else "")


def _unit(seconds: float) -> tuple[float, str, int]:
    return next(((size, unit, decimals) for least, size, unit, decimals in _UNITS if seconds >= least), (1.0, "s", 0))


def describe_progress(controller: ControllerView, image: StreamImage, *, now: float) -> str:
    """Return remaining time and stall of an active image; of an outdated one, the time of its last poll."""
    if not controller.is_current:
        return f"as of {time_of_day(controller.health.seen_at)}"
    if not image.active:
        return ""
    parts = [format_remaining(image.eta, now=now)] if image.eta else []
    if image.standing == "stalled":
        parts.append(f"no move for {format_duration(now - (image.changed_at or now))}")
    return ", ".join(parts)


def time_of_day(at: float | None) -> str:
    """Return Unix seconds as a time, UTC."""
    return "an unknown time" if at is None else datetime.fromtimestamp(at, UTC).strftime("%H:%M:%SZ")


def describe_outage(name: str, controller: ControllerView | None) -> str:
    """Return why a controller's images are outdated or missing; empty when they are current. To be escaped."""
    if controller is None or controller.is_current:
        return ""
    health = controller.health
    cause = f": {health.cause}" if health.cause else ""
    if health.reason:
        problem = f"cannot be polled ({health.reason}{cause})"
    else:
        problem = f"not polled {'recently' if health.up else 'yet'}{cause}"
    as_of = "" if health.seen_at is None else f"; its images are as of {format_time(health.seen_at)}"
    return f"{name}: {problem}{as_of}"


def describe_image(name: str, controller: ControllerView, image: StreamImage, *, now: float) -> str:
    """Return one line: controller, image, state, progress and what needs attention. To be escaped."""
    percent = percent_text(image).strip()
    last = image.reason if image.state == "failed" else describe_progress(controller, image, now=now)
    return "  ".join(filter(None, (name, image.name or image.uuid, image.state, percent, tasks_text(image), last)))
