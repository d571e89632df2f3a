"""One simulated Controller: its state, its socket, and the handles by which tests and scenarios turn it."""

import ssl
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from monitor.simulator.clock import Clock
from monitor.simulator.faults import Fault
from monitor.simulator.http_types import Call, Json, Reply
from monitor.simulator.images import Literal
from monitor.simulator.listener import Listener
from monitor.simulator.request_log import Request
from monitor.simulator.router import answered
from monitor.simulator.server import served
from monitor.simulator.sessions import Session
from monitor.simulator.specs import ControllerSpec, Kind, Outcome, UploadSpec
from monitor.simulator.state import ControllerState


class SimulatedController(ControllerState):
    """
    A Controller cluster behind one address.

    ``password`` may be changed, too; it counts for the next log-in only.
    """

    def __init__(
        self, spec: ControllerSpec, *, place: int, seed: str, clock: Clock, host: str, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(spec, place=place, seed=seed, clock=clock, secure=tls is not None)
        self.listener = Listener(partial(served, self), host, spec.port, tls)

    # -- where it is, and who may come in

    @property
    def url(self) -> str:
        """Where it listens, or will listen again."""
        return self.listener.url

    @property
    def port(self) -> int:
        """The port it listens on; 0 while a free one is still to be found."""
        return self.listener.port

    @property
    def listening(self) -> bool:
        """Whether connections are accepted."""
        return self.listener.listening

    @property
    def username(self) -> str:
        """Of the first account."""
        return self.login_state.accounts[0].username

    @property
    def password(self) -> str:
        """Of the first account; a change counts for the next log-in, and ends no session."""
        return self.login_state.accounts[0].password

    @password.setter
    def password(self, password: str) -> None:
        self.login_state.accounts[0] = msgspec.structs.replace(self.login_state.accounts[0], password=password)

    async def start_listening(self) -> None:
        """Accept connections, on the same port as before."""
        await self.listener.open()

    async def close(self) -> None:
        """Stop for good; the port is free again."""
        await self.listener.release()

    async def stop_listening(self) -> None:
        """From now on connections are refused, those that were open are cut; the port stays ours."""
        await self.listener.close()

    def swap_certificate(self, tls: ssl.SSLContext) -> None:
        """New handshakes see another certificate. Raises: ValueError without TLS."""
        self.listener.swap_certificate(tls)

    # -- images

    def upload(
        self,
        name: str | None = None,
        *,
        kind: Kind = "system",
        outcome: Outcome = "completed",
        duration: float = 60.0,
        started_ago: float = 0.0,
        **more: Any,  # noqa: ANN401  the other fields of UploadSpec
    ) -> str:
        """Plan an upload that starts now, ``started_ago`` seconds before, or later where that is negative."""
        known = {"kind": kind, "outcome": outcome, "duration": duration, "started_ago": started_ago}
        return self.plan(msgspec.convert({"name": name, **known, **more}, UploadSpec))

    def put(self, image: Mapping[str, object]) -> str:
        """Serve this very object, whatever it says. The uuid, or a made-up key where it has none."""
        rng = self.next_random()
        uuid = image.get("uuid")
        key = uuid if isinstance(uuid, str) else f"image-{rng.uuid()}"
        self.images.add(key, Literal(dict(image)))
        return key

    def remove(self, uuid: str) -> None:
        """Raises: KeyError."""
        self.images.remove(uuid)

    def touch(self, uuid: str, **fields: object) -> None:
        """Write fields of an image, whoever owns them; ``_last_modified`` moves on. Raises: KeyError."""
        self.images.write(uuid, fields, now=self.clock.now())

    def image(self, uuid: str) -> Json:
        """The object as it is now, in the Controller's own, newest form. Raises: KeyError."""
        return self.images.image(uuid, self.clock.now())

    # -- sessions and requests

    @property
    def sessions(self) -> Mapping[str, Session]:
        """Those who are logged in, by session id."""
        return self.login_state.live

    @property
    def logins(self) -> int:
        """How many log-ins succeeded."""
        return self.login_state.logins

    @property
    def failed_logins(self) -> int:
        """How many log-ins were refused."""
        return self.login_state.failed_logins

    @property
    def locked(self) -> bool:
        """Whether too many failed log-ins have locked the first account."""
        return self.login_state.locked(self.username)

    @property
    def logouts(self) -> int:
        """How many logged out."""
        return self.login_state.logouts

    def expire_sessions(self) -> None:
        """Nobody is logged in any more."""
        self.login_state.expire()

    def rotate_csrf(self) -> None:
        """Every session gets another CSRF token, told in the cookies of its next reply."""
        self.login_state.rotate_csrf()

    @property
    def requests(self) -> list[Request]:
        """What came in, the newest last."""
        return list(self.journal.requests)

    async def requested(
        self, count: int, *, path: str = "", method: str = "", answered: bool = False, within_s: float = 10.0
    ) -> list[Request]:
        """
        Wait until ``count`` matching requests have come in since the start, and give all that match.

        ``path`` is a prefix. With ``answered`` they must have had their answer too. Raises: TimeoutError.
        """
        return await self.journal.requested(count, path=path, method=method, answered=answered, within_s=within_s)

    async def next_request(self, *, path: str = "", method: str = "", within_s: float = 10.0) -> Request:
        """Wait for one more matching request, answered. Raises: TimeoutError."""
        return await self.journal.next_request(path=path, method=method, within_s=within_s)

    # -- answers

    def answer(self, call: Call, faults: tuple[Fault, ...] = ()) -> Reply:
        """What this Controller says to a call; needs no socket."""
        return answered(self, call, faults)
