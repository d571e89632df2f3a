"""One simulated Controller with its socket: the interface for tests, scenarios and commands."""

import ssl
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from monitor.simulator.clock import Clock
from monitor.simulator.faults import Fault
from monitor.simulator.http_types import HttpRequest, HttpResponse, Json
from monitor.simulator.images import LiteralImage
from monitor.simulator.listener import Listener
from monitor.simulator.request_log import LoggedRequest
from monitor.simulator.router import respond
from monitor.simulator.server import handle
from monitor.simulator.sessions import Session
from monitor.simulator.specs import ControllerSpec, ImageKind, UploadOutcome, UploadSpec
from monitor.simulator.state import ControllerState


class SimulatedController(ControllerState):
    """A Controller cluster at one address."""

    def __init__(
        self, spec: ControllerSpec, *, index: int, seed: str, clock: Clock, host: str, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(spec, index=index, seed=seed, clock=clock, secure=tls is not None)
        self.listener = Listener(partial(handle, self), host, spec.port, tls)

    # -- address and account

    @property
    def url(self) -> str:
        """The URL at which it listens, or will listen again."""
        return self.listener.url

    @property
    def port(self) -> int:
        """The port on which it listens; 0 until a free one is found."""
        return self.listener.port

    @property
    def listening(self) -> bool:
        """Whether connections are accepted."""
        return self.listener.listening

    @property
    def username(self) -> str:
        """The user name of the first account."""
        return self.login_state.accounts[0].username

    @property
    def password(self) -> str:
        """The password of the first account; a change applies to the next log-in, and ends no session."""
        return self.login_state.accounts[0].password

    @password.setter
    def password(self, password: str) -> None:
        self.login_state.accounts[0] = msgspec.structs.replace(self.login_state.accounts[0], password=password)

    async def start_listening(self) -> None:
        """Accept connections, on the same port as before."""
        await self.listener.open()

    async def stop_listening(self) -> None:
        """Refuse new connections and cut open ones; the port stays reserved."""
        await self.listener.close()

    async def close(self) -> None:
        """Stop listening and free the port."""
        await self.listener.release()

    def swap_certificate(self, tls: ssl.SSLContext) -> None:
        """Use another certificate for new handshakes. Raises: ValueError without TLS."""
        self.listener.swap_certificate(tls)

    # -- images

    def upload(
        self,
        name: str | None = None,
        *,
        kind: ImageKind = "system",
        outcome: UploadOutcome = "completed",
        duration: float = 60.0,
        started_ago: float = 0.0,
        **more: Any,  # noqa: ANN401  the other fields of UploadSpec
    ) -> str:
        """Add an upload that starts now or ``started_ago`` seconds before; return the uuid of its image."""
        options = {"kind": kind, "outcome": outcome, "duration": duration, "started_ago": started_ago}
        return self.add_upload(msgspec.convert({"name": name, **options, **more}, UploadSpec))

    def put(self, image: Mapping[str, object]) -> str:
        """Serve this object exactly as it is; return its key: the uuid, or an invented one where it has none."""
        rng = self.next_image_random()
        uuid = image.get("uuid")
        key = uuid if isinstance(uuid, str) else f"image-{rng.uuid()}"
        self.images.add(key, LiteralImage(dict(image)))
        return key

    def remove(self, uuid: str) -> None:
        """Delete an image, even one that is in use. Raises: KeyError."""
        self.images.remove(uuid)

    def touch(self, uuid: str, **fields: object) -> None:
        """Set any fields of an image; ``_last_modified`` increases. Raises: KeyError."""
        self.images.write(uuid, fields, now=self.clock.now())

    def image(self, uuid: str) -> Json:
        """Return the object as it is now, in the newest API version. Raises: KeyError."""
        return self.images.image(uuid, self.clock.now())

    # -- sessions and requests

    @property
    def sessions(self) -> Mapping[str, Session]:
        """The sessions by session id."""
        return self.login_state.active

    @property
    def logins(self) -> int:
        """How many log-ins succeeded."""
        return self.login_state.logins

    @property
    def failed_logins(self) -> int:
        """How many log-ins failed."""
        return self.login_state.failed_logins

    @property
    def locked(self) -> bool:
        """Whether the first account is locked after too many failed log-ins."""
        return self.login_state.locked(self.username)

    @property
    def logouts(self) -> int:
        """How many log-outs there were."""
        return self.login_state.logouts

    def expire_sessions(self) -> None:
        """End all sessions."""
        self.login_state.expire()

    def rotate_csrf(self) -> None:
        """Give every session another CSRF token; clients receive it in the cookies of the next response."""
        self.login_state.rotate_csrf()

    @property
    def requests(self) -> list[LoggedRequest]:
        """The logged requests, the newest last."""
        return list(self.request_log.requests)

    async def wait_for_requests(
        self, count: int, *, path: str = "", method: str = "", answered: bool = False, within_s: float = 120.0
    ) -> list[LoggedRequest]:
        """
        Wait until ``count`` matching requests have been received since the start; return all that match.

        ``path`` is a prefix. ``answered``: count only requests that have a response. Raises: TimeoutError.
        """
        return await self.request_log.wait_for_requests(
            count, path=path, method=method, answered=answered, within_s=within_s
        )

    async def next_request(self, *, path: str = "", method: str = "", within_s: float = 120.0) -> LoggedRequest:
        """Wait for one more matching request and its response. Raises: TimeoutError."""
        return await self.request_log.next_request(path=path, method=method, within_s=within_s)

    def respond(self, request: HttpRequest, faults: tuple[Fault, ...] = ()) -> HttpResponse:
        """Return the response of the API to a request, without a socket."""
        return respond(self, request, faults)
