"""The report on an upgrade, from a simulated night to the change ticket."""

from functools import partial
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, GroupSpec, Simulator
from tests.support.command_line import run
from tests.support.conformance import require_conformance
from tests.support.daemons import until, watching
from tests.support.nights import START, Moment, Night, planned, polled_anew
from tests.support.operators import ALICE, TOKENS, ask, token

GROUPS = (
    GroupSpec(name="internal", ses=2, virtual_services=20, disrupted=3),
    GroupSpec(name="a|b", cloud="aws", ses=3, outcome="failed_ses_continue"),
)
OF_DC2 = "aum_dc2"
MORE_TOKENS = [*TOKENS, token("dave", OF_DC2, "read", controllers=["dc2"])]
BEFORE: tuple[Moment, ...] = ("checks", "controllers", "away")
AFTER: tuple[Moment, ...] = ("back", "groups", "done")


async def report(daemon: Daemon, **query: str) -> dict[str, Any]:
    got = await ask(daemon, "GET", "/api/upgrade-report", token=ALICE, query={"controller": "dc1", **query})
    assert got.status == 200, got.body
    require_conformance("GET", "/api/upgrade-report", got.status, got.headers, got.body)
    return dict(got.json)


async def test_a_report_tells_a_whole_night_though_the_daemon_was_restarted_in_it(tmp_path: Path) -> None:
    simulator = Simulator([*planned(groups=GROUPS), ControllerSpec(name="dc2")], start=START, speed=0.0)
    clock = simulator.clock.now
    async with simulator:
        async with watching(simulator, tmp_path, wall=clock, tokens=MORE_TOKENS) as daemon:
            await until(daemon, "dc1", lambda entry: entry.session.up)
            none = await ask(daemon, "GET", "/api/upgrade-report", token=ALICE, query={"controller": "dc1"})
            assert (none.status, none.kind) == (404, "no-such-upgrade")
            night = Night(simulator, "dc1", seen=partial(polled_anew, daemon, "dc1"))
            for moment in BEFORE:
                await night.go_to(moment)
            so_far = await report(daemon)
            assert (so_far["phase"], so_far["ended_at"], so_far["done"]) == ("away", None, False)
        async with watching(simulator, tmp_path, wall=clock, tokens=MORE_TOKENS) as daemon:
            night = Night(simulator, "dc1", seen=partial(polled_anew, daemon, "dc1"))
            for moment in AFTER:
                await night.go_to(moment)
            (cluster,) = [unit["uuid"] for unit in (await report(daemon))["units"] if unit["kind"] == "controller"]
            acknowledged = {"annotations": {"acknowledged": "true"}}
            path = f"/api/upgradestatusinfo/{cluster}?controller=dc1"
            assert (await ask(daemon, "PATCH", path, acknowledged, token=ALICE)).status == 200
            told = await report(daemon)
            with capture_logs():  # the daemon writes to the same output
                text = await run(daemon.url, "report", "dc1", token=ALICE)
                unknown = await run(daemon.url, "report", "dc1", "--number", "2", token=ALICE)
            assert text.exit_code == 0, text.stderr
            other = await ask(daemon, "GET", "/api/upgrade-report", token=OF_DC2, query={"controller": "dc1"})
    assert [each["phase"] for each in told["phases"]] == [
        "checking", "controllers", "away", "service_engines",
    ]  # fmt: skip
    assert (told["from_version"], told["to_version"], told["done"]) == ("30.2.1", "31.2.2", False)
    assert float(told["away_seconds"]) > 60.0
    assert told["left_behind"] == ["a|b"]
    assert [(each["actor"], each["unit"], each["annotations"]) for each in told["annotations"]] == [
        ("alice", cluster, {"acknowledged": "true"})
    ]
    lines = text.stdout.splitlines()
    assert lines[0] == "# Upgrade of dc1: 30.2.1 → 31.2.2"
    assert "- Result: **not done**; left behind: a\\|b" in lines
    assert any(line.startswith("| internal@Default-Cloud | completed |") and line.endswith("| 3 |") for line in lines)
    assert any(line.startswith("- a\\|b@aws: Service Engines that failed: a\\|b-se-2") for line in lines)
    assert unknown.exit_code == 4
    assert "no upgrade 2: the daemon knows of 1" in unknown.stderr
    assert (other.status, other.kind) == (404, "no-such-controller")
