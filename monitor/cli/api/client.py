"""A running daemon over HTTP: one question, one try, one decoded answer or one of the errors in ``answers``."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import msgspec
from yarl import URL

from monitor import __version__
from monitor.avi.connection import as_poll_error
from monitor.avi.resolver import Resolver
from monitor.cli.api.responses import (
    DOUBT,
    Answer,
    ConnectionLost,
    Controllers,
    ImageList,
    Seen,
    ServerError,
    decode,
    decode_seen,
    judge,
)
from monitor.cli.options import Access
from monitor.config.validation import printable
from monitor.model.errors import BadAnswer, PollError, Reason, Unanswered, Unreachable

_LARGEST: Final = 64 * 1024 * 1024  # bytes; a page of 200 images has a few million
_WORDS: Final[Mapping[Reason, str]] = {
    "dns": "its name leads nowhere",
    "tls": "no trusted connection",
    "timeout": "no answer (see --timeout)",
}


class _Connector(aiohttp.TCPConnector):
    """
    A connector that ends its connections with itself.

    One that the far side wants closed would else go on saying good-bye in TLS, and uvloop cannot end while it does.
    """

    def __init__(self, ca_file: Path | None) -> None:
        trust = ssl.create_default_context(cafile=ca_file) if ca_file else True
        super().__init__(ssl=trust, resolver=Resolver())
        self._opened: set[asyncio.Transport] = set()

    async def connect(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  the signature is aiohttp's
        """Connect, and remember it."""
        connection = await super().connect(*args, **options)
        if connection.transport is not None:
            self._opened.add(connection.transport)
        return connection

    async def close(self, *, abort_ssl: bool = True) -> None:
        """At once."""
        for transport in self._opened:
            transport.abort()
        await super().close(abort_ssl=abort_ssl)


@asynccontextmanager
async def calling(access: Access) -> AsyncIterator["Remote"]:
    """The daemon, for as long as the context lasts."""
    async with aiohttp.ClientSession(
        connector=_Connector(access.ca_file),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "User-Agent": f"avi-upgrade-monitor/{__version__}"},
        timeout=aiohttp.ClientTimeout(total=None),  # every request has its own deadline
        trust_env=False,
    ) as session:
        yield Remote(access, session)


class Remote:
    """Every method raises Rejected and ServerError."""

    def __init__(self, access: Access, session: aiohttp.ClientSession) -> None:
        self._access = access
        self._session = session

    async def images(self, **query: str) -> list[msgspec.Raw]:
        """The Image objects that the query selects, of all pages."""
        raws: list[msgspec.Raw] = []
        for page in count(1):
            listing = decode((await self.ask("GET", "/api/image", {**query, "page": str(page)})).body, ImageList)
            raws += listing.results
            if not listing.next or not listing.results:
                break
        return raws

    async def image(self, uuid: str, controller: str) -> tuple[Seen, str]:
        """One Image, and its entity tag. ``controller`` may be empty."""
        query = {"controller": controller} if controller else {}
        answer = await self.ask("GET", path_of(uuid), query)
        return decode_seen(msgspec.Raw(answer.body)), answer.etag

    async def controllers(self) -> Controllers:
        """How polling them goes."""
        return decode((await self.ask("GET", "/api/controllers")).body, Controllers)

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request. What is not GET is taken for a change."""
        changing = method != "GET"
        request_id = uuid4().hex
        sent = self._headers(request_id, headers or {})
        url = URL(f"{self._access.url}{path}", encoded=True).with_query(query or {})
        try:
            answer = await self._send(method, url, sent, body)
        except PollError as error:
            raise self._unserved(error, f" {DOUBT} (request {request_id})" if changing else "") from error
        if failure := judge(answer, changing=changing):
            raise failure
        return answer

    @asynccontextmanager
    async def listening(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
        """
        An answer that goes on for long: a function that waits for its next bytes; none: it has ended.

        Raises: ConnectionLost, also from that function, when there is no connection and there may be one later.
        """
        sent = self._headers(uuid4().hex, headers)
        with self._losing():
            response = await self._open(URL(f"{self._access.url}{path}", encoded=True), sent)
        try:
            yield partial(self._next, response)
        finally:
            response.close()

    async def _open(self, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """The head of a stream of events. What is none is read whole and told as what it is."""
        async with as_poll_error("images"), asyncio.timeout(self._access.timeout_s):
            response = await self._session.get(url, headers=headers, allow_redirects=False)
            if response.status == 200 and response.content_type == "text/event-stream":
                return response
            async with response:
                answer = await _answer_of(response)
        if answer.status == 404:
            raise ServerError(f"the daemon has no {url.path}: it is older than this command")
        failure = judge(answer, changing=False) or ServerError(
            f"{url.path} is no stream of events: is this the daemon?"
        )
        raise ConnectionLost(str(failure), failure.problem) if answer.status >= 500 else failure

    async def _next(self, response: aiohttp.ClientResponse) -> bytes:
        with self._losing():
            async with as_poll_error("images"), asyncio.timeout(self._access.timeout_s):
                return await response.content.readany()

    @contextmanager
    def _losing(self) -> Iterator[None]:
        """What happens to the connection is ConnectionLost; what is not what it says it is stays ServerError."""
        try:
            yield
        except Unreachable as error:
            silent = error.reason == "timeout"
            words = f"nothing came for {self._access.timeout_s:g} s" if silent else str(self._unserved(error, ""))
            raise ConnectionLost(words) from error
        except PollError as error:
            raise self._unserved(error, "") from error

    def _headers(self, request_id: str, more: Mapping[str, str]) -> dict[str, str]:
        token = self._access.token
        credential = {"Authorization": f"Bearer {token.reveal()}"} if token else {}
        return {"X-Request-ID": request_id, **more, **credential}

    async def _send(self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None) -> Answer:
        async with (
            as_poll_error("images"),
            asyncio.timeout(self._access.timeout_s),
            self._session.request(method, url, headers=headers, data=body, allow_redirects=False) as response,
        ):
            return await _answer_of(response)

    def _unserved(self, error: PollError, doubt: str) -> ServerError:
        """``doubt``: what is said beside it when the request may have gone out."""
        sent = not isinstance(error, Unreachable) or isinstance(error, Unanswered)
        words = _WORDS.get(error.reason, "no connection") if isinstance(error, Unreachable) else "no answer of its own"
        detail = printable(f"{self._access.url}: {words}: {_detail(error)}")
        return ServerError(detail + (f";{doubt}" if doubt and sent else ""))


def _detail(error: PollError) -> str:
    """In the system's words where it has some: aiohttp's repeat the address."""
    match error.__cause__:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as why):
            return f"{why.verify_message}; --ca-file names the CA to trust"
        case aiohttp.ClientConnectorError(os_error=OSError(errno=int(number))) if error.reason == "connect":
            return os.strerror(number)  # theirs may be asyncio's, which repeats the address as well
        case aiohttp.ClientConnectorError(os_error=OSError(strerror=str(words))):
            return words
        case _:
            return error.detail


async def _answer_of(response: aiohttp.ClientResponse) -> Answer:
    return Answer(
        response.status,
        response.reason or "",
        response.headers.get("Content-Type", ""),
        response.headers.get("Location", ""),
        response.headers.get("ETag", ""),
        await _read(response),
    )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _LARGEST:
            raise BadAnswer("oversize", f"more than {_LARGEST} bytes")
    return bytes(body)


def path_of(uuid: str) -> str:
    """The path of an image's own resource."""
    return f"/api/image/{quote(uuid, safe='')}"
