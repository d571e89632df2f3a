"""
The images of one Controller: uploads that follow the clock, and literal images that are served exactly as given.

The encoded bytes are cached by image and API version until the image changes, so that a thousand Controllers cost
little more than their sockets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from monitor.simulator.http_types import Json, decode, encode
from monitor.simulator.lifecycle import UploadPlan, render_image, to_microseconds
from monitor.simulator.versions import Version, view_in_version

Revision: TypeAlias = tuple[float, int]


@dataclass(frozen=True, slots=True)
class ServedImage:
    """One image in one API version, encoded. ``key``: the uuid, where the image has one."""

    key: str
    tenant: str
    encoded: bytes

    @property
    def image(self) -> Json:
        """The decoded object; a new one each time, which the caller may change."""
        return decode(self.encoded)


@dataclass(slots=True)
class UploadedImage:
    """An image of a planned upload, and the fields that a test or a PATCH has written since."""

    plan: UploadPlan
    written: Json = field(default_factory=dict)
    unset: frozenset[str] = frozenset()
    written_us: int = 0  # time of the last write, microseconds since the epoch; 0: never

    def exists_at(self, now: float) -> bool:
        """Whether the upload has started."""
        return now >= self.plan.started_at

    def revision(self, now: float) -> Revision:
        """Return a value that is equal for equal images."""
        return self.plan.latest_change(now), self.written_us

    def image(self, now: float) -> Json:
        """Return the object in the newest API version; the caller may change its top level."""
        planned = render_image(self.plan, self.plan.latest_change(now))
        planned["_last_modified"] = str(max(int(planned["_last_modified"]), self.written_us))
        return {name: value for name, value in {**planned, **self.written}.items() if name not in self.unset}

    def view(self, image: Json, version: Version) -> Json:
        """Return the object in an API version."""
        return view_in_version(image, version)

    def write(self, fields: Mapping[str, object], unset: frozenset[str], now: float) -> None:
        """Set and unset fields. Every write increases ``_last_modified``, even while the clock stands still."""
        last = max(self.written_us, to_microseconds(self.plan.started_at + self.plan.latest_change(now)))
        self.written_us = max(to_microseconds(now), last + 1)
        kept = {name: value for name, value in self.written.items() if name != "_last_modified"}
        self.written = {**kept, **fields}
        self.unset = (self.unset - set(fields)) | unset


@dataclass(slots=True)
class LiteralImage:
    """An object that is served exactly as given, to clients of every version."""

    document: Json
    writes: int = 0

    def exists_at(self, _now: float) -> bool:
        """Always."""
        return True

    def revision(self, _now: float) -> Revision:
        """Return a value that is equal for equal images."""
        return 0.0, self.writes

    def image(self, _now: float) -> Json:
        """Return the object; the caller may change its top level."""
        return dict(self.document)

    def view(self, image: Json, _version: Version) -> Json:
        """Return the whole object in every API version."""
        return image

    def write(self, fields: Mapping[str, object], unset: frozenset[str], now: float) -> None:
        """Set and unset fields. Every write increases ``_last_modified``."""
        self.writes += 1
        last = str(self.document.get("_last_modified", ""))
        modified = max(to_microseconds(now), int(last) + 1 if last.isdecimal() else 0)
        changed = {**self.document, "_last_modified": str(modified), **fields}
        self.document = {name: value for name, value in changed.items() if name not in unset}


class ImageStore:
    """The images of one Controller by key, in the order in which they were added."""

    def __init__(self) -> None:
        self._images: dict[str, UploadedImage | LiteralImage] = {}
        self._cache: dict[tuple[str, Version], tuple[Revision, ServedImage]] = {}

    def add(self, key: str, image: UploadedImage | LiteralImage) -> None:
        """Add an image; it replaces one with the same key."""
        self._drop_cached(key)
        self._images[key] = image

    def remove(self, key: str) -> None:
        """Raises: KeyError for an image that does not exist."""
        del self._images[key]
        self._drop_cached(key)

    def served(self, now: float, version: Version) -> list[ServedImage]:
        """Return the images that exist at this time."""
        return [self._serve(key, now, version) for key, image in self._images.items() if image.exists_at(now)]

    def find(self, key: str, now: float, version: Version) -> ServedImage | None:
        """Return one image; None if it does not exist at this time."""
        image = self._images.get(key)
        return self._serve(key, now, version) if image and image.exists_at(now) else None

    def image(self, key: str, now: float) -> Json:
        """Return the object in the newest API version. Raises: KeyError."""
        return self._images[key].image(now)

    def write(self, key: str, fields: Mapping[str, object], *, now: float, unset: frozenset[str] = frozenset()) -> None:
        """Set and unset fields of an image. Raises: KeyError."""
        self._images[key].write(fields, unset, now)

    def documents(self, now: float) -> dict[str, Json]:
        """Return the images that exist at this time, in the newest API version, by key."""
        return {key: image.image(now) for key, image in self._images.items() if image.exists_at(now)}

    def names(self, now: float) -> dict[str, str]:
        """Return the names of the images by key."""
        return {key: str(image["name"]) for key, image in self.documents(now).items() if "name" in image}

    def _serve(self, key: str, now: float, version: Version) -> ServedImage:
        image = self._images[key]
        revision, cached = image.revision(now), self._cache.get((key, version))
        if cached is None or cached[0] != revision:
            view = image.view(image.image(now), version)
            cached = (revision, ServedImage(key, _tenant(view), encode(view)))
            self._cache[key, version] = cached
        return cached[1]

    def _drop_cached(self, key: str) -> None:
        self._cache = {cached: entry for cached, entry in self._cache.items() if cached[0] != key}


def _tenant(image: Json) -> str:
    """Return the tenant of the image's reference; admin where it has none."""
    ref = str(image.get("tenant_ref", ""))
    return ref.rpartition("/api/tenant/")[2] if "/api/tenant/" in ref else "admin"
