"""The daemon's API over HTTP: one request, one try, one decoded response or one of the errors in ``responses``."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import count
from typing import Any, Final, TypeVar
from uuid import uuid4

import aiohttp
import msgspec
from yarl import URL

from monitor import __version__
from monitor.avi.connection import as_poll_error
from monitor.avi.resolver import Resolver
from monitor.avi.trust import verifying_context
from monitor.avi.values import HIGHEST_VERSION
from monitor.cli.api.objects import ApiObject, UnitPage, image_path, unit_path
from monitor.cli.api.responses import (
    OUTCOME_UNKNOWN,
    ApiImage,
    AuditPage,
    AuditRecord,
    ConnectionLost,
    ControllerPage,
    ControllerStatus,
    ImagePage,
    InventoryPage,
    Rejected,
    Response,
    ServerError,
    classify_response,
    decode,
    decode_api_image,
)
from monitor.cli.params import Access
from monitor.config.text_file import read_pem
from monitor.config.validation import printable, quoted
from monitor.model.errors import BadAnswer, PollError, Reason, Unanswered, Unreachable

P = TypeVar("P", ImagePage, InventoryPage)

MAX_RESPONSE_BYTES: Final = 64 * 1024 * 1024  # a page of 200 images has a few million

_REASON_TEXTS: Final[Mapping[Reason, str]] = {
    "dns": "the host name does not resolve",
    "tls": "the TLS connection failed",
    "timeout": "no response in time (see --timeout)",
}


class _Connector(aiohttp.TCPConnector):
    """
    A connector that aborts its connections when it is closed.

    Otherwise a TLS connection that the server wants to close would wait for the server's close_notify, and uvloop
    cannot stop while it waits.
    """

    def __init__(self, access: Access) -> None:
        authorities = read_pem(access.ca_file) if access.ca_file else None
        trust = verifying_context(cadata=authorities) if access.url.startswith("https:") else True
        super().__init__(ssl=trust, resolver=Resolver())
        self._transports: set[asyncio.Transport] = set()

    async def connect(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  the signature is aiohttp's
        """Connect, and keep the transport to abort it later."""
        connection = await super().connect(*args, **options)
        if connection.transport is not None:
            self._transports.add(connection.transport)
        return connection

    async def close(self, *, abort_ssl: bool = True) -> None:
        """Close all connections at once."""
        for transport in self._transports:
            transport.abort()
        await super().close(abort_ssl=abort_ssl)


@asynccontextmanager
async def connect(access: Access, *, max_response_bytes: int = MAX_RESPONSE_BYTES) -> AsyncIterator["DaemonClient"]:
    """Open a client of the daemon for as long as the context lasts."""
    async with aiohttp.ClientSession(
        connector=_Connector(access),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "User-Agent": f"avi-upgrade-monitor/{__version__}"},
        timeout=aiohttp.ClientTimeout(total=None),  # every request has its own deadline
        trust_env=False,
    ) as session:
        yield DaemonClient(access, session, max_response_bytes=max_response_bytes)


class DaemonClient:
    """Every method raises Rejected and ServerError."""

    def __init__(self, access: Access, session: aiohttp.ClientSession, *, max_response_bytes: int) -> None:
        self._access = access
        self._session = session
        self._max_response_bytes = max_response_bytes

    async def images(self, **query: str) -> list[msgspec.Raw]:
        """Return the Image objects that the query selects, of all pages."""
        return [image async for page in self._pages("/api/image", ImagePage, query) for image in page.results]

    async def inventory(self, **query: str) -> dict[str, list[msgspec.Raw]]:
        """Return the images of the inventory that the query selects, of all pages, by their version."""
        images: dict[str, list[msgspec.Raw]] = {}
        async for page in self._pages("/api/image-inventory", InventoryPage, query):
            for each in page.results:
                images.setdefault(each.version, []).extend(each.image_info)
        return images

    async def _pages(self, path: str, shape: type[P], query: Mapping[str, str]) -> AsyncIterator[P]:
        for number in count(1):
            page = decode((await self.request("GET", path, {**query, "page": str(number)})).body, shape)
            yield page
            if not page.next or not page.results:
                return

    async def image(self, uuid: str, controller: str) -> tuple[ApiImage, str]:
        """Return one image, and its ETag. ``controller`` may be empty."""
        query = {"controller": controller} if controller else {}
        response = await self.request("GET", image_path(uuid), query)
        return decode_api_image(msgspec.Raw(response.body)), response.etag

    async def find_image(self, text: str, controller: str) -> ApiImage:
        """
        Return the image with this uuid, else the one with this name. ``controller``: searched only, or empty.

        Raises: ServerError; Rejected when no image matches, or more than one.
        """
        query = {"controller": controller} if controller else {}
        if raws := await self.images(uuid=text, **query):
            # When several controllers have the uuid, the daemon's own error names them.
            return decode_api_image(raws[0]) if len(raws) == 1 else (await self.image(text, controller))[0]
        found = [decode_api_image(raw) for raw in await self.images(name=text, **query)]
        if not found:
            who = f"{quoted(controller)} has no" if controller else "no controller that you may see has an"
            raise Rejected(f"{who} image with the uuid or name {quoted(text)}")
        if len(found) > 1:
            lines = "".join(f"\n  {printable(each.controller)}  {printable(each.image.uuid)}" for each in found)
            raise Rejected(f"{len(found)} images are named {quoted(text)}; give the uuid of one:{lines}")
        return found[0]

    async def controllers(self) -> list[ControllerStatus]:
        """Return the controllers, and the result of polling each."""
        return decode((await self.request("GET", "/api/controllers")).body, ControllerPage).results

    async def api_version(self, controller: str) -> str:
        """Return the API version in which the daemon polls a controller; before it knows one, the highest we know."""
        found = (each.api_version for each in await self.controllers() if each.name == controller)
        return next(found, "") or HIGHEST_VERSION

    async def audit(self, uuid: str, controller: str, *, limit: int) -> list[AuditRecord]:
        """Return the newest audit records of an image or a unit."""
        query = {"image": uuid, "controller": controller, "page_size": str(limit)}
        return decode((await self.request("GET", "/api/audit", query)).body, AuditPage).results

    async def find_unit(self, uuid: str, controller: str) -> ApiObject | None:
        """Return the unit with this uuid; None without one. ``controller``: searched only, or empty."""
        query = {"uuid": uuid, **({"controller": controller} if controller else {})}
        units = decode((await self.request("GET", "/api/upgradestatusinfo", query)).body, UnitPage).results
        if len(units) > 1:  # the daemon's own error names the controllers
            await self.request("GET", unit_path(uuid))
        return units[0] if units else None

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """Send one request. Any method but GET counts as a change."""
        is_change = method != "GET"
        request_id = uuid4().hex
        url = URL(f"{self._access.url}{path}", encoded=True).with_query(query or {})
        try:
            response = await self._send(method, url, self._headers(request_id, headers or {}), body)
        except PollError as error:
            unknown = f"{OUTCOME_UNKNOWN} (request {request_id})" if is_change else ""
            raise self._server_error(error, outcome_unknown=unknown) from error
        if failure := classify_response(response, is_change=is_change):
            raise failure
        return response

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
        """
        Open an event stream: yields a function that waits for the next bytes and returns none at the end.

        Raises: ConnectionLost, also from that function, when there is no connection and there may be one later.
        """
        sent = self._headers(uuid4().hex, headers)
        with self._as_connection_lost():
            response = await self._open_stream(URL(f"{self._access.url}{path}", encoded=True), sent)
        try:
            yield partial(self._read_next, response)
        finally:
            response.close()

    async def _open_stream(self, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Return the response when it is an event stream; read any other one completely, and raise what it means."""
        with as_poll_error("images"):
            async with asyncio.timeout(self._access.timeout_s):
                stream = await self._session.get(url, headers=headers, allow_redirects=False)
                if stream.status == 200 and stream.content_type == "text/event-stream":
                    return stream
                async with stream:
                    response = await self._read_response(stream)
        if response.status == 404:
            raise ServerError(f"the daemon has no {url.path}: it is older than this command")
        failure = classify_response(response, is_change=False) or ServerError(
            f"{url.path} is not an event stream; is this the daemon?"
        )
        raise ConnectionLost(str(failure), failure.problem) if response.status >= 500 else failure

    async def _read_next(self, stream: aiohttp.ClientResponse) -> bytes:
        with self._as_connection_lost(), as_poll_error("images"):
            async with asyncio.timeout(self._access.timeout_s):
                return await stream.content.readany()

    @contextmanager
    def _as_connection_lost(self) -> Iterator[None]:
        """Turn a failure of the connection into ConnectionLost, and a malformed response into ServerError."""
        try:
            yield
        except Unreachable as error:
            is_timeout = error.reason == "timeout"
            text = f"no data for {self._access.timeout_s:g} s" if is_timeout else str(self._server_error(error))
            raise ConnectionLost(text, silent_s=self._access.timeout_s if is_timeout else 0.0) from error
        except PollError as error:
            raise self._server_error(error) from error

    def _headers(self, request_id: str, more: Mapping[str, str]) -> dict[str, str]:
        token = self._access.token
        credential = {"Authorization": f"Bearer {token.reveal()}"} if token else {}
        return {"X-Request-ID": request_id, **more, **credential}

    async def _send(self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None) -> Response:
        with as_poll_error("images"):
            async with (
                asyncio.timeout(self._access.timeout_s),
                self._session.request(method, url, headers=headers, data=body, allow_redirects=False) as response,
            ):
                return await self._read_response(response)

    async def _read_response(self, response: aiohttp.ClientResponse) -> Response:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._max_response_bytes:
                raise BadAnswer("oversize", f"more than {self._max_response_bytes} bytes")
        return Response(
            response.status,
            response.reason or "",
            response.headers.get("Content-Type", ""),
            response.headers.get("Location", ""),
            response.headers.get("ETag", ""),
            bytes(body),
        )

    def _server_error(self, error: PollError, *, outcome_unknown: str = "") -> ServerError:
        """``outcome_unknown``: what the text adds when the request may have been sent."""
        sent = not isinstance(error, Unreachable) or isinstance(error, Unanswered)
        unreachable = isinstance(error, Unreachable)
        text = _REASON_TEXTS.get(error.reason, "no connection") if unreachable else "unusable response"
        detail = printable(f"{self._access.url}: {text}: {_detail(error)}")
        return ServerError(f"{detail}; {outcome_unknown}" if outcome_unknown and sent else detail)


def _detail(error: PollError) -> str:
    """Prefer the text of the operating system or OpenSSL: aiohttp's repeats the address."""
    match error.__cause__:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as failure):
            return f"{failure.verify_message}; --ca-file names the CA to trust"
        case aiohttp.ClientConnectorError(os_error=OSError(errno=int(number))) if error.reason == "connect":
            return os.strerror(number)  # asyncio's own text repeats the address as well
        case aiohttp.ClientConnectorError(os_error=OSError(strerror=str(text))):
            return text
        case _:
            return error.detail
