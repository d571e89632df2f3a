"""
A change that reaches a standby is passed on to the daemon that writes to the database.

It is passed on once, with the client's own credential, so that the writer decides what the client may do and its audit
names that client. A request that was passed on is not passed on again: the header ``Via`` says so (RFC 9110, 7.6.3).
Knows nothing of what is changed.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from monitor.config.values import is_loopback
from monitor.patching.in_flight import InFlight
from monitor.web.problems import Problem

REACH_TIMEOUT_S: Final = 5.0
"""By then another daemon has taken over from a writer that does not answer."""

_RETRY: Final = {"Retry-After": "5"}  # the time that a takeover takes
_VIA: Final = "1.1 avi-upgrade-monitor"
_REQUEST_HEADERS: Final = (
    hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE, hdrs.IF_MATCH, "X-Avi-Version", "X-Avi-Tenant", "X-Avi-Tenant-UUID",
)  # fmt: skip
_RESPONSE_HEADERS: Final = (hdrs.CONTENT_TYPE, hdrs.ETAG, hdrs.RETRY_AFTER, hdrs.WWW_AUTHENTICATE, "Accept-Patch")


class Forwarder:
    """
    Passes requests on, and knows how many are under way.

    ``is_standby``: whether another daemon is the writer. ``writer_url``: where that is; empty: not known.
    ``timeout_s``: how long a change may take. ``changed``: called with the writer's response after a change, before
    the client gets it.
    """

    def __init__(
        self,
        *,
        is_standby: Callable[[], bool],
        writer_url: Callable[[], str],
        timeout_s: Callable[[], float],
        changed: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self.is_standby = is_standby
        self._writer_url = writer_url
        self._timeout_s = timeout_s
        self._changed = changed
        self._in_flight = InFlight()
        self._closing = False

    async def pass_on(self, request: web.Request, body: bytes, request_id: str) -> web.Response:
        """
        Send the request to the writer, and return its response.

        Raises: Problem; its text says whether anything may have been changed.
        """
        url = self._writer_url()
        if any(_VIA in each for each in request.headers.getall(hdrs.VIA, ())):
            raise _not_writer(url, "the request was passed on already")
        if not url:
            raise _not_writer(url, "it has not said where it is: start it with --advertise-url")
        if request.secure and not _keeps_secrets(URL(url)):
            raise _not_writer(url, "a request that came by TLS is not passed on without it")
        if self._closing:
            raise Problem("shutting-down", "nothing was changed: the daemon is shutting down", headers=_RETRY)
        with self._in_flight.counting():
            status, headers, content = await self._send(request, body, request_id, url)
            if status == web.HTTPOk.status_code:
                await self._changed(content)
        return web.Response(status=status, body=content, headers=_selected(headers, _RESPONSE_HEADERS))

    async def drain(self, *, timeout_s: float) -> None:
        """Pass nothing on any more, and wait until what is under way has ended or the timeout has passed."""
        self._closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._in_flight.wait_idle()

    async def _send(
        self, request: web.Request, body: bytes, request_id: str, url: str
    ) -> tuple[int, CIMultiDictProxy[str], bytes]:
        headers = _selected(request.headers, _REQUEST_HEADERS)
        sources = (*request.headers.getall(hdrs.X_FORWARDED_FOR, ()), request.remote or "unknown")
        headers.extend({hdrs.VIA: _VIA, hdrs.X_FORWARDED_FOR: ", ".join(sources), "X-Request-ID": request_id})
        timeout = aiohttp.ClientTimeout(total=self._timeout_s(), sock_connect=REACH_TIMEOUT_S)
        target = URL(url + request.raw_path, encoded=True)
        async with aiohttp.ClientSession(connector=await _connector(target), trust_env=False) as session:
            await _require_writer(session, url, _selected(request.headers, (hdrs.AUTHORIZATION,)))
            if request.transport is None or request.transport.is_closing():  # it may have asked the writer itself
                raise Problem("client-closed-request", "nothing was changed: the client disconnected")
            try:
                async with session.request(
                    request.method, target, data=body, headers=headers, allow_redirects=False, timeout=timeout
                ) as response:
                    return response.status, response.headers, await response.read()
            except aiohttp.ClientConnectorError as error:
                raise _not_writer(url, f"it cannot be reached: {_cause(error)}") from error
            except (aiohttp.ClientError, TimeoutError) as error:
                what = f"the change was passed on to the daemon at {url}, and no complete response came"
                detail = f"{what} ({_cause(error)}); read the object again to see whether it was changed"
                raise Problem("outcome-unknown", detail) from error


def _selected(headers: CIMultiDictProxy[str], names: Iterable[str]) -> CIMultiDict[str]:
    return CIMultiDict([(name, value) for name in names for value in headers.getall(name, ())])


def _keeps_secrets(url: URL) -> bool:
    return url.scheme == "https" or is_loopback(url.host or "")


async def _connector(target: URL) -> aiohttp.TCPConnector:
    """Return a connector that reads the CAs anew, in a thread, as it takes a while: a renewed one needs no restart."""
    tls = await asyncio.to_thread(ssl.create_default_context) if target.scheme == "https" else True
    return aiohttp.TCPConnector(ssl=tls)


async def _require_writer(session: aiohttp.ClientSession, url: str, headers: CIMultiDict[str]) -> None:
    """
    Ask the daemon whether it is the writer, on the connection that the change will take.

    One that has died, is stopped or refuses the TLS handshake is found before anything is sent that may have an effect.
    ``headers``: with the client's credential, as a request without one has to call a daemon by one of its names.
    """
    timeout = aiohttp.ClientTimeout(total=REACH_TIMEOUT_S)
    try:
        async with session.get(f"{url}/-/writer", headers=headers, allow_redirects=False, timeout=timeout) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _not_writer(url, f"it cannot be reached: {_cause(error)}") from error
    if response.status != web.HTTPOk.status_code:
        raise _not_writer(url, f"it has ended or is ending: /-/writer answered {response.status}")


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__


def _not_writer(url: str, why: str) -> Problem:
    writer = f"the daemon at {url}" if url else "another daemon"
    detail = f"nothing was changed: {writer} writes to the database, not this one, and {why}"
    return Problem("not-writer", detail, headers=_RETRY, writer=url)
