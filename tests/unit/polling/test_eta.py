"""When an upload will end: the estimate, when it is replaced, and when there is none."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from monitor.model.image import Image, TrackedImage
from monitor.model.tracked import Eta, Event, EventState, ProgressMark, UploadProgress
from monitor.polling.eta import (
    UNKNOWN,
    CompletedUpload,
    TypicalDurations,
    is_overdue,
    remaining,
    share_done,
    stalled_s,
    summarize,
    typical_of,
    update_eta,
)

SLOW, QUICK = 300.0, 100.0
USUAL = TypicalDurations({"Extract": SLOW, "Copy": QUICK}, took_s=800.0)


def event(
    task: str, state: EventState = "succeeded", node: str = "n1", span: tuple[float, float] | None = None
) -> Event:
    begin, end = span or (None, None)
    return Event(task, node, state, "", begin, end)


def upload(ratio: float | None = None, *events: Event, tasks: int | None = None, completed: int | None = None) -> Image:
    return Image(
        uuid="u1", state="in_progress", progress_ratio=ratio, tasks=tasks, tasks_completed=completed, events=events
    )


def tracked(image: Image, progress: UploadProgress | None, *, at: float) -> TrackedImage:
    return TrackedImage(image, ProgressMark(b"", changed_at=at, first_seen_at=0.0), 0.0, progress=progress)


def steps_of(
    readings: Sequence[tuple[float, float]], usually: TypicalDurations = UNKNOWN
) -> list[UploadProgress | None]:
    """The steps of an upload that is seen at these times with this progress, and moves each time."""
    known, steps = None, list[UploadProgress | None]()
    for at, ratio in readings:
        image = upload(ratio)
        progress = update_eta(known, image, usually, at=at, moved=True)
        known = tracked(image, progress, at=at)
        steps.append(progress)
    return steps


def eta_of(progress: UploadProgress | None) -> Eta:
    assert progress
    assert progress.eta
    return progress.eta


# The share of the work that is done


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param(upload(0.4), 0.4, id="progress"),
        pytest.param(upload(0.4, tasks=4, completed=3), 0.4, id="progress before tasks"),
        pytest.param(upload(tasks=4, completed=3), 0.75, id="tasks"),
        pytest.param(upload(tasks=4), 0.0, id="no task yet"),
        pytest.param(upload(tasks=4, completed=9), 1.0, id="more tasks than there are"),
        pytest.param(upload(tasks=0), None, id="no tasks"),
        pytest.param(upload(), None, id="nothing"),
    ],
)
def test_without_earlier_uploads_the_share_is_what_the_controller_says(image: Image, expected: float | None) -> None:
    assert share_done(image, {}) == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param(upload(0.9, event("Extract", "running")), 0.75, id="not beyond the task under way"),
        pytest.param(upload(0.5, event("Extract"), event("Copy", "running")), 0.75, id="not before what is done"),
        pytest.param(upload(0.8, event("Extract"), event("Copy", "running")), 0.8, id="between"),
        pytest.param(upload(None, event("Extract", "running")), 0.375, id="half of what is under way"),
        pytest.param(upload(0.9, event("Extract"), event("Extract", "pending", "n2")), 0.75, id="one node waits"),
        pytest.param(upload(0.9, event("Extract", "failed")), 0.75, id="a failed one is not done"),
        pytest.param(upload(0.4, event("Extract", "pending")), 0.0, id="none has begun"),
        pytest.param(upload(0.4, event("Unheard of")), 0.0, id="one that is new weighs nothing"),
        pytest.param(upload(0.4), 0.4, id="no events"),
    ],
)
def test_typical_durations_limit_the_share_by_the_tasks_that_ended(image: Image, expected: float) -> None:
    assert share_done(image, USUAL.tasks) == pytest.approx(expected)


@given(
    ratio=st.none() | st.floats(0, 1),
    states=st.lists(st.sampled_from(["succeeded", "running", "pending", "failed"]), max_size=6),
    tasks=st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1e6)),
)
def test_a_share_is_between_0_and_1(ratio: float | None, states: list[EventState], tasks: Mapping[str, float]) -> None:
    image = upload(ratio, *(event("abcdef"[place], state) for place, state in enumerate(states)))
    found = share_done(image, tasks)
    assert found is None or 0 <= found <= 1


# Estimates


def test_there_is_no_estimate_before_enough_was_seen() -> None:
    first, second, third = steps_of([(0.0, 0.0), (10.0, 0.02), (20.0, 0.04)])
    assert first == UploadProgress(0.0, 0.0)
    assert second == UploadProgress(0.0, 0.0)
    assert eta_of(third).ends_at == pytest.approx(500.0)


def test_the_estimate_of_an_even_upload_does_not_change() -> None:
    steps = steps_of([(at, at / 1000) for at in range(0, 1000, 50)])
    assert {round(eta_of(progress).ends_at) for progress in steps[1:]} == {1000}
    assert {eta_of(progress).why for progress in steps[1:]} == {""}


def test_the_range_narrows_and_contains_the_estimate() -> None:
    estimates = [eta_of(progress) for progress in steps_of([(at, at / 1000) for at in range(0, 1000, 50)])[1:]]
    widths = [each.latest - each.earliest for each in estimates]
    assert widths == sorted(widths, reverse=True)
    assert all(each.earliest <= each.ends_at <= each.latest for each in estimates)


@pytest.mark.parametrize(
    ("at", "ratio", "why"),
    [
        pytest.param(1000.0, 0.55, "it stood still for 500 s", id="stood still"),
        pytest.param(559.0, 0.95, "it goes faster than before", id="faster"),
    ],
)
def test_an_estimate_that_became_impossible_is_replaced_with_a_reason(at: float, ratio: float, why: str) -> None:
    before, after = steps_of([(0.0, 0.0), (500.0, 0.5), (at, ratio)])[1:]
    assert eta_of(after).ends_at != eta_of(before).ends_at
    assert eta_of(after).why == why


def test_an_upload_that_slows_down_step_by_step_has_that_reason() -> None:
    *_, last = steps_of([(0.0, 0.0), (50.0, 0.5), *((50.0 + 50 * step, 0.5 + step / 100) for step in range(1, 10))])
    assert eta_of(last).why == "it goes slower than before"


def test_a_replaced_estimate_keeps_its_reason_until_it_is_replaced_again() -> None:
    moved, kept = steps_of([(0.0, 0.0), (500.0, 0.5), (1000.0, 0.55), (1010.0, 0.56)])[2:]
    assert eta_of(kept).why == eta_of(moved).why
    assert eta_of(kept).ends_at == eta_of(moved).ends_at


@given(
    steps=st.lists(st.tuples(st.floats(0.1, 1000, allow_nan=False), st.floats(-0.2, 0.3)), min_size=1, max_size=30),
    usually=st.sampled_from([UNKNOWN, USUAL]),
)
def test_an_estimate_never_changes_without_a_reason(
    steps: list[tuple[float, float]], usually: TypicalDurations
) -> None:
    at, ratio = 0.0, 0.0
    seen = [(at, ratio)]
    for wait, gain in steps:
        at, ratio = at + wait, min(1.0, max(0.0, ratio + gain))
        seen.append((at, ratio))
    before: Eta | None = None
    for (now, _), progress in zip(seen, steps_of(seen, usually), strict=True):
        eta = progress.eta if progress else None
        if before and eta and eta.ends_at != before.ends_at:
            assert eta.why
        if eta:
            assert eta.earliest <= eta.ends_at <= eta.latest
            assert eta.latest >= now
        before = eta


def test_work_that_was_restarted_has_a_new_progress() -> None:
    *_, last = steps_of([(0.0, 0.1), (100.0, 0.5), (110.0, 0.0)])
    assert last == UploadProgress(110.0, 0.0)
    *_, last = steps_of([(0.0, 0.1), (100.0, 0.5), (110.0, 0.0)], USUAL)
    assert eta_of(last).why == "its work began anew"


def test_progress_that_flickers_is_no_restart() -> None:
    *_, last = steps_of([(0.0, 0.1), (100.0, 0.095), (200.0, 0.3)])
    assert last
    assert last.since == 0.0


def test_an_upload_that_did_not_move_keeps_its_estimate() -> None:
    progress = UploadProgress(0.0, 0.0, Eta(1.0, 1.0, 1.0))
    known = tracked(upload(0.5), progress, at=5.0)
    assert update_eta(known, upload(0.5), UNKNOWN, at=9.0, moved=False) is progress


def test_an_upload_that_a_restart_finds_under_way_is_measured_from_then_on() -> None:
    assert update_eta(None, upload(0.5), UNKNOWN, at=9.0, moved=False) == UploadProgress(9.0, 0.5)
    known = tracked(replace(upload(), state="completed"), None, at=5.0)
    assert update_eta(known, upload(0.5), UNKNOWN, at=9.0, moved=True) == UploadProgress(9.0, 0.5)


@pytest.mark.parametrize(
    "image", [replace(upload(0.5), state="completed"), replace(upload(0.5), state="failed"), upload()]
)
def test_there_is_no_progress_of_an_upload_that_ended_or_reports_none(image: Image) -> None:
    known = tracked(upload(0.4), UploadProgress(0.0, 0.0), at=5.0)
    assert update_eta(known, image, USUAL, at=9.0, moved=True) is None


def test_earlier_uploads_give_an_estimate_from_the_first_poll() -> None:
    (progress,) = steps_of([(0.0, 0.0)], TypicalDurations(took_s=800.0))
    assert eta_of(progress).ends_at == pytest.approx(800.0)


def test_the_pace_of_the_upload_soon_outweighs_earlier_uploads() -> None:
    *_, last = steps_of([(0.0, 0.0), (1000.0, 0.5)], TypicalDurations(took_s=800.0))
    assert eta_of(last).ends_at == pytest.approx(1000 + 0.5 * (1000 + 80) / 0.6)


# What is left


def test_an_estimate_is_overdue_once_after_its_latest_end() -> None:
    progress = UploadProgress(0.0, 0.0, Eta(90.0, 80.0, 100.0))
    told = tracked(upload(0.5), progress, at=50.0)
    assert [is_overdue(told, at=at) for at in (50.0, 100.0, 100.1)] == [False, False, True]
    assert not is_overdue(replace(told, progress=replace(progress, overdue=True)), at=101.0)
    assert not is_overdue(replace(told, progress=replace(progress, eta=None)), at=101.0)
    assert not is_overdue(replace(told, progress=None), at=101.0)


def test_an_overdue_estimate_is_replaced_when_the_work_moves_and_the_new_one_says_why() -> None:
    overdue = UploadProgress(0.0, 0.0, Eta(90.0, 80.0, 100.0), overdue=True)
    known = tracked(upload(0.5), overdue, at=50.0)
    assert update_eta(known, upload(0.5), UNKNOWN, at=200.0, moved=False) == overdue
    moved = update_eta(known, upload(0.6), UNKNOWN, at=200.0, moved=True)
    assert moved
    assert moved.forecast
    assert moved.forecast.why == "it stood still for 150 s"


def test_the_remaining_time_counts_down_and_is_none_when_overdue() -> None:
    known = tracked(upload(0.5), UploadProgress(0.0, 0.0, Eta(100.0, 80.0, 130.0)), at=5.0)
    for now, expected in ((60.0, (40.0, 20.0, 70.0)), (90.0, (10.0, 0.0, 40.0)), (130.0, (0.0, 0.0, 0.0))):
        found = remaining(known, now=now)
        assert found
        assert (found.likely_s, found.least_s, found.most_s) == expected
    assert remaining(known, now=131.0) is None
    assert remaining(tracked(upload(0.5), UploadProgress(0.0, 0.5), at=5.0), now=1.0) is None
    assert remaining(tracked(upload(0.5), None, at=5.0), now=1.0) is None


def test_only_active_uploads_have_a_time_without_movement() -> None:
    assert stalled_s(tracked(upload(0.5), None, at=5.0), now=65.0) == 60.0
    assert stalled_s(tracked(upload(0.5), None, at=5.0), now=4.0) == 0.0, "a clock that was set back"
    assert stalled_s(tracked(replace(upload(), state="failed"), None, at=5.0), now=65.0) is None
    nothing = replace(upload(), progress_ratio=None, tasks=None, tasks_completed=None)
    assert stalled_s(tracked(nothing, None, at=5.0), now=65.0) is None, "nothing is reported that could move"


# What completed ones teach


def test_a_task_takes_from_its_first_start_to_its_last_end() -> None:
    image = upload(
        1.0,
        event("Extract", span=(10.0, 40.0)),
        event("Extract", node="n2", span=(5.0, 30.0)),
        event("Copy", span=(50.0, 51.0)),
        event("Copy", node="n2"),
        event("Odd", span=(9.0, 8.0)),
    )
    assert summarize(None, replace(image, ended_at=60.0), at=99.0) == CompletedUpload(
        60.0, {"Extract": 35.0, "Copy": 1.0}
    )


@pytest.mark.parametrize(("done", "took_s"), [(0.0, 90.0), (0.05, 90.0), (0.06, None)])
def test_the_duration_is_known_if_the_upload_was_seen_from_its_beginning(done: float, took_s: float | None) -> None:
    known = tracked(upload(0.9), UploadProgress(10.0, done), at=50.0)
    assert summarize(known, upload(1.0), at=100.0) == CompletedUpload(100.0, {}, took_s)


def test_typical_durations_are_medians() -> None:
    assert typical_of([]) == UNKNOWN
    uploads = [
        CompletedUpload(1.0, {"a": 1.0}, 10.0),
        CompletedUpload(2.0, {"a": 3.0, "b": 5.0}),
        CompletedUpload(3.0, {"a": 2.0}, 30.0),
    ]
    assert typical_of(uploads) == TypicalDurations({"a": 2.0, "b": 5.0}, 20.0)
