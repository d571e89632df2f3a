"""Pollers and entries made by hand, for tests that need no daemon."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec
import structlog

from monitor.avi.link import Link
from monitor.avi.paging import assemble, decode_page
from monitor.config.settings import Events, Poll
from monitor.metrics.controller import READ_FAMILIES
from monitor.model.cluster import NodesState
from monitor.model.errors import PollError
from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.snapshot import ObjectList, Snapshot
from monitor.model.tracked import ProgressMark, Tracked, TrackedObject
from monitor.model.upgrade import Overview, Upgrade
from monitor.polling.eta import UNKNOWN, CompletedUpload, TypicalDurations
from monitor.polling.fleet import Collection, Entry, Fleet
from monitor.polling.poller import Poller
from monitor.polling.ports import AnnotationSource, ProgressMarks, Source, UploadHistory
from monitor.polling.resources import IMAGE, AnyResource, TrackingSettings
from monitor.polling.schedule import PollLimiter
from monitor.polling.tracker import YIELD_AFTER_S, Tracker
from monitor.polling.upgrade import overview_of
from tests.support.limits import WAIT_TIMEOUT_S

QUICK = Poll(active_interval_s=0.001, idle_interval_s=0.002, max_backoff_s=0.002)

Answer = ObjectList | PollError | Exception


class NoMarks:
    """A store of marks that keeps none."""

    def of(self, _controller: str, _resource: str) -> Mapping[str, ProgressMark]:
        return {}

    def set(self, _controller: str, _resource: str, _marks: Mapping[str, ProgressMark]) -> None:
        return


class KeptMarks(NoMarks):
    """A store of the marks of one controller; by resource."""

    def __init__(self) -> None:
        self.marks: dict[str, Mapping[str, ProgressMark]] = {}

    def of(self, _controller: str, resource: str) -> Mapping[str, ProgressMark]:
        return self.marks.get(resource, {})

    def set(self, _controller: str, resource: str, marks: Mapping[str, ProgressMark]) -> None:
        self.marks[resource] = marks


class NoHistory:
    """No upload is known to have completed; those that complete are recorded."""

    def __init__(self) -> None:
        self.recorded: list[tuple[str, CompletedUpload]] = []

    def typical(self, _controller: str, _kind: str) -> TypicalDurations:
        return UNKNOWN

    def record(self, _controller: str, _kind: str, uuid: str, upload: CompletedUpload) -> None:
        self.recorded.append((uuid, upload))


class NoAnnotations:
    """No object has an annotation."""

    annotations_known = True

    def annotations_of(self, _controller: str) -> Mapping[str, Mapping[str, str]]:
        return {}


class ChangingAnnotations(NoAnnotations):
    """Annotations that a test changes at any moment, as operators do."""

    def __init__(self) -> None:
        self.of_images: dict[str, Mapping[str, str]] = {}

    def annotations_of(self, _controller: str) -> Mapping[str, Mapping[str, str]]:
        return self.of_images


def make_poller(
    name: str,
    source: Source,
    fleet: Fleet,
    *,
    now: Callable[[], float],
    poll: Poll,
    settings: TrackingSettings | None = None,
    limiter: PollLimiter | None = None,
    marks: ProgressMarks | None = None,
    annotations: AnnotationSource | None = None,
    history: UploadHistory | None = None,
    resources: Sequence[AnyResource] = (IMAGE,),
    yield_after_s: float = YIELD_AFTER_S,
) -> Poller:
    """Make a poller with one tracker for each resource; most tests need no other than images."""
    log = structlog.get_logger().bind(controller=name)
    trackers = [
        Tracker(
            name,
            resource,
            marks or NoMarks(),
            annotations or NoAnnotations(),
            history or NoHistory(),
            settings=settings or TrackingSettings(),
            log=log,
            yield_after_s=yield_after_s,
        )
        for resource in resources
    ]
    return Poller(
        name, source, fleet, trackers, poll=poll, limiter=limiter or PollLimiter(4), now=now, rng=Random(1), log=log
    )


def entry_of(
    name: str,
    images: Mapping[str, TrackedObject[Any]] | None = None,
    *,
    session: SessionHealth = SessionHealth(),  # noqa: B008  frozen
    read: ReadHealth = ReadHealth(),  # noqa: B008  frozen
    object_list: ObjectList = ObjectList(),  # noqa: B008  frozen
) -> Entry:
    """Make the entry of a controller with these images, without exposition text."""
    snapshot = Snapshot(object_list=object_list, objects=images or {})
    pieces = (b"",) * len(IMAGE.families)
    return Entry(name, session, {"image": Collection(snapshot, read, pieces, (b"",) * len(READ_FAMILIES))}, ())


def tracked_of(found: Tracked, **annotations: str) -> TrackedObject[Any]:
    """Make what is kept of an object that was seen once."""
    return TrackedObject(found, ProgressMark(b"", 0.0, 0.0), 0.0, annotations=annotations)


def with_units(entry: Entry, *units: TrackedObject[Upgrade], read: ReadHealth = ReadHealth(readable=True)) -> Entry:  # noqa: B008  frozen
    """Return the entry with these units, and what they amount to."""
    snapshot = Snapshot(objects={each.object.uuid: each for each in units})
    collection = Collection(snapshot, read, (), (b"",) * len(READ_FAMILIES))
    found = [each.object for each in units]
    overview = overview_of(found, entry.objects("image")) if read.readable else Overview(readable=read.readable)
    collections: Mapping[str, Collection[Any]] = {**entry.collections, "upgrade": collection}
    return msgspec.structs.replace(entry, collections=collections, overview=overview)


def linked() -> Link:
    """What a client knows of a Controller of release 30.2.1."""
    return Link(version="30.2.1", api_version="30.2.1")


def image_list(*images: Mapping[str, object]) -> ObjectList:
    """Return the list that a client reads when its only page has these images."""
    body = msgspec.json.encode({"count": len(images), "results": images})
    object_list = assemble([decode_page(body)])
    assert object_list is not None
    return object_list


def image_fields(uuid: str = "image-1", **fields: object) -> dict[str, object]:
    """Return a completed image as the Controller sends it."""
    return {"uuid": uuid, "name": "30.2.1", "img_state": {"state": "IMAGE_FSM_COMPLETED"}, **fields}


def event_fields(node: str, task: str = "Extract", **fields: object) -> dict[str, object]:
    """Return an entry of ``events`` as the Controller sends it."""
    return {"task_name": task, "nodes_events": [{"ip": {"addr": node, "type": "V4"}, **fields}]}


class NoUnits:
    """The part of a source of which tests with images alone make no use."""

    units = SimpleNamespace(given_up=0, cluster_uuid="")

    async def list_units(self, before: ObjectList) -> ObjectList:
        return before

    async def list_images_in_use(self) -> Mapping[str, bool]:
        return {}

    async def get_nodes(self) -> NodesState:
        return NodesState("CLUSTER_UP_NO_HA", 1)

    def note_upgrade(self) -> None:
        return


class ScriptedSource(NoUnits):
    """A source that returns or raises one answer after the other, and then repeats the last one."""

    received = 0

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.link = linked()
        self.answers = list(answers)

    async def list_images(self, before: ObjectList) -> ObjectList:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return before if answer.pages and answer.pages == before.pages else answer


class ManualClock:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class TickingClock(ManualClock):
    """A wall clock that is a second later at each reading."""

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@asynccontextmanager
async def running_poller(
    *answers: Answer,
    poll: Poll = QUICK,
    events: Events | None = None,
    clock: ManualClock | None = None,
    marks: NoMarks | None = None,
    history: NoHistory | None = None,
) -> AsyncIterator[tuple[Fleet, ScriptedSource]]:
    """Run a poller with short intervals as long as the context lasts."""
    fleet, source = Fleet(), ScriptedSource(answers)
    poller = make_poller(
        "dc1",
        source,
        fleet,
        marks=marks,
        history=history,
        poll=poll,
        settings=TrackingSettings(events or Events()),
        now=clock or ManualClock(),
    )
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(poller.run(), name="poll:dc1")
        yield fleet, source
        loop.cancel()


async def wait_until(fleet: Fleet, condition: Callable[[Entry], bool]) -> Entry:
    """Wait until an entry is published that meets the condition."""
    published = asyncio.Event()
    unsubscribe = fleet.subscribe(lambda _name, _entry, _changes: published.set())
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        while not condition(fleet.entries["dc1"]):
            published.clear()
            await published.wait()
    unsubscribe()
    return fleet.entries["dc1"]


def exposition_of(entry: Entry) -> str:
    """Join the pieces of an entry; the order is that of a scrape."""
    return b"".join(entry.columns()).decode()


@asynccontextmanager
async def idle_poller(source: ScriptedSource, annotations: NoAnnotations) -> AsyncIterator[tuple[Fleet, Poller]]:
    """Run a poller that has polled once, polls again in an hour, and exports annotations with the key ``change``."""
    fleet = Fleet()
    rare = Poll(active_interval_s=3600.0, idle_interval_s=3600.0)
    poller = make_poller(
        "dc1",
        source,
        fleet,
        annotations=annotations,
        poll=rare,
        settings=TrackingSettings(exported=frozenset({"change"})),
        now=ManualClock(),
        yield_after_s=0.0,  # so that other tasks run after every image
    )
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(poller.run(), name="poll:dc1")
        await wait_until(fleet, lambda entry: entry.session.polls == 1)
        yield fleet, poller
        loop.cancel()


def quick_poller(
    name: str,
    source: Source,
    fleet: Fleet,
    limiter: PollLimiter,
    annotations: NoAnnotations | None = None,
) -> Poller:
    """Make a poller with short intervals, which lets other tasks run after every object."""
    return make_poller(
        name, source, fleet, poll=QUICK, limiter=limiter, annotations=annotations, now=ManualClock(), yield_after_s=0.0
    )
