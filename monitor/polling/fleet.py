"""
The current state: the latest entry of every controller, replaced whole. Knows no HTTP and no schedule.

All methods are synchronous, so each runs in one step of the event loop and needs no lock.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Generic

import msgspec

from monitor.metrics.controller import READ_FAMILIES
from monitor.metrics.upgrade_overview import OVERVIEW_FAMILIES
from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.snapshot import Change, Snapshot
from monitor.model.tracked import T_co, Tracked, TrackedObject
from monitor.model.upgrade import Overview


class Collection(msgspec.Struct, Generic[T_co], frozen=True, gc=False):
    """
    The objects of one resource on one controller.

    ``pieces``: exposition text, one piece for each family of the resource; empty while the objects are stale.
    ``health_pieces``: one piece for each family of `READ_FAMILIES`.
    """

    snapshot: Snapshot[T_co]
    health: ReadHealth
    pieces: tuple[bytes, ...]
    health_pieces: tuple[bytes, ...]


class Entry(msgspec.Struct, frozen=True, gc=False):
    """
    One controller as scrapes and API requests see it.

    ``collections``: by name of the resource; of what is not watched on this controller, there is none. ``pieces``: one
    for each family of `SESSION_FAMILIES`. ``overview``: of its units; None if these are not watched.
    ``overview_pieces``: one for each family of `OVERVIEW_FAMILIES`.
    """

    name: str
    session: SessionHealth
    collections: Mapping[str, Collection[Tracked]]
    pieces: tuple[bytes, ...]
    overview: Overview | None = None
    overview_pieces: tuple[bytes, ...] = ()

    def objects(self, resource: str) -> Mapping[str, TrackedObject[Tracked]]:
        """Return the objects of one resource by uuid, stale ones, too."""
        return self.collections[resource].snapshot.objects

    def columns(self, families: Mapping[str, int] | None = None) -> Iterator[bytes]:
        """
        Return the pieces of this controller in the order of `scrape_columns`.

        ``families``: how many families the objects of each resource have, by its name; of what is not watched on this
        controller, the pieces are empty. None: only what is watched.
        """
        families = families or {name: len(each.pieces) for name, each in self.collections.items()}
        collections = [self.collections.get(name) for name in families]
        for collection, columns in zip(collections, families.values(), strict=True):
            yield from collection.pieces if collection else (b"",) * columns
        health_pieces = [each.health_pieces if each else (b"",) * len(READ_FAMILIES) for each in collections]
        for column in zip(*health_pieces, strict=True):
            yield from column
        yield from self.pieces
        if "upgrade" in families:
            yield from self.overview_pieces or (b"",) * len(OVERVIEW_FAMILIES)


Listener = Callable[[str, Entry | None, tuple[Change, ...]], None]
"""Called with the controller's name, its new entry (None: the controller was removed) and the changes."""


class Fleet:
    """The entries by controller name, and the listeners to their changes."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._listeners: tuple[Listener, ...] = ()
        self.entries: Mapping[str, Entry] = MappingProxyType(self._entries)
        """A live view: copy what you need of it before you await anything."""
        self.publications = 0
        """How many publications and removals there were."""

    def publish(self, entry: Entry, changes: tuple[Change, ...] = ()) -> None:
        """Replace the entry of a controller, and call the listeners."""
        self._entries[entry.name] = entry
        self.publications += 1
        for listener in self._listeners:
            listener(entry.name, entry, changes)

    def remove(self, name: str) -> None:
        """Drop the entry of a controller, and call the listeners."""
        del self._entries[name]
        self.publications += 1
        for listener in self._listeners:
            listener(name, None, ())

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` at every publication and removal. Returns: the function that unsubscribes it."""
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe

    def shown_objects(self, resource: str) -> Iterator[tuple[Entry, TrackedObject[Tracked]]]:
        """Return every object of one resource with its controller's entry; stale objects are left out."""
        for entry in self._entries.values():
            collection = entry.collections.get(resource)
            if collection and not collection.health.stale:
                for tracked in collection.snapshot.objects.values():
                    yield entry, tracked
