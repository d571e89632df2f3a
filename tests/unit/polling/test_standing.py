"""What an object means to an operator."""

from collections.abc import Mapping
from math import inf
from typing import Any, get_args

import pytest

from monitor.model.image import Image, ImageState
from monitor.model.tracked import Event, ProgressMark, Standing
from monitor.polling.standing import RANKS, stalls_at, standing_of

MOVED_AT = 1000.0
MARK = ProgressMark(b"", changed_at=MOVED_AT, first_seen_at=0.0)
KNOWN = {"acknowledged": "yes"}


@pytest.mark.parametrize(
    ("state", "annotations", "still_s", "standing"),
    [
        pytest.param("failed", {}, 0.0, "failed", id="failed"),
        pytest.param("failed", KNOWN, 0.0, "acknowledged", id="failed, and an operator knows"),
        pytest.param("failed", {"acknowledged": "no"}, 0.0, "failed", id="failed, and the annotation says no"),
        pytest.param("started", {}, 599.0, "active", id="moved a while ago"),
        pytest.param("in_progress", {}, 600.0, "stalled", id="did not move for exactly as long"),
        pytest.param("in_progress", KNOWN, 6000.0, "active", id="stalled, and an operator knows"),
        pytest.param("completed", {}, 6000.0, "completed", id="completed long ago"),
        pytest.param("completed", KNOWN, 0.0, "completed", id="completed and acknowledged"),
        pytest.param("unknown", {}, 6000.0, "unknown", id="unknown"),
    ],
)
def test_the_standing_of_an_image(
    state: ImageState, annotations: Mapping[str, str], still_s: float, standing: Standing
) -> None:
    image = Image(uuid="u1", state=state, progress_ratio=0.5)

    assert standing_of(image, MARK, annotations, at=MOVED_AT + still_s, stalled_after_s=600.0) == standing


def test_what_needs_a_person_comes_first() -> None:
    assert [RANKS[each] for each in ("failed", "stalled", "active")] == [0, 1, 2]
    assert sorted(RANKS.values()) == list(range(len(get_args(Standing))))


@pytest.mark.parametrize(
    "reported",
    [
        pytest.param({"progress_ratio": 0.0}, id="progress"),
        pytest.param({"tasks_completed": 0}, id="tasks"),
        pytest.param({"events": (Event("Extract package", "10.0.0.1", "running", ""),)}, id="events"),
        pytest.param({"had_events": True}, id="events that were dropped after rendering"),
    ],
)
def test_only_an_active_image_can_stall(reported: Mapping[str, Any]) -> None:
    assert stalls_at(Image(uuid="u1", state="started", **reported), MARK, stalled_after_s=600.0) == MOVED_AT + 600.0
    assert stalls_at(Image(uuid="u1", state="completed", **reported), MARK, stalled_after_s=600.0) == inf


def test_an_image_of_which_nothing_that_moves_is_reported_never_stalls() -> None:
    image = Image(uuid="u1", state="in_progress", tasks=6)  # as releases before 21.1.3 and some editions have it

    assert standing_of(image, MARK, {}, at=MOVED_AT + 6000.0, stalled_after_s=600.0) == "active"
    assert stalls_at(image, MARK, stalled_after_s=600.0) == inf
