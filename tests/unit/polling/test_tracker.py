"""The objects of one controller on a source with given answers: what is rendered, marked, dropped and recorded."""

import asyncio
from collections.abc import Mapping

import msgspec
import pytest
from structlog.testing import capture_logs

from monitor.config.settings import Events
from monitor.metrics.family import DETAIL
from monitor.metrics.image import IMAGE_FAMILIES
from monitor.metrics.scrape_order import families_of
from monitor.model.errors import PollError
from monitor.model.snapshot import ObjectList
from monitor.model.tracked import ProgressMark
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.poller import Poller
from monitor.polling.resources import TrackingSettings
from monitor.polling.schedule import PollLimiter
from tests.support.polling import (
    QUICK,
    Answer,
    ChangingAnnotations,
    KeptMarks,
    ManualClock,
    NoHistory,
    ScriptedSource,
    TickingClock,
    event_fields,
    exposition_of,
    idle_poller,
    image_fields,
    image_list,
    quick_poller,
    running_poller,
    wait_until,
)


def detail_families(entry: Entry) -> list[str]:
    """The names of the per-task families that have series."""
    pairs = zip(IMAGE_FAMILIES, entry.collections["image"].pieces, strict=True)
    return [family.name for family, piece in pairs if family.tier == DETAIL and piece]


def annotation_lines(entry: Entry) -> list[str]:
    """The series of annotations, without the label ``controller``."""
    lines = [line for line in exposition_of(entry).splitlines() if line.startswith(("avi_image_ann", "avi_image_ack"))]
    return [line.replace('controller="dc1",', "") for line in lines]


NO_ANNOTATIONS = ['avi_image_annotations{image_uuid="image-1"} 0.0', 'avi_image_acknowledged{image_uuid="image-1"} 0.0']


async def test_a_new_annotation_is_published_at_once_and_a_removed_one_is_gone_at_once() -> None:
    annotations = ChangingAnnotations()
    async with idle_poller(ScriptedSource([image_list(image_fields())]), annotations) as (fleet, poller):
        assert annotation_lines(fleet.entries["dc1"]) == NO_ANNOTATIONS
        annotations.of_images["image-1"] = {"acknowledged": "yes", "change": "CHG1"}
        poller.update_annotations()
        assert annotation_lines(fleet.entries["dc1"]) == [
            'avi_image_annotations{image_uuid="image-1"} 2.0',
            'avi_image_acknowledged{image_uuid="image-1"} 1.0',
            'avi_image_annotation_info{image_uuid="image-1",key="change",value="CHG1"} 1.0',
        ]
        assert fleet.entries["dc1"].objects("image")["image-1"].annotations == annotations.of_images["image-1"]
        del annotations.of_images["image-1"]
        poller.update_annotations()
        assert annotation_lines(fleet.entries["dc1"]) == NO_ANNOTATIONS
        assert fleet.entries["dc1"].session.polls == 1


async def test_existing_annotations_are_published_by_the_first_poll() -> None:
    annotations = ChangingAnnotations()
    annotations.of_images["image-1"] = {"change": "CHG1"}
    async with idle_poller(ScriptedSource([image_list(image_fields())]), annotations) as (fleet, _):
        assert 'avi_image_annotations{image_uuid="image-1"} 1.0' in annotation_lines(fleet.entries["dc1"])


async def test_of_annotations_that_are_not_known_yet_nothing_is_exported_and_no_standing_hides_behind_them() -> None:
    annotations = ChangingAnnotations()
    annotations.annotations_known = False
    source = ScriptedSource([image_list(image_fields(img_state={"state": "IMAGE_FSM_FAILED"}))])
    async with idle_poller(source, annotations) as (fleet, poller):
        assert not annotation_lines(fleet.entries["dc1"])
        assert fleet.entries["dc1"].objects("image")["image-1"].standing == "failed"
        annotations.annotations_known = True
        poller.update_annotations()
        assert annotation_lines(fleet.entries["dc1"]) == NO_ANNOTATIONS


