"""What the units of a controller amount to, poll by poll: computed when units change, or an estimate is overdue."""

from typing import TypeVar

from msgspec.structs import replace

from monitor.model.health import ReadHealth
from monitor.model.image import Image
from monitor.model.snapshot import Snapshot
from monitor.model.tracked import Eta, ProgressMark, Tracked, TrackedObject
from monitor.model.upgrade import Overview, Upgrade
from monitor.polling.eta import TypicalDurations
from monitor.polling.fleet import Collection
from monitor.polling.overview import RenderedOverview

T = TypeVar("T", bound=Tracked)

CLUSTER = Upgrade(uuid="cluster-1", kind="controller", state="queued", operation="upgrade")
GROUP = Upgrade(uuid="serviceenginegroup-1", kind="se_group", state="running", operation="upgrade")
NO_IMAGES = Collection[Tracked](Snapshot(), ReadHealth(), (), ())
FIRST = Eta(1100.0, 1050.0, 1150.0)


def collection(*objects: T) -> Collection[T]:
    tracked = {each.uuid: TrackedObject(each, ProgressMark(b"", 1.0, 1.0), 0.0) for each in objects}
    return Collection(Snapshot(objects=tracked), ReadHealth(readable=True, succeeded_at=1000.0), (), ())


def updated(overview: RenderedOverview, units: Collection[Upgrade], *, at: float = 1000.0) -> Overview:
    """The overview after a poll. Earlier work of any kind took 100 s."""
    typical = TypicalDurations(took_s=100.0)
    overview.update(
        NO_IMAGES, units, lambda _kind: typical, cluster_uuid="", images_in_use={}, nodes=None, failing=False, at=at
    )
    return overview.overview


def pinned(units: Collection[Upgrade], **in_use: bool) -> dict[str, bool]:
    """Which of the images a and b are pinned, where the Controller's own inventory says this."""
    overview, images = RenderedOverview("dc1"), collection(Image(uuid="a"), Image(uuid="b"))
    overview.update(
        images,
        units,
        lambda _kind: TypicalDurations(),
        cluster_uuid="",
        images_in_use=in_use,
        nodes=None,
        failing=False,
        at=0.0,
    )
    return dict(overview.overview.images_pinned)


def test_where_units_cannot_be_read_the_inventory_of_the_controller_says_which_images_are_pinned() -> None:
    unreadable = Collection[Upgrade](Snapshot(), ReadHealth(readable=False, reason="forbidden"), (), ())
    assert pinned(unreadable, a=True, gone=True) == {"a": True}, "of b it is not told"
    assert pinned(unreadable, a=True, b=False) == {"a": True, "b": False}
    assert pinned(unreadable) == {}
    assert pinned(collection(CLUSTER), a=True) == {"a": False, "b": False}, "the units say it"


def test_the_estimate_of_a_controller_stands_until_its_latest_end_has_passed() -> None:
    overview, units = RenderedOverview("dc1"), collection(CLUSTER)
    assert updated(overview, units).eta == FIRST
    assert updated(overview, units, at=1150.0).eta == FIRST
    pieces = overview.pieces
    assert updated(overview, units, at=1150.1).eta is None
    changed = [before.decode() for before, after in zip(pieces, overview.pieces, strict=True) if before != after]
    name = "avi_controller_upgrade_forecast_end_timestamp_seconds"
    ends = {"likely": 1100.0, "earliest": 1050.0, "latest": 1150.0}
    assert changed == ["".join(f'{name}{{bound="{bound}",controller="dc1"}} {at}\n' for bound, at in ends.items())]
    assert name.encode() not in b"".join(overview.pieces)


def test_how_many_groups_are_upgraded_at_once_is_of_one_upgrade() -> None:
    two = [replace(GROUP, uuid=uuid, state="queued") for uuid in ("serviceenginegroup-2", "serviceenginegroup-3")]
    overview = RenderedOverview("dc1")
    assert updated(overview, collection(*two)).eta is None, "none was seen yet"
    updated(overview, collection(GROUP, *two))
    assert updated(overview, collection(*two)).eta == Eta(1200.0, 1100.0, 1300.0)
    updated(overview, collection(replace(GROUP, state="completed")))
    assert updated(overview, collection(*two)).eta is None
