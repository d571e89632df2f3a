"""
The session with one Controller: its cookies, and the headers of every request in it. Sends nothing.

Any reply of the Controller may set another session cookie or CSRF token, so the cookies of every reply are taken over.
They are kept here and not by aiohttp, because the session cookie is sent under both names that Controllers use, and all
cookies belong to one origin.
"""

from collections.abc import Mapping
from typing import Final

import aiohttp
from multidict import CIMultiDict

from monitor.config.types import Controller
from monitor.model.masking import KnownSecrets
from monitor.model.secret import Secret

_MAX_COOKIE: Final = 4096  # characters; browsers keep no longer one
_MAX_COOKIES: Final = 32  # a Controller has three; a proxy that sets ever new ones must not fill our requests
_SESSION_COOKIES: Final = ("sessionid", "avi-sessionid")  # older and newer name; the vendor's SDK sends both, too
_KEPT_COOKIES: Final = frozenset({"csrftoken", *_SESSION_COOKIES})


class Session:
    """
    Logged out at first; `begin` follows a log-in, `end` a log-out or a failure.

    ``secrets``: of this Controller; cookies are added to them, and stay there when they are no longer valid.
    """

    def __init__(self, controller: Controller, secrets: KnownSecrets) -> None:
        self._secrets = secrets
        self._url = controller.url
        self._tenant = controller.tenant
        self._cookies: dict[str, Secret] = {}
        self._last_set_cookies: tuple[str, ...] = ()
        self.headers: CIMultiDict[str] | None = None
        """Of every request in the session; None while logged out."""

    @property
    def has_cookie(self) -> bool:
        """Whether the Controller has set the cookie of a session."""
        return any(name in self._cookies for name in _SESSION_COOKIES)

    def begin(self, api_version: str) -> None:
        """Make the headers, with this version of the API, from the cookies that the log-in brought."""
        csrf_token = self._cookies.get("csrftoken")
        self.headers = CIMultiDict(
            {
                "Cookie": "; ".join(f"{name}={value.reveal()}" for name, value in self._cookies.items()),
                "Referer": f"{self._url}/",
                "X-Avi-Tenant": self._tenant,
                "X-Avi-Version": api_version,
                "X-CSRFToken": csrf_token.reveal() if csrf_token else "",
            }
        )

    def end(self) -> CIMultiDict[str] | None:
        """Log out here; the Controller does not learn of it. Returns: the headers of the session."""
        headers, self.headers = self.headers, None
        return headers

    def clear_cookies(self) -> None:
        """Forget all cookies: those of an earlier session must not be part of a log-in."""
        self._cookies.clear()
        self._last_set_cookies = ()

    def headers_with(self, extra: Mapping[str, str]) -> CIMultiDict[str] | None:
        """Return the headers of the session, with some replaced or added for one request."""
        if self.headers is None or not extra:
            return self.headers
        headers = self.headers.copy()
        headers.update(extra)
        return headers

    def update_cookies(self, response: aiohttp.ClientResponse) -> None:
        """Take over the cookies that a reply sets or deletes."""
        # without attributes: `expires` differs in every reply, the value hardly ever
        set_cookies = tuple(header.partition(";")[0] for header in response.headers.getall("Set-Cookie", ()))
        if not set_cookies or set_cookies == self._last_set_cookies:
            return
        self._last_set_cookies = set_cookies
        for name, morsel in response.cookies.items():
            self._cookies.pop(name, None)
            text = morsel.coded_value  # as received: unquoted it could break a header
            if text and len(text) <= _MAX_COOKIE and morsel["max-age"] != "0":
                self._cookies[name] = Secret(text)
                for secret in (self._cookies[name], Secret(morsel.value)):
                    self._secrets.add(secret, "session" if name in _KEPT_COOKIES else "other")
        while len(self._cookies) > _MAX_COOKIES:
            self._cookies.pop(next(name for name in self._cookies if name not in _KEPT_COOKIES))
        self.mirror_session_cookie(next((name for name in _SESSION_COOKIES if name in response.cookies), ""))
        if self.headers is not None:
            self.begin(self.headers["X-Avi-Version"])

    def mirror_session_cookie(self, name: str) -> None:
        """Send the value of this cookie under both names of the session cookie."""
        if value := self._cookies.get(name):
            self._cookies.update(dict.fromkeys(_SESSION_COOKIES, value))
