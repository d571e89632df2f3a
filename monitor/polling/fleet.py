"""
What is true now: the latest entry of every controller, replaced whole. Knows no HTTP, no Prometheus and no schedule.

Synchronous methods only, so each is one step of the event loop and needs no lock.
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from monitor.metrics.pieces import Piece
from monitor.model.health import Health
from monitor.model.image import TrackedImage
from monitor.model.snapshot import Change, Snapshot


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One controller as readers see it. ``pieces``: one a metric family, in the order of FAMILIES."""

    name: str
    snapshot: Snapshot
    health: Health
    pieces: tuple[Piece, ...]


Listener = Callable[[Entry, tuple[Change, ...]], None]


class Fleet:
    """The entries by controller name, and who wants to hear of new ones."""

    def __init__(self) -> None:
        self._entries: Mapping[str, Entry] = {}
        self._listeners: tuple[Listener, ...] = ()
        self.on_remove: Callable[[str], None] = lambda _name: None

    @property
    def entries(self) -> Mapping[str, Entry]:
        """A mapping that never changes: who holds it reads one moment."""
        return self._entries

    def publish(self, entry: Entry, changes: tuple[Change, ...] = ()) -> None:
        """Put a controller's new entry in the place of its old one, and tell the listeners."""
        self._entries = {**self._entries, entry.name: entry}
        for listener in self._listeners:
            listener(entry, changes)

    def remove(self, name: str) -> None:
        """Know this controller no more. Listeners are not told: nothing happened to its images. ``on_remove`` is."""
        self._entries = {other: entry for other, entry in self._entries.items() if other != name}
        self.on_remove(name)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` at every publication, until the function that this returns is called."""
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe

    def images(self) -> Iterator[tuple[Entry, TrackedImage]]:
        """Every image that is known well enough to be shown: none of a controller whose last good poll is too old."""
        for entry in self._entries.values():
            if not entry.health.stale:
                for track in entry.snapshot.images.values():
                    yield entry, track
