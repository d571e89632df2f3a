"""The Controllers are back: version, full read, moves, log-ins. Rules 10 and 11 of docs/upgrade-watching.md."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.avi.login_password import RETRY_AFTER_S
from monitor.daemon.app import Daemon
from monitor.polling.fleet import Entry
from monitor.simulator import Fault, GroupSpec
from tests.support.clocks import MonotonicClock
from tests.support.daemons import QUICK, failed, polled, rewrite, until
from tests.support.nights import Night, note_phases, planned, polled_anew, upgrade_night


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MonotonicClock:
    return MonotonicClock(monkeypatch)


def moved_at(entry: Entry, resource: str = "upgrade") -> Mapping[str, float]:
    """When each active object moved last."""
    objects = entry.objects(resource).values()
    return {each.object.uuid: each.mark.changed_at for each in objects if each.object.active}


async def test_after_the_return_version_and_all_units_are_read_and_said_to_be_back(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with upgrade_night(tmp_path, planned()) as (daemon, night):
            await night.go_to("controllers")
            await night.go_to("back", after_s=-1.0)
            left_at, asked, logins = daemon.fleet.entries["dc1"].session, len(night.controller.requests), 1
            assert (left_at.version, night.controller.logins) == ("30.2.1", logins)
            await night.go_to("back")
            entry = daemon.fleet.entries["dc1"]
            assert (entry.session.version, entry.session.api_version) == ("31.2.2", "31.2.2")
            assert night.controller.logins == logins + 1
            paths = [request.path for request in night.controller.requests[asked:]]
            assert "/api/upgradestatusinfo" in paths, "all units in full"
            assert {unit.object.state for unit in entry.objects("upgrade").values()} == {"running", "idle"}
    (returned,) = [log for log in logs if log["event"] == "controller_returned"]
    assert (returned["log_level"], returned["version"], returned["controller"]) == ("info", "31.2.2", "dc1")
    assert returned["away_s"] >= night.plan.spec.outage_s
    (changed,) = [log for log in logs if log["event"] == "controller_version_changed"]
    assert (changed["log_level"], changed["before"], changed["version"]) == ("info", "30.2.1", "31.2.2")
    assert [log["event"] for log in logs].count("controller_up") == 1, "at the start"


async def test_the_return_counts_as_a_move_of_each_unit_and_image_that_is_active(tmp_path: Path) -> None:
    """An hour passes while it is away; nothing has moved when it is back, and nothing has stalled."""
    groups = [GroupSpec(ses=2, outcome="stuck_se", se_s=60.0), GroupSpec(name="other", ses=1)]
    (spec,) = planned(groups=groups)
    async with upgrade_night(tmp_path, [spec]) as (daemon, night):
        night.controller.upload(duration=60.0, outcome="stalled")
        await night.go_to("back")
        await night.advance(300.0)
        before = daemon.fleet.entries["dc1"]
        night.controller.faults.add(Fault("html_503", path="/"))
        await until(daemon, "dc1", lambda entry: entry.session.away)
        night.simulator.clock.advance(3600.0)
        await polled_anew(daemon, "dc1")
        assert moved_at(daemon.fleet.entries["dc1"]) == moved_at(before), "nothing moves while it is away"
        night.controller.faults.clear()
        entry = await polled(daemon, "dc1", 2)
        now = night.simulator.clock.now()
        for resource, active in (("upgrade", 3), ("image", 1)):
            moved = moved_at(entry, resource)
            assert set(moved.values()) == {now}
            assert len(moved) == active
            assert moved.keys() == moved_at(before, resource).keys()
            assert "stalled" not in {each.standing for each in entry.objects(resource).values()}


async def test_the_first_good_poll_after_the_return_reads_the_units_though_they_could_not_be_read_before(
    tmp_path: Path,
) -> None:
    """A read that failed twice is made again after ``idle_interval``, but at once when the Controllers are back."""
    poll = {**QUICK, "idle_interval": "60s"}
    async with upgrade_night(tmp_path, planned(at=0.0), poll=poll) as (daemon, night):
        await night.go_to("controllers")
        for path in ("/api/upgradestatussummary", "/api/upgradestatusinfo"):
            night.controller.faults.add(Fault("http_500", path=path))
        await until(daemon, "dc1", lambda entry: sum(entry.collections["upgrade"].health.failures.values()) > 1)
        night.controller.faults.add(Fault("html_503"))
        await until(daemon, "dc1", lambda entry: entry.session.away)
        night.controller.faults.clear()
        entry = await until(daemon, "dc1", lambda entry: entry.session.up)
        assert entry.collections["upgrade"].health.reason is None


async def test_the_groups_go_on_after_the_return_and_in_the_end_it_is_done(tmp_path: Path) -> None:
    async with upgrade_night(tmp_path, planned()) as (daemon, night):
        phases = note_phases(daemon)
        await night.go_to("checks")
        await night.go_to("done")
        entry = daemon.fleet.entries["dc1"]
        assert phases == ["checking", "controllers", "away", "service_engines", "none"]
        assert entry.overview is not None
        assert (entry.overview.done, entry.overview.left_behind) == (True, {"se_group": 0, "se": 0})
        assert {unit.object.state for unit in entry.objects("upgrade").values()} == {"completed"}
        assert (entry.session.up, entry.session.upgrading, entry.session.under_way) == (True, False, False)


# -- log-ins


async def return_refusing(daemon: Daemon, night: Night) -> None:
    """Go on until the Controllers are back and have refused the first log-in: then no poll comes for two minutes."""
    await night.go_to("controllers")
    await night.go_to("back", after_s=-1.0)
    assert (night.controller.logins, night.controller.failed_logins) == (1, 0)
    night.simulator.clock.advance(2.0)
    await night.simulator.wait_timelines()
    await until(daemon, "dc1", lambda entry: night.controller.failed_logins > 0 and entry.session.interval_s > 100.0)


async def test_a_portal_that_starts_before_its_users_are_known_costs_one_refused_log_in(
    tmp_path: Path, clock: MonotonicClock
) -> None:
    async with upgrade_night(tmp_path, planned(refuses_logins_s=60.0)) as (daemon, night):
        await return_refusing(daemon, night)
        entry = daemon.fleet.entries["dc1"]
        assert (entry.session.reason, entry.session.auth_suspended, entry.session.away) == ("upgrading", False, True)
        assert entry.session.interval_s == pytest.approx(RETRY_AFTER_S, abs=1.0)
        night.simulator.clock.advance(61.0)
        clock.set_forward(RETRY_AFTER_S)
        await until(daemon, "dc1", lambda entry: entry.session.up)
        assert (night.controller.logins, night.controller.failed_logins) == (2, 1)
        assert daemon.fleet.entries["dc1"].collections["image"].health.failures.keys() == {"upgrading"}


async def test_a_password_that_is_wrong_for_good_is_tried_twice_and_never_a_third_time(
    tmp_path: Path, clock: MonotonicClock
) -> None:
    async with upgrade_night(tmp_path, planned()) as (daemon, night):
        night.controller.password = "changed"  # its session goes on
        await return_refusing(daemon, night)
        clock.set_forward(RETRY_AFTER_S)
        await failed(daemon, "dc1", "auth")
        assert daemon.fleet.entries["dc1"].session.auth_suspended
        for _ in range(3):
            clock.set_forward(RETRY_AFTER_S)
            await failed(daemon, "dc1", "auth", 3)
        assert (night.controller.logins, night.controller.failed_logins) == (1, 2)
        rewrite(tmp_path / "dc1.password", "changed\n")
        await until(daemon, "dc1", lambda entry: entry.session.up)
        assert (night.controller.logins, night.controller.failed_logins) == (2, 2)
