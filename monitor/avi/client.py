"""
The requests to one Controller: the only module that sends any.

Owns the session, the API version in use, and the password that the Controller refused, if any. Every wait for the
Controller has a timeout here. Knows nothing of metrics or of schedules.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from monitor.avi.errors import Reply, classify_reply
from monitor.avi.exchange import PATIENCE, Exchange, Request
from monitor.avi.inventory import FIRST_VERSION, decode_images_in_use
from monitor.avi.link import Link
from monitor.avi.list_reader import read_list
from monitor.avi.login import clock_ahead_s, decode_account, decode_session_cookie_name, decode_version
from monitor.avi.login_password import LoginPassword, UpgradeWindow
from monitor.avi.paging import PAGE_SIZE, identify
from monitor.avi.session import Session
from monitor.avi.unit_reader import UnitReader
from monitor.avi.values import api_version_for, version_key
from monitor.config.settings import Upgrades
from monitor.config.types import Controller
from monitor.model.errors import BadStatus, LoginRefused, Phase, PollError, Unreachable
from monitor.model.masking import KnownSecrets
from monitor.model.snapshot import ObjectList

IMAGES_TIMEOUT_FACTOR: Final = 10
"""The time limit of the read of all images, as a multiple of the timeout of one request; it may make more of them."""
UNITS_TIMEOUT_FACTOR: Final = 5
"""The same of the upgrade status, which has to be in time for the next poll."""
POLL_TIMEOUT_FACTOR: Final = IMAGES_TIMEOUT_FACTOR + UNITS_TIMEOUT_FACTOR
"""The same of a whole poll."""

_INVALID_VERSION: Final = b"Invalid version"  # in the 400 that answers a version above the Controller's
_REFUSALS_PER_SESSION: Final = 60  # so that a refusal that stays costs one log-in an hour
_VERSION_MAY_HAVE_CHANGED: Final = frozenset({"connect", "timeout", "upgrading", "http_5xx"})


Observer = Callable[[Request, Reply | PollError, float], None]
"""Called after each exchange with what was sent, what came of it, and how many seconds that took."""


class Client:
    """
    The client of one Controller. Concurrent calls share one log-in, and a refused password is not tried again.

    ``http``: for this Controller alone, see :func:`monitor.avi.connection.open_session`. ``now``: Unix seconds.
    ``secrets``: what was ever held for this Controller, also by clients before this one; it is never shown.
    ``upgrade``: when an upgrade was last under way; shared by the clients of one Controller.
    ``patience``: see :mod:`monitor.avi.exchange`. ``observe``: None: there is no observer.
    """

    def __init__(
        self,
        controller: Controller,
        http: aiohttp.ClientSession,
        *,
        timeout_s: float,
        max_response: int,
        now: Callable[[], float],
        secrets: KnownSecrets | None = None,
        upgrade: UpgradeWindow | None = None,
        images_timeout_factor: float = IMAGES_TIMEOUT_FACTOR,
        patience: float = PATIENCE,
        observe: Observer | None = None,
    ) -> None:
        self._controller = controller
        self._observe: Observer = observe or (lambda _request, _outcome, _took_s: None)
        self._exchange = Exchange(
            http, self._on_response, timeout_s=timeout_s, max_response=max_response, patience=patience
        )
        self._now = now
        self._images_timeout_factor = images_timeout_factor
        self._images_url = URL(f"{controller.url}/api/image?page_size={PAGE_SIZE}")
        self.units = UnitReader(self._list_units, self._get_unit, self._get_cluster_uuid, monotonic=time.monotonic)
        self._secrets = secrets or KnownSecrets()
        self._session = Session(controller, self._secrets)
        self._login_lock = asyncio.Lock()
        self._password = LoginPassword(controller.password, upgrade or UpgradeWindow(), monotonic=time.monotonic)
        self._version_uncertain = False
        self._session_accepted = False
        """Whether any request in the session had another reply than a 401."""
        self._refused_requests = 0
        """How many replies in a row refused a request that is always the same; see `_blames_session`."""
        self.link = Link()

    @property
    def received(self) -> int:
        """How many pieces of replies have come: it grows as long as the Controller is not silent."""
        return self._exchange.received

    def set_limits(self, *, timeout_s: float, max_response: int, upgrades: Upgrades) -> None:
        """Set the limits after a reload. A refused password stays refused: a reload must not lock the account."""
        self._exchange.timeout_s = timeout_s
        self._exchange.max_response = max_response
        self.units.settings = upgrades

    def inherit_refusal(self, before: "Client") -> None:
        """Do not try a password that the Controller refused to the client before, for the same account."""
        ours, theirs = self._controller, before._controller  # noqa: SLF001  of the same class
        if (ours.url, ours.username) == (theirs.url, theirs.username):
            self._password.inherit(before._password)  # noqa: SLF001

    async def list_images(self, before: ObjectList) -> ObjectList:
        """
        Read all images. A page whose bytes did not change is not decoded again. Returns: ``before`` itself when none
        changed.

        Raises: PollError; ``incomplete`` when the pages of two reads did not fit together.
        """
        try:
            async with self._limit(self._images_timeout_factor, "images"):
                await self.log_in()
                if self._version_uncertain:
                    await self._read_version()
                return await self._read_list(self._images_url, before, "images")
        except PollError as error:
            if error.reason in _VERSION_MAY_HAVE_CHANGED:
                self._version_uncertain = True
                self.units.read_all_next()
            raise

    async def list_units(self, before: ObjectList) -> ObjectList:
        """
        Read the upgrade status of the cluster, the SE groups and the Service Engines; see `UnitReader`.

        Returns: ``before`` itself when nothing changed. Raises: PollError; its reason is ``forbidden`` when the account
        may not read it, and ``absent`` when the Controller is too old to have it.
        """
        try:
            async with self._limit(UNITS_TIMEOUT_FACTOR, "upgrade"):
                await self.log_in()
                return await self.units.read(before, version=self.link.version)
        except PollError as error:
            if error.status == 403 and error.reason == "http_4xx":
                raise BadStatus("forbidden", error.detail, phase="upgrade", status=403) from error
            raise

    async def list_images_in_use(self) -> Mapping[str, bool]:
        """
        Read which images the Controller says are in use, by uuid: an account that may read images may read this.

        Returns: empty from a Controller before release 32.2.1, which does not say it. Raises: PollError.
        """
        if version_key(self.link.version) < FIRST_VERSION:
            return {}
        body = await self._get(URL(f"{self._controller.url}/api/image-inventory"), "inventory")
        # in a thread: it has every image, with all its events
        return await asyncio.to_thread(decode_images_in_use, body, max_response=self._exchange.max_response)

    def note_upgrade(self) -> None:
        """Note that an upgrade is under way at present."""
        self._password.note_upgrade()

    @asynccontextmanager
    async def _limit(self, factor: float, phase: Phase) -> AsyncIterator[None]:
        """Limit the time of all requests that one list takes."""
        limit_s = self._exchange.timeout_s * factor
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError as error:
            raise Unreachable("timeout", f"no complete list within {limit_s:g} s", phase=phase) from error

    async def _list_units(self, name: str, before: ObjectList) -> ObjectList:
        url = URL(f"{self._controller.url}/api/{name}?page_size={PAGE_SIZE}&include_name=true")
        return await self._read_list(url, before, "upgrade")

    async def _get_unit(self, name: str, uuid: str) -> bytes:
        path = f"/api/{name}/{quote(uuid, safe='')}?include_name=true"
        return await self._get(URL(f"{self._controller.url}{path}", encoded=True), "upgrade")

    async def _get_cluster_uuid(self) -> str:
        return identify(msgspec.Raw(await self._get(URL(f"{self._controller.url}/api/cluster"), "upgrade")))

    async def get_image(self, uuid: str) -> bytes:
        """
        Read one image as it is now.

        Raises: PollError; its status is 404 when the image does not exist.
        """
        return await self._get(self._image_url(uuid), "image")

    async def patch_image(self, uuid: str, body: bytes, *, api_version: str) -> Reply:
        """
        Change an image. The request is sent once; a second time only after a reply that the session is not valid.

        ``body``: JSON, as the Controller expects it. ``api_version``: of the body. Returns: any 2xx, also an empty one.
        Raises: PollError; Unanswered when it is unknown whether the change was made.
        """
        self._exchange.connector.drop_idle()  # a PATCH is sent once: not on a connection that may be dead
        headers = {"X-Avi-Version": api_version, "Content-Type": "application/json"}
        reply = await self._request("PATCH", self._image_url(uuid), "patch", body=body, headers=headers)
        if error := self._error_of(reply, "patch"):
            raise error
        return reply

    async def log_in(self) -> None:
        """
        Log in, unless there is a session.

        Raises: PollError; LoginRefused without a request when the Controller has already refused the current password.
        """
        if self._session.headers is None:
            async with self._login_lock:
                if self._session.headers is None:  # another call may have logged in meanwhile
                    await self._log_in()

    async def log_out(self) -> None:
        """End the session on the Controller; errors are ignored."""
        if headers := self._session.end():
            for name in ("X-Avi-Version", "X-Avi-Tenant"):  # it may not have them
                headers.pop(name, None)
            with suppress(PollError):
                await self._send("POST", URL(f"{self._controller.url}/logout"), "login", headers=headers)

    async def _read_list(self, url: URL, before: ObjectList, phase: Phase) -> ObjectList:
        def get(page: int) -> Awaitable[bytes]:
            return self._get(url.update_query(page=page) if page > 1 else url, phase)

        return await read_list(get, before, max_response=self._exchange.max_response, phase=phase)

    def _image_url(self, uuid: str) -> URL:
        return URL(f"{self._controller.url}/api/image/{quote(uuid, safe='')}", encoded=True)

    async def _get(self, url: URL, phase: Phase) -> bytes:
        tenant = self._controller.upgrades_tenant if phase == "upgrade" else ""
        reply = await self._request("GET", url, phase, headers={"X-Avi-Tenant": tenant} if tenant else {})
        if error := self._error_of(reply, phase):
            is_refused = reply.status == 419 or (reply.status == 400 and _INVALID_VERSION not in reply.body)
            if is_refused and self._blames_session():
                await self.log_out()  # this session might get the same reply for ever; the next poll logs in
            raise error
        self._refused_requests = 0
        return reply.body

    async def _request(
        self, method: str, url: URL, phase: Phase, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """
        Send a request in a session; after a reply that ended the session, log in and send it once more.

        The Controller has not acted on the first one then. There is no second log-in if the session was new.
        ``headers``: in addition to those of the session, or in their place.
        """

        async def send() -> Reply:
            return await self._send(method, url, phase, headers=self._session.headers_with(headers), data=body)

        await self.log_in()
        was_accepted = self._session_accepted
        reply = await self._send_in_session(send, is_write=body is not None)
        ended = reply.status == 401 or (body is None and self._session.headers is None)
        return await self._send_in_session(send, is_write=body is not None) if was_accepted and ended else reply

    async def _send_in_session(self, send: Callable[[], Awaitable[Reply]], *, is_write: bool) -> Reply:
        """
        Send a request, after a log-in if there is no session, and once more after a 419, which sets new cookies.

        A 401 ends the session, and so may a 400 because the Controller does not have the API version.
        """
        await self.log_in()
        logins, was_accepted = self.link.logins, self._session_accepted
        reply = await send()
        if reply.status == 419:
            return await send()
        is_over = reply.status == 401 or (not is_write and self._is_outdated(reply) and self._blames_session())
        if is_over and self.link.logins == logins:  # else another call has logged in again
            # The Controller ends a session by itself, and then replies 401. It did not if it has just made the session,
            # or if the 401 of a write is about the CSRF token.
            if reply.status == 401 and was_accepted and not is_write:
                self._session.end()
            else:
                await self.log_out()
        if reply.status != 401:
            self._session_accepted = True
            self._password.used()
        return reply

    def _blames_session(self) -> bool:
        """
        Count a refused request that is always the same; return whether the session is to be given up for it.

        What is refused in the next session, too, may be refused in every one. So only the first refusal, and then one
        of many, ends a session: a log-in at each poll would help nothing.
        """
        self._refused_requests += 1
        return self._refused_requests % _REFUSALS_PER_SESSION == 1

    def _is_outdated(self, reply: Reply) -> bool:
        """Whether the Controller is now older than the version in use, which a log-in corrects unless it is pinned."""
        return reply.status == 400 and _INVALID_VERSION in reply.body and not self._controller.api_version

    def _error_of(self, reply: Reply, phase: Phase) -> PollError | None:
        """Return the error that a reply is, or None. Secrets that the Controller echoes are masked."""
        return classify_reply(reply, phase, now=self._now(), mask=self._secrets.mask)

    async def _log_in(self) -> None:
        password = self._password.read()
        self._secrets.add(password)
        self._exchange.connector.drop_idle()  # a log-in is sent once: not on a connection that may be dead
        self._session.clear_cookies()
        self._session_accepted = False
        self.link = msgspec.structs.replace(self.link, logins=self.link.logins + 1)
        form, sent_at = {"username": self._controller.username, "password": password.reveal()}, self._now()
        try:
            reply = await self._send("POST", URL(f"{self._controller.url}/login"), "login", data=form)
            if error := self._error_of(reply, "login"):
                raise error
        except LoginRefused as error:
            raise self._password.refused(error) from error
        except PollError:
            if self._session.has_cookie:  # the Controller made a session, though its reply is of no use
                self._session.begin("")
                await self.log_out()
            raise
        self._password.accepted()
        self.units.read_all_next()  # the Controllers may have another leader
        ahead_s = clock_ahead_s(reply.headers.get("Date", ""), sent_at=sent_at, received_at=self._now())
        self.link = msgspec.structs.replace(self.link, account=decode_account(reply.body), clock_ahead_s=ahead_s)
        self._session.mirror_session_cookie(decode_session_cookie_name(reply.body))
        version = decode_version(reply.body)
        self._set_version(version)
        if not version:
            await self._read_version()

    async def _read_version(self) -> None:
        """Request the version, because the log-in did not return it or an upgrade may have changed it."""
        url = URL(f"{self._controller.url}/api/initial-data")
        reply = await self._send("GET", url, "version", headers=self._session.headers)
        if version := decode_version(reply.body):
            self._set_version(version)
        self._version_uncertain = self._error_of(reply, "version") is not None

    def _set_version(self, version: str) -> None:
        """Send the API version of this version, or the pinned one, from now on. Old ones lack the image progress."""
        api_version = self._controller.api_version or api_version_for(version)
        shown = self._secrets.mask.clip(version, 64)
        self.link = msgspec.structs.replace(self.link, version=shown, api_version=api_version)
        self._session.begin(api_version)
        self._version_uncertain = False

    async def _send(
        self,
        method: str,
        url: URL,
        phase: Phase,
        *,
        headers: CIMultiDict[str] | None = None,
        data: dict[str, str] | bytes | None = None,
    ) -> Reply:
        request, loop = Request(method, url, phase, headers, data), asyncio.get_running_loop()
        began = loop.time()
        try:
            reply = await self._exchange.send(request)
        except PollError as error:
            self._observe(request, error, loop.time() - began)
            raise
        self._observe(request, reply, loop.time() - began)
        return reply

    def _on_response(self, response: aiohttp.ClientResponse) -> None:
        """Take over cookies and certificate of a reply, whatever becomes of its body."""
        self._session.update_cookies(response)
        expires_at = self._exchange.connector.certificate_expires_at
        if expires_at != self.link.certificate_expires_at:
            self.link = msgspec.structs.replace(self.link, certificate_expires_at=expires_at)
