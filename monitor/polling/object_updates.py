"""
What a read changes of one object: its mark, its estimate, its annotations, its standing, and its exposition text.

    changes.update_mark → resource.update_eta → render.render_object

Annotations and estimates are those of the present operation.
"""

from collections.abc import Mapping
from typing import Generic, TypeVar

from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from monitor.metrics import render
from monitor.metrics.family import CORE, DETAIL, NODE, Subject
from monitor.model.tracked import ProgressMark, Standing, Tracked, TrackedObject, UploadProgress
from monitor.polling import changes, poll_log
from monitor.polling.eta import TypicalDurations
from monitor.polling.ports import AnnotationSource, UploadHistory
from monitor.polling.resources import Resource, TrackingSettings
from monitor.polling.standing import standing_of

T = TypeVar("T", bound=Tracked)

# Shared objects, because changed annotations are detected by identity.
_NO_ANNOTATIONS: Mapping[str, str] = {}
_UNKNOWN_ANNOTATIONS: Mapping[str, str] = {}


class ObjectUpdates(Generic[T]):
    """Updates the objects of one resource on one controller, one by one. ``settings``: may be replaced."""

    def __init__(
        self,
        controller: str,
        resource: Resource[T],
        annotations: AnnotationSource,
        history: UploadHistory,
        *,
        settings: TrackingSettings,
        log: FilteringBoundLogger,
    ) -> None:
        self._controller = controller
        self._resource = resource
        self._annotations = annotations
        self._history = history
        self.settings = settings
        self._log = log

    def track(
        self,
        decoded: T,
        known: TrackedObject[T] | None,
        saved: ProgressMark | None,
        *,
        at: float,
        returned: bool = False,
    ) -> TrackedObject[T]:
        """
        Update mark, estimate and text of an object that was just decoded, and drop its events.

        ``known``: as it was before. ``saved``: its stored mark. ``returned``: whether the Controller was away until
        now, for an upgrade: that it is back counts as a move of what is active.
        """
        resource, before = self._resource, known.mark if known else saved
        before = before and changes.not_after(before, at)
        operation = resource.update_operation(before and before.operation, decoded, at=at)
        tracked = changes.update_mark(
            decoded, before, at=at, detail_for_s=self.settings.events.detail_for_s, operation=operation
        )
        if returned and decoded.active:
            tracked = replace(tracked, mark=replace(tracked.mark, changed_at=at))
        progress = self._update_progress(decoded, known, before, tracked.mark, at=at)
        annotations = self._current_annotations(decoded.uuid, tracked.mark)
        if before and before.work_id(decoded.uuid) != tracked.mark.work_id(decoded.uuid):
            lapsed = self._current_annotations(decoded.uuid, before)
            if lapsed:
                poll_log.annotations_lapsed(self._log, resource.name, decoded, before, lapsed)
        rendered = render.render_object(
            resource.families,
            self._controller,
            Subject(decoded, tracked.mark.changed_at, _if_known(annotations), self.settings.exported, progress),
            finest_tier=DETAIL if tracked.detail_until > at else resource.rest_tier,
            max_series=resource.budget(self.settings).per_object,
        )
        return replace(
            tracked,
            object=replace(decoded, events=(), had_events=bool(decoded.events)),
            progress=progress,
            rendered=rendered,
            annotations=annotations,
            standing=self._standing(decoded, tracked.mark, annotations, at=at),
        )

    def _update_progress(
        self,
        decoded: T,
        known: TrackedObject[T] | None,
        before: ProgressMark | None,
        mark: ProgressMark,
        *,
        at: float,
    ) -> UploadProgress | None:
        """
        Record the duration of work that is complete; update the estimate of work that is under way.

        ``before``: the mark before. Of an earlier operation nothing is known of the present one.
        """
        resource, work_id = self._resource, mark.work_id(decoded.uuid)
        kind, moved = resource.history_kind(decoded), before is None or before.fingerprint != mark.fingerprint
        if known and known.mark.work_id(decoded.uuid) != work_id:
            known = replace(known, progress=None)
        if decoded.state == "completed" and (moved or not known):
            self._history.record(self._controller, kind, work_id, resource.summarize(known, decoded, at=at))
        return resource.update_eta(known, decoded, self.typical(kind), at=at, moved=moved)

    def pass_time(self, tracked: TrackedObject[T], *, at: float) -> TrackedObject[T]:
        """Update what depends on the time only: the object may lose its per-task series, or have stalled."""
        rendered = tracked.rendered
        for tier in (DETAIL, NODE, CORE)[: DETAIL - self._resource.rest_tier] if tracked.detail_until <= at else ():
            if rendered.series[tier]:
                rendered = render.drop_tier(self._resource.families, rendered, tier)
        standing = self._standing(tracked.object, tracked.mark, tracked.annotations, at=at)
        if rendered is tracked.rendered and standing == tracked.standing:
            return tracked
        return replace(tracked, rendered=rendered, standing=standing)

    def annotate(self, tracked: TrackedObject[T], *, at: float) -> TrackedObject[T]:
        """Render the annotations as they are now; the same object if they have not changed."""
        annotations = self._current_annotations(tracked.object.uuid, tracked.mark)
        if annotations is tracked.annotations:
            return tracked
        standing = self._standing(tracked.object, tracked.mark, annotations, at=at)
        return self.render_again(replace(tracked, annotations=annotations, standing=standing))

    def render_again(self, tracked: TrackedObject[T]) -> TrackedObject[T]:
        """Render annotations and estimate as they are now."""
        changed_at, annotations, progress = tracked.mark.changed_at, _if_known(tracked.annotations), tracked.progress
        subject = Subject(tracked.object, changed_at, annotations, self.settings.exported, progress)
        rendered = render.render_again(self._resource.families, tracked.rendered, self._controller, subject)
        return replace(tracked, rendered=rendered)

    def _current_annotations(self, uuid: str, mark: ProgressMark) -> Mapping[str, str]:
        if not self._annotations.annotations_known:
            return _UNKNOWN_ANNOTATIONS
        return self._annotations.annotations_of(self._controller).get(mark.work_id(uuid), _NO_ANNOTATIONS)

    def stalled_after_s(self, tracked: T) -> float:
        """Return for how long the object may not move."""
        return self._resource.stalled_after_s(tracked, self.settings)

    def _standing(self, tracked: T, mark: ProgressMark, annotations: Mapping[str, str], *, at: float) -> Standing:
        return standing_of(tracked, mark, annotations, at=at, stalled_after_s=self.stalled_after_s(tracked))

    def typical(self, history_kind: str) -> TypicalDurations:
        """Return what is known of completed work of this kind on the controller."""
        return self._history.typical(self._controller, history_kind)


def _if_known(annotations: Mapping[str, str]) -> Mapping[str, str] | None:
    return None if annotations is _UNKNOWN_ANNOTATIONS else annotations
