"""The objects of one controller on a source with given answers: what is rendered, marked, dropped and recorded."""

import asyncio
from collections.abc import Mapping

import msgspec
import pytest
from structlog.testing import capture_logs

from monitor.config.settings import Events
from monitor.metrics.family import DETAIL
from monitor.metrics.image import IMAGE_FAMILIES
from monitor.model.snapshot import ObjectList
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.poller import Poller
from monitor.polling.resources import FAMILIES
from monitor.polling.schedule import PollLimiter
from monitor.polling.tracker import TrackingSettings
from tests.support.polling import (
    QUICK,
    Answer,
    Answers,
    ChangingAnnotations,
    Clock,
    KeptMarks,
    NoHistory,
    Ticking,
    annotating,
    event,
    image,
    listing,
    poller,
    polling,
    text,
    until,
)


def detail(entry: Entry) -> list[str]:
    """The names of the per-task families that have series."""
    pairs = zip(IMAGE_FAMILIES, entry.collections["image"].pieces, strict=True)
    return [family.name for family, piece in pairs if family.tier == DETAIL and piece.text]


def of_annotations(entry: Entry) -> list[str]:
    """The series of annotations, without their labels of identity."""
    lines = [line for line in text(entry).splitlines() if line.startswith(("avi_image_ann", "avi_image_ack"))]
    return [line.replace('controller="dc1",', "") for line in lines]


BARE = ['avi_image_annotations{image_uuid="image-1"} 0.0', 'avi_image_acknowledged{image_uuid="image-1"} 0.0']


async def test_an_annotation_is_shown_at_once_and_goes_at_once() -> None:
    notes = ChangingAnnotations()
    async with annotating(Answers([listing(image())]), notes) as (fleet, poller):
        assert of_annotations(fleet.entries["dc1"]) == BARE
        notes.of_images["image-1"] = {"acknowledged": "yes", "change": "CHG1"}
        poller.update_annotations()
        assert of_annotations(fleet.entries["dc1"]) == [
            'avi_image_annotations{image_uuid="image-1"} 2.0',
            'avi_image_acknowledged{image_uuid="image-1"} 1.0',
            'avi_image_annotation_info{image_uuid="image-1",key="change",value="CHG1"} 1.0',
        ]
        assert fleet.entries["dc1"].objects("image")["image-1"].annotations == notes.of_images["image-1"]
        del notes.of_images["image-1"]
        poller.update_annotations()
        assert of_annotations(fleet.entries["dc1"]) == BARE
        assert fleet.entries["dc1"].session.polls == 1


async def test_annotations_that_were_there_before_are_shown_by_the_first_poll() -> None:
    notes = ChangingAnnotations()
    notes.of_images["image-1"] = {"change": "CHG1"}
    async with annotating(Answers([listing(image())]), notes) as (fleet, _):
        assert 'avi_image_annotations{image_uuid="image-1"} 1.0' in of_annotations(fleet.entries["dc1"])


async def test_annotating_leaves_everything_else_as_it_is() -> None:
    notes = ChangingAnnotations()
    running = image(img_state={"state": "IMAGE_FSM_IN_PROGRESS"}, events=[event("n1")])
    async with annotating(Answers([listing(running, image("image-2"))]), notes) as (fleet, poller):
        before = fleet.entries["dc1"]
        notes.of_images["image-2"] = {"a": "b"}
        poller.update_annotations()
        after = fleet.entries["dc1"]
        moved = [
            one.name for one, old, new in zip(FAMILIES, before.columns(), after.columns(), strict=True) if old != new
        ]
        assert moved == ["avi_image_annotations"]


async def test_an_image_that_was_changed_is_shown_at_once_and_read_again() -> None:
    running = image(events=[event("n1")])
    async with annotating(Answers([listing(running, image("image-2"))]), ChangingAnnotations()) as (fleet, poller):
        seen: list[object] = []
        fleet.subscribe(lambda _name, _entry, changes: seen.extend(changes))
        poller.replace_object("image", msgspec.json.encode({**running, "name": "renamed"}))
        entry = fleet.entries["dc1"]
        assert 'image="renamed"' in text(entry)
        assert [type(change).__name__ for change in seen] == ["Altered"]
        assert b"renamed" in bytes(entry.collections["image"].snapshot.object_list.raws["image-1"])
        await until(fleet, lambda entry: entry.session.polls == 2)
        assert 'image="renamed"' in text(fleet.entries["dc1"]), "the list is older than what was read"


