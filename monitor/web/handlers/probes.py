"""``GET /-/healthy`` and ``GET /-/ready``: plain text for service managers, load balancers and Kubernetes."""

from aiohttp import web

from monitor.web.context import CONTEXT


async def healthy(request: web.Request) -> web.Response:
    """200 while the daemon's heartbeat is recent."""
    return _probe("healthy", request.app[CONTEXT].not_healthy())


async def ready(request: web.Request) -> web.Response:
    """200 when the database is open and every controller was polled once, or 30 s after the start."""
    return _probe("ready", request.app[CONTEXT].not_ready())


def _probe(name: str, reason: str) -> web.Response:
    if reason:
        return web.Response(text=f"not {name}: {reason}\n", status=503)
    return web.Response(text=f"{name}\n")
