"""The way of one request through a simulated Controller: journal, rate limit, faults before, answer, faults after."""

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from monitor.simulator import control
from monitor.simulator import fault_table as kinds
from monitor.simulator import http_io as exchange
from monitor.simulator import router as api
from monitor.simulator.fault_delivery import Delivery
from monitor.simulator.fault_replies import Scene
from monitor.simulator.faults import Fault
from monitor.simulator.http_types import Call, html

if TYPE_CHECKING:
    from monitor.simulator.controller import SimulatedController


async def served(controller: "SimulatedController", request: web.BaseRequest) -> web.StreamResponse:
    """The whole of it; control routes go past the journal and past all faults."""
    call = await exchange.read(request)
    if control.is_control(call):
        return await exchange.send(request, Delivery(control.answered(controller, call)))
    entry = controller.journal.came(call, controller.clock.monotonic())
    hits = controller.faults.take(call)
    sent = kinds.struck_on_the_way(await _limited(controller) or await _struck(controller, call, hits), hits)
    response = await exchange.send(request, sent)
    controller.journal.answered(entry, 0 if sent.end else sent.reply.status)
    return response


async def _limited(controller: "SimulatedController") -> Delivery | None:
    """The rate limit of the portal in front: holds a request up, or refuses it."""
    if controller.bucket is None:
        return None
    delay_s = controller.bucket.admit(controller.clock.monotonic())
    if delay_s is None:
        return Delivery(html(429, "Too Many Requests"))
    await asyncio.sleep(delay_s)
    return None


async def _struck(controller: "SimulatedController", call: Call, hits: tuple[Fault, ...]) -> Delivery:
    scene = Scene(call, controller.login_state, controller.clock, controller.faults)
    return await kinds.struck_before(scene, hits) or Delivery(api.answered(controller, call, hits))
