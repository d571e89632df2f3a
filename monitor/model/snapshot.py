"""What is known of the objects of one resource after a read, and how two reads differ."""

from collections.abc import Mapping
from typing import Generic

import msgspec

from monitor.model.tracked import T_co, Tracked, TrackedObject


class Page(msgspec.Struct, frozen=True, gc=False):
    """
    One page of a list, split into its objects.

    ``objects``: (uuid, raw JSON) in the Controller's order. The raw JSON is a view on ``body``; the uuid is empty if
    the object has none. ``count``: how many objects the whole list has, as the Controller says.
    """

    body: bytes
    count: int | None
    objects: tuple[tuple[str, msgspec.Raw], ...]


class ObjectList(msgspec.Struct, frozen=True, gc=False):
    """One complete list. ``raws``: the JSON of each object by uuid."""

    pages: tuple[Page, ...] = ()
    raws: Mapping[str, msgspec.Raw] = {}
    unidentified: int = 0
    """How many objects had neither ``uuid`` nor ``url``."""
    repeated: int = 0
    """How many objects had the uuid of another one, though `count` counts them; the last one of a uuid is taken."""
    summaries: frozenset[str] = frozenset()
    """The uuids of objects of which only a summary was read since they changed: what it does not tell is older."""
    too_large: Mapping[str, tuple[str, ...]] = {}
    """The members of objects, by uuid, that the JSON is kept without, because they are too large."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """How many objects are not in ``raws``, by cause."""
        causes = {
            "neither `uuid` nor `url`": self.unidentified,
            "the uuid of another object in the list, and counted in `count`": self.repeated,
        }
        return {cause: objects for cause, objects in causes.items() if objects}


class Snapshot(msgspec.Struct, Generic[T_co], frozen=True, gc=False, kw_only=True):
    """What is known of the objects of one resource on one controller after a good read. Replaced, never mutated."""

    object_list: ObjectList = ObjectList()
    objects: Mapping[str, TrackedObject[T_co]] = {}
    undecodable: frozenset[str] = frozenset()
    """The uuids of objects that could not be decoded; they are in ``object_list`` but not in ``objects``."""
    next_change_at: float = float("inf")
    """When, without any change of the list, an object will next lose its per-task series or stall; Unix seconds."""
    overdue_at: float = float("inf")
    """After which moment an estimate is overdue, Unix seconds."""
    active: bool = False
    """Whether the Controller is working on any object. What waits for one that is suspended does not count."""
    suspended_since: float = float("-inf")
    """When an object that waits for an operator moved last, Unix seconds; ``-inf``: none waits."""


class Appeared(msgspec.Struct, frozen=True):
    """An object that was not there before."""

    after: Tracked


class Altered(msgspec.Struct, frozen=True):
    """An object of which any field or the mark changed."""

    before: Tracked
    after: Tracked
    moved: bool
    """Whether progress, tasks, state or an event changed; false when only the name or another field did."""


class Vanished(msgspec.Struct, frozen=True):
    """An object that is no longer in the list."""

    before: Tracked


Change = Appeared | Altered | Vanished
