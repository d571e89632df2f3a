"""
What is true now: the latest entry of every controller, replaced whole. Knows no HTTP and no schedule.

Synchronous methods only, so each is one step of the event loop and needs no lock.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Generic

import msgspec

from monitor.metrics.pieces import Piece
from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.snapshot import Change, Snapshot
from monitor.model.tracked import T_co, Tracked, TrackedObject


class Collection(msgspec.Struct, Generic[T_co], frozen=True, gc=False):
    """
    One kind of object of one controller.

    ``pieces``: one a family of the objects; empty texts while they are stale. ``health_pieces``: one a family of
    `READ_FAMILIES`.
    """

    snapshot: Snapshot[T_co]
    health: ReadHealth
    pieces: tuple[Piece, ...]
    health_pieces: tuple[Piece, ...]


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One controller as readers see it. ``pieces``: one a family of `SESSION_FAMILIES`."""

    name: str
    session: SessionHealth
    collections: Mapping[str, Collection[Tracked]]
    """By the name of the resource, in the order of the table of resources."""
    pieces: tuple[Piece, ...]

    def objects(self, resource: str) -> Mapping[str, TrackedObject[Tracked]]:
        """The objects of one kind by uuid, stale or not."""
        return self.collections[resource].snapshot.objects

    def columns(self) -> Iterator[Piece]:
        """The pieces of this controller, in the order of `scrape_columns`."""
        collections = self.collections.values()
        for collection in collections:
            yield from collection.pieces
        for column in zip(*(collection.health_pieces for collection in collections), strict=True):
            yield from column
        yield from self.pieces


Listener = Callable[[str, Entry | None, tuple[Change, ...]], None]
"""Is called with the controller's name, its new entry, and what changed; None: the controller was removed."""


class Fleet:
    """The entries by controller name, and who listens to changes of them."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._listeners: tuple[Listener, ...] = ()
        self.entries: Mapping[str, Entry] = MappingProxyType(self._entries)
        """A live view: a reader takes what it needs of it before it awaits anything."""

    def publish(self, entry: Entry, changes: tuple[Change, ...] = ()) -> None:
        """Put a controller's new entry in the place of its old one, and call the listeners."""
        self._entries[entry.name] = entry
        for listener in self._listeners:
            listener(entry.name, entry, changes)

    def remove(self, name: str) -> None:
        """Forget this controller, and call the listeners."""
        del self._entries[name]
        for listener in self._listeners:
            listener(name, None, ())

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` at every change, until the function that this returns is called."""
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe

    def objects(self, resource: str) -> Iterator[tuple[Entry, TrackedObject[Tracked]]]:
        """Every object of one kind that may be shown: none of a controller whose last good read is too old."""
        for entry in self._entries.values():
            collection = entry.collections[resource]
            if not collection.health.stale:
                for tracked in collection.snapshot.objects.values():
                    yield entry, tracked
