"""How a simulated Controller handles one request: log, rate limit, faults before, API, faults while it responds."""

import asyncio
from dataclasses import replace

from aiohttp import web

from monitor.simulator import control
from monitor.simulator.fault_delivery import Delivery
from monitor.simulator.fault_responses import FaultContext
from monitor.simulator.fault_table import apply_before, apply_to_delivery
from monitor.simulator.http_io import read_request, send
from monitor.simulator.http_types import html_response
from monitor.simulator.router import respond
from monitor.simulator.state import ControllerState


async def handle(controller: ControllerState, incoming: web.BaseRequest) -> web.StreamResponse:
    """Handle one request; control routes are neither logged nor hit by faults."""
    request = await read_request(incoming)
    if control.is_control(request):
        return await send(incoming, Delivery(control.respond(controller, request)))
    logged = controller.request_log.add(request, controller.clock.monotonic())
    faults = controller.faults.consume(request)
    context = FaultContext(request, controller.login_state, controller.clock, controller.faults)
    delivery = (
        await _apply_rate_limit(controller)
        or await apply_before(context, faults)
        or Delivery(respond(controller, request, faults))
    )
    if controller.upgrades.is_away(controller.clock.now()):  # the clock jumped; the listener is about to be closed
        delivery = replace(delivery, send_bytes=0, close="fin")
    delivery = apply_to_delivery(delivery, faults)
    response = await send(incoming, delivery)
    controller.request_log.set_status(logged, 0 if delivery.close else delivery.response.status)
    return response


async def _apply_rate_limit(controller: ControllerState) -> Delivery | None:
    """Delay the request as the portal does; return 429 if it is beyond the burst."""
    if controller.rate_limiter is None:
        return None
    delay_s = controller.rate_limiter.reserve(controller.clock.monotonic())
    if delay_s is None:
        return Delivery(html_response(429, "Too Many Requests"))
    await asyncio.sleep(delay_s)
    return None
