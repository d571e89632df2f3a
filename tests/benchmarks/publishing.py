"""What a publication costs in a large fleet against a small one: it must not depend on the number of controllers."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import repeat

from msgspec.structs import replace

from monitor.polling.fleet import Fleet
from monitor.polling.poller import Poller
from monitor.web.stream.event_stream import FLUSH_INTERVAL_S, EventStream
from tests.benchmarks.measure import Cost, Row, Scale, in_turn, spoken
from tests.benchmarks.mix import NOW, Canned, body, image, make_poller

_FEW = 10
_NAME = "avi-0000"
_REPEAT = 100  # one publication is too short to be measured


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """
    One row: a poller publishes its controller's entry, as after every poll, to the fleet and to the event stream.

    The poll itself is left out: its cost would hide that of the publication.
    """
    large, small = Fleet(), Fleet()
    streams = [EventStream(fleet, now=lambda: NOW) for fleet in (large, small)]
    pollers = [await _poller_among(fleet, count) for fleet, count in ((large, scale.fleet), (small, _FEW))]
    await asyncio.sleep(2 * FLUSH_INTERVAL_S)  # until the streams have made the events of all controllers
    many, few = await in_turn(scale.rounds, *(_publications(poller, scale.polls * _REPEAT) for poller in pollers))
    for stream in streams:
        stream.close()
    yield Row(
        what=f"publication of a poll, {scale.fleet:,} controllers in the fleet against {_FEW}: CPU",
        ours=spoken(many),
        theirs=spoken(few),
        figure=many / few,
        limit=1.1,
    )


async def _poller_among(fleet: Fleet, controllers: int) -> Poller:
    """Poll one controller once, and fill the fleet with copies of its entry."""
    poller = make_poller(_NAME, Canned(repeat(body([image(_NAME, 0)]))), fleet)
    await poller.poll_once(late_s=0.0)
    entry = fleet.entries[_NAME]
    for number in range(1, controllers):
        fleet.publish(replace(entry, name=f"avi-{number:04}"))
    return poller


def _publications(poller: Poller, times: int) -> Cost:
    async def cost() -> float:
        started = time.process_time()
        for _ in range(times):
            poller.update_annotations()
        return (time.process_time() - started) / times

    return cost
