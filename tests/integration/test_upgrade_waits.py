"""Waits of ``watch --upgrade --until`` for simulated upgrades that end in every way, all in one night of one daemon."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path
from random import Random

import pytest

from monitor.cli.api.client import connect
from monitor.cli.api.responses import CommandError
from monitor.cli.api.subscription import subscribe
from monitor.cli.api.view import Change
from monitor.cli.output.upgrade_wait import Wait
from monitor.cli.output.watch_state import UpgradeTarget, WatchState
from monitor.cli.output.watcher import Watcher
from monitor.cli.params import Access
from monitor.daemon.app import Daemon
from monitor.simulator import CheckSpec, ControllerSpec, GroupSpec, Simulator, UpgradeSpec
from tests.support.daemons import until, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.nights import START, polled_anew

OLD, NEW = "30.2.1", "31.2.2"
SE_S = 30.0
CHECKED, CONTROLLERS, COMPLETED = (Wait(until=until) for until in ("checked", "controllers", "completed"))


def controller(name: str, *groups: GroupSpec, outcome: str = "completed", at: float = 10.0) -> ControllerSpec:
    """A Controller with an upgrade of some five minutes."""
    spec = UpgradeSpec(
        at=at, version=NEW, outcome=outcome, controllers_s=60.0, outage_s=60.0, checks=CheckSpec(warnings=1)  # type: ignore[arg-type]
    )  # fmt: skip
    return ControllerSpec(
        name=name, version=OLD, images=1, groups=groups or (GroupSpec(ses=2, se_s=SE_S),), upgrade=spec
    )


CONTROLLERS_OF_THE_NIGHT = (
    controller("good"),
    controller("failed", GroupSpec(ses=2, se_s=SE_S, outcome="failed_ses_continue")),
    controller("suspended", GroupSpec(ses=3, se_s=SE_S, outcome="suspended")),
    controller("resumed", GroupSpec(ses=3, se_s=SE_S, outcome="suspended", resumed_after_s=60.0)),
    controller("rolled-back", outcome="controller_failed"),
    controller("behind", GroupSpec(ses=1, se_s=SE_S), GroupSpec(name="forgotten", ses=1, outcome="left_behind")),
    controller("checks", outcome="check_error"),
    controller("gone", outcome="never_back"),
    controller("earlier", at=-86400.0),
)
WAITS: dict[str, tuple[str, Wait, int, str]] = {
    "checked": ("good", CHECKED, 0, ""),
    "checked strictly": ("good", Wait(until="checked", strict=True), 1, "its pre-checks ended with 1 warning"),
    "controllers": ("good", CONTROLLERS, 0, ""),
    "completed": ("good", COMPLETED, 0, ""),
    "completed in this version": ("good", Wait(until="completed", version=NEW), 0, ""),
    "failed Service Engines": ("failed", COMPLETED, 1, "completed, but 1 of 2 Service Engines failed"),
    "Controllers of one that fails later": ("failed", CONTROLLERS, 0, ""),
    "suspended": ("suspended", COMPLETED, 1, "Default-Group@Default-Cloud: suspended: Service Engine"),
    "resumed": ("resumed", Wait(until="completed", through_suspended=True), 1, f"still at {OLD}, not {NEW}"),
    "rolled back": ("rolled-back", COMPLETED, 1, "cluster-0-1: failed"),
    "Controllers rolled back": ("rolled-back", CONTROLLERS, 1, "cluster-0-1: failed"),
    "left behind": ("behind", COMPLETED, 1, f"forgotten@Default-Cloud: idle, still at {OLD}, not {NEW}"),
    "checks with an error": ("checks", CHECKED, 1, "cluster-0-1: check failed: "),
    "completed after checks with an error": ("checks", COMPLETED, 1, "cluster-0-1: check failed"),
    "an upgrade of long ago": ("earlier", COMPLETED, 3, f"no upgrade began; cluster-0-1 is completed at {NEW}"),
    "already in this version": ("earlier", Wait(until="completed", version=NEW), 0, ""),
}


class Heard:
    """A display that says when there was a first message."""

    def __init__(self) -> None:
        self.first = asyncio.Event()

    def update(self, state: WatchState, _changes: Iterable[Change], *, now: float) -> None:  # noqa: ARG002
        if state.view.clock_offset_s is not None:
            self.first.set()

    def notify(self, text: str) -> None:
        pytest.fail(text)


async def follow(daemon: Daemon, watcher: Watcher) -> tuple[int, str]:
    """Return the exit code of a wait, and its message."""
    async with connect(Access(url=daemon.url)) as client, aclosing(subscribe(client, Random(1))) as items:
        try:
            async for item in items:
                if watcher.handle(item):
                    break
        except CommandError as error:
            return error.exit_status, str(error)
    return 0, ""


async def spend_the_night(daemon: Daemon, simulator: Simulator) -> None:
    """Let the upgrades end, and then ten minutes and more pass."""
    for step_s in (*[30.0] * 14, 650.0):
        simulator.clock.advance(step_s)
        await simulator.wait_timelines()
        async with asyncio.TaskGroup() as polls:
            for name in simulator.controllers:
                polls.create_task(polled_anew(daemon, name))
    uuid = simulator.controllers["good"].upload("news", duration=60.0)  # a message that has the time
    await until(daemon, "good", lambda entry: uuid in entry.objects("image"))


async def test_each_wait_ends_as_its_upgrade_does(tmp_path: Path) -> None:
    simulator = Simulator(CONTROLLERS_OF_THE_NIGHT, start=START, speed=0.0)
    async with simulator, watching(simulator, tmp_path, wall=simulator.clock.now) as daemon:
        for name in simulator.controllers:
            await until(daemon, name, lambda entry: entry.overview is not None and entry.overview.phase is not None)
        displays = {name: Heard() for name in (*WAITS, "away")}
        wait_of = {name: (where, wait) for name, (where, wait, _, _) in WAITS.items()} | {"away": ("gone", COMPLETED)}
        watchers = {
            name: Watcher(UpgradeTarget(controller=where, wait=wait), None, displays[name], time.monotonic)
            for name, (where, wait) in wait_of.items()
        }
        async with asyncio.timeout(WAIT_TIMEOUT_S * 4), asyncio.TaskGroup() as tasks:
            ends = {name: tasks.create_task(follow(daemon, watcher)) for name, watcher in watchers.items()}
            for display in displays.values():
                await display.first.wait()
            await spend_the_night(daemon, simulator)
            ended = {name: await task for name, task in ends.items() if name != "away"}
            assert not ends["away"].done()
            ends["away"].cancel()
    told = {name: (code, text in ended[name][1]) for name, (_, _, code, text) in WAITS.items()}
    codes = {name: (code, True) for name, (_, _, code, _) in WAITS.items()}
    assert told == codes, ended
    away = str(watchers["away"].timeout_error())
    assert away.startswith("timed out; gone: the Controllers are away, rebooting, upgrade 30.2.1")
    assert ", away for 1" in away
