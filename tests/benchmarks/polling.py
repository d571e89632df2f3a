"""What a poll costs the process, from the request to the publication, against reading the same bytes with aiohttp."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from statistics import median

import aiohttp
import uvloop

from monitor.avi.client import Client
from monitor.avi.connection import open_session
from monitor.avi.trust import verifying_context
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
from tests.benchmarks.mix import IMAGES, PASSWORD, UNITS
from tests.support.polling import make_poller

IMAGES_PATH = "/api/image?page_size=200"
_UNITS_PATH = "/api/upgradestatussummary?page_size=200&include_name=true"
_LIMITS = {(200_000, "nothing changed"): 1.4, (200_000, "one of 20 changed"): 4.0}

_Costs = tuple[float, float]


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """Rows of small and of large bodies, and of how much changed; then of units, of TLS and of uvloop."""
    for size in (20_000, 200_000):
        async with child(serve_plans, size) as server:
            for plan, origin in (await server.receive())[0].items():
                costs = await _costs(scale, origin)
                yield _row(f"{_images(size)}, {plan}", costs, limit=_LIMITS.get((size, plan)))
    what = f"{_images(200_000)}, nothing changed"
    async with child(serve_plans, 200_000, True) as server:
        origins, authority = await server.receive()
        tls = Tls(authorities=authority)
        yield _row(f"{what}, over TLS", await _costs(scale, origins["nothing changed"], tls=tls), limit=1.4)
    async with child(serve_plans, 200_000) as server:
        origin = (await server.receive())[0]["nothing changed"]
        both = partial(_costs, scale, origin, (IMAGES_PATH, _UNITS_PATH), RESOURCES)
        turns = [(await both(), await asyncio.to_thread(_on_uvloop, both)) for _ in range(scale.slow_rounds)]
    own_loop, on_uvloop = (_median(costs) for costs in zip(*turns, strict=True))
    what = f"{_images(200_000)} and {UNITS} units, nothing changed"
    yield _row(what, own_loop, "two bare GETs", limit=1.4)
    yield _row(f"{what}, both with uvloop", on_uvloop, "two bare GETs", limit=1.4)
    yield Row(
        what=f"poll, {what}: CPU, with uvloop : without",
        ours=spoken(on_uvloop[0]),
        theirs=spoken(own_loop[0]),
        figure=on_uvloop[0] / own_loop[0],
    )


def _median(costs: Iterable[_Costs]) -> _Costs:
    ours, theirs = zip(*costs, strict=True)
    return median(ours), median(theirs)


def _images(size: int) -> str:
    return f"{IMAGES} images in {size // 1000} KB"


def _row(what: str, costs: _Costs, against: str = "bare GET", *, limit: float | None) -> Row:
    ours, theirs = costs
    return Row(
        what=f"poll, {what}: CPU, ours : {against}",
        ours=spoken(ours),
        theirs=spoken(theirs),
        figure=ours / theirs,
        limit=limit,
    )


def _on_uvloop(work: Callable[[], Coroutine[None, None, _Costs]]) -> _Costs:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())


async def _costs(
    scale: Scale,
    origin: str,
    paths: Sequence[str] = (IMAGES_PATH,),
    resources: Sequence[AnyResource] = (IMAGE,),
    tls: Tls = Tls(),  # noqa: B008  frozen
) -> _Costs:
    """Seconds of processor time of a poll, and of the bare GETs."""
    fleet = Fleet()
    async with poller_of(origin, fleet, resources, tls) as poller, bare_session(tls) as bare:
        urls = [origin + path for path in paths]
        costs = await in_turn(scale.rounds, polls(poller, scale.polls), gets(bare, urls, scale.polls))
    entry = fleet.entries["avi-0000"]
    assert entry.session.polls == (scale.rounds + 1) * scale.polls
    assert not any(collection.health.failures for collection in entry.collections.values())
    return costs


@asynccontextmanager
async def poller_of(
    origin: str,
    fleet: Fleet,
    resources: Sequence[AnyResource],
    tls: Tls = Tls(),  # noqa: B008  frozen
) -> AsyncIterator[Poller]:
    """A poller of the Controller there, with the settings of the daemon, less the database behind its marks."""
    controller = Controller(name="avi-0000", url=origin, username="admin", password=SecretVariable("", PASSWORD))
    store = Store("sqlite://")
    async with open_session(tls, keepalive_s=60.0) as session:
        yield make_poller(
            controller.name,
            Client(controller, session, timeout_s=10.0, max_response=2**25, now=time.time),
            fleet,
            marks=store.marks,
            annotations=store.audit_log,
            history=store.upload_history,
            poll=Poll(),
            limiter=PollLimiter(64),
            now=time.time,
            resources=resources,
        )


def bare_session(tls: Tls = Tls()) -> aiohttp.ClientSession:  # noqa: B008  frozen
    """A session of aiohttp that does not pay for cookies."""
    context = verifying_context(cadata=tls.authorities) if tls.authorities else True
    connector = aiohttp.TCPConnector(ssl=context)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def polls(poller: Poller, times: int) -> Cost:
    """Processor time of one of so many polls."""

    async def cost() -> float:
        started = time.process_time()
        for _ in range(times):
            await poller.poll_once(late_s=0.0)
        return (time.process_time() - started) / times

    return cost


def gets(session: aiohttp.ClientSession, urls: Sequence[str], times: int) -> Cost:
    """Processor time of one of so many rounds, in which each is read once."""

    async def cost() -> float:
        started = time.process_time()
        for _ in range(times):
            for url in urls:
                async with session.get(url) as response:
                    await response.read()
        return (time.process_time() - started) / times

    return cost
