"""Begins to serve an application at an address, for as long as a stack is open."""

from contextlib import AsyncExitStack
from functools import partial
from socket import socket
from ssl import SSLContext

from aiohttp import web

from monitor.web.app import error_response
from monitor.web.connections import Runner
from monitor.web.context import CONTEXT, Limits
from monitor.web.server import Listener

_OPEN_REQUESTS_TIMEOUT_S = 1.0  # of requests at the shutdown: streams have been ended before, and PATCHes completed


async def listen(
    app: web.Application,
    address: tuple[str, int],
    limits: Limits,
    stack: AsyncExitStack,
    *,
    tls_context: SSLContext | None = None,
    passed_socket: socket | None = None,
) -> Listener:
    """
    Serve the application. At the end of the stack no connection is accepted any more, then open requests are ended.

    ``tls_context``: None for plain HTTP. ``passed_socket``: one to listen on, in place of the address.
    Raises: MonitorError.
    """
    runner = Runner(
        app,
        partial(error_response, app[CONTEXT]),
        limits,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_OPEN_REQUESTS_TIMEOUT_S,
    )
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    listener = Listener(runner, *address, tls_context, passed_socket)
    stack.push_async_callback(listener.stop_accepting)
    await listener.start()
    return listener
