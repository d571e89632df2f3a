"""The demo, without running it."""

from monitor.cli.commands.demo import START_IN_PAST_S, demo
from monitor.simulator import Simulator


def test_no_time_that_the_demo_shows_is_in_the_future() -> None:
    """Would find simulated clocks that overtake the real one before the upgrade of the demo has ended."""
    speed = demo.make_context("demo", []).params["speed"]
    plan = Simulator.of("fleet", speed=0.0, start=0.0).controllers["ams"].upgrades.plan
    assert plan
    ends_s = plan.started_at + plan.end
    assert ends_s - ends_s / speed < START_IN_PAST_S
