"""
What moved: images before and images now, to marks and changes. Pure; time is an argument, in Unix seconds.

An image *moves* when its progress, tasks, state or an event does. When it last moved is the base of stall detection,
so an edited name is no movement, and neither is a running event whose duration grows.
"""

from collections.abc import Mapping
from hashlib import blake2b
from math import inf

from monitor.model.image import Image, ProgressMark, TrackedImage
from monitor.model.snapshot import Altered, Appeared, Change, ImageList, Snapshot, Vanished


def fingerprint(image: Image) -> bytes:
    """16 bytes that differ when the image moved, and are the same in every process: a restart is no movement."""
    events = sorted((e.task, e.node, e.state, e.status, e.started_at, e.ended_at) for e in image.events)
    moving = (image.state, image.progress_ratio, image.tasks, image.tasks_completed, events)
    return blake2b(repr(moving).encode(errors="replace"), digest_size=16).digest()


def follow(image: Image, known: ProgressMark | None, *, at: float, detail_for_s: float) -> TrackedImage:
    """Set an image as read just now beside its mark of the poll before, or of the database after a restart."""
    now = fingerprint(image)
    if known is None:
        mark = ProgressMark(now, changed_at=at, first_seen_at=at)
    elif known.fingerprint != now:
        mark = ProgressMark(now, changed_at=at, first_seen_at=known.first_seen_at)
    else:
        mark = known
    return TrackedImage(image, mark, _detail_until(image, mark, detail_for_s))


def _detail_until(image: Image, mark: ProgressMark, detail_for_s: float) -> float:
    if image.active or image.state == "failed":
        return inf
    ends = (image.ended_at, image.state_changed_at, image.last_modified_at, mark.first_seen_at)
    return next(end for end in ends if end is not None) + detail_for_s


def snapshot(listing: ImageList, images: Mapping[str, TrackedImage], bad: frozenset[str], *, at: float) -> Snapshot:
    """What is known from now on. ``detail_ends_at``: the next moment at which an image loses its per-task series."""
    ends = [track.detail_until for track in images.values() if track.detail_until > at]
    return Snapshot(listing=listing, images=images, bad=bad, detail_ends_at=min(ends, default=inf))


def changes(before: Mapping[str, TrackedImage], after: Mapping[str, TrackedImage]) -> tuple[Change, ...]:
    """The differences between two polls, in the order of the newer, then what vanished."""
    found: list[Change] = []
    for uuid, track in after.items():
        known = before.get(uuid)
        if known is None:
            found.append(Appeared(track.image))
        elif known.image != track.image or known.mark != track.mark:
            moved = known.mark.fingerprint != track.mark.fingerprint
            found.append(Altered(known.image, track.image, moved))
    found.extend(Vanished(track.image) for uuid, track in before.items() if uuid not in after)
    return tuple(found)


def any_active(images: Mapping[str, TrackedImage]) -> bool:
    """Whether any image is being worked on: then its controller is polled at the fast interval."""
    return any(track.image.active for track in images.values())
