"""
The standing of an object: what its state means to an operator. Pure.

It is computed only here; the API, the command line and the page show it.
"""

from collections.abc import Mapping
from math import inf
from typing import Final, get_args

from monitor.model.tracked import ProgressMark, Standing, Tracked, is_acknowledged

RANKS: Final[Mapping[Standing, int]] = {standing: rank for rank, standing in enumerate(get_args(Standing))}
"""The order in which objects are shown: 0, which comes first, needs an operator most."""


def standing_of(
    tracked: Tracked, mark: ProgressMark, annotations: Mapping[str, str], *, at: float, stalled_after_s: float
) -> Standing:
    """
    Return the standing of an object at ``at``, Unix seconds.

    An active object has stalled when it has not moved for ``stalled_after_s``, unless an operator acknowledged it, or
    the Controller reports nothing that could move.
    """
    if tracked.failed:
        return "acknowledged" if is_acknowledged(annotations) else "failed"
    if tracked.state in tracked.COMPLETED_STATES:
        return "completed"
    if not tracked.active:
        return "unknown"
    unmoved = at - mark.changed_at >= stalled_after_s
    return "stalled" if unmoved and tracked.can_stall and not is_acknowledged(annotations) else "active"


def stalls_at(tracked: Tracked, mark: ProgressMark, *, stalled_after_s: float) -> float:
    """Return when the object will have stalled if it does not move, Unix seconds; ``inf`` when it cannot stall."""
    return mark.changed_at + stalled_after_s if tracked.can_stall else inf
