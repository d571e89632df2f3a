"""An image of a Controller: the package that operators upload before an upgrade."""

from typing import Literal, TypeAlias

from monitor.model.tracked import Tracked, TrackedObject

ImageState = Literal["started", "in_progress", "completed", "failed", "unknown"]


class Image(Tracked, frozen=True, gc=False, kw_only=True):
    """``version``, ``patch``: of the package in the image. ``uber_bundle``: as the Controller reports it."""

    state: ImageState = "unknown"
    type: str = ""
    version: str = ""
    patch: str = ""
    uber_bundle: bool = False


TrackedImage: TypeAlias = TrackedObject[Image]
