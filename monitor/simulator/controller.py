"""One simulated Controller: what it holds, and the handles by which tests and scenarios turn it."""

import ssl
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from monitor.simulator import (
    fault_table as kinds,
)
from monitor.simulator import (
    image_builds as builds,
)
from monitor.simulator import (
    images as objects,
)
from monitor.simulator import (
    lifecycle,
)
from monitor.simulator import (
    router as api,
)
from monitor.simulator import (
    server as service,
)
from monitor.simulator.clock import Clock
from monitor.simulator.faults import Fault, Faults
from monitor.simulator.http_types import Call, Json, Reply
from monitor.simulator.listener import Listener
from monitor.simulator.random_values import Seeded
from monitor.simulator.rate_limit import Bucket
from monitor.simulator.request_log import Journal, Request
from monitor.simulator.sessions import Session, Sessions
from monitor.simulator.specs import Account, ControllerSpec, Kind, Outcome, UploadSpec

DAY_S = 86400.0


class SimulatedController:
    """
    A Controller cluster behind one address.

    Attributes to turn at will: ``version``, ``upgrading`` (writes are refused), ``unready`` (503 for everything),
    ``password`` (counts for the next log-in only), ``pinned`` (uuids that cannot be deleted), ``faults``, ``clock``
    (one for the whole fleet).
    """

    def __init__(
        self, spec: ControllerSpec, *, place: int, seed: str, clock: Clock, host: str, tls: ssl.SSLContext | None
    ) -> None:
        self.spec = spec
        self.name = spec.name
        self.version = spec.version
        self.clock = clock
        self.started = clock.now()
        self.upgrading = False
        self.unready = False
        self.nodes = tuple(f"10.{16 + place // 200}.{place % 200}.{11 + node}" for node in range(spec.nodes))
        self._seed = f"{seed}:{spec.name}"
        self._uploads = 0
        rng = Seeded(self._seed)
        self.build_no, self.cluster_uuid = rng.whole(8000, 9999), rng.uuid()
        self.tenants = {"admin": "admin", **{name: f"tenant-{rng.uuid()}" for name in spec.tenants}}
        first = Account(username=spec.username, password=spec.password or rng.token())
        self.login_state = Sessions(spec, [first, *spec.accounts], rng, clock.monotonic, secure=tls is not None)
        self.faults = Faults(kinds.FAULT_KINDS)
        self.journal = Journal(spec.remember)
        self.bucket = Bucket(spec.rate_limit) if spec.rate_limit else None
        self.images = objects.Images()
        self.pinned: set[str] = set()
        self._fill()
        self._listener = Listener(partial(service.served, self), host, spec.port, tls)

    def _fill(self) -> None:
        """The images that lie there from before, the Controller's own first, and those that the spec plans."""
        for place, version in enumerate(builds.older_releases(self.version, self.spec.images)):
            ago = (30 + 14 * place) * DAY_S
            uuid = self.plan(UploadSpec(version=version, started_ago=ago, duration=420.0))
            self.pinned |= set() if place else {uuid}
        for upload in self.spec.uploads:
            self.plan(upload)

    # -- where it is, and who may come in

    @property
    def url(self) -> str:
        """Where it listens, or will listen again."""
        return self._listener.url

    @property
    def port(self) -> int:
        """The port it listens on; 0 while a free one is still to be found."""
        return self._listener.port

    @property
    def listening(self) -> bool:
        """Whether connections are accepted."""
        return self._listener.listening

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
        await self._listener.open()

    async def close(self) -> None:
        """Stop for good; the port is free again."""
        await self._listener.release()

    async def stop_listening(self) -> None:
        """From now on connections are refused, those that were open are cut; the port stays ours."""
        await self._listener.close()

    def swap_certificate(self, tls: ssl.SSLContext) -> None:
        """New handshakes see another certificate. Raises: ValueError without TLS."""
        self._listener.swap_certificate(tls)

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

    def plan(self, spec: UploadSpec) -> str:
        """The uuid of an upload that takes the course of the spec."""
        self._uploads += 1
        rng = Seeded(f"{self._seed}:{self._uploads}")
        version = spec.version or builds.next_release(self.version)
        built = builds.built_image(rng, version=version, kind=spec.kind, name=spec.name, host=self.nodes[0])
        started = self.clock.now() - spec.started_ago
        plan = lifecycle.planned(spec, built, nodes=self.nodes, started=started, rng=rng)
        self.images.add(built["uuid"], objects.Upload(plan))
        return str(built["uuid"])

    def put(self, image: Mapping[str, object]) -> str:
        """Serve this very object, whatever it says. The uuid, or a made-up key where it has none."""
        self._uploads += 1
        uuid = image.get("uuid")
        key = uuid if isinstance(uuid, str) else f"image-{Seeded(f'{self._seed}:{self._uploads}').uuid()}"
        self.images.add(key, objects.Literal(dict(image)))
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
        return api.answered(self, call, faults)
