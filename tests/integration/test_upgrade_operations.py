"""
Which operation, and of which cluster: restarts, rollbacks, two clusters.

Rules 8, 11 and 12 of docs/upgrade-watching.md.
"""

from functools import partial
from pathlib import Path

from structlog.testing import capture_logs

from monitor.model.upgrade import Upgrade
from monitor.polling.fleet import Entry
from monitor.simulator import Simulator, UnitOptions, UpgradeSpec
from tests.support.daemons import exposition, failed, polled, samples, scrape, until, watching
from tests.support.nights import START, Night, note_phases, phase_of, planned, polled_anew, upgrade_night


def keys_of(entry: Entry) -> dict[str, str]:
    """The key of the operation of each unit."""
    marks = {uuid: each.mark for uuid, each in entry.objects("upgrade").items()}
    return {uuid: mark.operation.key for uuid, mark in marks.items() if mark.operation}


def clusters_of(entry: Entry) -> dict[str, Upgrade]:
    """The clusters by uuid."""
    units = {uuid: each.object for uuid, each in entry.objects("upgrade").items()}
    return {uuid: unit for uuid, unit in units.items() if isinstance(unit, Upgrade) and unit.kind == "controller"}


async def test_a_daemon_that_is_restarted_while_the_controllers_are_away_waits_for_them(tmp_path: Path) -> None:
    simulator = Simulator(planned(), start=START, speed=0.0)
    async with simulator:
        async with watching(simulator, tmp_path, wall=simulator.clock.now) as daemon:
            await until(daemon, "dc1", lambda entry: entry.session.up)
            night = Night(simulator, "dc1", seen=partial(polled_anew, daemon, "dc1"))
            await night.go_to("controllers")
            await night.go_to("away")
            before = daemon.fleet.entries["dc1"]
            keys, marks = keys_of(before), {uuid: each.mark for uuid, each in before.objects("image").items()}
            assert any(keys.values())
        with capture_logs() as logs:
            async with watching(simulator, tmp_path, wall=simulator.clock.now) as daemon:
                await failed(daemon, "dc1", "upgrading", 3)
                shown = await scrape(daemon)
                assert samples(shown, "avi_controller_upgrade_in_progress") == [1.0]
                assert samples(shown, "avi_controller_up") == [0.0]
                night = Night(simulator, "dc1", seen=partial(polled_anew, daemon, "dc1"))
                await night.go_to("back")
                entry = daemon.fleet.entries["dc1"]
                assert entry.session.up
                assert keys_of(entry) == keys, "a restart is no new operation"
                assert {uuid: each.mark for uuid, each in entry.objects("image").items()} == marks
                await night.go_to("done")
                assert daemon.fleet.entries["dc1"].overview.done  # type: ignore[union-attr]
        events = [(log["event"], log["log_level"]) for log in logs if log["event"].startswith("controller_")]
        assert events == [("controller_down", "info"), ("controller_returned", "info")]


async def test_of_two_clusters_the_one_that_exists_drives(tmp_path: Path) -> None:
    """The other one seems to be upgraded since long ago."""
    spec = planned(units=UnitOptions(stale_cluster=True))
    async with upgrade_night(tmp_path, spec) as (daemon, night):
        entry = daemon.fleet.entries["dc1"]
        (other,) = clusters_of(entry).keys() - {night.controller.upgrades.cluster_uuid}
        assert clusters_of(entry)[other].state == "running"
        assert phase_of(daemon) == "none"
        assert (entry.session.under_way, entry.session.upgrading) == (False, False)
        assert sum(request.path == "/api/cluster" for request in night.controller.requests) >= 1
        phases = note_phases(daemon)

        await night.controller.stop_listening()
        await failed(daemon, "dc1", "connect", 2)
        await night.controller.start_listening()
        await polled(daemon, "dc1", 2)

        await night.go_to("checks")
        await night.go_to("done")
        assert phases == ["none", "checking", "controllers", "away", "service_engines", "none"]
        entry = daemon.fleet.entries["dc1"]
        assert entry.overview is not None
        assert entry.overview.done
        assert (entry.session.under_way, entry.session.upgrading) == (False, False)
        states = await exposition(daemon)
        shown = {dict(labels)["unit_uuid"] for (name, labels), _ in states.items() if name == "avi_upgrade_state"}
        assert shown >= {other, night.controller.upgrades.cluster_uuid}, "the other one is shown"


async def test_controllers_that_roll_back_by_themselves_are_said_to(tmp_path: Path) -> None:
    seen: list[tuple[str | None, str]] = []

    def note(_name: str, entry: Entry | None, _changes: object) -> None:
        if entry and entry.overview and entry.objects("upgrade"):
            (cluster,) = clusters_of(entry).values()
            if (entry.overview.phase, cluster.state) not in seen[-1:]:
                seen.append((entry.overview.phase, cluster.state))

    async with upgrade_night(tmp_path, "upgrade-rollback") as (daemon, night):
        daemon.fleet.subscribe(note)
        await night.go_to("controllers", after_s=380.0)
        entry = daemon.fleet.entries["dc1"]
        assert entry.overview is not None
        assert (entry.overview.done, entry.session.version, entry.session.under_way) == (False, "30.2.1", False)
    assert seen[-3:] == [("controllers", "running"), ("rolling_back", "aborting"), ("none", "failed")]


async def test_a_rollback_brings_the_version_down_and_every_series_with_it(tmp_path: Path) -> None:
    """The API version of before is refused, and healed."""
    async with upgrade_night(tmp_path, planned(), step_s=60.0) as (daemon, night):
        await night.go_to("done")
        assert daemon.fleet.entries["dc1"].session.api_version == "31.2.2"
        night.controller.upgrades.start(UpgradeSpec(operation="ROLLBACK"), at=night.simulator.clock.now() + 5.0)
        await night.go_to("controllers")
        assert phase_of(daemon) == "rolling_back"
        assert daemon.fleet.entries["dc1"].session.under_way
        await night.go_to("done")
        entry = daemon.fleet.entries["dc1"]
        assert (entry.session.up, entry.session.version, entry.session.api_version) == (True, "30.2.1", "30.2.1")
        assert {unit.version.version for unit in clusters_of(entry).values()} == {"30.2.1"}
        assert entry.overview is not None
        assert (entry.overview.phase, entry.overview.done) == ("none", True)


async def test_a_version_that_went_down_within_a_session_is_healed_for_images_and_units(tmp_path: Path) -> None:
    """The Controller answers 400 ``Invalid version`` to both lists, until the client has logged in again."""
    async with upgrade_night(tmp_path, planned(at=86_400.0)) as (daemon, night):
        night.controller.version = "22.1.6"
        entry = await until(daemon, "dc1", lambda entry: entry.session.version == "22.1.6")
        assert entry.session.up
        assert 400 in {request.status for request in night.controller.requests}
        entry = await polled(daemon, "dc1", 2)
        assert entry.session.api_version == "22.1.6"
        assert night.controller.logins == 2
        assert not entry.collections["image"].health.failures
        assert not entry.collections["upgrade"].health.failures
        assert entry.objects("upgrade")
