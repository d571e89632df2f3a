"""What the routes read. Made by app.py, handed over whole."""

from collections.abc import Callable

import msgspec
from aiohttp import web

from monitor.config import Scope
from monitor.fleet import Fleet
from monitor.own import OwnMetrics


class State(msgspec.Struct, frozen=True, kw_only=True):
    """``not_healthy``, ``not_ready``: why not, in words that name nobody; empty when all is well."""

    fleet: Fleet
    own: OwnMetrics
    anonymous: frozenset[Scope]
    not_healthy: Callable[[], str]
    not_ready: Callable[[], str]


STATE = web.AppKey("state", State)
REQUEST_ID = web.RequestKey("request_id", str)
