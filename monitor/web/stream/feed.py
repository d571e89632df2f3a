"""
What happens to the fleet, as frames that any number of readers follow: one serialisation a change, however many watch.

Owns the last frames, and the seats of the readers. A reader has no queue here, only the number of the last frame that
he got: whoever falls behind what is kept takes the whole state anew. Knows no HTTP.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Final
from uuid import uuid4

import msgspec
from msgspec import Struct

from monitor import __version__
from monitor.metrics.pieces import Bundle, Piece, piece
from monitor.model.snapshot import Change
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.resources import RESOURCES, AnyResource
from monitor.web.stream import messages as live
from monitor.web.stream.messages import ChangeMessage, Part, Seen

BEAT_S: Final = 0.2  # what changes within it goes out at once: nobody sees the difference, and writes cost
MOST_READERS: Final = 1000
_AT_ONCE: Final = 32  # readers; each takes some 50 us of the loop
_MOST_FRAMES: Final = 4096
_MOST_BYTES: Final = 4 * 1024 * 1024  # of kept text; the same again compressed


class Frame(Struct, frozen=True):
    """One change of one controller. ``piece``: the event as it goes out."""

    number: int
    controller: str
    piece: Piece


class EventStream:
    """
    Follows the fleet; made and closed on the event loop. ``now``: Unix seconds.

    ``generation``: another number once readers have to come again, because who may read what may be other now.
    """

    def __init__(
        self,
        fleet: Fleet,
        resources: Sequence[AnyResource] = RESOURCES,
        *,
        now: Callable[[], float],
        stalled_after_s: float = 600.0,
    ) -> None:
        self._fleet = fleet
        self._resources = resources
        self.stalled_after_s = stalled_after_s
        """As configured; readers are told."""
        self._now = now
        self._epoch = uuid4().hex[:8]
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._known: dict[str, Seen] = {}
        self._bundles: dict[tuple[int, frozenset[str] | None], Bundle] = {}
        """Of the frames up to the last one, until there is another."""
        self._wholes: dict[str, tuple[Seen, Piece]] = {}
        self._dirty: dict[str, None] = dict.fromkeys(fleet.entries)
        self._beat: asyncio.TimerHandle | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._unsubscribe = fleet.subscribe(self._heard)
        self.number = 0
        """Of the last frame."""
        self.generation = 0
        self.readers = 0
        self.closed = False

    @contextmanager
    def seat(self) -> Iterator[bool]:
        """A place for one reader; False when there is none left."""
        free = self.readers < MOST_READERS
        self.readers += free
        try:
            yield free
        finally:
            self.readers -= free

    def recall(self) -> None:
        """Have every reader come again."""
        self.generation += 1
        self._wake()

    def close(self) -> None:
        """Tell no more; every reader is to end."""
        self.closed = True
        self._unsubscribe()
        if self._beat:
            self._beat.cancel()
        self._wake()

    async def news(self, number: int, generation: int) -> None:
        """Wait until there is a frame after this one, or a reason to go."""
        while self.number <= number and generation == self.generation and not self.closed:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def number_of(self, last_event_id: str) -> int | None:
        """The number of the frame that an id is of; None when all since then is not known any more."""
        epoch, _, text = last_event_id.partition("-")
        if epoch != self._epoch or not (text.isascii() and text.isdecimal() and len(text) < 17):
            return None
        number = int(text)
        return number if self._oldest - 1 <= number <= self.number else None

    def after(self, number: int, only: frozenset[str] | None) -> Bundle | None:
        """
        The events after a frame; None when some of them are not kept any more.

        ``only``: the controllers that the reader may see; None: all. Readers who may see the same get the same object.
        """
        if number < self._oldest - 1:
            return None
        bundle = self._bundles.get((number, only))
        if bundle is None:
            newer = islice(reversed(self._frames), self.number - number)
            pieces = [frame.piece for frame in newer if only is None or frame.controller in only]
            bundle = self._bundles[number, only] = Bundle(pieces[::-1])
        return bundle

    async def state(self, only: frozenset[str] | None) -> tuple[int, list[Piece]]:
        """
        One event that tells all that a reader may see (``only``: as `after`), and the number of the frame it follows.

        A part may be newer than that: what comes again after it says the same.
        """
        self._tell()
        number = self.number
        head = f'{{"now":{self._now()!r},"version":"{__version__}",'
        head += f'"stalled_after_seconds":{self.stalled_after_s!r},"parts":['
        pieces = [piece(f"event: state\nid: {self._epoch}-{number}\ndata: {head}".encode())]
        for name in tuple(self._known):
            if (only is None or name in only) and (whole := await self._whole(name)):
                pieces += [*([_COMMA] if len(pieces) > 1 else ()), whole]
        return number, [*pieces, _END]

    async def _whole(self, name: str) -> Piece | None:
        """All of one controller, made anew when it is another; None when it is gone meanwhile."""
        seen, known, entry = self._known.get(name), self._wholes.get(name), self._fleet.entries.get(name)
        if seen is None or entry is None:
            return None
        if known is None or known[0] is not seen:
            known = self._wholes[name] = seen, piece(msgspec.json.encode(live.whole(entry, self._resources)))
            await asyncio.sleep(0)  # others have the loop: there may be a thousand of them
        return known[1]

    @property
    def _oldest(self) -> int:
        return self._frames[0].number if self._frames else self.number + 1

    def _heard(self, name: str, _entry: Entry | None, _changes: tuple[Change, ...]) -> None:
        self._touch(name)

    def _touch(self, name: str) -> None:
        self._dirty[name] = None
        if self._beat is None and not self.closed:
            self._beat = asyncio.get_running_loop().call_later(BEAT_S, self._tell)

    def _tell(self) -> None:
        """Make frames of what changed since the last time."""
        if self._beat:
            self._beat.cancel()
        self._beat = None
        dirty, self._dirty = self._dirty, {}
        before = self.number
        for name in dirty:
            if part := self._difference(name):
                self._add(part)
        if self.number > before:
            self._bundles.clear()
            self._wake()

    def _difference(self, name: str) -> Part | None:
        known = self._known.get(name, Seen())
        entry = self._fleet.entries.get(name)
        if entry is None:
            self._wholes.pop(name, None)
            return Part(controller=name, removed=True) if self._known.pop(name, None) else None
        part = live.difference(known, entry, self._resources)
        if part or name not in self._known:
            self._known[name] = live.seen_of(entry)
        return part

    def _add(self, part: Part) -> None:
        self.number += 1
        data = msgspec.json.encode(ChangeMessage(self._now(), part))
        text = b"event: change\nid: %s-%d\ndata: %b\n\n" % (self._epoch.encode(), self.number, data)
        self._frames.append(Frame(self.number, part.controller, piece(text)))
        self._bytes += len(text)
        while len(self._frames) > _MOST_FRAMES or (self._bytes > _MOST_BYTES and len(self._frames) > 1):
            self._bytes -= len(self._frames.popleft().piece.text)

    def _wake(self) -> None:
        """Wake who waits now, some at a time: others have the loop in between."""
        waiting, self._waiting = self._waiting, deque()
        _wake_some(asyncio.get_running_loop(), waiting)


def _wake_some(loop: asyncio.AbstractEventLoop, waiting: deque[asyncio.Future[None]]) -> None:
    for _ in range(min(_AT_ONCE, len(waiting))):
        waiter = waiting.popleft()
        if not waiter.done():
            waiter.set_result(None)
    if waiting:
        loop.call_soon(_wake_some, loop, waiting)


_COMMA: Final = piece(b",")
_END: Final = piece(b"]}\n\n")
