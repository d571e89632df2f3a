"""What a poller and its trackers need of the rest of the daemon."""

from collections.abc import Mapping
from typing import Protocol

from monitor.avi.client import Link
from monitor.model.snapshot import ObjectList
from monitor.model.tracked import ProgressMark
from monitor.polling.eta import CompletedUpload, TypicalDurations


class Source(Protocol):
    """What is polled: the session with one controller."""

    link: Link

    async def list_images(self, before: ObjectList) -> ObjectList:
        """Read all images, or give ``before`` back when not a byte of them changed. Raises: PollError."""


class ProgressMarks(Protocol):
    """Where the marks of a controller's objects outlive the process."""

    def of(self, controller: str, resource: str) -> Mapping[str, ProgressMark]:
        """The marks by uuid."""

    def set(self, controller: str, resource: str, marks: Mapping[str, ProgressMark]) -> None:
        """Keep these, and forget all others of this kind on the controller."""


class UploadHistory(Protocol):
    """What earlier work took."""

    def typical(self, controller: str, kind: str) -> TypicalDurations:
        """What completed work of this kind has in common on the controller."""

    def record(self, controller: str, kind: str, uuid: str, upload: CompletedUpload) -> None:
        """Add one that is complete."""


class AnnotationSource(Protocol):
    """Where the annotations of objects are kept."""

    def annotations_of(self, controller: str) -> Mapping[str, Mapping[str, str]]:
        """Those of the controller's objects by uuid; an inner mapping is replaced when it changes, never mutated."""