async def test_an_annotation_changes_no_other_piece() -> None:
    annotations = ChangingAnnotations()
    running = image_fields(img_state={"state": "IMAGE_FSM_IN_PROGRESS"}, events=[event_fields("n1")])
    source = ScriptedSource([image_list(running, image_fields("image-2"))])
    async with idle_poller(source, annotations) as (fleet, poller):
        before = fleet.entries["dc1"]
        annotations.of_images["image-2"] = {"a": "b"}
        poller.update_annotations()
        after = fleet.entries["dc1"]
        changed = [
            family.name
            for family, old, new in zip(families_of([IMAGE_FAMILIES]), before.columns(), after.columns(), strict=True)
            if old != new
        ]
        assert changed == ["avi_image_annotations"]


async def test_a_replaced_object_is_published_at_once_and_polled_soon() -> None:
    running = image_fields(events=[event_fields("n1")])
    source = ScriptedSource([image_list(running, image_fields("image-2"))])
    async with idle_poller(source, ChangingAnnotations()) as (fleet, poller):
        published: list[object] = []
        fleet.subscribe(lambda _name, _entry, changes: published.extend(changes))
        poller.replace_object("image", msgspec.json.encode({**running, "name": "renamed"}))
        entry = fleet.entries["dc1"]
        assert 'image="renamed"' in exposition_of(entry)
        assert [type(change).__name__ for change in published] == ["Altered"]
        assert b"renamed" in bytes(entry.collections["image"].snapshot.object_list.raws["image-1"])
        await wait_until(fleet, lambda entry: entry.session.polls == 2)
        assert 'image="renamed"' in exposition_of(fleet.entries["dc1"]), "the list is older than what was read"


@pytest.mark.parametrize("raw", [b"[]", b'{"uuid": "image-9"}', b'{"uuid": "image-1", "name": 5}'])
async def test_an_object_that_is_unknown_or_undecodable_is_not_replaced_but_polled_soon(raw: bytes) -> None:
    async with idle_poller(ScriptedSource([image_list(image_fields())]), ChangingAnnotations()) as (fleet, poller):
        before = fleet.entries["dc1"]
        poller.replace_object("image", raw)
        assert fleet.entries["dc1"] is before
        await wait_until(fleet, lambda entry: entry.session.polls == 2)


class PatchedDuringRequest(ScriptedSource):
    """A source whose second list is older than a change of an object, but arrives after that object was replaced."""

    def __init__(self, *answers: Answer, change: Mapping[str, object]) -> None:
        super().__init__(answers)
        self._change = change
        self._polls = 0
        self.poller: Poller | None = None

    async def list_images(self, before: ObjectList) -> ObjectList:
        answer = await super().list_images(before)
        self._polls += 1
        if self._polls == 2:
            self._replace_object()
        return answer

    def _replace_object(self) -> None:
        assert self.poller is not None
        self.poller.replace_object("image", msgspec.json.encode(self._change))


class PatchedDuringDecoding(PatchedDuringRequest):
    """The same, but the object is replaced while the list is decoded: the tracker yields after each image."""

    def _replace_object(self) -> None:
        asyncio.get_running_loop().call_soon(super()._replace_object)


PATCHED_DURING_READ = pytest.mark.parametrize(
    "kind", [PatchedDuringRequest, PatchedDuringDecoding], ids=["during-the-request", "during-decoding"]
)


@PATCHED_DURING_READ
async def test_a_read_under_way_does_not_undo_a_replaced_object(kind: type[PatchedDuringRequest]) -> None:
    old, renamed = image_fields(), image_fields(name="renamed")
    source = kind(
        image_list(old),
        image_list(old, image_fields("image-2")),
        image_list(renamed, image_fields("image-2")),
        change=renamed,
    )
    async with idle_poller(source, ChangingAnnotations()) as (fleet, poller):
        source.poller, names = poller, ["30.2.1"]

        def record_name(_name: str, entry: Entry | None, _changes: object) -> None:
            assert entry is not None
            names.append(entry.objects("image")["image-1"].object.name)

        fleet.subscribe(record_name)
        poller.poll_soon()
        await wait_until(fleet, lambda entry: "image-2" in entry.objects("image"))
        assert fleet.entries["dc1"].session.polls == 3
        assert sorted(names) == names, "the old name was published after the new one"
        assert names[-1] == "renamed"


