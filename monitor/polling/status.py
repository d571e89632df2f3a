"""Objects as ``/api/events`` sends them. Times are Unix seconds; null means not known."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from monitor.model.image import Image, ImageState
from monitor.model.tracked import Eta, Standing, TrackedObject, is_acknowledged
from monitor.polling.standing import RANKS


class ImageStatus(Struct, frozen=True, kw_only=True, gc=False):
    """One image. ``started_at``, ``ended_at`` and ``duration_seconds`` are by the Controller's clock."""

    uuid: str
    name: str
    tenant: str
    type: str
    version: str
    patch: str
    uber_bundle: bool
    state: ImageState
    reason: str
    standing: Annotated[Standing, Meta(description="What it means to an operator, as the daemon decides.")]
    standing_rank: Annotated[int, Meta(description="The place of its standing in the order of display; 0 comes first.")]
    progress_ratio: float | None
    tasks: int | None
    tasks_completed: int | None
    started_at: float | None
    ended_at: float | None
    duration_seconds: float | None
    changed_at: Annotated[float, Meta(description="When progress, tasks, state or an event moved last.")]
    first_seen_at: float
    eta: Eta | None
    acknowledged: bool
    annotations: Mapping[str, str]


def describe_image(tracked: TrackedObject[Image]) -> ImageStatus:
    """Return the status of one image."""
    image = tracked.object
    return ImageStatus(
        uuid=image.uuid,
        name=image.name,
        tenant=image.tenant,
        type=image.type,
        version=image.version,
        patch=image.patch,
        uber_bundle=image.uber_bundle,
        state=image.state,
        reason=image.reason,
        standing=tracked.standing,
        standing_rank=RANKS[tracked.standing],
        progress_ratio=image.progress_ratio,
        tasks=image.tasks,
        tasks_completed=image.tasks_completed,
        started_at=image.started_at,
        ended_at=image.ended_at,
        duration_seconds=image.duration_s,
        changed_at=tracked.mark.changed_at,
        first_seen_at=tracked.mark.first_seen_at,
        eta=tracked.progress.eta if tracked.progress else None,
        acknowledged=is_acknowledged(tracked.annotations),
        annotations=tracked.annotations,
    )
