"""``GET /-/healthy``, ``/-/ready`` and ``/-/writer``: plain text for service managers and load balancers."""

from aiohttp import web

from monitor.web.context import CONTEXT


async def healthy(request: web.Request) -> web.Response:
    """200 unless the daemon has stalled: no heartbeat for 10 s, or a poller overdue by 30 s."""
    return _probe("healthy", await request.app[CONTEXT].stall_reason())


async def ready(request: web.Request) -> web.Response:
    """200 when the database works, and every controller was polled once, good or bad, or the start was 30 s ago."""
    return _probe("ready", request.app[CONTEXT].not_ready_reason())


async def writer(request: web.Request) -> web.Response:
    """200 from the daemon that writes to the database; 503 from a standby."""
    return _probe("writer", request.app[CONTEXT].not_writer_reason())


def _probe(name: str, reason: str) -> web.Response:
    if reason:
        return web.Response(text=f"not {name}: {reason}\n", status=503)
    return web.Response(text=f"{name}\n")
