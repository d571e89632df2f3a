"""
Connections to a Controller: name resolution, TLS verification, and the errors of both.

Every exception of aiohttp and ssl during an exchange is raised as a PollError. Knows nothing of log-ins and of the API.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import ContentEncodingError

from monitor import __version__
from monitor.avi.resolver import Resolver
from monitor.avi.trust import Pins, verifying_context
from monitor.config.types import Tls
from monitor.model.errors import BadAnswer, Phase, Unanswered, Unreachable

KEEPALIVE_S: Final = 30
"""Firewalls forget idle connections after a minute at the soonest."""

# The time before the first probe, which macOS names otherwise, and between two of them.
_KEEPALIVE_OPTIONS: Final = tuple(
    getattr(socket, name) for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL") if hasattr(socket, name)
)
_MAX_REPLIES: Final = 16  # interim ones and the final one; a Controller sends one, a proxy perhaps a few


def open_session(tls: Tls, *, keepalive_s: float) -> aiohttp.ClientSession:
    """
    Return the HTTP session of one controller.

    It has no cookie jar: the client keeps the cookies, and sends them to the controller's origin only
    (docs/decisions, decision 4).
    ``keepalive_s``: longer than the longest poll interval, so that a poll needs no new TLS handshake.
    """
    return aiohttp.ClientSession(
        connector=Connector(
            ssl=_ssl_option(tls), resolver=Resolver(), limit=4, keepalive_timeout=keepalive_s, ttl_dns_cache=60
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=dict.fromkeys(("User-Agent", "X-Avi-UserAgent"), f"avi-upgrade-monitor/{__version__}"),
        timeout=aiohttp.ClientTimeout(total=None),  # the client has a timeout for every request
        trust_env=False,
    )


class Connector(aiohttp.TCPConnector):
    """
    A connector that records the certificate of the Controller, and which of its connections are idle.

    Its connections are probed while they are idle, and take no more replies than there are requests.
    """

    certificate: bytes | None = None
    """DER."""
    certificate_expires_at: float | None = None
    _last_transport: asyncio.BaseTransport | None = None

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  the signature is aiohttp's
        super().__init__(socket_factory=open_socket, **options)
        protocol: type[ResponseHandler] = _Protocol
        self._factory = partial(protocol, loop=self._loop)
        self._idle: set[asyncio.Transport] = set()

    @property
    def has_idle(self) -> bool:
        """Whether the next request will be sent on a connection that was idle."""
        self._idle.difference_update([transport for transport in self._idle if transport.is_closing()])
        return bool(self._idle)

    def drop_idle(self) -> None:
        """Close the idle connections, so that the next request is sent on a new one."""
        for transport in self._idle:
            transport.abort()
        self._idle.clear()

    async def connect(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  the signature is aiohttp's
        """Connect, and read the certificate of a new connection."""
        connection = await super().connect(*args, **options)
        transport = connection.transport
        if transport is None:
            return connection
        self._idle.discard(transport)
        connection.add_callback(partial(self._idle.add, transport))
        if transport is not self._last_transport:
            self._last_transport = transport
            ssl_object = transport.get_extra_info("ssl_object")
            self.certificate = ssl_object.getpeercert(binary_form=True) if ssl_object else None
            self.certificate_expires_at = _expiry(self.certificate) if ssl_object else None
        return connection


class TooManyReplies(aiohttp.ClientError):
    """The Controller sent more replies than a request has."""


class _Protocol(ResponseHandler):
    """
    The replies on one connection, not more of them than a request has.

    A Controller, or a proxy before it, may send interim replies (``100 Continue``) without end: aiohttp parses and
    drops them for as long as the request may take, which occupies the event loop.
    """

    _replies = 0

    def set_response_params(self, **options: Any) -> None:  # noqa: ANN401  the signature is aiohttp's
        """Begin a request."""
        self._replies = 0
        super().set_response_params(**options)

    def feed_data(self, data: Any, size: int = 0) -> None:  # noqa: ANN401  the signature is aiohttp's
        """Take one reply, interim or final."""
        self._replies += 1
        if self._replies <= _MAX_REPLIES:
            super().feed_data(data, size)
        elif self._replies == _MAX_REPLIES + 1:
            self.set_exception(TooManyReplies(f"more than {_MAX_REPLIES} interim replies to one request"))
            if self.transport is not None:
                self.transport.abort()


def open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """
    Return a socket that probes an idle connection every `KEEPALIVE_S` seconds.

    A firewall then sees traffic, and does not forget the connection; one that it forgot anyway is closed here.
    """
    family, kind, protocol, *_ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in _KEEPALIVE_OPTIONS:
        opened.setsockopt(socket.IPPROTO_TCP, option, KEEPALIVE_S)
    return opened


def _expiry(certificate: bytes | None) -> float | None:
    """Return when a DER certificate expires, Unix seconds. The ssl module decodes only those that it verified."""
    from cryptography import x509  # noqa: PLC0415  takes 10 MB of memory; not needed without TLS

    try:
        return x509.load_der_x509_certificate(certificate or b"").not_valid_after_utc.timestamp()
    except ValueError:
        return None


def _ssl_option(tls: Tls) -> ssl.SSLContext | aiohttp.Fingerprint | bool:
    """Return aiohttp's ``ssl`` option: verify fingerprints, or nothing if so configured, or else chain and name."""
    if tls.fingerprints:
        return Pins(tls.fingerprints)
    return False if tls.insecure else _context(tls.authorities)


@lru_cache(maxsize=64)
def _context(authorities: str | None) -> ssl.SSLContext:
    assert authorities != "", "an empty text would mean the CAs of the system"  # noqa: S101  checked by the config
    return verifying_context(cadata=authorities)


@contextmanager
def as_poll_error(phase: Phase) -> Iterator[None]:
    """Raise every failure of an exchange as a PollError; texts of libraries are clipped; they contain no secrets."""
    try:
        yield
    except TimeoutError as error:
        raise Unanswered("timeout", "no complete reply within the timeout", phase=phase) from error
    except (aiohttp.ClientConnectorDNSError, aiohttp.InvalidURL, UnicodeError) as error:
        raise Unreachable("dns", str(error)[:200], phase=phase) from error
    except (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch) as error:
        cut_off = isinstance(error, aiohttp.ClientConnectorSSLError) and isinstance(error.os_error, ssl.SSLEOFError)
        raise Unreachable("tls", _tls_detail(error), phase=phase, may_be_upgrade=cut_off) from error
    except ssl.SSLError as error:  # on an established connection
        raise Unanswered("tls", _tls_detail(error), phase=phase) from error
    except aiohttp.ClientConnectorError as error:
        raise Unreachable("connect", str(error)[:200], phase=phase) from error
    except (aiohttp.ClientConnectionError, ConnectionError) as error:
        raise Unanswered("connect", str(error)[:200] or type(error).__name__, phase=phase) from error
    except aiohttp.ClientPayloadError as error:
        if isinstance(error.__cause__, ContentEncodingError):
            raise BadAnswer("decode", "the reply is not compressed as its header says", phase=phase) from error
        raise Unanswered("connect", "the connection broke during the reply", phase=phase) from error
    except aiohttp.ClientError as error:
        what = str(error) if isinstance(error, TooManyReplies) else type(error).__name__
        raise BadAnswer("decode", f"the reply is not valid HTTP: {what}", phase=phase) from error


def _tls_detail(error: Exception) -> str:
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return f"the certificate has the fingerprint {error.got.hex()}, which is not in the configuration"
    return str(error)[:200]
