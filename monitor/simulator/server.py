"""The way of one request through a simulated Controller: journal, rate limit, faults before, answer, faults after."""

import asyncio

from aiohttp import web

from monitor.simulator import control
from monitor.simulator.fault_delivery import Delivery
from monitor.simulator.fault_replies import Scene
from monitor.simulator.fault_table import struck_before, struck_on_the_way
from monitor.simulator.faults import Fault
from monitor.simulator.http_io import read, send
from monitor.simulator.http_types import Call, html
from monitor.simulator.router import answered
from monitor.simulator.state import ControllerState


async def served(controller: ControllerState, request: web.BaseRequest) -> web.StreamResponse:
    """The whole of it; control routes go past the journal and past all faults."""
    call = await read(request)
    if control.is_control(call):
        return await send(request, Delivery(control.answered(controller, call)))
    entry = controller.journal.came(call, controller.clock.monotonic())
    hits = controller.faults.take(call)
    sent = struck_on_the_way(await _limited(controller) or await _struck(controller, call, hits), hits)
    response = await send(request, sent)
    controller.journal.answered(entry, 0 if sent.end else sent.reply.status)
    return response


async def _limited(controller: ControllerState) -> Delivery | None:
    """The rate limit of the portal in front: holds a request up, or refuses it."""
    if controller.bucket is None:
        return None
    delay_s = controller.bucket.admit(controller.clock.monotonic())
    if delay_s is None:
        return Delivery(html(429, "Too Many Requests"))
    await asyncio.sleep(delay_s)
    return None


async def _struck(controller: ControllerState, call: Call, hits: tuple[Fault, ...]) -> Delivery:
    scene = Scene(call, controller.login_state, controller.clock, controller.faults)
    return await struck_before(scene, hits) or Delivery(answered(controller, call, hits))
