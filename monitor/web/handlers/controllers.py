"""``GET /api/controllers``: how polling each of them goes."""

import msgspec
from aiohttp import web

from monitor.polling.fleet import Entry
from monitor.web.context import CALLER, CONTEXT
from monitor.web.responses import ControllerPage, ControllerStatus


async def list_controllers(request: web.Request) -> web.Response:
    """How polling each controller goes. Times in Unix seconds, null when never."""
    entries = request.app[CONTEXT].fleet.entries.values()
    results = [_polling(entry) for entry in entries if request[CALLER].sees(entry.name)]
    body = msgspec.json.encode(ControllerPage(len(results), results))
    return web.Response(body=body, content_type="application/json")


def _polling(entry: Entry) -> ControllerStatus:
    health = entry.health
    images = [track.image for track in entry.snapshot.images.values()] if not health.stale else []
    return ControllerStatus(
        name=entry.name,
        up=health.up,
        stale=health.stale,
        auth_suspended=health.auth_suspended,
        upgrade_in_progress=health.upgrading,
        reason=health.reason,
        cause=health.cause,
        version=health.version,
        api_version=health.api_version,
        images=len(images),
        images_active=sum(image.active for image in images),
        last_poll_attempt_timestamp_seconds=health.attempted_at,
        last_poll_success_timestamp_seconds=health.succeeded_at,
        poll_interval_seconds=health.interval_s,
    )
