"""
One controller's session and requests: the only module that speaks to a Controller.

Owns the cookies, the CSRF token, the API version in use and the knowledge of a refused secret. Every wait on the
outside has a deadline here. Knows nothing of metrics or of schedules.
"""

import asyncio
import operator
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, NoReturn
from urllib.parse import quote

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from monitor.avi.connection import Connector, as_poll_error
from monitor.avi.errors import Reply, judge, mask_secrets
from monitor.avi.login import decode_session_cookie_name, decode_version
from monitor.avi.paging import PAGE_SIZE, assemble, decode_page
from monitor.avi.values import api_version_for
from monitor.config.types import Controller
from monitor.model.errors import BadAnswer, Phase, PollError, Refused, Unreachable
from monitor.model.secret import Secret
from monitor.model.snapshot import ObjectList, Page

_MOST_PAGES: Final = 100  # 20,000 images; a Controller that names more is lying, and would hold a poll for ever
_MOST_COOKIES: Final = 32  # a Controller has three; a proxy that sets ever new ones must not fill our requests
MOST_DEADLINES: Final = 10  # one poll takes no longer than so many requests may
_SESSION_COOKIES: Final = ("sessionid", "avi-sessionid")  # older and newer name; the vendor's SDK sends both, too
_KEPT_COOKIES: Final = frozenset({"csrftoken", *_SESSION_COOKIES})
_INVALID_VERSION: Final = b"Invalid version"  # in the words of the 400 that answers a version above the Controller's
_VERSION_MAY_HAVE_MOVED: Final = frozenset({"connect", "timeout", "upgrading", "http_5xx"})


class Link(msgspec.Struct, frozen=True):
    """What the client knows of the far side, for the health of the controller."""

    version: str = ""
    api_version: str = ""
    logins: int = 0
    certificate_expires_at: float | None = None


