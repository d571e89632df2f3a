"""Which images need attention: when an upload counts as stalled, and the order of every table. Pure."""

from typing import Final

from monitor.model.image import Image, ImageState

STALLED_AFTER_S: Final = 60.0  # a healthy upload moves more often

_ORDER: Final[tuple[ImageState, ...]] = ("failed", "in_progress", "started", "unknown", "completed")
_STALLED_RANK: Final = 0.5  # after the failed ones, before those in progress


def is_stalled(image: Image, changed_at: float | None, *, now: float, stalled_after_s: float = STALLED_AFTER_S) -> bool:
    """Whether an active image has not moved for too long. ``changed_at``: its last progress; None: not known."""
    return image.active and changed_at is not None and now - changed_at > stalled_after_s


def sort_key(controller: str, image: Image, *, stalled: bool, acknowledged: bool) -> tuple[object, ...]:
    """Sort failed images first, then stalled ones, then by state; acknowledged ones last within each of these."""
    rank = _STALLED_RANK if stalled else _ORDER.index(image.state)
    return rank, acknowledged, controller, image.name
