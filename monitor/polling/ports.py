"""The interfaces through which pollers and trackers use the client and the store."""

from collections.abc import Mapping
from typing import Protocol

from monitor.avi.link import Link
from monitor.model.cluster import NodesState
from monitor.model.snapshot import ObjectList
from monitor.model.tracked import ProgressMark
from monitor.polling.eta import CompletedUpload, TypicalDurations


class UnitFacts(Protocol):
    """What the client has learned of the upgrade status; see `monitor.avi.unit_reader.UnitReader`."""

    given_up: int
    cluster_uuid: str


class Source(Protocol):
    """The client of one controller, as far as polls use it."""

    @property
    def link(self) -> Link:
        """What is known of the connection to the Controller, and of its session."""

    @property
    def units(self) -> UnitFacts:
        """What it has learned of the upgrade status."""

    @property
    def received(self) -> int:
        """How many pieces of replies have come: it grows as long as the Controller is not silent."""

    async def list_images(self, before: ObjectList) -> ObjectList:
        """Read all images. Returns ``before`` itself when no byte changed. Raises: PollError."""

    async def list_units(self, before: ObjectList) -> ObjectList:
        """Read all units. Returns ``before`` itself when no byte changed. Raises: PollError."""

    async def list_images_in_use(self) -> Mapping[str, bool]:
        """
        Read which images the Controller says are in use, by uuid. Raises: PollError.

        Returns: empty from a Controller that is too old to say it.
        """

    async def get_nodes(self) -> NodesState:
        """Read whether the nodes of the Controllers' cluster are up. Raises: PollError."""

    def note_upgrade(self) -> None:
        """Note that an upgrade is under way: the Controller may refuse a log-in that it accepted before."""


class ProgressMarks(Protocol):
    """The store of progress marks, so that they survive a restart."""

    def of(self, controller: str, resource: str) -> Mapping[str, ProgressMark]:
        """Return the marks of this resource by uuid."""

    def set(self, controller: str, resource: str, marks: Mapping[str, ProgressMark]) -> None:
        """Replace all marks of this resource on the controller."""


class UploadHistory(Protocol):
    """The store of completed uploads, from which estimates learn."""

    def typical(self, controller: str, kind: str) -> TypicalDurations:
        """Return the typical durations of this kind of work on the controller."""

    def record(self, controller: str, kind: str, uuid: str, upload: CompletedUpload) -> None:
        """Store one completed upload, in the place of an earlier record of the same uuid."""


class AnnotationSource(Protocol):
    """The store of annotations."""

    @property
    def annotations_known(self) -> bool:
        """Whether they have been read; until then, nothing is said of them."""

    def annotations_of(self, controller: str) -> Mapping[str, Mapping[str, str]]:
        """
        Return the annotations of the controller's objects by `ProgressMark.work_id`.

        The mapping of one is replaced, never mutated.
        """
