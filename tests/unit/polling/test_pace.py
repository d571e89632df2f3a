"""At which pace a controller is polled while units and images move, wait or rest, and during an upgrade."""

from random import Random

import pytest

from monitor.config.settings import Poll
from monitor.model.errors import Unavailable
from monitor.model.snapshot import Snapshot
from monitor.model.tracked import Tracked
from monitor.polling.schedule import interval_after, pace_s

IDLE, ACTIVE = Snapshot[Tracked](), Snapshot[Tracked](active=True)


@pytest.mark.parametrize(
    ("snapshots", "interval_s"),
    [
        pytest.param((IDLE, IDLE), 60.0, id="all idle"),
        pytest.param((ACTIVE, IDLE), 5.0, id="an image is active"),
        pytest.param((IDLE, ACTIVE), 5.0, id="a unit is active"),
        pytest.param((IDLE, Snapshot[Tracked](suspended_since=5000.0)), 5.0, id="suspended just now"),
        pytest.param((IDLE, Snapshot[Tracked](suspended_since=1400.0)), 5.0, id="suspended for an hour"),
        pytest.param((IDLE, Snapshot[Tracked](suspended_since=1399.0)), 30.0, id="suspended for more than an hour"),
        pytest.param((ACTIVE, Snapshot[Tracked](suspended_since=0.0)), 5.0, id="suspended long ago, another is active"),
    ],
)
def test_the_pace_is_that_of_what_moves_on_any_resource(
    snapshots: tuple[Snapshot[Tracked], ...], interval_s: float
) -> None:
    assert pace_s(snapshots, Poll(active_interval_s=5.0, idle_interval_s=60.0), at=5000.0) == interval_s


@pytest.mark.parametrize(("active_s", "idle_s", "interval_s"), [(1.0, 20.0, 20.0), (45.0, 60.0, 45.0)])
def test_what_is_suspended_for_long_is_polled_no_slower_than_what_is_idle_and_no_faster_than_what_is_active(
    active_s: float, idle_s: float, interval_s: float
) -> None:
    poll = Poll(active_interval_s=active_s, idle_interval_s=idle_s)
    assert pace_s([Snapshot[Tracked](suspended_since=0.0)], poll, at=5000.0) == interval_s


def test_back_off_during_an_upgrade_has_a_limit_of_its_own_and_a_longer_wait_that_is_asked_for_is_obeyed() -> None:
    poll = Poll(active_interval_s=5.0, idle_interval_s=60.0, max_backoff_s=60.0)

    def wait_s(error: Unavailable, failures: int, seed: int) -> float:
        return interval_after(error, failures, poll, Random(seed), pace_s=5.0, max_backoff_s=15.0)

    waits = [wait_s(Unavailable("upgrading", "503"), 20, seed) for seed in range(200)]
    assert 14.0 < max(waits) <= 15.0
    assert wait_s(Unavailable("upgrading", "503", retry_after_s=40.0), 20, 1) == 40.0
