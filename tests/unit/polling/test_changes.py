"""Movements, marks, snapshots and changes, from poll to poll."""

import subprocess
import sys
from collections.abc import Mapping
from math import inf

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from monitor.avi.image import decode_image
from monitor.model.image import Image, ImageState, TrackedImage
from monitor.model.snapshot import Altered, Appeared, ObjectList, Vanished
from monitor.model.tracked import Eta, Event, ProgressMark, UploadProgress
from monitor.polling.changes import diff, fingerprint, make_snapshot, not_after, update_mark
from tests.support.strategies import BOUNDED, FEW, dumps, images

EVENT = Event("Extract", "10.0.0.11", "running", "SYSERR_PENDING", 100.0, None, 5.0)
OTHER = Event("Copy", "10.0.0.12", "pending", "")
IMAGE = Image(
    uuid="u1", name="31.1.1", state="in_progress", progress_ratio=0.5, tasks=6, tasks_completed=3, events=(EVENT, OTHER)
)

FINGERPRINT_SCRIPT = """
import sys, msgspec
from monitor.model.image import Image
from monitor.polling.changes import fingerprint
image = msgspec.json.decode(sys.stdin.buffer.read(), type=Image)
sys.stdout.write(fingerprint(image).hex())
"""

decoded = images.map(lambda fields: decode_image(msgspec.Raw(dumps({"uuid": "u1", **fields})))[0])


def tracked_object(image: Image, known: ProgressMark | None = None, *, at: float = 1000.0) -> TrackedImage:
    return update_mark(image, known, at=at, detail_for_s=3600.0)


# --- what is a movement


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param(replace(IMAGE, progress_ratio=0.51), id="progress"),
        pytest.param(replace(IMAGE, progress_ratio=None), id="progress went away"),
        pytest.param(replace(IMAGE, tasks=7), id="tasks"),
        pytest.param(replace(IMAGE, tasks_completed=4), id="completed tasks"),
        pytest.param(replace(IMAGE, state="completed"), id="state"),
        pytest.param(replace(IMAGE, events=(EVENT,)), id="an event went away"),
        pytest.param(replace(IMAGE, events=(EVENT, replace(OTHER, state="running"))), id="an event's state"),
        pytest.param(replace(IMAGE, events=(EVENT, replace(OTHER, status="SYSERR_IO"))), id="an event's status"),
        pytest.param(replace(IMAGE, events=(replace(EVENT, started_at=101.0), OTHER)), id="an event's start"),
        pytest.param(replace(IMAGE, events=(replace(EVENT, ended_at=105.0), OTHER)), id="an event's end"),
        pytest.param(replace(IMAGE, events=(replace(EVENT, task="Copy"), OTHER)), id="an event's task"),
        pytest.param(replace(IMAGE, events=(replace(EVENT, node="10.0.0.13"), OTHER)), id="an event's node"),
    ],
)
def test_this_is_a_movement(moved: Image) -> None:
    assert fingerprint(moved) != fingerprint(IMAGE)


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(replace(IMAGE, name="renamed"), id="a name"),
        pytest.param(replace(IMAGE, reason="still at it"), id="a reason"),
        pytest.param(replace(IMAGE, last_modified_at=9.0), id="a modification"),
        pytest.param(replace(IMAGE, state_changed_at=9.0), id="a state written again"),
        pytest.param(replace(IMAGE, duration_s=9.0), id="a duration that grows"),
        pytest.param(replace(IMAGE, events=(replace(EVENT, duration_s=6.0), OTHER)), id="an event that takes longer"),
        pytest.param(replace(IMAGE, events=(OTHER, EVENT)), id="another order of the events"),
    ],
)
def test_this_is_no_movement(same: Image) -> None:
    assert fingerprint(same) == fingerprint(IMAGE)


def test_a_fingerprint_of_an_older_version_is_no_movement() -> None:
    """It cannot be compared; an alarm for an upload that stalled must not begin anew with each update of the daemon."""
    known = ProgressMark(b"\x0f" * 16, changed_at=900.0, first_seen_at=800.0)

    mark = tracked_object(IMAGE, known).mark

    assert mark == ProgressMark(fingerprint(IMAGE), changed_at=900.0, first_seen_at=800.0)
    assert tracked_object(replace(IMAGE, tasks=7), mark).mark.changed_at == 1000.0


def test_a_fingerprint_accepts_any_text() -> None:
    odd = replace(IMAGE, events=(replace(EVENT, task="\ud800"),))

    assert fingerprint(odd) != fingerprint(IMAGE)


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_a_fingerprint_is_the_same_in_another_process(seed: str) -> None:
    theirs = subprocess.run(
        [sys.executable, "-c", FINGERPRINT_SCRIPT],
        input=msgspec.json.encode(IMAGE),
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )

    assert theirs.stdout.decode() == fingerprint(IMAGE).hex()


