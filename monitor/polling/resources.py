"""
The resources: the kinds of object that are polled, one row each.

A row says how its objects are read, decoded, rendered, limited and described. All other polling is the same for all
resources, and is done by `monitor.polling.tracker`.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Generic, TypeAlias, TypeVar

from msgspec import Raw, Struct

from monitor.avi.image import decode_image
from monitor.avi.upgrade import decode_upgrade
from monitor.config.settings import STALLED_AFTER_S, Events, Upgrades
from monitor.config.types import Config, Controller
from monitor.metrics.family import CORE, NODE, Family, Subject
from monitor.metrics.image import IMAGE_FAMILIES
from monitor.metrics.scrape_order import AnyFamily, families_of
from monitor.metrics.upgrade import UPGRADE_FAMILIES
from monitor.metrics.upgrade_overview import OVERVIEW_FAMILIES
from monitor.model.snapshot import ObjectList
from monitor.model.tracked import OperationMark, Tracked, TrackedObject, UploadProgress
from monitor.model.upgrade import Upgrade
from monitor.polling import eta, upgrade, upgrade_eta
from monitor.polling.eta import CompletedUpload
from monitor.polling.ports import Source
from monitor.polling.status import describe_image
from monitor.polling.upgrade_operation import update_operation
from monitor.polling.upgrade_status import describe_unit

T = TypeVar("T", bound=Tracked)


class TrackingSettings(Struct, frozen=True):
    """The settings of trackers. ``exported``: the keys of the annotations that become labels."""

    events: Events = Events()
    exported: frozenset[str] = frozenset()
    stalled_after_s: float = STALLED_AFTER_S
    upgrades: Upgrades = Upgrades()

    @classmethod
    def of(cls, config: Config) -> "TrackingSettings":
        """Take them from the configuration."""
        return cls(config.events, config.annotations.export, config.stalled_after_s, config.upgrades)


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
    ``rest_tier``: the finest tier that is exported of an object at rest. ``without_series``: returns the uuids of the
    objects that have no series, so that there are not too many of a kind that is not told apart by its tier.
    ``describe``: returns the object as ``/api/events`` sends it; None: it is not sent.
    ``stalled_after_s``: returns for how long an object may not move.
    ``update_operation``: as that of `monitor.polling.upgrade_operation`; returns None where all work on an
    object is one operation.
    ``history_kind``: estimates learn from completed work for which this returned the same text. ``summarize``,
    ``update_eta``: as those of `monitor.polling.eta`.
    """

    name: str
    read: Callable[[Any, ObjectList], Awaitable[ObjectList]]
    decode: Callable[[Raw], tuple[T, tuple[str, ...]]]
    families: tuple[Family[Subject[T]], ...]
    budget: Callable[[TrackingSettings], Budget]
    rest_tier: int = NODE
    without_series: Callable[[Iterable[T], TrackingSettings], frozenset[str]] = lambda _objects, _settings: frozenset()
    describe: Callable[[TrackedObject[T]], Any] | None = None
    stalled_after_s: Callable[[T, TrackingSettings], float] = lambda _object, settings: settings.stalled_after_s
    update_operation: Callable[..., OperationMark | None] = lambda _known, _object, *, at: None  # noqa: ARG005
    history_kind: Callable[[T], str]
    summarize: Callable[..., CompletedUpload] = eta.summarize
    update_eta: Callable[..., UploadProgress | None] = eta.update_eta


async def _list_images(source: Source, before: ObjectList) -> ObjectList:
    return await source.list_images(before)


async def _list_units(source: Source, before: ObjectList) -> ObjectList:
    return await source.list_units(before)


IMAGE: Final = Resource(
    name="image",
    read=_list_images,
    decode=decode_image,
    families=IMAGE_FAMILIES,
    budget=lambda settings: Budget(settings.events.max_series_per_image, settings.events.max_series_per_controller),
    describe=describe_image,
    history_kind=lambda image: image.type,
)

UPGRADE: Final[Resource[Upgrade]] = Resource(
    name="upgrade",
    read=_list_units,
    decode=decode_upgrade,
    families=UPGRADE_FAMILIES,
    budget=lambda settings: Budget(*[settings.upgrades.max_series_per_controller] * 2),
    rest_tier=CORE,
    without_series=lambda units, settings: upgrade.engines_without_series(units, most=settings.upgrades.se_series),
    describe=describe_unit,
    stalled_after_s=lambda unit, _settings: upgrade.stalled_after_s(unit),
    update_operation=update_operation,
    history_kind=upgrade_eta.history_kind,
    summarize=upgrade_eta.summarize,
    update_eta=upgrade_eta.update_eta,
)

AnyResource: TypeAlias = Resource[Any]

RESOURCES: Final[tuple[AnyResource, ...]] = (IMAGE, UPGRADE)
"""Read in this order at each poll; the first decides whether a poll was good."""

FAMILIES: Final[tuple[AnyFamily, ...]] = families_of([each.families for each in RESOURCES], OVERVIEW_FAMILIES)


def watched(resources: Iterable[AnyResource], controller: Controller) -> tuple[AnyResource, ...]:
    """Return those that are polled on this controller."""
    return tuple(each for each in resources if each is not UPGRADE or controller.watch_upgrades)
