"""What the lines of a readiness report are made of, and how they write it. Pure."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, cast

from msgspec import Struct

from monitor.avi.values import version_key
from monitor.model.image import Image, Requirements
from monitor.model.tracked import Event, is_acknowledged
from monitor.model.upgrade import Upgrade
from monitor.polling.fleet import Entry
from monitor.polling.inventory import units_of, why_unknown
from monitor.polling.upgrade import Units, sort_units

Verdict = Literal["go", "warn", "no_go"]
"""``warn``: an operator has to look; what is not known is at least that."""

Finding: TypeAlias = tuple[Verdict, str]
"""A verdict and its reason."""

_UNITS_OF_TIME: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


class Facts(Struct, frozen=True):
    """
    What is known of a controller and of an image on it. ``at``: now, Unix seconds.

    ``events``: of the image, one a (task, node). ``unknown``: why its units are not known; empty: they are known.
    ``acknowledged``: the uuids of units whose failure an operator has acknowledged.
    """

    entry: Entry
    image: Image
    events: tuple[Event, ...]
    requirements: Requirements
    at: float
    unknown: str
    units: Units
    acknowledged: frozenset[str]

    @property
    def images(self) -> Mapping[str, Image]:
        """All images of the controller, by uuid."""
        return {uuid: cast("Image", tracked.object) for uuid, tracked in self.entry.objects("image").items()}

    @property
    def every_unit(self) -> tuple[Upgrade, ...]:
        """The cluster, and all below it."""
        return (*((self.units.cluster,) if self.units.cluster else ()), *self.units.below)

    @property
    def current(self) -> tuple[int, ...]:
        """The version of the Controllers; empty: not known."""
        cluster = self.units.cluster
        return version_key(cluster.version.version if cluster else "") or version_key(self.entry.session.version)

    @property
    def target(self) -> tuple[int, ...]:
        """The version of the image; empty: not known."""
        return version_key(self.image.version)


def facts_of(entry: Entry, uuid: str, events: tuple[Event, ...], requirements: Requirements, *, at: float) -> Facts:
    """Collect what is known of a controller, and of its image with this uuid."""
    cluster = entry.overview.cluster if entry.overview else ""
    tracked = entry.objects("upgrade") if "upgrade" in entry.collections else {}
    return Facts(
        entry,
        cast("Image", entry.objects("image")[uuid].object),
        events,
        requirements,
        at,
        why_unknown(entry),
        sort_units(units_of(entry), cluster_uuid=cluster),
        frozenset(each.object.uuid for each in tracked.values() if is_acknowledged(each.annotations)),
    )


def dotted(version: tuple[int, ...]) -> str:
    """Return ``30.2.1``."""
    return ".".join(map(str, version))


def span(seconds: float) -> str:
    """Return ``3 h``: whole, in the largest unit that fits."""
    size, unit = next((each for each in _UNITS_OF_TIME if abs(seconds) >= each[0]), _UNITS_OF_TIME[-1])
    return f"{abs(seconds) / size:.0f} {unit}"
