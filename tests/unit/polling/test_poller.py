"""One controller's loop on a source that answers as told: what is published, kept, withdrawn, dropped, waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random

import msgspec
import pytest
from structlog.testing import capture_logs

from monitor.avi.client import Link
from monitor.avi.paging import assemble, decode_page
from monitor.config.settings import Events, Poll
from monitor.metrics.family import DETAIL
from monitor.metrics.image import IMAGE_FAMILIES
from monitor.model.errors import BadStatus, PollError, Refused, Unavailable, Unreachable
from monitor.model.health import SessionHealth
from monitor.model.snapshot import ObjectList
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.poller import Poller
from monitor.polling.resources import FAMILIES
from monitor.polling.schedule import PollLimiter, backoff_s
from monitor.polling.tracker import TrackingSettings
from tests.support.polling import ChangingAnnotations, KeptMarks, NoAnnotations, NoHistory, NoMarks, linked, make_poller

QUICK = Poll(active_interval_s=0.001, idle_interval_s=0.002, max_backoff_s=0.002)
DOWN = Unreachable("connect", "refused")

Answer = ObjectList | PollError | Exception


def listing(*images: Mapping[str, object]) -> ObjectList:
    """What a client makes of one page with these images."""
    body = msgspec.json.encode({"count": len(images), "results": images})
    found = assemble([decode_page(body)])
    assert found is not None
    return found


def image(uuid: str = "image-1", **fields: object) -> dict[str, object]:
    return {"uuid": uuid, "name": "30.2.1", "img_state": {"state": "IMAGE_FSM_COMPLETED"}, **fields}


def event(node: str, task: str = "Extract", **fields: object) -> dict[str, object]:
    return {"task_name": task, "nodes_events": [{"ip": {"addr": node, "type": "V4"}, **fields}]}


class Answers:
    """A source that gives one answer after the other, and then the last one for ever."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.link = linked()
        self.answers = list(answers)

    async def list_images(self, before: ObjectList) -> ObjectList:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return before if answer.pages and answer.pages == before.pages else answer


