"""
Faults that come before the work: the request is held up, or answered by something that never looked at it.

Each takes the scene and the fault, and gives what is sent instead, or None: the request goes on to be answered.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from monitor.simulator.clock import Clock
from monitor.simulator.fault_delivery import Delivery
from monitor.simulator.faults import Fault, Faults
from monitor.simulator.http_types import Call, Reply, html, plain_401, reply
from monitor.simulator.sessions import NO_SESSION_TEXT, Sessions

UPGRADE_TEXT = "Configuration is disallowed during upgrade"


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault may look at and turn upside down."""

    call: Call
    sessions: Sessions
    clock: Clock
    faults: Faults


async def latency(_: Scene, fault: Fault) -> None:
    """``seconds`` (1), real ones, before anything is done."""
    await asyncio.sleep(1.0 if fault.seconds is None else fault.seconds)


async def hang(scene: Scene, _: Fault) -> None:
    """Nothing happens until the faults are cleared; then the request is answered as if nothing had been."""
    await scene.faults.cleared()


async def close(_scene: Scene, _: Fault) -> Delivery:
    """The connection is closed before any byte; nothing was done."""
    return Delivery(Reply(200), send=0, end="fin")


async def session_expiry(scene: Scene, _: Fault) -> None:
    """The request finds its session gone."""
    scene.sessions.expire()


async def csrf_rotation(scene: Scene, _: Fault) -> None:
    """The CSRF token changed behind the client's back."""
    scene.sessions.rotate_csrf()


async def clock_jump(scene: Scene, fault: Fault) -> None:
    """The Controller's clock moves by ``seconds`` (-3600)."""
    scene.clock.jump(-3600.0 if fault.seconds is None else fault.seconds)


async def unauthorized(_: Scene, fault: Fault) -> Delivery:
    """401 in plain text, whatever the session is worth."""
    return Delivery(plain_401(fault.value or NO_SESSION_TEXT))


async def switch_session(scene: Scene, _: Fault) -> Delivery | None:
    """419: the session goes on under the cookies of this very reply."""
    session = scene.sessions.find(scene.call.cookies)
    if session is None:
        return None
    cookies = scene.sessions.switched(session).cookies
    body = reply({"error": "Need to switch session"}).body
    return Delivery(Reply(419, body, cookies, "text/html; charset=utf-8", "FORBIDDEN"))


async def forbidden_upgrade(_: Scene, fault: Fault) -> Delivery:
    """403 with the text of an upgrade, on reads too."""
    return Delivery(reply({"error": fault.value or UPGRADE_TEXT}, status=403))


async def html_502(_: Scene, fault: Fault) -> Delivery:
    """The web server stands, nobody behind it answers."""
    return Delivery(html(502, fault.value or "Bad Gateway"))


async def html_503(_: Scene, fault: Fault) -> Delivery:
    """The Controller is not ready."""
    return Delivery(html(503, fault.value or "Service Temporarily Unavailable"))


async def http_500(_: Scene, fault: Fault) -> Delivery:
    """A bare 500, as users of real Controllers have seen it; ``value``: its text."""
    return Delivery(Reply(500, (fault.value or "").encode(), (), "text/html"))


async def too_many_requests(_: Scene, fault: Fault) -> Delivery:
    """429; ``seconds`` (30) until the next try. ``value``: ``date`` says it as a date, ``none`` not at all."""
    seconds = 30.0 if fault.seconds is None else fault.seconds
    after = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    said = {"date": (("Retry-After", after),), "none": ()}.get(fault.value or "", (("Retry-After", f"{seconds:g}"),))
    return Delivery(html(429, "Too Many Requests").carrying(*said))


async def redirect(scene: Scene, fault: Fault) -> Delivery:
    """302 to HTTPS elsewhere; ``value``: where."""
    target = fault.value or f"https://elsewhere.invalid{scene.call.path}"
    return Delivery(html(302, "Found").carrying(("Location", target)))


async def empty_body(_: Scene, fault: Fault) -> Delivery:
    """No bytes at all, under ``size`` (200) or 204."""
    return Delivery(Reply(fault.size or 200))
