"""What a poll costs the process, from the request to the publication, against reading the same bytes with aiohttp."""

import time
from collections.abc import AsyncIterator, Sequence

import aiohttp

from monitor.avi.client import Client
from monitor.avi.connection import open_session
from monitor.config.settings import Poll
from monitor.config.types import Controller, SecretVariable, Tls
from monitor.polling.fleet import Fleet
from monitor.polling.poller import Poller
from monitor.polling.resources import IMAGE, RESOURCES, AnyResource
from monitor.polling.schedule import PollLimiter
from monitor.store import Store
from tests.benchmarks.children import child
from tests.benchmarks.controllers import serve_plans
from tests.benchmarks.measure import Cost, Row, Scale, in_turn, spoken
from tests.benchmarks.mix import PASSWORD
from tests.support.polling import make_poller

_BOTH = ("/api/image?page_size=200", "/api/upgradestatussummary?page_size=200&include_name=true")
_UNITS_LIMIT = 1.4  # an idle poll with upgrade status, of two bare GETs
_LIMITS = {(200_000, "nothing changed"): 1.4, (200_000, "one of 20 changed"): 4.0}


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """Rows of small and of large bodies, and of how much changed between two polls."""
    for size in (20_000, 200_000):
        async with child(serve_plans, size) as server:
            for plan, origin in (await server.receive()).items():
                mine, other = await _cost(origin, scale, ("/api/image?page_size=200",), (IMAGE,))
                yield Row(
                    what=f"poll, 20 images in {size // 1000} KB, {plan}: CPU, ours : bare GET",
                    ours=spoken(mine),
                    theirs=spoken(other),
                    figure=mine / other,
                    limit=_LIMITS.get((size, plan)),
                )
    async with child(serve_plans, 200_000) as server:
        origin = (await server.receive())["nothing changed"]
        mine, other = await _cost(origin, scale, _BOTH, RESOURCES)
        yield Row(
            what="poll, 20 images in 200 KB and 12 units, nothing changed: CPU, ours : two bare GETs",
            ours=spoken(mine),
            theirs=spoken(other),
            figure=mine / other,
            limit=_UNITS_LIMIT,
        )


async def _cost(
    origin: str, scale: Scale, paths: Sequence[str], resources: Sequence[AnyResource]
) -> tuple[float, float]:
    controller = Controller(name="avi-0000", url=origin, username="admin", password=SecretVariable("", PASSWORD))
    async with open_session(Tls(), keepalive_s=60.0) as session, _bare_session() as bare:
        client = Client(controller, session, timeout_s=10.0, max_response=2**25, now=time.time)
        fleet = Fleet()
        poller = _poller(client, fleet, resources)
        urls = [origin + path for path in paths]
        costs = await in_turn(scale.rounds, _polls(poller, scale.polls), _gets(bare, urls, scale.polls))
        entry = fleet.entries["avi-0000"]
        assert entry.session.polls == (scale.rounds + 1) * scale.polls
        assert not any(collection.health.failures for collection in entry.collections.values())
        return costs


def _bare_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())  # it shall not pay for cookies


def _poller(client: Client, fleet: Fleet, resources: Sequence[AnyResource]) -> Poller:
    store = Store("sqlite://")
    return make_poller(
        "avi-0000",
        client,
        fleet,
        marks=store.marks,
        annotations=store.audit_log,
        history=store.upload_history,
        poll=Poll(),
        limiter=PollLimiter(64),
        now=time.time,
        resources=resources,
    )


def _polls(poller: Poller, times: int) -> Cost:
    async def cost() -> float:
        started = time.process_time()
        for _ in range(times):
            await poller.poll_once(late_s=0.0)
        return (time.process_time() - started) / times

    return cost


def _gets(session: aiohttp.ClientSession, urls: Sequence[str], times: int) -> Cost:
    async def cost() -> float:
        started = time.process_time()
        for _ in range(times):
            for url in urls:
                async with session.get(url) as response:
                    await response.read()
        return (time.process_time() - started) / times

    return cost
