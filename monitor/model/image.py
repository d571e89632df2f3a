"""An image of a Controller: the package that operators upload before an upgrade."""

from typing import Literal, TypeAlias

from msgspec import Struct

from monitor.model.tracked import Tracked, TrackedObject

ImageState = Literal["started", "in_progress", "completed", "failed", "unknown"]


class Image(Tracked, frozen=True, gc=False, kw_only=True):
    """``version``, ``patch``: of the package in the image. ``uber_bundle``: as the Controller reports it."""

    state: ImageState = "unknown"
    type: str = ""
    version: str = ""
    patch: str = ""
    uber_bundle: bool = False


Patched = Literal["Controllers", "Service Engines"]


class MandatoryPatch(Struct, frozen=True):
    """An image of type patch that an image names, as to be applied with it. ``of``: what is patched."""

    of: Patched
    uuid: str
    name: str


class Requirements(Struct, frozen=True):
    """
    What an image demands before an upgrade to it.

    ``versions``: from which one can upgrade, as ``30.2.1``; empty: not told. ``max_active_versions``: how many versions
    may be in use at once; None: not told.
    """

    versions: tuple[str, ...] = ()
    max_active_versions: int | None = None
    patches: tuple[MandatoryPatch, ...] = ()


TrackedImage: TypeAlias = TrackedObject[Image]
