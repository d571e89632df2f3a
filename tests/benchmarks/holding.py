"""How long the worst replies within the limit of size hold the event loop, and so all else that the daemon does."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence

from monitor.avi.page_decoder import PageDecoder
from monitor.avi.paging import assemble
from monitor.config.settings import Poll
from monitor.model.errors import BadAnswer
from monitor.model.snapshot import ObjectList
from monitor.polling.fleet import Fleet
from monitor.web.stream.event_stream import FLUSH_INTERVAL_S, EventStream
from tests.benchmarks.measure import Row, Scale, spoken
from tests.support.polling import NoUnits, linked, make_poller
from tests.support.worst_replies import LIMIT, WORST_PAGES

_LIMIT_S = 0.25


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """Rows of what is in the replies."""
    full = scale.series[-1] > 1_000
    size = LIMIT if full else LIMIT // 64
    for what, lists in {**_lists(size), **_many_images(100 if full else 2)}.items():
        held_s, whole_s = await _poll(lists, size)
        yield Row(
            what=f"poll of the worst {size / 2**20:g} MiB, {what}: the loop is held",
            ours=spoken(held_s),
            theirs=f"{spoken(whole_s)} in all",
            figure=held_s,
            unit="s",
            limit=_LIMIT_S,
        )


Lists = Sequence[Sequence[bytes]]
"""The pages of each poll."""


def _lists(size: int) -> Mapping[str, Lists]:
    dense = b'{"uuid":"%d","x":[' + b"[]," * 19_997 + b'"",' * 300_000 + b"1]}"
    events = b"{}," * 9_996 + b"{}"
    flooded = b'{"uuid":"%d","events":[{"nodes_events":[' + events + b']}],"x":"' + b"x" * 620_000 + b'"}'
    several = {
        "dense images of a mebibyte": _page([dense % number for number in range(max(1, size // len(dense)))]),
        "images with very many events": _page([flooded % number for number in range(max(1, size // len(flooded)))]),
    }
    return {what: [[body]] for what, body in several.items()} | {
        what: [[worst.body(size)]] for what, worst in WORST_PAGES.items()
    }


def _many_images(pages: int) -> Mapping[str, Lists]:
    def renamed(name: bytes) -> Sequence[bytes]:
        image = b'{"uuid":"%d","name":"%b","img_state":{"state":"IMAGE_FSM_COMPLETED"}}'
        return [
            _page([image % (number, name) for number in range(200 * page, 200 * page + 200)], count=200 * pages)
            for page in range(pages)
        ]

    return {f"{200 * pages:,} images that are renamed": [renamed(b"a"), renamed(b"b"), renamed(b"c")]}


def _page(images: Sequence[bytes], count: int = 0) -> bytes:
    return b'{"count":%d,"results":[%s]}' % (count or len(images), b",".join(images))


class _Source(NoUnits):
    """A Controller with one list after the other."""

    received = 0

    def __init__(self, lists: Lists, size: int) -> None:
        self.link = linked()
        self._lists = iter(lists)
        self._size = size

    async def list_images(self, before: ObjectList) -> ObjectList:  # noqa: ARG002  none is equal to the one before
        decoder = PageDecoder(self._size)
        if listing := assemble([await decoder.decode(body, None) for body in next(self._lists)]):
            return listing
        raise BadAnswer("incomplete", "")


async def _poll(lists: Lists, size: int) -> tuple[float, float]:
    """
    Poll all lists. Returns: the longest time between two turns of another task, and that of all polls.

    In seconds of processor time, of all threads: while one has the interpreter, the event loop waits.
    """
    fleet = Fleet()
    stream = EventStream(fleet, now=time.time)
    poller = make_poller("avi-0000", _Source(lists, size), fleet, poll=Poll(), now=time.time)
    held_s = 0.0

    async def watch() -> None:
        nonlocal held_s
        last = time.process_time()
        while True:
            await asyncio.sleep(0)
            now = time.process_time()
            held_s, last = max(held_s, now - last), now

    async with asyncio.TaskGroup() as tasks:
        watcher = tasks.create_task(watch(), name="watch")
        await asyncio.sleep(0)
        started = time.process_time()
        for _ in lists:
            await poller.poll_once(late_s=0.0)
        whole_s = time.process_time() - started
        await asyncio.sleep(2 * FLUSH_INTERVAL_S)  # the event is made meanwhile
        watcher.cancel()
    stream.close()
    return held_s, whole_s