async def test_a_list_is_applied_when_the_replaced_object_is_stale() -> None:
    fleet, source = Fleet(), PatchedDuringRequest(image_list(image_fields()), change=image_fields(name="renamed"))
    source.poller = quick_poller("dc1", source, fleet, PollLimiter(1))
    await source.poller.poll_once(late_s=0.0)
    source.poller._reads._expire("image")  # as the timer does
    await source.poller.poll_once(late_s=0.0)
    assert 'avi_image_info{controller="dc1"' in exposition_of(fleet.entries["dc1"])


@PATCHED_DURING_READ
async def test_new_settings_are_applied_by_the_next_read_when_a_list_is_ignored(
    kind: type[PatchedDuringRequest],
) -> None:
    annotations = ChangingAnnotations()
    annotations.of_images["image-2"] = {"owner": "net-ops"}
    fleet = Fleet()
    source = kind(image_list(image_fields(), image_fields("image-2")), change=image_fields(name="renamed"))
    source.poller = quick_poller("dc1", source, fleet, PollLimiter(1), annotations)
    await source.poller.poll_once(late_s=0.0)
    source.poller.apply_settings(QUICK, TrackingSettings(exported=frozenset({"owner"})), PollLimiter(1))
    await source.poller.poll_once(late_s=0.0)
    assert 'value="net-ops"' not in exposition_of(fleet.entries["dc1"])
    await source.poller.poll_once(late_s=0.0)
    assert 'value="net-ops"' in exposition_of(fleet.entries["dc1"])


async def test_an_annotation_does_not_publish_stale_images() -> None:
    annotations = ChangingAnnotations()
    async with idle_poller(ScriptedSource([image_list(image_fields())]), annotations) as (fleet, poller):
        poller._reads._expire("image")  # as the timer does
        annotations.of_images["image-1"] = {"a": "b"}
        poller.update_annotations()
        assert "avi_image_" not in exposition_of(fleet.entries["dc1"])


class AnnotatedDuringRead(ScriptedSource):
    """A source of many images, during whose read the first one is annotated."""

    def __init__(self, annotations: ChangingAnnotations) -> None:
        super().__init__([image_list(*(image_fields(f"image-{number}") for number in range(150)))])
        self._annotations = annotations
        self.poller: Poller | None = None

    async def list_images(self, before: ObjectList) -> ObjectList:
        assert self.poller is not None
        self._annotations.of_images["image-0"] = {"a": "b"}
        asyncio.get_running_loop().call_soon(self.poller.update_annotations)
        return await super().list_images(before)


async def test_an_annotation_made_during_a_read_is_published() -> None:
    annotations, fleet = ChangingAnnotations(), Fleet()
    source = AnnotatedDuringRead(annotations)
    source.poller = quick_poller("dc1", source, fleet, PollLimiter(1), annotations)
    await source.poller.poll_once(late_s=0.0)
    shown = [
        line for line in annotation_lines(fleet.entries["dc1"]) if line.endswith("annotations 1.0") or "} 1.0" in line
    ]
    assert shown == ['avi_image_annotations{image_uuid="image-0"} 1.0']


async def test_an_unchanged_image_is_not_rendered_again_when_another_changes() -> None:
    first = image_list(image_fields("image-1"), image_fields("image-2"))
    second = image_list(image_fields("image-1"), image_fields("image-2", progress=5))
    async with running_poller(first, second) as (fleet, _):
        before = await wait_until(fleet, lambda entry: entry.session.up)
        after = await wait_until(fleet, lambda entry: entry.objects("image")["image-2"].object.progress_ratio == 0.05)
        assert after.objects("image")["image-1"] is before.objects("image")["image-1"]


