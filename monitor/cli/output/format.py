"""How an upload that is under way goes, in words: how long it will take yet, and for how long nothing moved. Pure."""

from datetime import UTC, datetime
from typing import Final

from monitor.cli.api.view import Eta, Known, Watched
from monitor.cli.output.tables import moment, percent, tasks

STILL_S: Final = 60.0  # beyond it is worth a word; between two moves of a healthy upload lies less
_UNITS: Final = ((5400.0, 3600.0, "h", 1), (90.0, 60.0, "min", 0), (0.0, 1.0, "s", 0))
"""From so many seconds on: the unit, and its decimals."""


def lasting(seconds: float) -> str:
    """``40 s``, ``12 min``, ``2.5 h``."""
    size, unit, decimals = _unit(seconds)
    return f"{seconds / size:.{decimals}f} {unit}"


def left(eta: Eta, *, now: float) -> str:
    """``4 min left (3–6)``; no number once it should have been done. ``now``: by the daemon's clock."""
    if now > eta.latest:
        return "overdue"
    rests = [max(0.0, at - now) for at in (eta.earliest, eta.ends_at, eta.latest)]
    size, unit, decimals = _unit(rests[1])
    least, likely, most = (f"{rest / size:.{decimals}f}" for rest in rests)
    return f"{likely} {unit} left" + (f" ({least}–{most})" if least != most else "")


def _unit(seconds: float) -> tuple[float, str, int]:
    return next(((size, unit, decimals) for least, size, unit, decimals in _UNITS if seconds >= least), (1.0, "s", 0))


def is_still(image: Watched, *, now: float) -> bool:
    """Whether it has not moved for a while, and should."""
    return image.active and image.changed_at is not None and now - image.changed_at > STILL_S


def going(known: Known, image: Watched, *, now: float) -> str:
    """What there is to say beside its progress; where its controller is not read at present, as of when that is."""
    if not known.current:
        return f"as of {_clock(known.health.seen_at)}"
    if not image.active:
        return ""
    said = [left(image.eta, now=now)] if image.eta else []
    said += [f"no move for {lasting(now - (image.changed_at or now))}"] if is_still(image, now=now) else []
    return ", ".join(said)


def _clock(at: float | None) -> str:
    return "some time ago" if at is None else datetime.fromtimestamp(at, UTC).strftime("%H:%M:%SZ")


def absence_of(name: str, known: Known | None) -> str:
    """Why what is shown of a controller is old or missing; empty while it is neither. A stranger's text."""
    if known is None or known.current:
        return ""
    health = known.health
    why = health.reason or ("not lately" if health.up else "not yet")
    cause = f": {health.cause}" if health.cause else ""
    shown = "" if health.seen_at is None else f"; its images are as of {moment(health.seen_at)}"
    return f"{name}: not read at present ({why}{cause}){shown}"


def line_of(controller: str, known: Known, image: Watched, *, now: float) -> str:
    """All that matters of an image."""
    share = percent(image).strip()
    last = image.reason if image.state == "failed" else going(known, image, now=now)
    return "  ".join(filter(None, (controller, image.name or image.uuid, image.state, share, tasks(image), last)))