# --- marks


def test_an_image_seen_first_is_marked_now() -> None:
    assert tracked_object(IMAGE, at=1000.0).mark == ProgressMark(
        fingerprint(IMAGE), changed_at=1000.0, first_seen_at=1000.0
    )


def test_an_image_that_moved_is_marked_now_but_was_first_seen_before() -> None:
    known = ProgressMark(b"another", changed_at=900.0, first_seen_at=800.0)

    assert tracked_object(IMAGE, known, at=1000.0).mark == ProgressMark(
        fingerprint(IMAGE), changed_at=1000.0, first_seen_at=800.0
    )


def test_an_image_that_did_not_move_keeps_its_mark() -> None:
    known = ProgressMark(fingerprint(IMAGE), changed_at=900.0, first_seen_at=800.0)

    assert tracked_object(IMAGE, known, at=1000.0).mark is known


@pytest.mark.parametrize(
    ("mark", "kept"),
    [
        pytest.param((900.0, 800.0), (900.0, 800.0), id="the past"),
        pytest.param((1000.0, 1000.0), (1000.0, 1000.0), id="the present"),
        pytest.param((8200.0, 800.0), (1000.0, 800.0), id="moved in the future"),
        pytest.param((8200.0, 8100.0), (1000.0, 1000.0), id="seen in the future"),
    ],
)
def test_no_moment_of_a_mark_is_after_the_present(mark: tuple[float, float], kept: tuple[float, float]) -> None:
    assert not_after(ProgressMark(b"any", *mark), 1000.0) == ProgressMark(b"any", *kept)


def test_a_mark_without_moments_in_the_future_is_the_same_object() -> None:
    mark = ProgressMark(b"any", 900.0, 800.0)
    assert not_after(mark, 1000.0) is mark


def test_a_tracked_object_holds_the_image_as_it_was_read() -> None:
    assert tracked_object(IMAGE).object is IMAGE


@BOUNDED
@given(st.lists(decoded, min_size=1, max_size=4))
def test_when_an_image_was_first_seen_never_changes(readings: list[Image]) -> None:
    mark: ProgressMark | None = None
    for place, reading in enumerate(readings):
        mark = tracked_object(reading, mark, at=1000.0 + place).mark

    assert mark is not None
    assert mark.first_seen_at == 1000.0


@FEW
@given(decoded, decoded)
def test_an_image_changed_exactly_when_its_fingerprint_did(before: Image, after: Image) -> None:
    mark = tracked_object(after, tracked_object(before, at=1000.0).mark, at=2000.0).mark

    assert (mark.changed_at == 2000.0) is (fingerprint(before) != fingerprint(after))


# --- how long there is detail


@pytest.mark.parametrize("state", ["started", "in_progress", "failed"])
def test_detail_never_ends_of_an_image_that_is(state: ImageState) -> None:
    assert tracked_object(Image(uuid="u1", state=state, ended_at=10.0)).detail_until == inf


@pytest.mark.parametrize(
    ("image", "until"),
    [
        pytest.param(
            Image(uuid="u1", state="completed", ended_at=10.0, state_changed_at=20.0, last_modified_at=30.0),
            3610.0,
            id="it ended",
        ),
        pytest.param(
            Image(uuid="u1", state="completed", state_changed_at=20.0, last_modified_at=30.0),
            3620.0,
            id="else its state changed",
        ),
        pytest.param(Image(uuid="u1", state="unknown", last_modified_at=30.0), 3630.0, id="else it was modified"),
        pytest.param(Image(uuid="u1", state="unknown"), 4600.0, id="else we saw it first"),
        pytest.param(Image(uuid="u1", state="completed", ended_at=9e9), 4600.0, id="now, if it ended in the future"),
    ],
)
def test_detail_ends_an_hour_after(image: Image, until: float) -> None:
    assert update_mark(image, None, at=1000.0, detail_for_s=3600.0).detail_until == until


def test_a_movement_does_not_prolong_the_detail_of_an_image_without_times() -> None:
    known = ProgressMark(b"another", changed_at=900.0, first_seen_at=800.0)

    assert tracked_object(Image(uuid="u1", state="completed"), known, at=1000.0).detail_until == 4400.0


# --- snapshots


def done(uuid: str, ended_at: float) -> TrackedImage:
    return tracked_object(Image(uuid=uuid, state="completed", ended_at=ended_at))


