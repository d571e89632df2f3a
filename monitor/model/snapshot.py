"""What one complete read of a controller brought, and how it differs from the one before."""

from collections.abc import Mapping

import msgspec

from monitor.model.image import Image, TrackedImage


class Page(msgspec.Struct, frozen=True, gc=False):
    """
    One page of ``GET /api/image`` as it came.

    ``images``: (uuid, raw JSON) in the Controller's order, the raw slices being views on ``body``; the uuid is empty
    where the object names none. ``count``: how many images there are in all, as the Controller says.
    """

    body: bytes
    count: int | None
    images: tuple[tuple[str, msgspec.Raw], ...]


class ImageList(msgspec.Struct, frozen=True, gc=False):
    """One complete read of a controller's images: every page said the same count, and as many distinct images came."""

    pages: tuple[Page, ...] = ()
    raws: Mapping[str, msgspec.Raw] = {}
    unidentified: int = 0
    """How many objects had neither ``uuid`` nor ``url``."""


class Snapshot(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is known of one controller's images after a good poll; replaced whole, never changed."""

    listing: ImageList = ImageList()
    images: Mapping[str, TrackedImage] = {}
    bad: frozenset[str] = frozenset()
    """The uuids that could not be read; they are in ``listing`` but not in ``images``."""
    detail_ends_at: float = float("inf")
    """When the first of ``images`` loses its per-task series."""


class Appeared(msgspec.Struct, frozen=True):
    """An image that was not there before."""

    after: Image


class Altered(msgspec.Struct, frozen=True):
    """An image that differs from what was known of it."""

    before: Image
    after: Image
    moved: bool
    """Whether progress, tasks, state or an event moved; false when only a name or the like was edited."""


class Vanished(msgspec.Struct, frozen=True):
    """An image that a complete poll no longer named."""

    before: Image


Change = Appeared | Altered | Vanished
