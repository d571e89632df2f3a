"""
Which images of one controller are in use, by which units, and which of them may be deleted. Pure.

That a unit refers to an image is a fact, and the Controller then refuses to delete it: `Overview.images_pinned`. Which
images have to be kept beside these is a rule of the vendor, and is said as one: the version before the present one is
never deleted, and older ones not before everything runs the present one.
Source: knowledge.broadcom.com 414044.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal, cast

from msgspec import Struct

from monitor.avi.values import version_key
from monitor.model.image import Image
from monitor.model.upgrade import ImageRole, Upgrade, Version
from monitor.polling.fleet import Entry
from monitor.polling.upgrade import Units, sort_units

MOST_NAMES: Final = 5
"""How many units or images a text names; a controller may have hundreds."""

KeepReasonKind = Literal["in-use", "being-processed", "rule", "newer", "not-known"]
"""
``rule``: of the vendor; the Controller may not enforce it. ``newer``: nothing speaks against it, but the image may be
meant for an upgrade.
"""


class KeepReason(Struct, frozen=True):
    """Why an image is not to be deleted, or may be meant for something, or why that is not known."""

    kind: KeepReasonKind
    text: str


class User(Struct, frozen=True):
    """A unit that refers to an image, and how."""

    unit: Upgrade
    roles: tuple[ImageRole, ...]


class ImageUse(Struct, frozen=True):
    """``in_use``: whether a unit refers to it; None: not known. ``reasons``: what speaks against deleting it."""

    in_use: bool | None
    users: tuple[User, ...]
    reasons: tuple[KeepReason, ...]

    @property
    def deletable(self) -> bool | None:
        """Whether it may be deleted, as far as is known; None: not known."""
        kinds = {reason.kind for reason in self.reasons} - {"newer"}
        if not kinds:
            return True
        return None if kinds == {"not-known"} else False


class _Known(Struct, frozen=True):
    """
    What is known of one controller.

    ``unknown``: why nothing is known of the units; empty: they are known. ``present``, ``previous``: the versions of
    the Controllers. ``behind``: the units at another version.
    """

    unknown: str
    present: Version
    previous: Version = Version()
    behind: tuple[Upgrade, ...] = ()


def image_uses(entry: Entry) -> Mapping[str, ImageUse]:
    """Return the use of each image of a controller, by uuid."""
    units, unknown = units_of(entry), why_unknown(entry)
    pinned = entry.overview.images_pinned if entry.overview else {}
    known = _known(entry, units, unknown)
    images = [cast("Image", tracked.object) for tracked in entry.objects("image").values()]
    users = _users(units)
    return {image.uuid: _use(image, pinned.get(image.uuid), users.get(image.uuid, ()), known) for image in images}


def units_of(entry: Entry) -> tuple[Upgrade, ...]:
    """Return the units of a controller; none where they are not known."""
    if why_unknown(entry):
        return ()
    return tuple(cast("Upgrade", tracked.object) for tracked in entry.objects("upgrade").values())


def why_unknown(entry: Entry) -> str:
    """Say why the units of a controller are not known; empty where they are."""
    if "upgrade" not in entry.collections:
        return "its upgrades are not watched"
    health = entry.collections["upgrade"].health
    if health.readable is False:
        return f"its upgrade status cannot be read ({health.reason})"
    if health.stale:
        return "its upgrade status was read too long ago"
    return "" if health.readable else "its upgrade status was not read yet"


def name_of(unit: Upgrade) -> str:
    """Return ``group@cloud``: names of groups are not unique."""
    name = unit.name or unit.uuid
    return f"{name}@{unit.cloud}" if unit.cloud else name


def listed(names: Collection[str]) -> str:
    """Return the first names, and how many more there are."""
    shown = [*names][:MOST_NAMES]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _known(entry: Entry, units: tuple[Upgrade, ...], unknown: str) -> _Known:
    cluster_uuid = entry.overview.cluster if entry.overview else ""
    sorted_units = sort_units(units, cluster_uuid=cluster_uuid)
    cluster = sorted_units.cluster
    if cluster is None:
        version = ".".join(map(str, version_key(entry.session.version)))
        return _Known(unknown or "the Controllers are not among its units", Version(version))
    return _Known(unknown, cluster.version, cluster.previous, units_behind(sorted_units, cluster.version))


def units_behind(units: Units, version: Version) -> tuple[Upgrade, ...]:
    """Return the units below the cluster that are not at this version. Patches may differ."""
    return tuple(unit for unit in units.below if not unit.version.is_build_of(version))


def _users(units: Iterable[Upgrade]) -> Mapping[str, tuple[User, ...]]:
    found: dict[str, dict[str, User]] = {}
    for unit in units:
        for image in unit.images:
            users = found.setdefault(image.uuid, {})
            known = users.get(unit.uuid)
            users[unit.uuid] = User(unit, (*(known.roles if known else ()), image.role))
    return {uuid: tuple(users.values()) for uuid, users in found.items()}


def _use(image: Image, in_use: bool | None, users: tuple[User, ...], known: _Known) -> ImageUse:
    reasons = [KeepReason("being-processed", f"it is being processed ({image.state})")] if image.active else []
    if in_use is None:
        reasons.append(KeepReason("not-known", known.unknown or "which images are in use was not read yet"))
    elif in_use:
        reasons.append(KeepReason("in-use", _used_by(users)))
    elif not image.active:
        reasons += _rules(image, known)
    return ImageUse(in_use, users, tuple(reasons))


def _used_by(users: Collection[User]) -> str:
    if not users:
        return "the Controller says that it is in use"
    names = [f"{name_of(each.unit)} ({', '.join(role.replace('_', ' ') for role in each.roles)})" for each in users]
    return f"in use by {listed(names)}: the Controller would refuse"


def _rules(image: Image, known: _Known) -> list[KeepReason]:
    """Return what the vendor's rule says of an image to which no unit refers."""
    present, own = version_key(known.present.version), version_key(image.version)
    if not present or not own:
        whose = "its version" if present else "the version of the Controllers"
        return [KeepReason("not-known", f"{whose} is not known")]
    if own > present:
        return [KeepReason("newer", f"newer than {known.present.version}: it may be meant for an upgrade")]
    if own == present:
        return []
    if known.unknown:
        return [KeepReason("not-known", f"it is older than {known.present.version}, and {known.unknown}")]
    if own == version_key(known.previous.version):
        rule = f"{image.version} is the version before {known.present.version}: by the vendor's rule it is kept"
        return [KeepReason("rule", rule)]
    if known.behind:
        names = listed([f"{name_of(unit)}: {unit.version.version or 'not known'}" for unit in known.behind])
        rule = f"by the vendor's rule it is kept until everything runs {known.present.version} ({names})"
        return [KeepReason("rule", rule)]
    return []
