"""
The resources: the kinds of object that are polled, one row each.

A row says how its objects are read, decoded, rendered, limited and described. All other polling is the same for all
resources, and is done by `monitor.polling.tracker`.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeAlias, TypeVar

from msgspec import Raw, Struct

from monitor.avi.image import decode_image
from monitor.config.settings import Events
from monitor.metrics.family import Family, Subject
from monitor.metrics.image import IMAGE_FAMILIES
from monitor.metrics.scrape_order import AnyFamily, families_of
from monitor.model.snapshot import ObjectList
from monitor.model.tracked import Tracked, TrackedObject
from monitor.polling.ports import Source
from monitor.polling.status import describe_image

T = TypeVar("T", bound=Tracked)


class Budget(Struct, frozen=True):
    """The most series of one object, and of all objects of the resource on one controller."""

    per_object: int
    per_controller: int


class Resource(Struct, Generic[T], frozen=True, kw_only=True):
    """
    One kind of object.

    ``name``: the key in `Entry.collections` and in ``/api/events``, and the value of the label ``resource``.
    ``read``: reads the complete list; returns the list that it was given when no byte changed; raises PollError.
    ``decode``: returns the object, and the names of its fields that have an unknown value; raises BadObject.
    ``families``: the metric families of one object. ``budget``: how many series they may have.
    ``describe``: returns the object as ``/api/events`` sends it.
    ``history_kind``: estimates learn from completed work for which this returned the same text.
    """

    name: str
    read: Callable[[Any, ObjectList], Awaitable[ObjectList]]
    decode: Callable[[Raw], tuple[T, tuple[str, ...]]]
    families: tuple[Family[Subject[T]], ...]
    budget: Callable[[Events], Budget]
    describe: Callable[[TrackedObject[T]], Any]
    history_kind: Callable[[T], str]


async def _list_images(source: Source, before: ObjectList) -> ObjectList:
    return await source.list_images(before)


IMAGE: Final = Resource(
    name="image",
    read=_list_images,
    decode=decode_image,
    families=IMAGE_FAMILIES,
    budget=lambda events: Budget(events.max_series_per_image, events.max_series_per_controller),
    describe=describe_image,
    history_kind=lambda image: image.type,
)

AnyResource: TypeAlias = Resource[Any]

RESOURCES: Final[tuple[AnyResource, ...]] = (IMAGE,)
"""Read in this order at each poll; the first decides whether a poll was good."""

FAMILIES: Final[tuple[AnyFamily, ...]] = families_of([resource.families for resource in RESOURCES])
