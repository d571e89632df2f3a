"""One PATCH as it is carried out: what is ordered, what comes of it, and whom the patcher needs for it."""

from collections.abc import Callable, Mapping
from typing import Protocol, Unpack

from msgspec import Struct

from monitor.avi.client import Link
from monitor.patching.annotations import Annotating
from monitor.patching.audit import Entry, Intent, Outcome, Search
from monitor.patching.body import Patch
from monitor.patching.fields import Json


class ImageWriter(Protocol):
    """What a patcher needs of a controller's client."""

    link: Link

    async def get_image(self, uuid: str) -> bytes:
        """Read one image as it is now. Raises: PollError."""

    async def patch_image(self, uuid: str, body: bytes, *, api_version: str) -> bytes:
        """Change it, in one try. Raises: PollError; Unanswered when nobody knows whether it was done."""


class AuditLog(Protocol):
    """Where annotations and the audit are kept. What is written is durable on return; else StoreError is raised."""

    def annotations_of(self, controller: str) -> Mapping[str, Mapping[str, str]]:
        """Those of a controller's images by uuid."""

    async def intend(self, intent: Intent, *, at: float) -> int:
        """Write what somebody is about to do; the number of the record."""

    async def conclude(
        self, number: int, intent: Intent, ending: Outcome, annotating: Annotating | None, *, at: float
    ) -> None:
        """Write how it ended, and the annotations with it; what cannot be written now is written later."""

    async def record(self, intent: Intent, ending: Outcome, annotating: Annotating | None, *, at: float) -> int:
        """Write both at once."""


class AuditReader(Protocol):
    """Where the audit can be searched."""

    async def entries(self, **search: Unpack[Search]) -> tuple[Entry, ...]:
        """Look up intents with their endings, the newest first."""


class ImageView(Protocol):
    """Who shows a controller's images."""

    def annotated(self) -> None:
        """Show the annotations as they are now."""

    def replaced(self, raw: bytes) -> None:
        """Show this image as it was read just now, and read all of them again soon."""

    def nudge(self) -> None:
        """Read all images again soon: something may have been changed on the controller."""


class WriteTarget(Struct, frozen=True):
    """One controller that can be written to."""

    writer: ImageWriter
    display: ImageView


class PatchRequest(Struct, frozen=True, kw_only=True):
    """
    One PATCH of one image, read and allowed.

    ``if_match``: the entity tags of which the image must have one, without quotes; ``*`` for any; None: no condition.
    ``api_version``: the one that the caller speaks. ``actor``, ``source``, ``request_id``: for the audit.
    """

    controller: str
    uuid: str
    patch: Patch
    api_version: str
    if_match: frozenset[str] | None = None
    dry_run: bool = False
    force: bool = False
    actor: str
    source: str
    request_id: str
    wanted: Callable[[], bool] = lambda: True
    """Whether the caller is still there to hear of it."""

    @property
    def intent(self) -> Intent:
        """What the audit says of it before it is done."""
        patch, asked = self.patch, dict[str, Json]()
        if patch.annotating:
            asked["annotations"] = patch.annotating.values
            asked["replace_annotations"] = patch.annotating.replace
        if patch.adjustment:
            asked |= {"operation": patch.adjustment.operation, "fields": patch.adjustment.fields, "force": self.force}
        return Intent(
            request_id=self.request_id,
            actor=self.actor,
            source=self.source,
            controller=self.controller,
            image_uuid=self.uuid,
            asked=asked,
        )


class PatchResult(Struct, frozen=True):
    """The image after an order. ``raw``: the Controller's JSON. ``changes``: before and after, by field."""

    raw: bytes
    annotations: Mapping[str, str]
    changes: Mapping[str, tuple[Json, Json]]