async def test_detail_expires_without_a_changed_byte() -> None:
    clock = ManualClock()
    end_time = "1970-01-12 13:46:40"  # the clock's present time
    done = image_fields(end_time=end_time, events=[event_fields("10.0.0.1", status="SYSERR_SUCCESS")])
    async with running_poller(image_list(done), clock=clock, events=Events(detail_for_s=60.0)) as (fleet, _):
        before = await wait_until(fleet, lambda entry: entry.session.up)
        assert detail_families(before) == ["avi_image_node_event_state"]
        clock.now += 61.0
        after = await wait_until(fleet, lambda entry: not detail_families(entry))
        assert (
            'avi_image_node_events{controller="dc1",image_uuid="image-1",node="10.0.0.1",state="succeeded"} 1.0'
            in exposition_of(after)
        )


async def test_an_upload_stalls_without_a_changed_byte() -> None:
    clock = ManualClock()
    # an event is all that moves, and is dropped when it was rendered
    active = image_fields(img_state={"state": "IMAGE_FSM_IN_PROGRESS"}, events=[event_fields("n1")])
    async with running_poller(image_list(active), clock=clock) as (fleet, _):
        before = await wait_until(fleet, lambda entry: entry.session.up)
        assert before.objects("image")["image-1"].standing == "active"
        clock.now += 600.0
        after = await wait_until(fleet, lambda entry: entry.objects("image")["image-1"].standing == "stalled")
        assert exposition_of(after).count("avi_image_") == exposition_of(before).count("avi_image_")


async def test_an_upload_stalls_in_time_though_the_clock_was_set_back() -> None:
    clock, marks = ManualClock(), KeptMarks()
    active = image_fields(img_state={"state": "IMAGE_FSM_IN_PROGRESS"}, progress=40)
    async with running_poller(image_list(active), clock=clock, marks=marks) as (fleet, _):
        await wait_until(fleet, lambda entry: entry.session.up)
        clock.now -= 7200.0
        set_back = await wait_until(fleet, lambda entry: entry.objects("image")["image-1"].mark.changed_at <= clock.now)
        line = 'avi_image_progress_changed_timestamp_seconds{controller="dc1",image_uuid="image-1"} 992800.0'
        assert line in exposition_of(set_back)
        assert marks.marks["image"]["image-1"].first_seen_at == clock.now
        clock.now += 600.0
        await wait_until(fleet, lambda entry: entry.objects("image")["image-1"].standing == "stalled")


async def test_a_kept_moment_in_the_future_is_the_present_one() -> None:
    clock, marks = ManualClock(), KeptMarks()
    active = image_fields(img_state={"state": "IMAGE_FSM_IN_PROGRESS"}, progress=40)
    async with running_poller(image_list(active), clock=clock, marks=marks) as (fleet, _):
        await wait_until(fleet, lambda entry: entry.session.up)
    future = marks.marks["image"]["image-1"]
    clock.now -= 7200.0
    async with running_poller(image_list(active), clock=clock, marks=marks) as (fleet, _):
        entry = await wait_until(fleet, lambda entry: entry.session.up)
    known = entry.objects("image")["image-1"].mark
    assert known == ProgressMark(future.fingerprint, changed_at=clock.now, first_seen_at=clock.now)


async def test_an_upload_that_began_in_the_future_is_measured_anew() -> None:
    history, clock = NoHistory(), TickingClock()
    steps = [upload_at(percent) for percent in range(0, 50, 10)]
    async with running_poller(*steps, clock=clock, history=history) as (fleet, source):
        await wait_until(fleet, lambda entry: entry.session.polls == len(steps))
        clock.now -= 7200.0
        source.answers[:] = [upload_at(60)]
        entry = await wait_until(fleet, lambda entry: entry.objects("image")["image-1"].object.progress_ratio == 0.6)
        progress = entry.objects("image")["image-1"].progress
        assert progress
        assert (progress.initial_ratio, progress.eta) == (0.6, None)
        assert progress.since < clock.now
        source.answers[:] = [upload_at(100, "COMPLETED")]
        await wait_until(fleet, lambda entry: not entry.objects("image")["image-1"].object.active)
    assert [upload.took_s for _, upload in history.recorded] == [None]