@pytest.mark.parametrize("raw", [b"[]", b'{"uuid": "image-9"}', b'{"uuid": "image-1", "name": 5}'])
async def test_what_cannot_be_shown_at_once_waits_for_the_poll(raw: bytes) -> None:
    async with annotating(Answers([listing(image())]), ChangingAnnotations()) as (fleet, poller):
        before = fleet.entries["dc1"]
        poller.replace_object("image", raw)
        assert fleet.entries["dc1"] is before
        await until(fleet, lambda entry: entry.session.polls == 2)


class Overtaken(Answers):
    """A source whose second answer is of before a change, and comes when the change is on display."""

    def __init__(self, *answers: Answer, change: Mapping[str, object]) -> None:
        super().__init__(answers)
        self._change = change
        self._polls = 0
        self.poller: Poller | None = None

    async def list_images(self, before: ObjectList) -> ObjectList:
        answer = await super().list_images(before)
        self._polls += 1
        if self._polls == 2:
            self._overtake()
        return answer

    def _overtake(self) -> None:
        assert self.poller is not None
        self.poller.replace_object("image", msgspec.json.encode(self._change))


class OvertakenLater(Overtaken):
    """The same, while the listing is being read, which a pause for every image lets happen."""

    def _overtake(self) -> None:
        asyncio.get_running_loop().call_soon(super()._overtake)


OVERTAKEN = pytest.mark.parametrize("kind", [Overtaken, OvertakenLater], ids=["on-its-way", "being-read"])


@OVERTAKEN
async def test_a_poll_under_way_does_not_undo_a_change_that_is_on_display(kind: type[Overtaken]) -> None:
    old, renamed = image(), image(name="renamed")
    source = kind(listing(old), listing(old, image("image-2")), listing(renamed, image("image-2")), change=renamed)
    async with annotating(source, ChangingAnnotations()) as (fleet, poller):
        source.poller, names = poller, ["30.2.1"]

        def follow(_name: str, entry: Entry | None, _changes: object) -> None:
            assert entry is not None
            names.append(entry.objects("image")["image-1"].object.name)

        fleet.subscribe(follow)
        poller.poll_soon()
        await until(fleet, lambda entry: "image-2" in entry.objects("image"))
        assert fleet.entries["dc1"].session.polls == 3
        assert sorted(names) == names, "first the one, then the other"
        assert names[-1] == "renamed"


async def test_images_that_are_not_on_display_cannot_be_undone() -> None:
    fleet, source = Fleet(), Overtaken(listing(image()), change=image(name="renamed"))
    source.poller = poller("dc1", source, fleet, PollLimiter(1))
    await source.poller.poll_once(late_s=0.0)
    source.poller._expire("image")  # as the timer does
    await source.poller.poll_once(late_s=0.0)
    assert 'avi_image_info{controller="dc1"' in text(fleet.entries["dc1"])


@OVERTAKEN
async def test_settings_that_came_with_a_listing_that_is_thrown_away_are_put_to_use_with_the_next(
    kind: type[Overtaken],
) -> None:
    notes = ChangingAnnotations()
    notes.of_images["image-2"] = {"owner": "net-ops"}
    fleet, source = Fleet(), kind(listing(image(), image("image-2")), change=image(name="renamed"))
    source.poller = poller("dc1", source, fleet, PollLimiter(1), notes)
    await source.poller.poll_once(late_s=0.0)
    source.poller.apply_settings(QUICK, TrackingSettings(exported=frozenset({"owner"})), PollLimiter(1))
    await source.poller.poll_once(late_s=0.0)
    assert 'value="net-ops"' not in text(fleet.entries["dc1"])
    await source.poller.poll_once(late_s=0.0)
    assert 'value="net-ops"' in text(fleet.entries["dc1"])


async def test_an_annotation_does_not_bring_stale_images_back() -> None:
    notes = ChangingAnnotations()
    async with annotating(Answers([listing(image())]), notes) as (fleet, poller):
        poller._expire("image")  # as the timer does
        notes.of_images["image-1"] = {"a": "b"}
        poller.update_annotations()
        assert "avi_image_" not in text(fleet.entries["dc1"])


