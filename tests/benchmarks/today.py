"""
What people use today: a script on the vendor's SDK that lists images, and prometheus-client's collector.

Both do less than the daemon: they compare with nothing that was before, and estimate nothing.
"""

import asyncio
import resource
import sys
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from logging import CRITICAL, getLogger
from typing import Any, Final

import aiohttp
from prometheus_client import CollectorRegistry, generate_latest

from monitor.metrics.self_metrics import SelfMetrics
from monitor.polling.fleet import Fleet
from monitor.polling.resources import IMAGE
from tests.benchmarks.children import child
from tests.benchmarks.controllers import serve_plans
from tests.benchmarks.measure import Cost, Row, Scale, cpu_of, in_turn, spoken
from tests.benchmarks.mix import IMAGES, PASSWORD, busy_fleet, image_series
from tests.benchmarks.polling import poller_of, polls
from tests.benchmarks.scraping import Yardstick, join, text_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK uses deprecated idioms
    from avi.sdk.avi_api import ApiSession

_CONTROLLERS = 10
_TIMES = 100  # a scrape of so few is too short to be measured
_SCRIPT: Final = """\
import logging, sys, warnings
logging.disable()
warnings.simplefilter("ignore")
from avi.sdk.avi_api import ApiSession
api = ApiSession(sys.argv[1], "admin", sys.argv[2], tenant="admin", api_version="30.2.1")
for image in api.get("image", params={"page_size": 200}).json()["results"]:
    print(image["name"], image["img_state"]["state"], image["progress"])
"""


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """Rows of a script that keeps its session, of one that cron starts, and of the collector."""
    async with child(serve_plans, 200_000) as server:
        origins, _ = await server.receive()
        for plan in ("nothing changed", "one of 20 changed"):
            with closing(_log_in(origins[plan])) as api:
                yield await _row_of_script(scale, plan, origins[plan], "that keeps its session", partial(_list, api))
        script = partial(_run_script, origins["nothing changed"])
        yield await _row_of_script(scale, "nothing changed", origins["nothing changed"], "that cron starts", script)
    yield await _row_of_collector(scale)


async def _row_of_script(scale: Scale, plan: str, origin: str, name: str, script: Cost) -> Row:
    async with poller_of(origin, Fleet(), (IMAGE,)) as poller:
        poll = polls(poller, 1)
        ours, theirs = await in_turn(scale.rounds, poll, script)
        requests = await _requests(origin, poll), await _requests(origin, script)
    return Row(
        what=f"poll, {IMAGES} images in 200 KB, {plan}: CPU, a script on the SDK {name} : ours",
        ours=f"{spoken(ours)}, requests: {requests[0]}",
        theirs=f"{spoken(theirs)}, requests: {requests[1]}",
        figure=theirs / ours,
    )


def _log_in(origin: str) -> Any:  # noqa: ANN401  the SDK has no types
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getLogger("avi.sdk").setLevel(CRITICAL)  # it wants https
        return ApiSession(origin, "admin", PASSWORD.reveal(), tenant="admin", api_version="30.2.1")


async def _list(api: Any) -> float:  # noqa: ANN401  the SDK has no types
    started = time.process_time()
    images = api.get("image", params={"page_size": 200}).json()["results"]
    assert len([(each["name"], each["img_state"]["state"], each["progress"]) for each in images]) == IMAGES
    return time.process_time() - started


async def _run_script(origin: str) -> float:
    """The processor time of one run, with the start of Python and the imports."""
    before = _children_cpu_s()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SCRIPT, origin, PASSWORD.reveal(), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert len(output.splitlines()) == IMAGES
    return _children_cpu_s() - before


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


async def _requests(origin: str, work: Cost) -> int:
    """How many requests the Controller got meanwhile."""
    async with aiohttp.ClientSession() as session:
        before = await _requests_so_far(session, origin)
        await work()
        return await _requests_so_far(session, origin) - before


async def _requests_so_far(session: aiohttp.ClientSession, origin: str) -> int:
    async with session.get(f"{origin}/requests") as response:
        return int(await response.read())


async def _row_of_collector(scale: Scale) -> Row:
    fleet, own, registry = await busy_fleet(_CONTROLLERS), SelfMetrics(), CollectorRegistry()
    registry.register(Yardstick(text_of(fleet)))
    ours, theirs = await in_turn(
        scale.slow_rounds, cpu_of(partial(join, fleet, own), _TIMES), cpu_of(partial(generate_latest, registry))
    )
    what = f"scrape of {_CONTROLLERS} controllers, {image_series(fleet):,} image series"
    return Row(
        what=f"{what}: loop held, prometheus-client's collector : ours",
        ours=spoken(ours),
        theirs=spoken(theirs),
        figure=theirs / ours,
    )
