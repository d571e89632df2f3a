"""What the routes read. Made by app.py, handed over whole."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from aiohttp import web

from monitor.config.types import Difference
from monitor.metrics.self_metrics import SelfMetrics
from monitor.patching.patcher import Patcher
from monitor.patching.request import AuditReader
from monitor.polling.fleet import Fleet
from monitor.polling.resources import AnyResource
from monitor.web.auth.authenticator import Authenticator, Caller
from monitor.web.stream.feed import EventStream


class State(msgspec.Struct, frozen=True, kw_only=True):
    """``not_healthy``, ``not_ready``: why not, in words that name nobody; empty when all is well."""

    fleet: Fleet
    resources: tuple[AnyResource, ...]
    """The kinds of object that are polled."""
    own: SelfMetrics
    door: Authenticator
    audit_log: AuditReader
    patcher: Patcher
    feed: EventStream
    tenants: Mapping[str, str]
    """Whose images are watched, by controller; `*`: everybody's."""
    reload: Callable[[], Awaitable[Difference]]
    """Raises: ConfigError."""
    not_healthy: Callable[[], str]
    not_ready: Callable[[], str]
    now: Callable[[], float]
    """Unix seconds."""


STATE = web.AppKey("state", State)
REQUEST_ID = web.RequestKey("request_id", str)
CALLER = web.RequestKey("caller", Caller)
"""Who asks; set for every route but the open ones."""
ANSWERED_AT = web.RequestKey("answered_at", float)
"""When an answer that goes on for long had begun, by ``time.perf_counter``: that is how long the request took."""
