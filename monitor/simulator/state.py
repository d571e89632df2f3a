"""What one simulated Controller holds: plain data that the API, the control routes and the timeline read and change."""

from monitor.simulator.clock import Clock
from monitor.simulator.fault_table import FAULT_KINDS
from monitor.simulator.faults import Faults
from monitor.simulator.image_builds import built_image, next_release, older_releases
from monitor.simulator.images import Images, Upload
from monitor.simulator.lifecycle import planned
from monitor.simulator.random_values import Seeded
from monitor.simulator.rate_limit import Bucket
from monitor.simulator.request_log import Journal
from monitor.simulator.sessions import Sessions
from monitor.simulator.specs import Account, ControllerSpec, UploadSpec

DAY_S = 86400.0


class ControllerState:
    """
    One Controller cluster without its socket.

    Attributes to turn at will: ``version``, ``upgrading`` (writes are refused), ``unready`` (503 for everything),
    ``pinned`` (uuids that cannot be deleted), ``faults``, ``clock`` (one for the whole fleet).
    """

    def __init__(self, spec: ControllerSpec, *, place: int, seed: str, clock: Clock, secure: bool) -> None:
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
        self.login_state = Sessions(spec, [first, *spec.accounts], rng, clock.monotonic, secure=secure)
        self.faults = Faults(FAULT_KINDS)
        self.journal = Journal(spec.remember)
        self.bucket = Bucket(spec.rate_limit) if spec.rate_limit else None
        self.images = Images()
        self.pinned: set[str] = set()
        self._fill()

    def _fill(self) -> None:
        """The images that lie there from before, the Controller's own first, and those that the spec plans."""
        for place, version in enumerate(older_releases(self.version, self.spec.images)):
            ago = (30 + 14 * place) * DAY_S
            uuid = self.plan(UploadSpec(version=version, started_ago=ago, duration=420.0))
            self.pinned |= set() if place else {uuid}
        for upload in self.spec.uploads:
            self.plan(upload)

    def plan(self, spec: UploadSpec) -> str:
        """The uuid of an upload that takes the course of the spec."""
        rng = self.next_random()
        version = spec.version or next_release(self.version)
        built = built_image(rng, version=version, kind=spec.kind, name=spec.name, host=self.nodes[0])
        started = self.clock.now() - spec.started_ago
        plan = planned(spec, built, nodes=self.nodes, started=started, rng=rng)
        self.images.add(built["uuid"], Upload(plan))
        return str(built["uuid"])

    def next_random(self) -> Seeded:
        """A stream of its own for each image, so that one more image leaves the others as they are."""
        self._uploads += 1
        return Seeded(f"{self._seed}:{self._uploads}")