class Clock:
    """Wall time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Ticking(Clock):
    """Wall time that goes on by a second whenever somebody looks."""

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@asynccontextmanager
async def polling(
    *answers: Answer,
    poll: Poll = QUICK,
    events: Events | None = None,
    clock: Clock | None = None,
    marks: NoMarks | None = None,
    history: NoHistory | None = None,
) -> AsyncIterator[tuple[Fleet, Answers]]:
    """A poller that runs as long as the context."""
    fleet, source = Fleet(), Answers(answers)
    poller = make_poller(
        "dc1",
        source,
        fleet,
        marks=marks,
        history=history,
        poll=poll,
        settings=TrackingSettings(events or Events()),
        now=clock or Clock(),
    )
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(poller.run(first_in_s=0.0), name="poll:dc1")
        yield fleet, source
        loop.cancel()


async def until(fleet: Fleet, what: Callable[[Entry], bool]) -> Entry:
    """Wait until the published entry is so."""
    happened = asyncio.Event()
    unsubscribe = fleet.subscribe(lambda _name, _entry, _changes: happened.set())
    async with asyncio.timeout(10.0):
        while not what(fleet.entries["dc1"]):
            happened.clear()
            await happened.wait()
    unsubscribe()
    return fleet.entries["dc1"]


def text(entry: Entry) -> str:
    return b"".join(piece.text for piece in entry.columns()).decode()


def detail(entry: Entry) -> list[str]:
    """The names of the per-task families that have series."""
    pairs = zip(IMAGE_FAMILIES, entry.collections["image"].pieces, strict=True)
    return [family.name for family, piece in pairs if family.tier == DETAIL and piece.text]


@asynccontextmanager
async def annotating(source: Answers, notes: NoAnnotations) -> AsyncIterator[tuple[Fleet, Poller]]:
    """A poller that exports the key ``change``, after its first poll; the next is an hour away."""
    fleet = Fleet()
    rare = Poll(active_interval_s=3600.0, idle_interval_s=3600.0, stale_after_s=3.0)
    poller = make_poller(
        "dc1",
        source,
        fleet,
        annotations=notes,
        poll=rare,
        settings=TrackingSettings(exported=frozenset({"change"})),
        now=Clock(),
        yield_after_s=0.0,  # so that other tasks run after every image
    )
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(poller.run(first_in_s=0.0), name="poll:dc1")
        await until(fleet, lambda entry: entry.session.polls == 1)
        yield fleet, poller
        loop.cancel()


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


async def test_a_nudge_is_a_poll_at_once() -> None:
    async with annotating(Answers([listing(image())]), ChangingAnnotations()) as (fleet, poller):
        poller.poll_soon()
        await until(fleet, lambda entry: entry.session.polls == 2)
        poller.poll_soon()
        await until(fleet, lambda entry: entry.session.polls == 3)


async def test_a_controller_is_published_before_its_first_poll() -> None:
    fleet = Fleet()
    poller("dc1", Answers([DOWN]), fleet, PollLimiter(4))
    assert 'avi_controller_polls_total{controller="dc1"} 0.0\n' in text(fleet.entries["dc1"])
    assert "avi_controller_up{" not in text(fleet.entries["dc1"])
    assert len(list(fleet.entries["dc1"].columns())) == len(FAMILIES)


async def test_an_unchanged_image_is_not_rendered_again_when_another_changes() -> None:
    first, second = listing(image("image-1"), image("image-2")), listing(image("image-1"), image("image-2", progress=5))
    async with polling(first, second) as (fleet, _):
        before = await until(fleet, lambda entry: entry.session.up)
        after = await until(fleet, lambda entry: entry.objects("image")["image-2"].object.progress_ratio == 0.05)
        assert after.objects("image")["image-1"] is before.objects("image")["image-1"]
        same = [old is new for old, new in zip(before.columns(), after.columns(), strict=True)]
        assert same[[family.name for family in FAMILIES].index("avi_image_info")]


async def test_a_failed_poll_keeps_the_last_snapshot_and_counts_its_reason() -> None:
    async with polling(listing(image()), DOWN) as (fleet, _):
        entry = await until(fleet, lambda entry: bool(entry.collections["image"].health.failures))
        assert "avi_image_info{" in text(entry)
        assert 'avi_controller_up{controller="dc1"} 0.0\n' in text(entry)
        assert 'avi_controller_poll_failures_total{controller="dc1",reason="connect",resource="image"} 1.0\n' in text(
            entry
        )


async def test_images_are_withdrawn_when_no_poll_was_good_for_long_and_come_back_unchanged() -> None:
    poll = Poll(active_interval_s=0.001, idle_interval_s=0.002, max_backoff_s=0.002, stale_after_s=0.01)
    good = listing(image())
    async with polling(good, DOWN, poll=poll) as (fleet, source):
        stale = await until(fleet, lambda entry: entry.collections["image"].health.stale)
        assert "avi_image" not in text(stale)
        assert 'avi_controller_stale{controller="dc1",resource="image"} 1.0\n' in text(stale)
        assert list(fleet.objects("image")) == []
        source.answers[:] = [good]
        back = await until(fleet, lambda entry: entry.session.up)
        assert 'avi_image_info{controller="dc1",image="30.2.1"' in text(back)
        assert [track.object.uuid for _, track in fleet.objects("image")] == ["image-1"]


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


async def test_an_active_image_makes_polls_frequent_and_its_end_makes_them_rare() -> None:
    active = listing(image(img_state={"state": "IMAGE_FSM_IN_PROGRESS"}))
    async with polling(active, active, listing(image())) as (fleet, _):
        assert (await until(fleet, lambda entry: entry.session.up)).session.interval_s == QUICK.active_interval_s
        assert (await until(fleet, lambda entry: entry.session.polls == 3)).session.interval_s == QUICK.idle_interval_s


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


async def test_a_retry_after_is_waited_for() -> None:
    throttled = Unavailable("throttled", "429", retry_after_s=1234.5)
    async with polling(throttled) as (fleet, _):
        assert (await until(fleet, lambda entry: entry.session.polls == 1)).session.interval_s == 1234.5


async def test_a_controller_that_throttles_is_asked_no_more_often_than_in_good_times() -> None:
    poll = Poll(active_interval_s=0.001, idle_interval_s=7.0, max_backoff_s=0.002)
    async with polling(Unavailable("throttled", "429"), poll=poll) as (fleet, _):
        assert (await until(fleet, lambda entry: entry.session.polls == 1)).session.interval_s == 7.0


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


async def test_a_bug_in_a_poll_is_counted_and_the_loop_goes_on() -> None:
    with capture_logs() as logs:
        async with polling(RuntimeError("a bug"), listing(image())) as (fleet, _):
            entry = await until(fleet, lambda entry: entry.session.up)
    assert entry.collections["image"].health.failures == {"internal": 1}
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["poll_bug"]


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


async def test_health_is_said_when_it_changes_and_not_when_it_does_not() -> None:
    upgrading = Unavailable("upgrading", "503 without a word")
    answers = (
        DOWN,
        DOWN,
        listing(image()),
        upgrading,
        DOWN,
        DOWN,
        BadStatus("http_4xx", "404"),
        Refused("auth", "401"),
    )
    with capture_logs() as logs:
        async with polling(*answers) as (fleet, _):
            await until(fleet, lambda entry: entry.session.auth_suspended)
    said = [
        (line["event"], line["log_level"], line.get("reason")) for line in logs if line["event"].startswith("contr")
    ]
    assert said == [
        ("controller_down", "warning", "connect"),
        ("controller_up", "warning", None),
        ("controller_down", "info", "upgrading"),
        ("controller_down", "info", "connect"),
        ("controller_down", "warning", "http_4xx"),
        ("controller_auth_suspended", "warning", "auth"),
    ]


async def test_another_reason_for_the_same_bad_health_is_no_warning() -> None:
    answers = (DOWN, Unreachable("timeout", "late"), DOWN, Refused("auth", "401"))
    with capture_logs() as logs:
        async with polling(*answers) as (fleet, _):
            await until(fleet, lambda entry: entry.session.auth_suspended)
    said = [(line["log_level"], line["reason"]) for line in logs if line["event"].startswith("controller")]
    assert said == [("warning", "connect"), ("info", "timeout"), ("info", "connect"), ("warning", "auth")]


async def test_images_are_said_together_at_first_and_one_by_one_later() -> None:
    started = image("image-2", img_state={"state": "IMAGE_FSM_STARTED"})
    answers = (
        listing(image(), started),
        listing(image(), {**started, "progress": 10}),
        listing(image(), {**started, "progress": 10, "name": "renamed"}),
        listing(image(), {**started, "img_state": {"state": "IMAGE_FSM_FAILED", "reason": "disk full"}}),
        listing(image("image-3")),
        listing(image("image-3", img_state={"state": "IMAGE_FSM_STARTED"})),
    )
    with capture_logs() as logs:
        async with polling(*answers) as (fleet, _):
            await until(fleet, lambda entry: entry.session.polls == len(answers))
    said = [(line["event"], line["log_level"]) for line in logs if line["event"].startswith("object")]
    assert said == [
        ("objects_listed", "info"),
        ("object_moved", "debug"),
        ("object_edited", "debug"),
        ("object_failed", "warning"),
        ("object_appeared", "info"),
        ("object_vanished", "info"),
        ("object_vanished", "info"),
        ("object_state_changed", "info"),
    ]
    assert [line["cause"] for line in logs if line["event"] == "object_failed"] == ["disk full"]


async def test_controllers_that_gave_no_answer_twice_draw_on_a_pool_of_their_own() -> None:
    slots = PollLimiter(16)
    healthy, failing = (
        slots.pool_for(SessionHealth()),
        slots.pool_for(SessionHealth(failed_in_a_row=2, reason="timeout")),
    )
    assert healthy is not failing
    assert slots.pool_for(SessionHealth(failed_in_a_row=1, reason="timeout")) is healthy
    assert slots.pool_for(SessionHealth(failed_in_a_row=9, reason="http_5xx")) is healthy
    for _ in range(2):
        await failing.acquire()
    assert failing.locked()
    assert not healthy.locked()


def test_back_off_grows_to_its_limit_and_has_full_jitter() -> None:
    waits = {
        failures: [backoff_s(failures, Random(seed), least_s=5.0, most_s=60.0) for seed in range(200)]
        for failures in (1, 2, 3, 9, 10_000)
    }
    assert [round(max(each), -1) for each in waits.values()] == [10.0, 20.0, 40.0, 60.0, 60.0]
    assert all(min(each) < 1.0 for each in waits.values())


class Slow:
    """A source whose polls last until they are let go, and that knows how many of them there are at once."""

    together = 0
    most = 0

    def __init__(self, let_go: asyncio.Event, *, failures: int = 0) -> None:
        self.link = Link()
        self._let_go = let_go
        self._failures = failures

    async def list_images(self, _before: ObjectList) -> ObjectList:
        if self._failures:
            self._failures -= 1
            raise DOWN
        type(self).together += 1
        type(self).most = max(self.most, self.together)
        try:
            await self._let_go.wait()
        finally:
            type(self).together -= 1
        return listing(image())


async def test_no_more_polls_run_at_once_than_are_allowed() -> None:
    class Watched(Slow):
        """Counts for this test alone."""

    fleet, slots, let_go = Fleet(), PollLimiter(3), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        loops = [
            tasks.create_task(poller(f"dc{number}", Watched(let_go), fleet, slots).run(first_in_s=0.0), name="poll")
            for number in range(12)
        ]
        async with asyncio.timeout(10.0):
            while Watched.together < 3:  # noqa: ASYNC110  until as many as may are in their poll
                await asyncio.sleep(0)
            for _ in range(10):
                await asyncio.sleep(0)  # room for one more to slip in
            let_go.set()
            while not all(entry.session.up for entry in fleet.entries.values()):  # noqa: ASYNC110
                await asyncio.sleep(0)
        for loop in loops:
            loop.cancel()
    assert Watched.most == 3


async def test_controllers_that_hang_after_two_failures_do_not_delay_the_healthy_ones() -> None:
    fleet, slots, never = Fleet(), PollLimiter(8), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        sources = {f"dead{number}": Slow(never, failures=2) for number in range(20)}
        every: dict[str, Slow | Answers] = {**sources, "dc1": Answers([listing(image())])}
        loops = [
            tasks.create_task(poller(name, source, fleet, slots).run(first_in_s=0.0), name=name)
            for name, source in every.items()
        ]
        await until(fleet, lambda entry: entry.session.polls >= 50)
        for loop in loops:
            loop.cancel()
    assert {entry.session.polls for name, entry in fleet.entries.items() if name in sources} == {2}


def poller(
    name: str, source: Slow | Answers, fleet: Fleet, limiter: PollLimiter, notes: NoAnnotations | None = None
) -> Poller:
    return make_poller(
        name, source, fleet, poll=QUICK, limiter=limiter, annotations=notes, now=Clock(), yield_after_s=0.0
    )
