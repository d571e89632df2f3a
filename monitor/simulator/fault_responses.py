"""
Faults before the Controller handles the request: it is delayed, or answered by something else.

Each fault takes the context and the fault, and returns what is sent instead; None: the request is handled as usual.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from monitor.simulator.clock import Clock
from monitor.simulator.fault_delivery import Delivery
from monitor.simulator.faults import ActiveFaults, Fault
from monitor.simulator.http_types import HttpRequest, HttpResponse, html_response, json_response, plain_401
from monitor.simulator.sessions import NO_SESSION_TEXT, Sessions

UPGRADE_TEXT = "Configuration is disallowed during upgrade"


@dataclass(frozen=True, slots=True)
class FaultContext:
    """The request, and the parts of the Controller that a fault may change."""

    request: HttpRequest
    sessions: Sessions
    clock: Clock
    faults: ActiveFaults


async def latency(_: FaultContext, fault: Fault) -> None:
    """Wait for ``seconds`` (1) of real time before the request is handled."""
    await asyncio.sleep(1.0 if fault.seconds is None else fault.seconds)


async def hang(context: FaultContext, _: Fault) -> None:
    """Wait until the faults are cleared, then handle the request as usual."""
    await context.faults.wait_cleared()


async def close(_context: FaultContext, _: Fault) -> Delivery:
    """Close the connection without handling the request and without sending a byte."""
    return Delivery(HttpResponse(200), send_bytes=0, close="fin")


async def session_expiry(context: FaultContext, _: Fault) -> None:
    """End all sessions before the request is handled."""
    context.sessions.expire()


async def csrf_rotation(context: FaultContext, _: Fault) -> None:
    """Give every session another CSRF token before the request is handled."""
    context.sessions.rotate_csrf()


async def clock_jump(context: FaultContext, fault: Fault) -> None:
    """Move the Controller's clock by ``seconds`` (-3600)."""
    context.clock.jump(-3600.0 if fault.seconds is None else fault.seconds)


async def unauthorized(_: FaultContext, fault: Fault) -> Delivery:
    """401 in plain text, even with a valid session; ``value``: the text."""
    return Delivery(plain_401(fault.value or NO_SESSION_TEXT))


async def switch_session(context: FaultContext, _: Fault) -> Delivery | None:
    """419: the session continues with the cookies of this response."""
    session = context.sessions.find(context.request.cookies)
    if session is None:
        return None
    cookies = context.sessions.switch(session).cookies
    body = json_response({"error": "Need to switch session"}).body
    return Delivery(HttpResponse(419, body, cookies, "text/html; charset=utf-8", "FORBIDDEN"))


async def forbidden_upgrade(_: FaultContext, fault: Fault) -> Delivery:
    """403 with the text that a Controller sends during an upgrade, for reads too."""
    return Delivery(json_response({"error": fault.value or UPGRADE_TEXT}, status=403))


async def html_502(_: FaultContext, fault: Fault) -> Delivery:
    """The web server is up, the API behind it is down."""
    return Delivery(html_response(502, fault.value or "Bad Gateway"))


async def html_503(_: FaultContext, fault: Fault) -> Delivery:
    """The Controller is not ready."""
    return Delivery(html_response(503, fault.value or "Service Temporarily Unavailable"))


async def http_500(_: FaultContext, fault: Fault) -> Delivery:
    """A 500 without a body, as reported of real Controllers; ``value``: its text."""
    return Delivery(HttpResponse(500, (fault.value or "").encode(), (), "text/html"))


async def bad_request(_: FaultContext, fault: Fault) -> Delivery:
    """400 as JSON, as for a request that the Controller does not accept; ``value``: the text."""
    return Delivery(json_response({"error": fault.value or "Bad request"}, status=400))


async def too_many_requests(_: FaultContext, fault: Fault) -> Delivery:
    """429 with ``Retry-After`` in ``seconds`` (30); ``value``: ``date`` sends it as a date, ``none`` leaves it out."""
    seconds = 30.0 if fault.seconds is None else fault.seconds
    response = html_response(429, "Too Many Requests")
    if fault.value == "none":
        return Delivery(response)
    as_date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    return Delivery(response.with_headers(("Retry-After", as_date if fault.value == "date" else f"{seconds:g}")))


async def redirect(context: FaultContext, fault: Fault) -> Delivery:
    """302 to HTTPS on another host; ``value``: the target."""
    target = fault.value or f"https://elsewhere.invalid{context.request.path}"
    return Delivery(html_response(302, "Found").with_headers(("Location", target)))


async def empty_body(_: FaultContext, fault: Fault) -> Delivery:
    """A response without a body; ``size``: its status, 200 or 204."""
    return Delivery(HttpResponse(fault.size or 200))
