"""
The images of one Controller: planned uploads that live by the clock, and literal objects served exactly as given.

Bytes are kept per image and API version and made again only when the image changed, so that serving a thousand
Controllers costs little more than the sockets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from monitor.simulator import lifecycle, versions
from monitor.simulator.http_types import Json, decode, encode
from monitor.simulator.versions import Version

Stamp: TypeAlias = tuple[float, int]


@dataclass(frozen=True, slots=True)
class Served:
    """One image as one client sees it now: its bytes, and what a list has to know without reading them."""

    key: str
    tenant: str
    encoded: bytes

    @property
    def image(self) -> Json:
        """The object, read anew: the caller may change it."""
        return decode(self.encoded)


@dataclass(slots=True)
class Upload:
    """A planned upload, with what was written over it by hand or by PATCH."""

    plan: lifecycle.Plan
    written: Json = field(default_factory=dict)
    unset: frozenset[str] = frozenset()
    written_us: int = 0  # when; 0 = never

    def visible(self, now: float) -> bool:
        """An image appears when its upload starts."""
        return now >= self.plan.started

    def stamp(self, now: float) -> Stamp:
        """Equal stamps, equal images."""
        return self.plan.phase(now), self.written_us

    def image(self, now: float) -> Json:
        """The whole object, in the newest form; the caller may change it at its top."""
        planned = lifecycle.rendered(self.plan, self.plan.phase(now))
        planned["_last_modified"] = str(max(int(planned["_last_modified"]), self.written_us))
        return {name: value for name, value in {**planned, **self.written}.items() if name not in self.unset}

    def seen(self, image: Json, version: Version) -> Json:
        """The object as a client of that version sees it."""
        return versions.view(image, version)

    def write(self, fields: Mapping[str, object], gone: frozenset[str], now: float) -> None:
        """Every write moves ``_last_modified`` on, even while the clock stands still."""
        last = max(self.written_us, lifecycle.micros(self.plan.started + self.plan.phase(now)))
        self.written_us = max(lifecycle.micros(now), last + 1)
        kept = {name: value for name, value in self.written.items() if name != "_last_modified"}
        self.written = {**kept, **fields}
        self.unset = (self.unset - set(fields)) | gone


@dataclass(slots=True)
class Literal:
    """An object served exactly as it was given, whatever it says, to clients of every version."""

    document: Json
    revision: int = 0

    def visible(self, _now: float) -> bool:
        """Always: it has no life."""
        return True

    def stamp(self, _now: float) -> Stamp:
        """Equal stamps, equal images."""
        return 0.0, self.revision

    def image(self, _now: float) -> Json:
        """The object; the caller may change it at its top."""
        return dict(self.document)

    def seen(self, image: Json, _version: Version) -> Json:
        """All of it."""
        return image

    def write(self, fields: Mapping[str, object], gone: frozenset[str], now: float) -> None:
        """Every write moves ``_last_modified`` on."""
        self.revision += 1
        last = str(self.document.get("_last_modified", ""))
        modified = max(lifecycle.micros(now), int(last) + 1 if last.isdecimal() else 0)
        changed = {**self.document, "_last_modified": str(modified), **fields}
        self.document = {name: value for name, value in changed.items() if name not in gone}


class Images:
    """The store: by key (the uuid, where there is one), in the order in which they came."""

    def __init__(self) -> None:
        self._entries: dict[str, Upload | Literal] = {}
        self._ready: dict[tuple[str, Version], tuple[Stamp, Served]] = {}

    def add(self, key: str, entry: Upload | Literal) -> None:
        """Put an image in, instead of one of the same key."""
        self._forget(key)
        self._entries[key] = entry

    def remove(self, key: str) -> None:
        """Raises: KeyError for an image that is not there."""
        del self._entries[key]
        self._forget(key)

    def served(self, now: float, version: Version) -> list[Served]:
        """What a list shows: the images that have appeared by now."""
        return [self._one(key, now, version) for key, entry in self._entries.items() if entry.visible(now)]

    def find(self, key: str, now: float, version: Version) -> Served | None:
        """One image, if it has appeared."""
        entry = self._entries.get(key)
        return self._one(key, now, version) if entry and entry.visible(now) else None

    def image(self, key: str, now: float) -> Json:
        """The whole object, as the Controller itself knows it. Raises: KeyError."""
        return self._entries[key].image(now)

    def write(self, key: str, fields: Mapping[str, object], *, now: float, gone: frozenset[str] = frozenset()) -> None:
        """Set some fields and unset others. Raises: KeyError."""
        self._entries[key].write(fields, gone, now)

    def names(self, now: float) -> dict[str, str]:
        """Key -> name, of all that have one."""
        images = {key: entry.image(now) for key, entry in self._entries.items() if entry.visible(now)}
        return {key: str(image["name"]) for key, image in images.items() if "name" in image}

    def _one(self, key: str, now: float, version: Version) -> Served:
        entry = self._entries[key]
        stamp, ready = entry.stamp(now), self._ready.get((key, version))
        if ready is None or ready[0] != stamp:
            image = entry.seen(entry.image(now), version)
            ready = (stamp, Served(key, _tenant(image), encode(image)))
            self._ready[key, version] = ready
        return ready[1]

    def _forget(self, key: str) -> None:
        self._ready = {known: ready for known, ready in self._ready.items() if known[0] != key}


def _tenant(image: Json) -> str:
    """Images live in admin, unless their reference says otherwise."""
    ref = str(image.get("tenant_ref", ""))
    return ref.rpartition("/api/tenant/")[2] if "/api/tenant/" in ref else "admin"
