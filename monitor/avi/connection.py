"""
Connections to a Controller: name resolution, TLS verification, and the errors of both.

Every exception of aiohttp and ssl during an exchange is raised as a PollError. Knows nothing of log-ins and of the API.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError

from monitor import __version__
from monitor.avi.resolver import Resolver
from monitor.config.types import Tls
from monitor.model.errors import BadAnswer, Phase, Unanswered, Unreachable
from monitor.avi.trust import Pins, verifying_context


def open_session(tls: Tls, *, keepalive_s: float) -> aiohttp.ClientSession:
    """
    Return the HTTP session of one controller.

    It has no cookie jar: the client keeps the cookies, and sends them to the controller's origin only
    (README, «Why it is so», decision 4).
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
    """A connector that records when the certificate of the Controller expires."""

    certificate_expires_at: float | None = None
    _last_transport: asyncio.BaseTransport | None = None

    async def connect(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  the signature is aiohttp's
        """Connect, and read the certificate of a new connection."""
        connection = await super().connect(*args, **options)
        transport = connection.transport
        if transport is not None and transport is not self._last_transport:
            self._last_transport = transport
            ssl_object = transport.get_extra_info("ssl_object")
            self.certificate_expires_at = _expiry(ssl_object.getpeercert(binary_form=True)) if ssl_object else None
        return connection


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


@asynccontextmanager
async def as_poll_error(phase: Phase) -> AsyncIterator[None]:
    """Raise every failure of an exchange as a PollError; texts of libraries are clipped; they contain no secrets."""
    try:
        yield
    except TimeoutError as error:
        raise Unanswered("timeout", "no complete reply within the timeout", phase=phase) from error
    except (aiohttp.ClientConnectorDNSError, aiohttp.InvalidURL, UnicodeError) as error:
        raise Unreachable("dns", str(error)[:200], phase=phase) from error
    except (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch) as error:
        raise Unreachable("tls", _tls_detail(error), phase=phase) from error
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
        raise BadAnswer("decode", f"the reply is not valid HTTP: {type(error).__name__}", phase=phase) from error


def _tls_detail(error: Exception) -> str:
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return f"the certificate has the fingerprint {error.got.hex()}, which is not in the configuration"
    return str(error)[:200]