async def test_acknowledging_a_failed_image_changes_its_standing_at_once() -> None:
    annotations = ChangingAnnotations()
    failed = image_fields(img_state={"state": "IMAGE_FSM_FAILED"})
    async with idle_poller(ScriptedSource([image_list(failed)]), annotations) as (fleet, poller):
        assert fleet.entries["dc1"].objects("image")["image-1"].standing == "failed"
        annotations.of_images["image-1"] = {"acknowledged": "true"}
        poller.update_annotations()
        assert fleet.entries["dc1"].objects("image")["image-1"].standing == "acknowledged"


async def test_a_failed_image_keeps_its_detail() -> None:
    clock = ManualClock()
    failed = image_fields(
        img_state={"state": "IMAGE_FSM_FAILED"},
        end_time="1970-01-02 00:00:00",
        events=[event_fields("10.0.0.1", status="SYSERR_IO")],
    )
    async with running_poller(image_list(failed), clock=clock, events=Events(detail_for_s=60.0)) as (fleet, _):
        assert detail_families(await wait_until(fleet, lambda entry: entry.session.up)) == [
            "avi_image_node_event_state"
        ]


@pytest.mark.parametrize(
    ("events", "kept", "dropped"),
    [
        pytest.param(Events(), (2, 8), 0, id="enough"),
        pytest.param(Events(max_series_per_image=17), (0, 8), 2, id="image-detail"),
        pytest.param(Events(max_series_per_image=10), (0, 0), 10, id="image-nodes"),
        pytest.param(Events(max_series_per_controller=17), (0, 8), 2, id="controller-detail"),
        pytest.param(Events(max_series_per_controller=10), (0, 0), 10, id="controller-nodes"),
    ],
)
async def test_budgets_drop_detail_first_and_count_it_every_poll(
    events: Events, kept: tuple[int, int], dropped: int
) -> None:
    nodes = [event_fields("10.0.0.1", status="SYSERR_PENDING"), event_fields("10.0.0.2", status="SYSERR_PENDING")]
    active = image_fields(img_state={"state": "IMAGE_FSM_STARTED"}, events=nodes)
    async with running_poller(image_list(active), events=events) as (fleet, _):
        first = await wait_until(fleet, lambda entry: entry.session.up)
        exposition = exposition_of(first)
        assert (exposition.count("avi_image_node_event_state{"), exposition.count("avi_image_node_events{")) == kept
        entry = await wait_until(fleet, lambda entry: entry.session.polls >= 3)
        assert entry.collections["image"].health.series_dropped == dropped * entry.session.polls


def upload_at(percent: int, state: str = "IN_PROGRESS") -> ObjectList:
    span = {"start_time": "2025-02-13 10:00:00", "end_time": "2025-02-13 10:00:30", "status": "SYSERR_SUCCESS"}
    return image_list(
        image_fields(progress=percent, img_state={"state": f"IMAGE_FSM_{state}"}, events=[event_fields("n1", **span)])
    )


async def test_an_upload_has_an_estimate_and_is_recorded_once_when_complete() -> None:
    history, steps = NoHistory(), [upload_at(percent) for percent in range(0, 100, 10)]
    async with running_poller(*steps, upload_at(100, "COMPLETED"), clock=TickingClock(), history=history) as (fleet, _):
        entry = await wait_until(fleet, lambda entry: entry.session.polls == len(steps))
        (tracked,) = entry.objects("image").values()
        assert tracked.progress
        assert tracked.progress.eta
        assert tracked.progress.since < tracked.mark.changed_at < tracked.progress.eta.ends_at
        entry = await wait_until(fleet, lambda entry: entry.session.polls == len(steps) + 3)
    assert [tracked.progress for tracked in entry.objects("image").values()] == [None]
    ((uuid, upload),) = history.recorded
    assert (uuid, upload.tasks) == ("image-1", {"Extract": 30.0})
    assert upload.took_s
    assert upload.took_s > len(steps)