class AnnotatedMeanwhile(Answers):
    """Many images, so that a poll lets others have the loop; somebody annotates the first meanwhile."""

    def __init__(self, notes: ChangingAnnotations) -> None:
        super().__init__([listing(*(image(f"image-{number}") for number in range(150)))])
        self._notes = notes
        self.poller: Poller | None = None

    async def list_images(self, before: ObjectList) -> ObjectList:
        assert self.poller is not None
        self._notes.of_images["image-0"] = {"a": "b"}
        asyncio.get_running_loop().call_soon(self.poller.update_annotations)
        return await super().list_images(before)


async def test_an_annotation_that_comes_in_the_middle_of_a_poll_is_not_lost() -> None:
    notes, fleet = ChangingAnnotations(), Fleet()
    source = AnnotatedMeanwhile(notes)
    source.poller = poller("dc1", source, fleet, PollLimiter(1), notes)
    await source.poller.poll_once(late_s=0.0)
    shown = [
        line for line in of_annotations(fleet.entries["dc1"]) if line.endswith("annotations 1.0") or "} 1.0" in line
    ]
    assert shown == ['avi_image_annotations{image_uuid="image-0"} 1.0']


async def test_an_unchanged_image_is_not_rendered_again_when_another_changes() -> None:
    first, second = listing(image("image-1"), image("image-2")), listing(image("image-1"), image("image-2", progress=5))
    async with polling(first, second) as (fleet, _):
        before = await until(fleet, lambda entry: entry.session.up)
        after = await until(fleet, lambda entry: entry.objects("image")["image-2"].object.progress_ratio == 0.05)
        assert after.objects("image")["image-1"] is before.objects("image")["image-1"]
        same = [old is new for old, new in zip(before.columns(), after.columns(), strict=True)]
        assert same[[family.name for family in FAMILIES].index("avi_image_info")]


async def test_detail_goes_when_its_time_is_over_though_not_a_byte_changed() -> None:
    clock = Clock()
    done = image(end_time="1970-01-12 13:46:40", events=[event("10.0.0.1", status="SYSERR_SUCCESS")])  # now
    async with polling(listing(done), clock=clock, events=Events(detail_for_s=60.0)) as (fleet, _):
        before = await until(fleet, lambda entry: entry.session.up)
        assert detail(before) == ["avi_image_node_event_state"]
        clock.now += 61.0
        after = await until(fleet, lambda entry: not detail(entry))
        assert (
            'avi_image_node_events{controller="dc1",image_uuid="image-1",node="10.0.0.1",state="succeeded"} 1.0'
            in text(after)
        )


async def test_an_upload_that_does_not_move_stalls_though_not_a_byte_changed() -> None:
    clock = Clock()
    active = image(img_state={"state": "IMAGE_FSM_IN_PROGRESS"})
    async with polling(listing(active), clock=clock) as (fleet, _):
        before = await until(fleet, lambda entry: entry.session.up)
        assert before.objects("image")["image-1"].standing == "active"
        clock.now += 600.0
        after = await until(fleet, lambda entry: entry.objects("image")["image-1"].standing == "stalled")
        assert text(after).count("avi_image_") == text(before).count("avi_image_")


async def test_a_failed_image_that_is_acknowledged_stands_so_at_once() -> None:
    notes = ChangingAnnotations()
    failed = image(img_state={"state": "IMAGE_FSM_FAILED"})
    async with annotating(Answers([listing(failed)]), notes) as (fleet, poller):
        assert fleet.entries["dc1"].objects("image")["image-1"].standing == "failed"
        notes.of_images["image-1"] = {"acknowledged": "true"}
        poller.update_annotations()
        assert fleet.entries["dc1"].objects("image")["image-1"].standing == "acknowledged"


async def test_a_failed_image_keeps_its_detail() -> None:
    clock = Clock()
    failed = image(
        img_state={"state": "IMAGE_FSM_FAILED"},
        end_time="1970-01-02 00:00:00",
        events=[event("10.0.0.1", status="SYSERR_IO")],
    )
    async with polling(listing(failed), clock=clock, events=Events(detail_for_s=60.0)) as (fleet, _):
        assert detail(await until(fleet, lambda entry: entry.session.up)) == ["avi_image_node_event_state"]


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
    nodes = [event("10.0.0.1", status="SYSERR_PENDING"), event("10.0.0.2", status="SYSERR_PENDING")]
    active = image(img_state={"state": "IMAGE_FSM_STARTED"}, events=nodes)
    async with polling(listing(active), events=events) as (fleet, _):
        first = await until(fleet, lambda entry: entry.session.up)
        exposition = text(first)
        assert (exposition.count("avi_image_node_event_state{"), exposition.count("avi_image_node_events{")) == kept
        entry = await until(fleet, lambda entry: entry.session.polls >= 3)
        assert entry.collections["image"].health.series_dropped == dropped * entry.session.polls


