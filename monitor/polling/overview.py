"""What the units of one controller amount to, together with its exposition text."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from monitor.metrics import render
from monitor.metrics.upgrade_overview import OVERVIEW_FAMILIES
from monitor.model.tracked import Tracked, TrackedObject
from monitor.model.upgrade import Overview, Upgrade
from monitor.polling.fleet import Collection
from monitor.polling.upgrade import overview_of


class RenderedOverview:
    """``pieces``: one for each family of `OVERVIEW_FAMILIES`, rendered again when what the family shows has changed."""

    def __init__(self, controller: str) -> None:
        self._controller = controller
        self._objects: Mapping[str, TrackedObject[Upgrade]] | None = None
        self._known: tuple[object, ...] = ()
        self.overview = Overview()
        self.pieces = render.render_health(OVERVIEW_FAMILIES, (controller,), self.overview)

    def update(
        self, images: Collection[Tracked], units: Collection[Upgrade], *, cluster_uuid: str, failing: bool
    ) -> None:
        """Compute it again if units or images have changed. ``cluster_uuid``, ``failing``: as in `overview_of`."""
        shown = bool(units.health.readable) and not units.health.stale
        uuids: AbstractSet[str] = images.snapshot.objects.keys() if not images.health.stale else frozenset()
        known = shown, units.health.readable, cluster_uuid, failing
        if self._objects is units.snapshot.objects and self._known == (*known, uuids):
            return
        self._objects, self._known = units.snapshot.objects, (*known, frozenset(uuids))
        if shown:
            objects = [tracked.object for tracked in units.snapshot.objects.values()]
            overview = overview_of(objects, uuids, cluster_uuid=cluster_uuid, failing=failing)
        else:
            overview = Overview(readable=units.health.readable)
        before = self.overview, self.pieces
        self.overview = overview
        self.pieces = render.render_changes(OVERVIEW_FAMILIES, (self._controller,), before, overview)
