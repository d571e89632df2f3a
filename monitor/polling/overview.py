"""What the units of one controller amount to, together with its exposition text."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from monitor.metrics import render
from monitor.metrics.upgrade_overview import OVERVIEW_FAMILIES
from monitor.model.cluster import NodesState
from monitor.model.tracked import Tracked, TrackedObject
from monitor.model.upgrade import Overview, Upgrade
from monitor.polling.eta import TypicalDurations
from monitor.polling.fleet import Collection
from monitor.polling.upgrade import overview_of, sort_units
from monitor.polling.upgrade_eta import controller_eta

TypicalOf = Callable[[str], TypicalDurations]


class RenderedOverview:
    """``pieces``: one for each family of `OVERVIEW_FAMILIES`, rendered again when what the family shows has changed."""

    def __init__(self, controller: str) -> None:
        self._controller = controller
        self._objects: Mapping[str, TrackedObject[Upgrade]] | None = None
        self._known: tuple[object, ...] = ()
        self._groups_at_once = 0
        """The most groups that were seen upgraded at the same time since nothing was upgraded."""
        self.overview = Overview()
        self.pieces = render.render_health(OVERVIEW_FAMILIES, (controller,), self.overview)

    def update(
        self,
        images: Collection[Tracked],
        units: Collection[Upgrade],
        typical_of: TypicalOf,
        *,
        cluster_uuid: str,
        images_in_use: Mapping[str, bool],
        nodes: NodesState | None,
        failing: bool,
        at: float,
    ) -> None:
        """
        Compute it again if units or images have changed, or its estimate is overdue.

        ``typical_of``: as in `controller_eta`. ``cluster_uuid``, ``failing``: as in `overview_of`.
        ``images_in_use``: as the Controller's own inventory says, where its units cannot be read. ``nodes``: of the
        Controllers' cluster. ``at``: now, Unix seconds.
        """
        shown = bool(units.health.readable) and not units.health.stale
        uuids: AbstractSet[str] = images.snapshot.objects.keys() if not images.health.stale else frozenset()
        known = shown, units.health.readable, cluster_uuid, images_in_use, failing
        overview = self.overview
        if self._objects is not units.snapshot.objects or self._known != (*known, uuids):
            self._objects, self._known = units.snapshot.objects, (*known, frozenset(uuids))
            if shown:
                overview = self._overview_of(
                    units, uuids, typical_of, cluster_uuid=cluster_uuid, failing=failing, at=at
                )
            else:
                pinned = {uuid: images_in_use[uuid] for uuid in uuids if uuid in images_in_use}
                overview = Overview(readable=units.health.readable, images_pinned=pinned)
        if overview.nodes != nodes:
            overview = replace(overview, nodes=nodes)
        if overview.eta and at > overview.eta.latest:
            overview = replace(overview, eta=None)
        before = self.overview, self.pieces
        self.overview = overview
        self.pieces = render.render_changes(OVERVIEW_FAMILIES, (self._controller,), before, overview)

    def _overview_of(
        self,
        units: Collection[Upgrade],
        images: AbstractSet[str],
        typical_of: TypicalOf,
        *,
        cluster_uuid: str,
        failing: bool,
        at: float,
    ) -> Overview:
        tracked = units.snapshot.objects
        objects = [each.object for each in tracked.values()]
        overview = overview_of(objects, images, cluster_uuid=cluster_uuid, failing=failing)
        under_way = sort_units(objects, cluster_uuid=cluster_uuid)
        running = sum(group.state == "running" for group in under_way.groups)
        self._groups_at_once = 0 if overview.phase == "none" else max(self._groups_at_once, running)
        eta = controller_eta(
            under_way, tracked, typical_of, before=self.overview.eta, groups_at_once=self._groups_at_once, at=at
        )
        return replace(overview, eta=eta)
