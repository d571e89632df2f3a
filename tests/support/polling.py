"""Pollers and entries made by hand, for tests that need no daemon."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import structlog

from monitor.avi.client import Link
from monitor.config.settings import Poll
from monitor.metrics.controller import READ_FAMILIES
from monitor.metrics.pieces import EMPTY
from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.snapshot import ObjectList, Snapshot
from monitor.model.tracked import ProgressMark, TrackedObject
from monitor.polling.eta import UNKNOWN, CompletedUpload, TypicalDurations
from monitor.polling.fleet import Collection, Entry, Fleet
from monitor.polling.poller import Poller
from monitor.polling.ports import AnnotationSource, ProgressMarks, Source, UploadHistory
from monitor.polling.resources import IMAGE, RESOURCES, AnyResource
from monitor.polling.schedule import PollLimiter
from monitor.polling.tracker import YIELD_AFTER_S, Tracker, TrackingSettings


class NoMarks:
    """Nothing outlives the process."""

    def of(self, _controller: str, _resource: str) -> Mapping[str, ProgressMark]:
        return {}

    def set(self, _controller: str, _resource: str, _marks: Mapping[str, ProgressMark]) -> None:
        return


class KeptMarks(NoMarks):
    """Marks as a database has them; by resource."""

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

    def annotations_of(self, _controller: str) -> Mapping[str, Mapping[str, str]]:
        return {}


class ChangingAnnotations(NoAnnotations):
    """Annotations as an operator writes them, at any moment."""

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
    resources: Sequence[AnyResource] = RESOURCES,
    yield_after_s: float = YIELD_AFTER_S,
) -> Poller:
    """A poller with one tracker a resource."""
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
    """An entry of one controller with these images, of which nothing is rendered."""
    snapshot = Snapshot(object_list=object_list, objects=images or {})
    pieces = (EMPTY,) * len(IMAGE.families)
    return Entry(name, session, {"image": Collection(snapshot, read, pieces, (EMPTY,) * len(READ_FAMILIES))}, ())


def linked() -> Link:
    """What a client knows of a Controller of release 30.2.1."""
    return Link(version="30.2.1", api_version="30.2.1")
