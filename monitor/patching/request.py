"""One PATCH for the patcher: the request, the result, and the Protocols of what the patcher works with."""

from collections.abc import Callable, Mapping
from typing import Protocol, Unpack

from msgspec import Struct

from monitor.avi.errors import Reply
from monitor.avi.link import Link
from monitor.patching.annotations import AnnotationChange
from monitor.patching.audit import Entry, Intent, Outcome, Search, shorten
from monitor.patching.body import Patch
from monitor.patching.fields import Json
from monitor.patching.kinds import IMAGE, ObjectKind


class ImageWriter(Protocol):
    """The client of a controller, as far as the patcher uses it."""

    @property
    def link(self) -> Link:
        """What is known of the connection to the Controller, and of its session."""

    async def get_image(self, uuid: str) -> bytes:
        """Read one image as it is now. Raises: PollError."""

    async def patch_image(self, uuid: str, body: bytes, *, api_version: str) -> Reply:
        """Change an image, once. Raises: PollError; Unanswered when it may have been changed or not."""


class AuditLog(Protocol):
    """Annotations and the audit. What is written is durable on return; otherwise StoreError is raised."""

    def annotations_of(self, controller: str) -> Mapping[str, Mapping[str, str]]:
        """Return the annotations of a controller's objects by `Intent.work_id`."""

    async def begin(self, intent: Intent, *, at: float) -> int:
        """Write an intent. Returns: its number."""

    async def finish(
        self, number: int, intent: Intent, outcome: Outcome, annotations: AnnotationChange | None, *, at: float
    ) -> None:
        """Write the outcome and the change of annotations; what cannot be written now is written later."""

    def require_writer(self) -> None:
        """Raises: StoreError when another daemon may have taken over since the intent was written."""

    async def record(self, intent: Intent, outcome: Outcome, annotations: AnnotationChange | None, *, at: float) -> int:
        """Write an intent with its outcome and the change of annotations. Returns: the number of the intent."""


class AuditReader(Protocol):
    """The audit, as far as it is searched."""

    async def entries(self, **criteria: Unpack[Search]) -> tuple[Entry, ...]:
        """Return intents with their outcomes, the newest first."""


class ImageView(Protocol):
    """The images and units of a controller as metrics, API and events show them."""

    def update_annotations(self) -> None:
        """Show the annotations as they are now."""

    def replace_image(self, raw: bytes) -> None:
        """Show this image, which was just read from the Controller, and poll soon."""

    def poll_soon(self) -> None:
        """Poll soon: an image may have changed on the Controller."""


class WriteTarget(Struct, frozen=True):
    """One controller that PATCHes can change."""

    writer: ImageWriter
    view: ImageView


class PatchRequest(Struct, frozen=True, kw_only=True):
    """
    One PATCH of one object, decoded and authorized.

    ``operation_key``: of a unit, the operation that the client saw: it is annotated, even if another one begins
    meanwhile. None: an image. ``if_match``: the object must have one of these entity tags, without quotes; ``*`` for
    any; None: no condition.
    ``api_version``: of the body, as the client says. ``actor``, ``source``, ``request_id``: for the audit.
    """

    controller: str
    uuid: str
    kind: ObjectKind = IMAGE
    operation_key: str | None = None
    patch: Patch
    api_version: str
    if_match: frozenset[str] | None = None
    dry_run: bool = False
    force: bool = False
    actor: str
    source: str
    request_id: str
    client_connected: Callable[[], bool] = lambda: True
    """Whether the client still waits for the reply."""

    @property
    def intent(self) -> Intent:
        """The intent, as the audit records it before the change."""
        patch, asked = self.patch, dict[str, Json]()
        if patch.annotations:
            asked["annotations"] = _shorten_all(patch.annotations.values)
            asked["replace_annotations"] = patch.annotations.replace
        if patch.adjustment:
            fields = _shorten_all(patch.adjustment.fields)
            asked |= {"operation": patch.adjustment.operation, "fields": fields, "force": self.force}
        return Intent(
            request_id=self.request_id,
            actor=self.actor,
            source=self.source,
            controller=self.controller,
            image_uuid=self.uuid,
            asked=asked,
            operation_key=self.operation_key,
        )


def _shorten_all(values: Mapping[str, Json]) -> Mapping[str, Json]:
    return {key: shorten(value) for key, value in values.items()}


class PatchResult(Struct, frozen=True):
    """The object after a PATCH. ``raw``: the Controller's JSON. ``changes``: before and after, by field."""

    raw: bytes
    annotations: Mapping[str, str]
    changes: Mapping[str, tuple[Json, Json]]

    @property
    def recorded_changes(self) -> Mapping[str, tuple[Json, Json]]:
        """The changes as the audit records them."""
        return {field: (shorten(before), shorten(after)) for field, (before, after) in self.changes.items()}
