"""
The operation of a unit: when a new one began, so that progress, estimates and annotations begin anew. Pure.

Unit uuids are for ever: without a key of its own, an acknowledgement of last year would silence tonight's failure.
"""

from typing import Final

from monitor.model.tracked import OperationMark
from monitor.model.upgrade import Upgrade

_SAME_START_S: Final = 1.0  # summary and info may tell one start in texts of different resolution


def update_operation(known: OperationMark | None, unit: Upgrade, *, at: float) -> OperationMark:
    """
    Return the mark after a read. An operation is new if its ``key`` is another.

    It begins when the unit turns active, when its operation becomes another one, or its start does; a field that merely
    appears or is left out begins nothing. The key is the start that is told then, or else ``at``, Unix seconds.
    """
    before = known or OperationMark()
    operation = unit.operation_label or before.operation
    started_at = before.started_at if unit.started_at is None else unit.started_at
    known_start = before.started_at if before.started_at is not None else started_at
    restarted = started_at is not None and known_start is not None and abs(started_at - known_start) >= _SAME_START_S
    another = before.operation not in {"", operation}
    anything = unit.active or unit.started_at is not None
    begins = (unit.active and not before.active) or another or restarted or (anything and not before.key)
    if not begins:
        return OperationMark(before.key, operation, started_at, unit.active)
    of_before = known is not None and unit.started_at == before.started_at  # it stays in the object for a while
    began_at = at if unit.started_at is None or of_before else unit.started_at
    return OperationMark(f"{began_at:.3f}", operation, unit.started_at, unit.active)
