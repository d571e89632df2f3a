"""When the daemon reports that it has stalled, and that it is not ready."""

import pytest
from structlog.testing import capture_logs

from monitor.daemon.heartbeat import Heartbeat, StallLimits, not_ready_reason, stall_reason
from monitor.metrics.self_metrics import SelfMetrics
from monitor.model.health import SessionHealth
from monitor.polling.fleet import Fleet
from tests.support.polling import ManualClock, entry_of


def fleet_of(*attempted_at: float | None) -> Fleet:
    fleet = Fleet()
    for number, at in enumerate(attempted_at):
        fleet.publish(entry_of(f"dc{number}", session=SessionHealth(attempted_at=at)))
    return fleet


@pytest.mark.parametrize(
    ("age_s", "overdue_s", "reason"),
    [
        (0.0, 0.0, ""),
        (10.0, 30.0, ""),
        (10.5, 0.0, "no heartbeat for 10 s"),
        (0.0, 30.6, "a poller is overdue by 31 s"),
        (12.0, 40.0, "no heartbeat for 12 s"),
    ],
)
def test_the_daemon_has_stalled_when_its_heartbeat_is_old_or_a_poller_is_overdue(
    age_s: float, overdue_s: float, reason: str
) -> None:
    assert stall_reason(age_s, overdue_s, StallLimits()) == reason


@pytest.mark.parametrize(
    ("fleet", "store", "uptime_s", "stopping", "reason"),
    [
        pytest.param(fleet_of(1.0, 2.0), "", 1.0, False, "", id="all-tried"),
        pytest.param(fleet_of(1.0, None), "", 1.0, False, "1 of 2 controllers not polled yet", id="one-untried"),
        pytest.param(fleet_of(1.0, None), "", 30.0, False, "", id="one-untried-for-long"),
        pytest.param(fleet_of(1.0), "no database", 60.0, False, "no database", id="no-database"),
        pytest.param(fleet_of(1.0), "", 60.0, True, "stopping", id="stopping"),
    ],
)
def test_the_daemon_is_ready_when_a_scrape_shows_everything(
    fleet: Fleet, store: str, uptime_s: float, stopping: bool, reason: str
) -> None:
    assert not_ready_reason(fleet, store=store, uptime_s=uptime_s, stopping=stopping) == reason


@pytest.mark.parametrize(
    ("by_s", "logged"),
    [
        pytest.param(-7200.0, [-7200.0], id="set-back"),
        pytest.param(3600.0, [3600.0], id="set-ahead"),
        pytest.param(0.5, [], id="adjusted"),
    ],
)
async def test_a_clock_that_is_set_is_logged_once(by_s: float, logged: list[float]) -> None:
    clock, monotonic = ManualClock(), ManualClock()
    heartbeat = Heartbeat(SelfMetrics(), now=clock, monotonic=monotonic)
    with capture_logs() as logs:
        for step_s in (0.0, by_s, 0.0):
            clock.now += 1.0 + step_s
            monotonic.now += 1.0
            heartbeat.check_clock()
    assert [line["by_s"] for line in logs if line["event"] == "clock_stepped"] == logged
