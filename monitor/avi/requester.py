"""
Sends the requests to one Controller, in a session: the only module that sends any.

Owns the session, the API version in use, and the password that the Controller refused, if any. What the requests ask
for is `monitor.avi.client`'s.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from monitor.avi.errors import Reply, classify_reply
from monitor.avi.exchange import Exchange, Request
from monitor.avi.link import Link
from monitor.avi.login import clock_ahead_s, decode_account, decode_session_cookie_name, decode_version
from monitor.avi.login_password import LoginPassword, UpgradeWindow
from monitor.avi.session import Session
from monitor.avi.values import api_version_for
from monitor.config.types import Controller
from monitor.model.errors import LoginRefused, Phase, PollError
from monitor.model.masking import KnownSecrets

_INVALID_VERSION: Final = b"Invalid version"  # in the 400 that answers a version above the Controller's
_REFUSALS_PER_SESSION: Final = 60  # so that a refusal that stays costs one log-in an hour

Observer = Callable[[Request, Reply | PollError, float], None]
"""Called after each exchange with what was sent, what came of it, and how many seconds that took."""


class Requester:
    """
    Concurrent calls share one log-in, and a refused password is not tried again.

    ``secrets``: what was ever held for this Controller, also before; it is never shown. ``upgrade``: when an upgrade
    was last under way. ``on_log_in``: called after each log-in. Else as `monitor.avi.client.Client`.
    """

    def __init__(
        self,
        controller: Controller,
        http: aiohttp.ClientSession,
        *,
        timeout_s: float,
        max_response: int,
        now: Callable[[], float],
        secrets: KnownSecrets,
        upgrade: UpgradeWindow,
        resend_after: float,
        observe: Observer,
        on_log_in: Callable[[], None],
    ) -> None:
        self._controller = controller
        self._observe = observe
        self._on_log_in = on_log_in
        self.exchange = Exchange(
            http, self._on_response, timeout_s=timeout_s, max_response=max_response, resend_after=resend_after
        )
        self._now = now
        self._secrets = secrets
        self._session = Session(controller, secrets)
        self._login_lock = asyncio.Lock()
        self.password = LoginPassword(controller.password, upgrade, monotonic=time.monotonic)
        self.version_uncertain = False
        """Whether the Controller may run another version by now."""
        self._session_accepted = False
        """Whether any request in the session had another reply than a 401."""
        self._refused_requests = 0
        """How many replies in a row refused a request that is always the same; see `_blames_session`."""
        self.link = Link()

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

    async def get(self, url: URL, phase: Phase, *, headers: Mapping[str, str]) -> bytes:
        """Return the body of a reply. ``headers``: as those of `send_once`. Raises: PollError."""
        reply = await self._request("GET", url, phase, headers=headers)
        if error := self._error_of(reply, phase):
            is_refused = reply.status == 419 or (reply.status == 400 and _INVALID_VERSION not in reply.body)
            if is_refused and self._blames_session():
                await self.log_out()  # this session might get the same reply for ever; the next poll logs in
            raise error
        self._refused_requests = 0
        return reply.body

    async def send_once(self, method: str, url: URL, phase: Phase, *, body: bytes, headers: Mapping[str, str]) -> Reply:
        """
        Send a change once; a second time only after a reply that the session is not valid.

        ``headers``: in addition to those of the session, or in their place. Returns: any 2xx.
        Raises: PollError; Unanswered when it is unknown whether the Controller acted on it.
        """
        self.exchange.connector.drop_idle()  # it is sent once: not on a connection that may be dead
        reply = await self._request(method, url, phase, body=body, headers=headers)
        if error := self._error_of(reply, phase):
            raise error
        return reply

    async def confirm_version(self) -> None:
        """Log in, unless there is a session, and ask for the version if it may have changed. Raises: PollError."""
        await self.log_in()
        if self.version_uncertain:
            await self._read_version()

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
        is_over = reply.status == 401 or (not is_write and self._refuses_version(reply) and self._blames_session())
        if is_over and self.link.logins == logins:  # else another call has logged in again
            # The Controller ends a session by itself, and then replies 401. It did not if it has just made the session,
            # or if the 401 of a write is about the CSRF token.
            if reply.status == 401 and was_accepted and not is_write:
                self._session.end()
            else:
                await self.log_out()
        if reply.status != 401:
            self._session_accepted = True
            self.password.used()
        return reply

    def _blames_session(self) -> bool:
        """
        Count a refused request that is always the same; return whether the session is to be given up for it.

        What is refused in the next session, too, may be refused in every one. So only the first refusal, and then one
        of many, ends a session: a log-in at each poll would help nothing.
        """
        self._refused_requests += 1
        return self._refused_requests % _REFUSALS_PER_SESSION == 1

    def _refuses_version(self, reply: Reply) -> bool:
        """Whether the Controller is now older than the version in use, which a log-in corrects unless it is pinned."""
        return reply.status == 400 and _INVALID_VERSION in reply.body and not self._controller.api_version

    def _error_of(self, reply: Reply, phase: Phase) -> PollError | None:
        """Return the error that a reply is, or None. Secrets that the Controller echoes are masked."""
        return classify_reply(reply, phase, now=self._now(), mask=self._secrets.mask)

    async def _log_in(self) -> None:
        password = self.password.read()
        self._secrets.add(password)
        self.exchange.connector.drop_idle()  # a log-in is sent once: not on a connection that may be dead
        self._session.clear_cookies()
        self._session_accepted = False
        self.link = msgspec.structs.replace(self.link, logins=self.link.logins + 1)
        form, sent_at = {"username": self._controller.username, "password": password.reveal()}, self._now()
        try:
            reply = await self._send("POST", URL(f"{self._controller.url}/login"), "login", data=form)
            if error := self._error_of(reply, "login"):
                raise error
        except LoginRefused as error:
            raise self.password.refused(error) from error
        except PollError:
            if self._session.has_cookie:  # the Controller made a session, though its reply is of no use
                self._session.begin("")
                await self.log_out()
            raise
        self.password.accepted()
        self._on_log_in()
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
        self.version_uncertain = self._error_of(reply, "version") is not None

    def _set_version(self, version: str) -> None:
        """Send the API version of this version, or the pinned one, from now on. Old ones lack the image progress."""
        api_version = self._controller.api_version or api_version_for(version)
        shown = self._secrets.mask.clip(version, 64)
        self.link = msgspec.structs.replace(self.link, version=shown, api_version=api_version)
        self._session.begin(api_version)
        self.version_uncertain = False

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
            reply = await self.exchange.send(request)
        except PollError as error:
            self._observe(request, error, loop.time() - began)
            raise
        self._observe(request, reply, loop.time() - began)
        return reply

    def _on_response(self, response: aiohttp.ClientResponse) -> None:
        """Take over cookies and certificate of a reply, whatever becomes of its body."""
        self._session.update_cookies(response)
        expires_at = self.exchange.connector.certificate_expires_at
        if expires_at != self.link.certificate_expires_at:
            self.link = msgspec.structs.replace(self.link, certificate_expires_at=expires_at)
