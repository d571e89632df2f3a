"""
A whole upgrade under the eyes of a daemon, from one named moment to the next, without sleeping.

    async with upgrade_night(tmp_path) as (daemon, night):
        await night.go_to("away")         # the Controllers refuse connections, and a poll has met that
        assert not daemon.fleet.entries["dc1"].session.up
        await night.go_to("back")         # they answer again, in the new version; a poll has tried
        await night.go_to("done")

The simulated clock stands still but for the steps of a night, and so does that of the daemon (its ``now``); only its
intervals are real. At each step the daemon completes one poll at least, on a busy machine as on an idle one.

With a daemon in another process, or with none: ``Night(simulator, "dc1", seen=…)``, where ``seen`` waits until the
daemon has noticed; without ``seen`` only the simulator goes on.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeAlias

from msgspec.structs import replace

from monitor.daemon.app import Daemon
from monitor.model.upgrade import UpgradePhase
from monitor.polling.fleet import Entry
from monitor.simulator import (
    SCENARIOS,
    ControllerSpec,
    GroupSpec,
    SimulatedController,
    Simulator,
    UnitOptions,
    UpgradeSpec,
    UploadSpec,
)
from monitor.simulator.upgrade_plan import UpgradePlan
from tests.support.daemons import until, watching

START = 1_740_000_000.0
GROUPS = (GroupSpec(ses=2, virtual_services=20), GroupSpec(name="internet", cloud="aws", ses=1))

Moment: TypeAlias = Literal[
    "checks", "controllers", "away", "unready", "back", "groups", "first_group", "suspended", "all_groups", "done"
]
"""
When pre-checks, tasks on the Controllers, refused connections, and 503 begin; the Controllers are back, in the new
version; the first SE group begins, has ended, is suspended; every SE group has stopped; the upgrade is completed.
"""


class Night:
    """
    The upgrade of one simulated Controller, planned by its spec, or started over the API before.

    ``seen``: awaited after each step. ``step_s``: the longest step, simulated seconds.
    """

    def __init__(
        self,
        simulator: Simulator,
        controller: str,
        *,
        seen: Callable[[], Awaitable[object]] | None = None,
        step_s: float = 30.0,
    ) -> None:
        self.simulator = simulator
        self.controller: SimulatedController = simulator.controllers[controller]
        self._seen = seen
        self._step_s = step_s

    @property
    def plan(self) -> UpgradePlan:
        """What was planned, with the SE groups one by one."""
        plan = self.controller.upgrades.plan
        assert plan, "no upgrade is planned or was started"
        return plan

    def time_of(self, moment: Moment) -> float:
        """Return when that is, seconds since the epoch. Raises: ValueError for what does not happen in this upgrade."""
        offset = _offset(self.plan, moment)
        if not 0.0 <= offset < inf:
            message = f"this upgrade has no moment {moment!r}: {self.plan.spec}"
            raise ValueError(message)
        return self.plan.started_at + offset

    async def go_to(self, moment: Moment, *, after_s: float = 1.0) -> None:
        """Advance, step by step, to so long after this moment. Raises: ValueError, also for one that has passed."""
        left_s = self.time_of(moment) + after_s - self.simulator.clock.now()
        if left_s < 0:
            message = f"{moment!r} was {-left_s:g} s ago"
            raise ValueError(message)
        await self.advance(left_s)

    async def advance(self, seconds: float) -> None:
        """Advance by so many simulated seconds, step by step."""
        left_s = seconds
        while left_s > 0:
            self.simulator.clock.advance(min(left_s, self._step_s))
            left_s -= self._step_s
            await self.simulator.wait_timelines()
            if self._seen:
                await self._seen()


def _offset(plan: UpgradePlan, moment: Moment) -> float:
    groups = [group for group in plan.groups if group.phases]
    suspended = (at for group in groups for at, fsm in group.phases if fsm == "UPGRADE_FSM_SUSPENDED")
    offsets: dict[Moment, float] = {
        "checks": 0.0,
        "controllers": inf if plan.stops_at_checks else plan.checks_end,
        "away": plan.away,
        "unready": plan.away + plan.spec.outage_s if plan.spec.unready_s and plan.back < inf else inf,
        "back": plan.back,
        "groups": min((group.begin for group in groups), default=inf),
        "first_group": min((group.end for group in groups), default=inf),
        "suspended": min(suspended, default=inf),
        "all_groups": max((group.stop for group in groups), default=inf),
        "done": plan.end,
    }
    return offsets[moment]


def planned(
    *,
    groups: Sequence[GroupSpec] = GROUPS,
    units: UnitOptions | None = None,
    **upgrade: Any,  # noqa: ANN401  of the spec
) -> list[ControllerSpec]:
    """One Controller, dc1, with an idle image, and an upgrade of it from 30.2.1 to 31.2.2. ``upgrade``: more of it."""
    image = UploadSpec(duration=60.0, started_ago=600.0, version="31.2.2")
    spec = UpgradeSpec(**{"at": 10.0, "version": "31.2.2", **upgrade})
    made = ControllerSpec(name="dc1", version="30.2.1", images=2, uploads=(image,), groups=tuple(groups), upgrade=spec)
    return [replace(made, units=units or UnitOptions())]


def phase_of(daemon: Daemon) -> UpgradePhase | None:
    """The phase of dc1 at present."""
    overview = daemon.fleet.entries["dc1"].overview
    return overview.phase if overview else None


def note_phases(daemon: Daemon) -> list[UpgradePhase | None]:
    """The phases of dc1 from the next publication on, without repetitions; the list grows."""
    phases: list[UpgradePhase | None] = []

    def note(_name: str, _entry: Entry | None, _changes: object) -> None:
        if phases[-1:] != [phase_of(daemon)]:
            phases.append(phase_of(daemon))

    daemon.fleet.subscribe(note)
    return phases


async def polled_anew(daemon: Daemon, controller: str) -> Entry:
    """Wait until a poll has ended that began after this call, whether it failed or not."""
    polls = daemon.fleet.entries[controller].session.polls  # one may be under way
    return await until(daemon, controller, lambda entry: entry.session.polls >= polls + 2)


@asynccontextmanager
async def upgrade_night(
    folder: Path,
    scenario: str | Sequence[ControllerSpec] = "upgrade-night",
    *,
    controller: str = "dc1",
    step_s: float = 30.0,
    **options: Any,  # noqa: ANN401  as watching
) -> AsyncIterator[tuple[Daemon, Night]]:
    """
    A daemon on the Controllers of a scenario or of these specs, which has polled once, and the night of one of them.

    ``options``: of `watching`. The clock of the simulator is also that of the daemon.
    """
    specs = SCENARIOS[scenario].controllers if isinstance(scenario, str) else scenario
    simulator = Simulator(specs, start=START, speed=0.0)
    async with simulator, watching(simulator, folder, wall=simulator.clock.now, **options) as daemon:
        await until(daemon, controller, lambda entry: entry.session.up)
        yield daemon, Night(simulator, controller, seen=partial(polled_anew, daemon, controller), step_s=step_s)
