"""
The event stream: every change of the fleet as an event, encoded once for any number of readers.

Keeps the last events in a buffer, and counts the readers: the clients that are connected to the stream. There is no
queue per reader: the handler of each remembers the number of the last event that it sent, and asks for later ones. A
reader that falls behind the buffer receives the full state instead. Knows no HTTP.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Final
from uuid import uuid4

import msgspec
from msgspec import Struct

from monitor import __version__
from monitor.config.settings import STALLED_AFTER_S
from monitor.model.snapshot import Change
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.resources import RESOURCES, AnyResource
from monitor.web.stream import messages
from monitor.web.stream.messages import ChangeMessage, Part, Seen
from monitor.web.stream.pieces import Bundle, Piece, piece

FLUSH_INTERVAL_S: Final = 0.2  # changes within it are sent together, to save writes; too short to notice
MAX_READERS: Final = 1000
MAX_BUFFERED_EVENTS: Final = 4096
MAX_BUFFERED_BYTES: Final = 4 * 1024 * 1024  # of text; the compressed copies take about as much again
_MAX_BUNDLED_BYTES: Final = 2 * MAX_BUFFERED_BYTES  # readers behind each other share these; numbers come from anywhere
_WAKE_BATCH: Final = 32  # readers; each blocks the event loop for about 50 us


class ChangeEvent(Struct, frozen=True):
    """One change of one controller. ``piece``: the event as it is sent."""

    number: int
    controller: str
    piece: Piece


class EventStream:
    """
    Subscribes to the fleet; made and closed on the event loop.

    ``now``: Unix seconds. ``stalled_after_s``: as configured, for the readers. ``number``: of the last event.
    ``generation``: incremented when all readers must reconnect, because a reload may have changed their access.
    """

    def __init__(
        self,
        fleet: Fleet,
        resources: Sequence[AnyResource] = RESOURCES,
        *,
        now: Callable[[], float],
        stalled_after_s: float = STALLED_AFTER_S,
        max_readers: int = MAX_READERS,
        max_buffered_events: int = MAX_BUFFERED_EVENTS,
    ) -> None:
        self._fleet = fleet
        self._resources = [resource for resource in resources if resource.describe]
        self._now = now
        self.stalled_after_s = stalled_after_s
        self._max_buffered_events = max_buffered_events
        self._epoch = uuid4().hex[:8]
        self._events: deque[ChangeEvent] = deque()
        self._buffered_bytes = 0
        self._sent: dict[str, Seen] = {}
        """What readers that have received all events know of each controller."""
        self._bundles: dict[tuple[int, frozenset[str] | None], Bundle] = {}
        """Cache of `events_after`, until the next event; the oldest is dropped beyond `_MAX_BUNDLED_BYTES` of text."""
        self._states: dict[str, tuple[Seen, Piece]] = {}
        """Cache of `_state_of`."""
        self._dirty: dict[str, None] = dict.fromkeys(fleet.entries)
        self._flush_timer: asyncio.TimerHandle | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._unsubscribe = fleet.subscribe(self._mark_dirty)
        self.max_readers = max_readers
        self.number = 0
        self.generation = 0
        self._readers: Counter[tuple[str, str]] = Counter()
        self.closed = False

    @property
    def max_readers_each(self) -> int:
        """How many readers one identity at one address may have."""
        return max(1, self.max_readers // 4)

    @property
    def readers(self) -> int:
        """How many there are at present."""
        return self._readers.total()

    @contextmanager
    def slot(self, who: tuple[str, str]) -> Iterator[bool]:
        """
        Count a reader while the context lasts. ``who``: its identity and its address.

        Yields False, and does not count it, at ``max_readers``, and when it has its share of them already.
        """
        free = self.readers < self.max_readers and self._readers[who] < self.max_readers_each
        self._readers[who] += free
        try:
            yield free
        finally:
            self._readers[who] -= free
            self._readers += Counter()  # drops those that have none

    def disconnect_all(self) -> None:
        """Make every reader reconnect."""
        self.generation += 1
        self._wake()

    def close(self) -> None:
        """Send no more events, and disconnect every reader."""
        self.closed = True
        self._unsubscribe()
        if self._flush_timer:
            self._flush_timer.cancel()
        self._wake()

    async def wait(self, number: int, generation: int) -> None:
        """Wait until there is an event after this number, or the reader must be disconnected."""
        while self.number <= number and generation == self.generation and not self.closed:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def resume_from(self, last_event_id: str) -> int | None:
        """The number in a ``Last-Event-ID``; None when not all events after it are buffered."""
        epoch, _, text = last_event_id.partition("-")
        if epoch != self._epoch or not (text.isascii() and text.isdecimal() and len(text) < 17):
            return None
        number = int(text)
        return number if self._oldest - 1 <= number <= self.number else None

    def events_after(self, number: int, controllers: frozenset[str] | None) -> Bundle | None:
        """
        The events after this number; None when not all of them are buffered.

        ``controllers``: those visible to the reader; None: all. Readers with the same ones get the same object.
        """
        if number < self._oldest - 1:
            return None
        bundle = self._bundles.get((number, controllers))
        if bundle is None:
            newer = islice(reversed(self._events), self.number - number)
            pieces = [event.piece for event in newer if controllers is None or event.controller in controllers]
            bundle = self._bundles[number, controllers] = Bundle(pieces[::-1])
            self._drop_bundles()
        return bundle

    def _drop_bundles(self) -> None:
        """Drop the oldest bundles beyond the limit, but not the newest: a client may ask for any number."""
        size = sum(len(bundle.text) for bundle in self._bundles.values())
        while size > _MAX_BUNDLED_BYTES and len(self._bundles) > 1:
            size -= len(self._bundles.pop(next(iter(self._bundles))).text)

    async def full_state(self, controllers: frozenset[str] | None) -> tuple[int, list[Piece]]:
        """
        The number of the last event, and one event with all that is visible to a reader (``controllers``: as above).

        Some parts may be newer than that number: the events after it then repeat what the state already says.
        """
        self._flush()
        number = self.number
        head = f'{{"now":{self._now()!r},"version":"{__version__}",'
        head += f'"stalled_after_seconds":{self.stalled_after_s!r},"parts":['
        pieces = [piece(f"event: state\nid: {self._epoch}-{number}\ndata: {head}".encode())]
        for name in tuple(self._sent):
            if (controllers is None or name in controllers) and (state := await self._state_of(name)):
                pieces += [*([_COMMA] if len(pieces) > 1 else ()), state]
        return number, [*pieces, _END]

    async def _state_of(self, name: str) -> Piece | None:
        """All of one controller; None when it was removed meanwhile."""
        seen, cached, entry = self._sent.get(name), self._states.get(name), self._fleet.entries.get(name)
        if seen is None or entry is None:
            return None
        if cached is None or cached[0] is not seen:
            cached = self._states[name] = seen, piece(msgspec.json.encode(messages.full_part(entry, self._resources)))
            await asyncio.sleep(0)  # there may be a thousand controllers: let other tasks run
        return cached[1]

    @property
    def _oldest(self) -> int:
        return self._events[0].number if self._events else self.number + 1

    def _mark_dirty(self, name: str, _entry: Entry | None, _changes: tuple[Change, ...]) -> None:
        self._dirty[name] = None
        if self._flush_timer is None and not self.closed:
            self._flush_timer = asyncio.get_running_loop().call_later(FLUSH_INTERVAL_S, self._flush)

    def _flush(self) -> None:
        """Make an event of every controller that has changed since the last flush."""
        if self._flush_timer:
            self._flush_timer.cancel()
        self._flush_timer = None
        dirty, self._dirty = self._dirty, {}
        before = self.number
        for name in dirty:
            if part := self._changes_of(name):
                self._append(part)
        if self.number > before:
            self._bundles.clear()
            self._wake()

    def _changes_of(self, name: str) -> Part | None:
        """What readers do not know yet of one controller; None when they know everything."""
        sent = self._sent.get(name, Seen())
        entry = self._fleet.entries.get(name)
        if entry is None:
            self._states.pop(name, None)
            return Part(controller=name, removed=True) if self._sent.pop(name, None) else None
        part = messages.difference(sent, entry, self._resources)
        if part or name not in self._sent:
            self._sent[name] = messages.seen_of(entry, self._resources)
        return part

    def _append(self, part: Part) -> None:
        self.number += 1
        data = msgspec.json.encode(ChangeMessage(self._now(), part))
        text = b"event: change\nid: %s-%d\ndata: %b\n\n" % (self._epoch.encode(), self.number, data)
        self._events.append(ChangeEvent(self.number, part.controller, piece(text)))
        self._buffered_bytes += len(text)
        while len(self._events) > self._max_buffered_events or (
            self._buffered_bytes > MAX_BUFFERED_BYTES and len(self._events) > 1
        ):
            self._buffered_bytes -= len(self._events.popleft().piece.text)

    def _wake(self) -> None:
        """Wake the waiting readers, a batch at a time, so that other tasks run in between."""
        waiting, self._waiting = self._waiting, deque()
        _wake_batch(asyncio.get_running_loop(), waiting)


def _wake_batch(loop: asyncio.AbstractEventLoop, waiting: deque[asyncio.Future[None]]) -> None:
    for _ in range(min(_WAKE_BATCH, len(waiting))):
        waiter = waiting.popleft()
        if not waiter.done():
            waiter.set_result(None)
    if waiting:
        loop.call_soon(_wake_batch, loop, waiting)


_COMMA: Final = piece(b",")
_END: Final = piece(b"]}\n\n")
