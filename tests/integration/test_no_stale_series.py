"""No ghost series: whatever comes, changes, goes, fails or recovers, shown are the images of the last good polls."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import msgspec
import pytest

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Fault, SimulatedController, Simulator, UploadSpec
from tests.support.daemons import QUICK, exposition, image_uuids, polled, scrape, until, watching

pytestmark = pytest.mark.unmeasured
WALKS = 24
STEPS = 12
HASTY = {**QUICK, "active_interval": "5ms", "idle_interval": "10ms", "max_backoff": "10ms"}
FAILURES = (
    Fault("http_500"), Fault("html_503"), Fault("close"), Fault("reset"), Fault("truncated_json"), Fault("not_a_list"),
    Fault("unauthorized"), Fault("switch_session"), Fault("redirect"), Fault("empty_body"),
    Fault("html_502", path="/"),
)  # fmt: skip
SPECS = [ControllerSpec(name=name, nodes=1, images=2, uploads=(UploadSpec(duration=600.0),)) for name in ("dc1", "dc2")]


Step = Callable[[], Awaitable[None] | None]


class Walk:
    """One controller on its way: what it has, what of that can be read, and what we must show of it."""

    def __init__(self, controller: SimulatedController, daemon: Daemon, rng: Random) -> None:
        self.controller = controller
        self.daemon = daemon
        self.rng = rng
        self.failing = False
        self.good = set(daemon.fleet.entries[controller.name].objects("image"))
        self.bad: set[str] = set()
        self.shown = set(self.good)

    async def step(self) -> None:
        """Something happens; return when the daemon has seen it, as far as it can."""
        steps: tuple[Step, ...] = (
            self.appear, self.change, self.vanish, self.vanish, self.spoil, self.mend, self.fail, self.recover,
        )  # fmt: skip
        happening = self.rng.choice(steps)()
        if happening:
            await happening
        elif not self.failing:
            await polled(self.daemon, self.controller.name, 2)  # the first may have been under way
            self.shown = set(self.good)

    def appear(self) -> None:
        literal = {"uuid": f"image-{self.rng.getrandbits(64):x}", "progress": self.rng.randint(0, 100)}
        self.good.add(self.controller.upload() if self.rng.random() < 0.5 else self.controller.put(literal))

    def change(self) -> None:
        if self.good:
            self.controller.touch(self._one_of(self.good), name=f"renamed {self.rng.random()}")

    def vanish(self) -> None:
        if self.good | self.bad:
            uuid = self._one_of(self.good | self.bad)
            self.controller.remove(uuid)
            self.good.discard(uuid)
            self.bad.discard(uuid)

    def spoil(self) -> None:
        if self.good:
            uuid = self._one_of(self.good)
            self.controller.touch(uuid, progress=["forty"])
            self.good.remove(uuid)
            self.bad.add(uuid)

    def mend(self) -> None:
        if self.bad:
            uuid = self._one_of(self.bad)
            self.controller.touch(uuid, progress=40)
            self.bad.remove(uuid)
            self.good.add(uuid)

    async def fail(self) -> None:
        """From now on, until it recovers."""
        if not self.failing:
            self.controller.faults.add(self.rng.choice(FAILURES))
            self.failing = True
            await until(self.daemon, self.controller.name, lambda entry: not entry.session.up)

    async def recover(self) -> None:
        self.controller.faults.clear()
        self.failing = False
        await polled(self.daemon, self.controller.name, 2)
        self.shown = set(self.good)

    def _one_of(self, uuids: set[str]) -> str:
        return self.rng.choice(sorted(uuids))


@pytest.mark.parametrize("seed", range(WALKS))
async def test_the_exposition_names_exactly_the_images_of_the_last_good_polls(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    async with (
        Simulator(SPECS, seed=seed, speed=0.0) as simulator,
        watching(simulator, tmp_path, poll=HASTY) as daemon,
    ):
        for name in simulator.controllers:
            await polled(daemon, name)
        walks = [Walk(controller, daemon, rng) for controller in simulator.controllers.values()]
        for _ in range(STEPS):
            await rng.choice(walks).step()
            series = await exposition(daemon)
            for walk in walks:
                assert image_uuids(series, walk.controller.name) == walk.shown
                assert image_uuids(series, walk.controller.name, "avi_image_info") == walk.shown
        listed = msgspec.json.decode(await scrape(daemon, "/api/image"))
        assert {image["uuid"] for image in listed["results"]} == set().union(*(walk.shown for walk in walks))
