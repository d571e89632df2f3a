"""The state of one simulated Controller, which the API, the control routes and the timeline read and change."""

from monitor.simulator.clock import Clock
from monitor.simulator.fault_table import FAULT_KINDS
from monitor.simulator.faults import ActiveFaults
from monitor.simulator.image_builds import base_image, next_release, older_releases
from monitor.simulator.images import ImageStore, UploadedImage
from monitor.simulator.lifecycle import plan_upload
from monitor.simulator.random_values import SeededRandom
from monitor.simulator.rate_limit import LeakyBucket
from monitor.simulator.request_log import RequestLog
from monitor.simulator.sessions import Sessions
from monitor.simulator.specs import Account, ControllerSpec, UploadSpec
from monitor.simulator.upgrades import Upgrades

DAY_S = 86400.0


class ControllerState:
    """
    One Controller cluster without its socket. ``index``: its number in the fleet, which decides its addresses.

    To be set at any time: ``version``, ``upgrading`` (writes are rejected), ``unready`` (503 for every request),
    ``bad_gateway`` (502 for every request), ``images_in_use`` (uuids that cannot be deleted), ``nodes_down`` (some of
    ``nodes``), ``faults`` and ``clock`` (one for the whole fleet).
    """

    def __init__(self, spec: ControllerSpec, *, index: int, seed: str, clock: Clock, secure: bool) -> None:
        self.spec = spec
        self.name = spec.name
        self.version = spec.version
        self.clock = clock
        self.started_at = clock.now()
        self.upgrading = False
        self.unready = False
        self.bad_gateway = False
        self.nodes = tuple(f"10.{16 + index // 200}.{index % 200}.{11 + node}" for node in range(spec.nodes))
        self._seed = f"{seed}:{spec.name}"
        self._images_made = 0
        rng = SeededRandom(self._seed)
        self.build_no, self.cluster_uuid = rng.integer(8000, 9999), rng.uuid()
        self.tenants = {"admin": "admin", **{name: f"tenant-{rng.uuid()}" for name in spec.tenants}}
        first = Account(username=spec.username, password=spec.password or rng.token())
        self.login_state = Sessions(spec, [first, *spec.accounts], rng, clock.monotonic, secure=secure)
        self.faults = ActiveFaults(FAULT_KINDS)
        self.request_log = RequestLog(spec.max_logged_requests)
        self.rate_limiter = LeakyBucket(spec.rate_limit) if spec.rate_limit else None
        self.images = ImageStore()
        self.images_in_use: set[str] = set()
        self.nodes_down: set[str] = set()
        self._add_first_images()
        self.upgrades = Upgrades(
            spec,
            self.images,
            SeededRandom(f"{self._seed}:units"),
            host=self.nodes[0],
            nodes=self.nodes,
            cluster_uuid=self.cluster_uuid,
            build_no=self.build_no,
            started_at=self.started_at,
        )

    def is_in_use(self, uuid: str) -> bool:
        """Whether an image cannot be deleted."""
        return uuid in self.images_in_use or uuid in self.upgrades.units.users(self.clock.now())

    def _add_first_images(self) -> None:
        """Add the completed images, the one of the Controller's own version first, and the uploads of the spec."""
        for number, version in enumerate(older_releases(self.version, self.spec.images)):
            ago = (30 + 14 * number) * DAY_S
            uuid = self.add_upload(UploadSpec(version=version, started_ago=ago, duration=420.0))
            if number == 0:
                self.images_in_use.add(uuid)
        for upload in self.spec.uploads:
            self.add_upload(upload)

    def add_upload(self, spec: UploadSpec) -> str:
        """Add an image that is processed as the spec says; return its uuid."""
        rng = self.next_image_random()
        version = spec.version or next_release(self.version)
        base = base_image(rng, version=version, kind=spec.kind, name=spec.name, host=self.nodes[0])
        started_at = self.clock.now() - spec.started_ago
        plan = plan_upload(spec, base, nodes=self.nodes, started_at=started_at, rng=rng)
        self.images.add(base["uuid"], UploadedImage(plan))
        return str(base["uuid"])

    def next_image_random(self) -> SeededRandom:
        """Return the random values of the next image: the same seed gives each image the same values."""
        self._images_made += 1
        return SeededRandom(f"{self._seed}:{self._images_made}")
