"""What a poll costs the process, from the request to the publication, against reading the same bytes with aiohttp."""

import time
from collections.abc import AsyncIterator

import aiohttp

from monitor.avi.client import Client
from monitor.avi.connection import open_session
from monitor.config.settings import Poll
from monitor.config.types import Controller, SecretVariable, Tls
from monitor.polling.fleet import Fleet
from monitor.polling.poller import Poller
from monitor.polling.schedule import PollLimiter
from monitor.store import Store
from tests.benchmarks.children import child
from tests.benchmarks.controllers import serve_plans
from tests.benchmarks.measure import Cost, Row, Scale, in_turn, spoken
from tests.benchmarks.mix import PASSWORD
from tests.support.polling import make_poller

_LIMITS = {(200_000, "nothing changed"): 1.4, (200_000, "one of 20 changed"): 4.0}


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """Rows of small and of large bodies, and of how much changed between two polls."""
    for size in (20_000, 200_000):
        async with child(serve_plans, size) as server:
            for plan, origin in (await server.receive()).items():
                mine, other = await _cost(origin, scale)
                yield Row(
                    what=f"poll, 20 images in {size // 1000} KB, {plan}: CPU, ours : bare GET",
                    ours=spoken(mine),
                    theirs=spoken(other),
                    figure=mine / other,
                    limit=_LIMITS.get((size, plan)),
                )


async def _cost(origin: str, scale: Scale) -> tuple[float, float]:
    controller = Controller(name="avi-0000", url=origin, username="admin", password=SecretVariable("", PASSWORD))
    async with open_session(Tls(), keepalive_s=60.0) as session, _bare_session() as bare:
        client = Client(controller, session, timeout_s=10.0, max_response=2**25, now=time.time)
        fleet = Fleet()
        poller = _poller(client, fleet)
        costs = await in_turn(scale.rounds, _polls(poller, scale.polls), _gets(bare, origin, scale.polls))
        entry = fleet.entries["avi-0000"]
        assert entry.session.polls == (scale.rounds + 1) * scale.polls
        assert not entry.collections["image"].health.failures
        return costs


def _bare_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())  # it shall not pay for cookies


def _poller(client: Client, fleet: Fleet) -> Poller:
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
    )


def _polls(poller: Poller, times: int) -> Cost:
    async def cost() -> float:
        started = time.process_time()
        for _ in range(times):
            await poller.poll_once(late_s=0.0)
        return (time.process_time() - started) / times

    return cost


def _gets(session: aiohttp.ClientSession, origin: str, times: int) -> Cost:
    url = f"{origin}/api/image?page_size=200"

    async def cost() -> float:
        started = time.process_time()
        for _ in range(times):
            async with session.get(url) as response:
                await response.read()
        return (time.process_time() - started) / times

    return cost
