"""What the handlers need: made by ``daemon.app``, stored in the application, never changed."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from msgspec import Struct

from monitor.config.types import Difference
from monitor.metrics.self_metrics import SelfMetrics
from monitor.patching.patcher import Patcher
from monitor.patching.request import AuditReader
from monitor.polling.fleet import Fleet
from monitor.polling.upgrade_log import Logs
from monitor.web.auth.authenticator import Authenticator, Caller
from monitor.web.forward import Forwarder
from monitor.web.scrape_bodies import ScrapeBodies
from monitor.web.stream.event_stream import MAX_BUFFERED_EVENTS, MAX_READERS, EventStream


class Limits(Struct, frozen=True, kw_only=True):
    """How long the web server waits for a client, and how much it keeps for all of them."""

    max_connections: int = 2000  # at most half of the descriptors; each connection takes about 20 KiB
    header_timeout_s: float = 10.0  # from the connection, or the first byte of a header, to the header's last byte
    keepalive_s: float = 75.0  # of a connection without a request; longer than the minute of many scrapers and proxies
    heartbeat_s: float = 10.0  # of the event stream; a reader that gets nothing for three of them may reconnect
    event_write_timeout_s: float = 30.0  # for a reader that does not read; when it reconnects, it gets the full state
    response_timeout_s: float = 60.0  # for a client that reads slowly; Prometheus gives up long before
    body_timeout_s: float = 30.0  # for a request body, which has at most MAX_BODY_BYTES
    max_changes: int = 200  # of a caller at once, and one more every three seconds; more than a page of images
    max_readers: int = MAX_READERS
    max_buffered_events: int = MAX_BUFFERED_EVENTS


class Context(Struct, frozen=True, kw_only=True):
    """``now``: Unix seconds."""

    fleet: Fleet
    self_metrics: SelfMetrics
    authenticator: Authenticator
    audit_log: AuditReader
    patcher: Patcher
    forwarder: Forwarder
    event_stream: EventStream
    scrape_bodies: ScrapeBodies
    upgrade_logs: Callable[[str], Logs]
    """Of the controller with this name."""
    tenants: Mapping[str, Mapping[str, str]]
    """The tenant that is watched, by controller and resource; `*`: all tenants."""
    reload: Callable[[], Awaitable[Difference]]
    """Raises: ConfigError."""
    stall_reason: Callable[[], Awaitable[str]]
    """Why the daemon has stalled; empty while it has not. Shown to anonymous clients: names no controller."""
    not_ready_reason: Callable[[], str]
    """Why the daemon is not ready; shown as `stall_reason` is."""
    not_writer_reason: Callable[[], str]
    """Why the daemon is not the one that writes to the database; shown as `stall_reason` is."""
    now: Callable[[], float]
    limits: Limits = Limits()


CONTEXT = web.AppKey("context", Context)
REQUEST_ID = web.RequestKey("request_id", str)
CALLER = web.RequestKey("caller", Caller)
"""Set for every route that is not open."""
RESPONSE_STARTED_AT = web.RequestKey("response_started_at", float)
"""When the response of a stream began, by ``time.perf_counter``: until then counts as the duration of the request."""
