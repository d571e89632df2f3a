"""``POST /-/reload``: reads the configuration again, as SIGHUP does, and returns what changed."""

import msgspec
from aiohttp import web

from monitor.model.errors import ConfigError
from monitor.web.context import CALLER, CONTEXT
from monitor.web.problems import Problem


async def reload(request: web.Request) -> web.Response:
    """
    All or nothing. 422 with every problem when the configuration is invalid; the previous one stays in use.

    A reload concerns every controller, and its reply and its problems name them: 403 for an admin of some controllers.
    """
    caller, context = request[CALLER], request.app[CONTEXT]
    if caller.controllers is not None:
        raise Problem("forbidden", f"a reload concerns every controller; {caller.name} is limited to some of them")
    context.authenticator.count_change(caller)
    try:
        difference = await context.reload()
    except ConfigError as error:
        (first, *more) = error.problems
        detail = f"{first} (and {len(more)} more)" if more else first
        raise Problem("bad-config", detail, problems=error.problems) from error
    return web.Response(body=msgspec.json.encode(difference), content_type="application/json")
