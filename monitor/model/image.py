"""One image object of a Controller."""

from typing import Literal, TypeAlias

from monitor.model.tracked import Tracked, TrackedObject

ImageState = Literal["started", "in_progress", "completed", "failed", "unknown"]


class Image(Tracked, frozen=True, gc=False, kw_only=True):
    """As `Tracked`, with what only an image has."""

    state: ImageState = "unknown"
    type: str = ""
    version: str = ""
    patch: str = ""
    uber_bundle: bool = False


TrackedImage: TypeAlias = TrackedObject[Image]
