"""What one complete read of one kind of object brought, and how it differs from the one before."""

from collections.abc import Mapping
from typing import Generic

import msgspec

from monitor.model.tracked import T_co, Tracked, TrackedObject


class Page(msgspec.Struct, frozen=True, gc=False):
    """
    One page of a list as it came.

    ``objects``: (uuid, raw JSON) in the Controller's order, the raw slices being views on ``body``; the uuid is empty
    where the object names none. ``count``: how many objects there are in all, as the Controller says.
    """

    body: bytes
    count: int | None
    objects: tuple[tuple[str, msgspec.Raw], ...]


class ObjectList(msgspec.Struct, frozen=True, gc=False):
    """One complete list: every page said the same count, and as many distinct objects came."""

    pages: tuple[Page, ...] = ()
    raws: Mapping[str, msgspec.Raw] = {}
    unidentified: int = 0
    """How many objects had neither ``uuid`` nor ``url``."""


class Snapshot(msgspec.Struct, Generic[T_co], frozen=True, gc=False, kw_only=True):
    """What is known of one kind of object of one controller after a good read; replaced whole, never changed."""

    object_list: ObjectList = ObjectList()
    objects: Mapping[str, TrackedObject[T_co]] = {}
    undecodable: frozenset[str] = frozenset()
    """The uuids of objects that could not be decoded; they are in ``object_list`` but not in ``objects``."""
    next_change_at: float = float("inf")
    """The next moment at which an object changes by itself: it loses its per-task series, or has stalled."""


class Appeared(msgspec.Struct, frozen=True):
    """An object that was not there before."""

    after: Tracked


class Altered(msgspec.Struct, frozen=True):
    """An object that differs from what was known of it."""

    before: Tracked
    after: Tracked
    moved: bool
    """Whether progress, tasks, state or an event moved; false when only a name or the like was edited."""


class Vanished(msgspec.Struct, frozen=True):
    """An object that a complete list no longer named."""

    before: Tracked


Change = Appeared | Altered | Vanished