def uploaded(percent: int, state: str = "IN_PROGRESS") -> ObjectList:
    span = {"start_time": "2025-02-13 10:00:00", "end_time": "2025-02-13 10:00:30", "status": "SYSERR_SUCCESS"}
    return listing(image(progress=percent, img_state={"state": f"IMAGE_FSM_{state}"}, events=[event("n1", **span)]))


async def test_how_an_upload_goes_is_followed_and_what_it_took_is_learned_once() -> None:
    past, steps = NoHistory(), [uploaded(percent) for percent in range(0, 100, 10)]
    async with polling(*steps, uploaded(100, "COMPLETED"), clock=Ticking(), history=past) as (fleet, _):
        (track,) = (await until(fleet, lambda entry: entry.session.polls == len(steps))).objects("image").values()
        assert track.progress
        assert track.progress.eta
        assert track.progress.since < track.mark.changed_at < track.progress.eta.ends_at
        entry = await until(fleet, lambda entry: entry.session.polls == len(steps) + 3)
    assert [track.progress for track in entry.objects("image").values()] == [None]
    ((uuid, upload),) = past.recorded
    assert (uuid, upload.tasks) == ("image-1", {"Extract": 30.0})
    assert upload.took_s
    assert upload.took_s > len(steps)


async def test_a_completed_upload_that_is_there_from_the_start_teaches_what_its_tasks_took() -> None:
    past = NoHistory()
    async with polling(uploaded(100, "COMPLETED"), history=past) as (fleet, _):
        await until(fleet, lambda entry: entry.session.polls == 2)
    ((_, upload),) = past.recorded
    assert (upload.tasks, upload.took_s) == ({"Extract": 30.0}, None)


async def test_dropping_series_is_said_when_it_begins() -> None:
    nodes = [event("10.0.0.1", status="SYSERR_PENDING")]
    active = image(img_state={"state": "IMAGE_FSM_STARTED"}, events=nodes)
    with capture_logs() as logs:
        async with polling(
            listing(active), listing({**active, "progress": 5}), events=Events(max_series_per_image=13)
        ) as (
            fleet,
            _,
        ):
            await until(fleet, lambda entry: entry.session.polls >= 4)
    assert [line["series"] for line in logs if line["event"] == "series_dropped"] == [1]


async def test_a_bad_image_costs_the_others_nothing_and_is_named_once() -> None:
    bad, worse = image("image-bad", progress="much"), image("image-bad", progress="more")
    with capture_logs() as logs:
        async with polling(listing(bad, image()), listing(worse, image())) as (fleet, _):
            entry = await until(fleet, lambda entry: entry.collections["image"].health.bad_objects == 2)
            await until(fleet, lambda later: later.session.polls >= entry.session.polls + 2)
    assert list(entry.objects("image")) == ["image-1"]
    assert fleet.entries["dc1"].collections["image"].health.bad_objects == 2
    named = [(line["uuid"], line["cause"]) for line in logs if line["event"] == "bad_object"]
    assert named == [("image-bad", "Expected `float | null`, got `str` - at `$.progress`")]


async def test_an_image_that_was_bad_for_a_while_and_did_not_move_keeps_its_mark() -> None:
    clock, marks = Clock(), KeptMarks()
    good, bad = listing(image(progress=40)), listing(image(progress="much"))
    async with polling(good, clock=clock, marks=marks) as (fleet, source):
        before = (await until(fleet, lambda entry: entry.session.up)).objects("image")["image-1"].mark
        clock.now += 100.0
        source.answers[:] = [bad]
        await until(fleet, lambda entry: not entry.objects("image"))
        source.answers[:] = [good]
        after = (await until(fleet, lambda entry: bool(entry.objects("image")))).objects("image")["image-1"].mark
        assert after == before
        source.answers[:] = [listing()]
        await until(fleet, lambda entry: not entry.objects("image"))
    assert marks.marks == {"image": {}}


async def test_nameless_images_are_counted_and_said_once() -> None:
    with capture_logs() as logs:
        async with polling(listing({"name": "a"}, image()), listing({"name": "b"}, image())) as (fleet, _):
            await until(fleet, lambda entry: entry.collections["image"].health.bad_objects == 2)
    assert [line["objects"] for line in logs if line["event"] == "bad_object"] == [1]