class Client:
    """
    The session with one controller. Log-ins are single-flight, and a refused secret is never tried again.

    ``session``: this controller's own, see :func:`monitor.avi.connection.open_session`. ``now``: Unix seconds.
    """

    def __init__(
        self,
        controller: Controller,
        session: aiohttp.ClientSession,
        *,
        timeout_s: float,
        max_response: int,
        now: Callable[[], float],
    ) -> None:
        self._controller = controller
        self._session = session
        self._timeout_s = timeout_s
        self._max_response = max_response
        self._now = now
        self._images = URL(f"{controller.url}/api/image?page_size={PAGE_SIZE}")
        self._cookies: dict[str, Secret] = {}
        self._set_cookies: tuple[str, ...] = ()
        self._headers: CIMultiDict[str] | None = None  # None: not logged in
        self._logging_in = asyncio.Lock()
        self._refused: Secret | None = None
        self._secret: Secret | None = None
        self._version_doubtful = False
        self.link = Link()

    def renew(self, *, timeout_s: float, max_response: int) -> None:
        """Go by these limits from now on; and try a secret again that was refused, as an operator looked at it."""
        self._timeout_s = timeout_s
        self._max_response = max_response
        self._refused = None

    async def list_images(self, before: ObjectList) -> ObjectList:
        """
        Read all images. A page whose bytes are what they were is not read again; ``before`` itself when all are.

        Raises: PollError; ``incomplete`` when pages twice in a row did not fit together.
        """
        try:
            async with asyncio.timeout(self._timeout_s * MOST_DEADLINES):
                await self.log_in()
                if self._version_doubtful:
                    await self._read_version()
                return await self._read_listing(before) or await self._read_listing(before) or _incomplete()
        except PollError as error:
            self._version_doubtful |= error.reason in _VERSION_MAY_HAVE_MOVED
            raise
        except TimeoutError as error:
            self._version_doubtful = True
            raise Unreachable("timeout", f"no whole list within {MOST_DEADLINES} deadlines") from error

    async def _read_listing(self, before: ObjectList) -> ObjectList | None:
        """One read of all pages; None when images came or went between them."""
        pages = await self._read_pages(before)
        same = len(pages) == len(before.pages) and all(map(operator.is_, pages, before.pages))
        return before if same and pages else assemble(pages)

    async def log_in(self) -> None:
        """
        Log in, unless a session is alive.

        Raises: PollError; Refused without asking the Controller when the secret is one that it refused before.
        """
        if self._headers is None:
            async with self._logging_in:
                if self._headers is None:  # not by somebody else while we waited
                    await self._log_in()

    async def log_out(self) -> None:
        """End the session on the Controller, as far as it lets us."""
        if self._headers is not None:
            headers, self._headers = self._headers, None
            with suppress(PollError):
                await self._send("POST", URL(f"{self._controller.url}/logout"), "login", headers=headers)

    async def _read_pages(self, before: ObjectList) -> list[Page]:
        pages: list[Page] = []
        came, room = 0, self._max_response
        while len(pages) < _MOST_PAGES:
            url = self._images.update_query(page=len(pages) + 1) if pages else self._images
            body = await self._get(url, "images")
            room -= len(body)
            if room < 0:
                raise BadAnswer("oversize", f"more than {self._max_response} bytes on {len(pages) + 1} pages")
            known = before.pages[len(pages)] if len(pages) < len(before.pages) else None
            page = known if known is not None and known.body == body else decode_page(body, known)
            pages.append(page)
            came += len(page.objects)
            if len(page.objects) < PAGE_SIZE if page.count is None else came >= page.count or not page.objects:
                break
        return pages

    async def get_image(self, uuid: str) -> bytes:
        """
        Read one image as it is now.

        Raises: PollError; with the status 404 when there is none.
        """
        return await self._get(self._image(uuid), "image")

    async def patch_image(self, uuid: str, body: bytes, *, api_version: str) -> bytes:
        """
        Change an image, and give the Controller's answer. One try: only a reply that refused the session is no answer.

        ``body``: in the Controller's form. ``api_version``: that of the body.
        Raises: PollError; Unanswered when nobody knows whether it was done.
        """
        reply = await self._ask("PATCH", self._image(uuid), "patch", body=body, api_version=api_version)
        if 200 <= reply.status < 300:
            return reply.body
        raise self._judge(reply, "patch") or BadAnswer("decode", f"{reply.status}", phase="patch")

    def _image(self, uuid: str) -> URL:
        return URL(f"{self._controller.url}/api/image/{quote(uuid, safe='')}", encoded=True)

    async def _ask(
        self, method: str, url: URL, phase: Phase, *, body: bytes | None = None, api_version: str = ""
    ) -> Reply:
        """
        One request of a session, with one more try after a session that ended or was switched: nothing was done then.

        A 419 brings the cookies to go on with; a 401 needs a new log-in, and so does a version that is none any more.
        """

        async def send() -> Reply:
            more = {"X-Avi-Version": api_version, "Content-Type": "application/json"} if api_version else {}
            return await self._send(method, url, phase, headers=self._session_headers(more), data=body)

        await self.log_in()
        session = self.link.logins
        reply = await send()
        if reply.status == 419:
            return await send()
        if reply.status == 401 or (body is None and self._is_outdated(reply)):
            if self.link.logins == session:
                self._headers = None
            await self.log_in()
            return await send()
        return reply

    def _session_headers(self, more: Mapping[str, str]) -> CIMultiDict[str] | None:
        if self._headers is None or not more:
            return self._headers
        headers = self._headers.copy()
        headers.update(more)
        return headers

    async def _get(self, url: URL, phase: Phase) -> bytes:
        """Read one resource of a session."""
        reply = await self._ask("GET", url, phase)
        if error := self._judge(reply, phase):
            if reply.status == 419 or (reply.status == 400 and _INVALID_VERSION not in reply.body):
                self._headers = None  # it stays so with this session; the next poll begins with a new one
            raise error
        return reply.body

    def _is_outdated(self, reply: Reply) -> bool:
        """Whether the Controller is older than the version we ask for; a new log-in tells, unless it is pinned."""
        return reply.status == 400 and _INVALID_VERSION in reply.body and not self._controller.api_version

    def _judge(self, reply: Reply, phase: Phase) -> PollError | None:
        """The error that a reply is, or None. Whatever the Controller echoes, its words hold no secret of ours."""
        if reply.status == 200 and reply.body:
            return None
        secrets = [*self._cookies.values(), *filter(None, [self._secret])]
        return judge(mask_secrets(reply, secrets), phase, now=self._now())

    async def _log_in(self) -> None:
        secret = self._present_secret()
        self._cookies.clear()
        self._set_cookies = ()
        self.link = msgspec.structs.replace(self.link, logins=self.link.logins + 1)
        form = {"username": self._controller.username, "password": secret.reveal()}
        reply = await self._send("POST", URL(f"{self._controller.url}/login"), "login", data=form)
        error = self._judge(reply, "login")
        if isinstance(error, Refused):
            self._refused = secret
        if error:
            raise error
        self._refused = None  # a password that was refused once may be the right one again, when others were between
        self._mirror_session_cookies(decode_session_cookie_name(reply.body))
        await self._use_version(decode_version(reply.body))

    def _present_secret(self) -> Secret:
        """The secret to log in with. An empty file is one being written: no change."""
        self._secret = self._controller.password.read() or self._secret
        if self._secret is None:
            raise Refused("auth", "the secret is empty; write the password to it", phase="login")
        if self._secret == self._refused:
            raise Refused("auth", "suspended: this password was refused; change the secret", phase="login")
        return self._secret

    async def _use_version(self, version: str) -> None:
        """Ask for the object model of this version from now on; an older one hides the progress of images."""
        self._note_version(version)
        if not version:
            await self._read_version()

    async def _read_version(self) -> None:
        """Ask for the version where log-in did not say it, or where an upgrade may have changed it."""
        reply = await self._send(
            "GET", URL(f"{self._controller.url}/api/initial-data"), "version", headers=self._headers
        )
        if version := decode_version(reply.body):
            self._note_version(version)
        self._version_doubtful = self._judge(reply, "version") is not None

    def _note_version(self, version: str) -> None:
        api_version = self._controller.api_version or api_version_for(version)
        self.link = msgspec.structs.replace(self.link, version=version[:64], api_version=api_version)
        self._headers = self._make_headers(api_version)
        self._version_doubtful = False

    def _make_headers(self, api_version: str) -> CIMultiDict[str]:
        return CIMultiDict(
            {
                "Cookie": "; ".join(f"{name}={value.reveal()}" for name, value in self._cookies.items()),
                "Referer": f"{self._controller.url}/",
                "X-Avi-Tenant": self._controller.tenant,
                "X-Avi-Version": api_version,
                "X-CSRFToken": self._cookies.get("csrftoken", Secret("")).reveal(),
            }
        )

    def _adopt_cookies(self, response: aiohttp.ClientResponse) -> None:
        """Take over what the reply sets; the Controller renews its session cookies with every answer."""
        # without attributes: when a cookie ends is another moment in every answer, its value hardly ever changes
        set_cookies = tuple(each.partition(";")[0] for each in response.headers.getall("Set-Cookie", ()))
        if not set_cookies or set_cookies == self._set_cookies:
            return
        self._set_cookies = set_cookies
        for name, morsel in response.cookies.items():
            self._cookies.pop(name, None)
            if morsel.coded_value and morsel["max-age"] != "0":
                self._cookies[name] = Secret(morsel.coded_value)  # as it came: unquoted it could break a header
        while len(self._cookies) > _MOST_COOKIES:
            self._cookies.pop(next(name for name in self._cookies if name not in _KEPT_COOKIES))
        self._mirror_session_cookies(next((name for name in _SESSION_COOKIES if name in response.cookies), ""))
        if self._headers is not None:
            self._headers = self._make_headers(self._headers["X-Avi-Version"])

    def _mirror_session_cookies(self, name: str) -> None:
        if session := self._cookies.get(name):
            self._cookies.update(dict.fromkeys(_SESSION_COOKIES, session))

    async def _send(
        self,
        method: str,
        url: URL,
        phase: Phase,
        *,
        headers: CIMultiDict[str] | None = None,
        data: dict[str, str] | bytes | None = None,
    ) -> Reply:
        """One request and its whole answer, within the deadline and the size limit."""
        async with (
            as_poll_error(phase),
            asyncio.timeout(self._timeout_s),
            self._session.request(method, url, headers=headers, data=data, allow_redirects=False) as response,
        ):
            body = await self._read(response, phase)
            self._adopt_cookies(response)
            self._note_certificate()
            return Reply(response.status, response.headers, body)

    async def _read(self, response: aiohttp.ClientResponse, phase: Phase) -> bytes:
        """The body, decompressed, as long as it stays within the limit; whatever length was announced."""
        chunks: list[bytes] = []
        room = self._max_response
        async for chunk in response.content.iter_any():
            room -= len(chunk)
            if room < 0:
                raise BadAnswer("oversize", f"more than {self._max_response} bytes", phase=phase)
            chunks.append(chunk)
        return b"".join(chunks)

    def _note_certificate(self) -> None:
        connector = self._session.connector
        if isinstance(connector, Connector) and connector.certificate_expires_at != self.link.certificate_expires_at:
            self.link = msgspec.structs.replace(self.link, certificate_expires_at=connector.certificate_expires_at)


def _incomplete() -> NoReturn:
    raise BadAnswer("incomplete", "twice the pages disagreed on the count, or fewer images came than were counted")
