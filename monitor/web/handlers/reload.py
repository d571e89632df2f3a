"""``POST /-/reload``: the configuration is read again, as SIGHUP does, and the caller hears what came of it."""

import msgspec
from aiohttp import web

from monitor.model.errors import ConfigError
from monitor.web.context import STATE
from monitor.web.problems import Problem


async def reload(request: web.Request) -> web.Response:
    """All or nothing. 422 with every problem when it is bad; what was in use stays."""
    try:
        difference = await request.app[STATE].reload()
    except ConfigError as error:
        (first, *more) = error.problems
        detail = f"{first} (and {len(more)} more)" if more else first
        raise Problem("bad-config", detail, problems=error.problems) from error
    return web.Response(body=msgspec.json.encode(difference), content_type="application/json")