async def test_an_estimate_is_overdue_after_its_end_while_polls_fail_and_nothing_else_is_altered() -> None:
    clock = TickingClock()
    answers: list[Answer] = [upload_at(0), upload_at(10), PollError("connect", "refused")]
    async with running_poller(*answers, clock=clock) as (fleet, _):
        entry = await wait_until(fleet, lambda entry: bool(entry.session.failed_in_a_row))
        (before,) = entry.objects("image").values()
        assert before.progress
        assert before.progress.forecast
        clock.now = before.progress.forecast.latest
        entry = await wait_until(fleet, lambda entry: [*entry.objects("image").values()] != [before])
        (after,) = entry.objects("image").values()
        assert after.progress
        assert (after.progress.forecast, after.progress.eta) == (None, before.progress.eta)
        assert (after.standing, after.rendered) == ("active", before.rendered)


async def test_an_upload_that_was_complete_at_the_first_poll_is_recorded_without_its_duration() -> None:
    history = NoHistory()
    async with running_poller(upload_at(100, "COMPLETED"), history=history) as (fleet, _):
        await wait_until(fleet, lambda entry: entry.session.polls == 2)
    ((_, upload),) = history.recorded
    assert (upload.tasks, upload.took_s) == ({"Extract": 30.0}, None)


async def test_dropped_series_are_logged_when_the_dropping_begins() -> None:
    nodes = [event_fields("10.0.0.1", status="SYSERR_PENDING")]
    active = image_fields(img_state={"state": "IMAGE_FSM_STARTED"}, events=nodes)
    with capture_logs() as logs:
        answers = image_list(active), image_list({**active, "progress": 5})
        async with running_poller(*answers, events=Events(max_series_per_image=13)) as (fleet, _):
            await wait_until(fleet, lambda entry: entry.session.polls >= 4)
    assert [line["series"] for line in logs if line["event"] == "series_dropped"] == [1]


async def test_an_undecodable_image_does_not_affect_the_others_and_is_logged_once() -> None:
    bad, worse = image_fields("image-bad", progress=["much"]), image_fields("image-bad", progress=["more"])
    with capture_logs() as logs:
        async with running_poller(image_list(bad, image_fields()), image_list(worse, image_fields())) as (fleet, _):
            entry = await wait_until(fleet, lambda entry: entry.collections["image"].health.bad_objects == 2)
            await wait_until(fleet, lambda later: later.session.polls >= entry.session.polls + 2)
    assert list(entry.objects("image")) == ["image-1"]
    assert fleet.entries["dc1"].collections["image"].health.bad_objects == 2
    named = [(line["uuid"], line["cause"]) for line in logs if line["event"] == "bad_object"]
    assert named == [("image-bad", "Expected `float | str | null`, got `array` - at `$.progress`")]


async def test_an_image_that_was_undecodable_for_a_while_keeps_its_mark() -> None:
    clock, marks = ManualClock(), KeptMarks()
    good, bad = image_list(image_fields(progress=40)), image_list(image_fields(progress=["much"]))
    async with running_poller(good, clock=clock, marks=marks) as (fleet, source):
        before = (await wait_until(fleet, lambda entry: entry.session.up)).objects("image")["image-1"].mark
        clock.now += 100.0
        source.answers[:] = [bad]
        await wait_until(fleet, lambda entry: not entry.objects("image"))
        source.answers[:] = [good]
        after = (await wait_until(fleet, lambda entry: bool(entry.objects("image")))).objects("image")["image-1"].mark
        assert after == before
        source.answers[:] = [image_list()]
        await wait_until(fleet, lambda entry: not entry.objects("image"))
    assert marks.marks == {"image": {}}


async def test_images_without_uuid_are_counted_and_logged_once() -> None:
    with capture_logs() as logs:
        answers = [image_list({"name": name}, image_fields()) for name in ("a", "b")]
        async with running_poller(*answers) as (fleet, _):
            await wait_until(fleet, lambda entry: entry.collections["image"].health.bad_objects == 2)
    assert [line["objects"] for line in logs if line["event"] == "bad_object"] == [1]
