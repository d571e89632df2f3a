"""
A whole night at speed 60 in a real browser: screenshots of each phase in ``test-artefacts``, for a person to look at.

The daemon and the page have the clock of the simulator, so all times and durations are those of a real night. It stands
still while screenshots are taken, which takes long on a busy machine. Else real time passes, so `make night` runs it,
and not `make test`; there, tests/e2e/test_page_upgrade.py goes from moment to moment.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from msgspec.structs import replace
from playwright.async_api import Page, expect

from monitor.daemon.app import Daemon
from monitor.simulator import SCENARIOS, CheckSpec, ControllerSpec, Simulator, UpgradeSpec, UploadSpec
from tests.support.accessibility import Scheme
from tests.support.browser import assert_no_horizontal_scroll, chromium, held_clock, open_page, save_screenshot
from tests.support.daemons import until, watching
from tests.support.nights import START, Moment, Night

SPEED: Final = 60.0
POLL: Final = {"active_interval": "250ms", "idle_interval": "250ms", "timeout": "5s", "max_backoff": "250ms"}
GROUPS: Final = tuple(replace(group, se_s=300.0) for group in SCENARIOS["upgrade-night"].controllers[0].groups)
SPECS: Final = (
    ControllerSpec(
        name="dc1",
        version="30.2.1",
        images=2,
        uploads=(UploadSpec(duration=600.0, started_ago=-300.0, version="31.2.2"),),
        groups=GROUPS,
        upgrade=UpgradeSpec(
            at=1500.0,
            version="31.2.2",
            checks=CheckSpec(warnings=1, seconds=600.0),
            controllers_s=1200.0,
            outage_s=540.0,
            unready_s=60.0,
            groups_at_once=2,
        ),
    ),
    ControllerSpec(name="dc2", version="30.2.1", nodes=1, images=2),
)
"""With the times of a real night: two hours and a half."""
LATER: Final[Sequence[tuple[str, Moment, float, str]]] = (
    ("2-checks", "checks", 240.0, "Checks are running"),
    ("3-controllers", "controllers", 500.0, "The Controllers are being upgraded"),
    ("4-away", "away", 180.0, "The Controllers are rebooting"),
    ("5-groups", "groups", 400.0, "The Service Engines are being upgraded"),
    ("6-last-groups", "first_group", 300.0, "The Service Engines are being upgraded"),
    ("7-done", "done", 120.0, "Done"),
)
"""The name of the screenshots, how long after which moment, and what the headline then says."""
BAD: Final = tuple(name for name in SCENARIOS if name.startswith("upgrade-") and name != "upgrade-night")
LOOKS: Final[Sequence[tuple[Scheme, int]]] = (("light", 1280), ("light", 390), ("dark", 1280), ("dark", 390))


class Stopwatch:
    """Real seconds, but for those in which it was held."""

    def __init__(self) -> None:
        self._lost_s = 0.0
        self._held_at: float | None = None

    def __call__(self) -> float:
        return (time.monotonic() if self._held_at is None else self._held_at) - self._lost_s

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stand still."""
        self._held_at = time.monotonic()
        yield
        self._lost_s += time.monotonic() - self._held_at
        self._held_at = None


class NightAtSpeed:
    """Controllers, and a daemon with the same clock."""

    def __init__(self, simulator: Simulator, daemon: Daemon, stopwatch: Stopwatch) -> None:
        self.simulator = simulator
        self.daemon = daemon
        self._stopwatch = stopwatch

    async def wait_until(self, at: float) -> None:
        """Return when the clock has reached this; half a second later the pages show it."""
        await self.simulator.clock.wait_until(at)
        await asyncio.sleep(0.5)

    @asynccontextmanager
    async def held(self, *pages: Page) -> AsyncIterator[None]:
        """Nothing goes on."""
        with self._stopwatch.held():
            async with held_clock(*pages):
                yield


@asynccontextmanager
async def at_speed(folder: Path, specs: Sequence[ControllerSpec]) -> AsyncIterator[NightAtSpeed]:
    """Controllers, and a daemon with the same clock, which has polled each."""
    stopwatch = Stopwatch()
    simulator = Simulator(specs, start=START, speed=SPEED, monotonic=stopwatch)
    async with simulator, watching(simulator, folder, wall=simulator.clock.now, poll=POLL) as daemon:
        for spec in specs:
            await until(daemon, spec.name, lambda entry: entry.session.up)
        yield NightAtSpeed(simulator, daemon, stopwatch)


async def shoot(page: Page, name: str) -> None:
    """Save it light and dark, wide and narrow."""
    for scheme, width in LOOKS:
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 900})
        await assert_no_horizontal_scroll(page)
        await save_screenshot(page, f"night-{name}-{scheme}-{width}")


async def shown_night(night: NightAtSpeed, fleet: Page, view: Page) -> AsyncIterator[str]:
    """Go through the night, and save both views at each moment, whose name is yielded while nothing goes on."""
    plan = Night(night.simulator, "dc1")
    moments = [
        ("0-rest", START + 120.0, "No upgrade has run"),
        ("1-upload", START + 600.0, "No upgrade has run"),
        *((name, plan.time_of(moment) + after_s, text) for name, moment, after_s, text in LATER),
    ]
    for name, at, text in moments:
        await night.wait_until(at)
        async with night.held(fleet, view):
            await expect(view.locator(".headline")).to_contain_text(text)
            await shoot(view, f"{name}-upgrade")
            await shoot(fleet, f"{name}-fleet")
            yield name


async def test_a_whole_night_is_shown_at_each_phase(tmp_path: Path) -> None:
    """Would find a headline of another phase, an error in the browser, and what is wider than a phone."""
    async with (
        at_speed(tmp_path, SPECS) as night,
        chromium() as browser,
        open_page(browser, night.daemon.url, clock_speed=SPEED) as fleet,
        open_page(browser, night.daemon.url, "/#/upgrade/dc1", clock_speed=SPEED) as view,
    ):
        assert [name async for name in shown_night(night, fleet, view)][-1] == "7-done"


async def test_each_night_in_which_something_goes_wrong_is_shown_forty_minutes_later(tmp_path: Path) -> None:
    """Would find an error in the browser, and what is wider than a phone."""
    specs = [replace(SCENARIOS[name].controllers[0], name=name) for name in BAD]
    async with (
        at_speed(tmp_path, specs) as night,
        chromium() as browser,
        open_page(browser, night.daemon.url, clock_speed=SPEED) as fleet,
    ):
        await night.wait_until(START + 2400.0)
        async with night.held(fleet):
            await shoot(fleet, "bad-fleet")
            for name in BAD:
                view_of = open_page(browser, night.daemon.url, f"/#/upgrade/{name}", clock_speed=SPEED)
                async with view_of as view, held_clock(view):
                    await expect(view.locator(".headline")).to_be_visible()
                    await shoot(view, f"bad-{name.removeprefix('upgrade-')}")