@pytest.mark.parametrize(
    ("objects", "ends_at"),
    [
        pytest.param({}, inf, id="no image"),
        pytest.param({"u1": tracked_object(IMAGE)}, inf, id="one that never ends"),
        pytest.param(
            {"u1": done("u1", 500.0), "u2": done("u2", 300.0), "u3": tracked_object(IMAGE)}, 3900.0, id="the first"
        ),
        pytest.param({"u1": done("u1", -5000.0), "u2": done("u2", 300.0)}, 3900.0, id="the first that has not ended"),
        pytest.param({"u1": done("u1", -2600.0)}, inf, id="one that ends this moment has ended"),
    ],
)
def test_a_snapshot_knows_when_the_next_detail_ends(objects: dict[str, TrackedImage], ends_at: float) -> None:
    assert make_snapshot(ObjectList(), objects, at=1000.0, stalled_after_s=lambda _: inf).next_change_at == ends_at


def test_a_snapshot_holds_what_it_is_given() -> None:
    object_list, objects = ObjectList(raws={"u1": Raw(), "u2": Raw()}), {"u1": tracked_object(IMAGE)}
    taken = make_snapshot(object_list, objects, at=1000.0, stalled_after_s=lambda _: inf)

    assert (taken.object_list, taken.objects, taken.undecodable) == (object_list, objects, frozenset({"u2"}))


def test_a_snapshot_knows_when_an_active_image_will_have_stalled() -> None:
    objects = {"u1": tracked_object(IMAGE, at=900.0), "u2": done("u2", 500.0)}

    assert make_snapshot(ObjectList(), objects, at=1000.0, stalled_after_s=lambda _: 600.0).next_change_at == 1500.0


def test_a_snapshot_knows_when_the_first_estimate_will_be_overdue() -> None:
    found = tracked_object(IMAGE)
    ends = {latest: UploadProgress(900.0, 0.0, Eta(latest - 2.0, latest - 3.0, latest)) for latest in (1200.0, 1100.0)}
    objects = {f"u{latest}": replace(found, progress=progress) for latest, progress in ends.items()}
    without = {"u1": found, "u2": replace(found, progress=UploadProgress(900.0, 0.0))}
    past = {"u3": replace(found, progress=replace(ends[1100.0], overdue=True))}

    def overdue_at(objects: Mapping[str, TrackedImage]) -> float:
        return make_snapshot(ObjectList(), objects, at=1000.0, stalled_after_s=lambda _: inf).overdue_at

    assert (overdue_at({**objects, **without}), overdue_at({**without, **past})) == (1100.0, inf)


# --- changes


def test_an_image_that_is_new_appeared() -> None:
    assert diff({}, {"u1": tracked_object(IMAGE)}) == (Appeared(IMAGE),)


def test_an_image_that_is_gone_vanished() -> None:
    assert diff({"u1": tracked_object(IMAGE)}, {}) == (Vanished(IMAGE),)


def test_an_image_that_moved_is_altered_and_moved() -> None:
    after = replace(IMAGE, progress_ratio=0.6)
    before = tracked_object(IMAGE)

    assert diff({"u1": before}, {"u1": tracked_object(after, before.mark)}) == (Altered(IMAGE, after, moved=True),)


def test_an_image_that_was_renamed_is_altered_but_did_not_move() -> None:
    after = replace(IMAGE, name="renamed")
    before = tracked_object(IMAGE)

    assert diff({"u1": before}, {"u1": tracked_object(after, before.mark)}) == (Altered(IMAGE, after, moved=False),)


def test_an_unchanged_tracked_object_is_no_change() -> None:
    objects = {"u1": tracked_object(IMAGE)}

    assert diff(objects, dict(objects)) == ()


def test_changes_come_in_the_order_of_the_newer_then_what_vanished() -> None:
    old, new = (Image(uuid=uuid) for uuid in ("old", "new"))
    moved = replace(IMAGE, tasks_completed=4)
    before = {"old": tracked_object(old), "u1": tracked_object(IMAGE)}
    after = {"new": tracked_object(new), "u1": tracked_object(moved, before["u1"].mark)}

    assert diff(before, after) == (Appeared(new), Altered(IMAGE, moved, moved=True), Vanished(old))


@BOUNDED
@given(decoded)
def test_the_same_image_twice_is_no_change(image: Image) -> None:
    before = {"u1": tracked_object(image, at=1000.0)}
    after = {"u1": tracked_object(image, before["u1"].mark, at=2000.0)}

    assert diff(before, after) == ()


@FEW
@given(st.dictionaries(st.sampled_from("abcd"), decoded), st.dictionaries(st.sampled_from("abcd"), decoded))
def test_every_image_that_differs_is_in_the_changes_once(before: dict[str, Image], after: dict[str, Image]) -> None:
    old = {uuid: tracked_object(image) for uuid, image in before.items()}
    new = {uuid: tracked_object(image, old[uuid].mark if uuid in old else None) for uuid, image in after.items()}

    kinds = [type(change) for change in diff(old, new)]

    assert (kinds.count(Appeared), kinds.count(Vanished), kinds.count(Altered)) == (
        len(after.keys() - before.keys()),
        len(before.keys() - after.keys()),
        sum(before[uuid] != after[uuid] for uuid in before.keys() & after.keys()),
    )
