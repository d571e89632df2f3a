"""What was read last is held while the Controllers are away, for ``hold_for``: rule 9 of docs/upgrade-watching.md."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.daemon.app import Daemon
from monitor.polling.fleet import Entry
from monitor.simulator import Fault
from tests.support.clocks import MonotonicClock
from tests.support.daemons import exposition, failed, until
from tests.support.nights import Night, planned, upgrade_night

MINUTE_S = 60.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MonotonicClock:
    return MonotonicClock(monkeypatch)


@asynccontextmanager
async def away(folder: Path) -> AsyncIterator[tuple[Daemon, Night, list[Entry]]]:
    """A daemon with the default ``stale_after`` and ``hold_for``, whose Controllers have just gone; its entries."""
    async with upgrade_night(folder, planned()) as (daemon, night):
        entries: list[Entry] = []
        daemon.fleet.subscribe(lambda _name, entry, _changes: entries.append(entry) if entry else None)
        await night.go_to("controllers")
        await night.go_to("away", after_s=10.0)
        yield daemon, night, entries


def turns(entries: Iterable[Entry], resource: str) -> list[bool]:
    """Whether the objects of a resource were stale, without repetitions."""
    seen: list[bool] = []
    for entry in entries:
        stale = entry.collections[resource].health.stale
        if not seen or seen[-1] != stale:
            seen.append(stale)
    return seen


def is_stale(entry: Entry) -> bool:
    return all(each.health.stale for each in entry.collections.values())


async def test_an_outage_within_the_hold_withdraws_nothing(tmp_path: Path, clock: MonotonicClock) -> None:
    async with away(tmp_path) as (daemon, night, entries):
        for _ in range(11):  # 110 min; stale_after is 5
            await clock.set_forward_between_polls(daemon, "dc1", 10 * MINUTE_S)
        await night.advance(1.0)
        series = await exposition(daemon)
        assert {name for name, _ in series} >= {"avi_image_info", "avi_upgrade_state", "avi_controller_upgrade_units"}
        assert turns(entries, "image") == turns(entries, "upgrade") == [False]
        await night.go_to("back")
        assert turns(entries, "image") == turns(entries, "upgrade") == [False]
        assert daemon.fleet.entries["dc1"].session.up


async def test_an_outage_longer_than_the_hold_withdraws_once_and_brings_back_once(
    tmp_path: Path, clock: MonotonicClock
) -> None:
    with capture_logs() as logs:
        async with away(tmp_path) as (daemon, night, entries):
            for _ in range(13):
                await clock.set_forward_between_polls(daemon, "dc1", 10 * MINUTE_S)
            await until(daemon, "dc1", is_stale)
            await night.advance(60.0)
            series = await exposition(daemon)
            assert not [name for name, _ in series if name.startswith(("avi_image_", "avi_upgrade_state"))]
            assert "avi_controller_upgrade_phase" not in {name for name, _ in series}
            dc1 = (("controller", "dc1"),)
            shown = [series[f"avi_controller_{name}", dc1] for name in ("up", "upgrade_in_progress")]
            assert shown == [0.0, 1.0], "an upgrade it still is"
            await night.go_to("back")
            assert turns(entries, "image") == turns(entries, "upgrade") == [False, True, False]
            await night.go_to("done")
            assert turns(entries, "image") == turns(entries, "upgrade") == [False, True, False]
            assert daemon.fleet.entries["dc1"].overview.done  # type: ignore[union-attr]
    stale = [(log["resource"], log["log_level"]) for log in logs if log["event"] == "controller_stale"]
    assert sorted(stale) == [("image", "warning"), ("upgrade", "warning")]


async def test_the_hold_begins_when_a_failing_controller_says_that_it_is_upgraded(
    tmp_path: Path, clock: MonotonicClock
) -> None:
    """What was to be withdrawn 5 min after the last good poll is held, counted from that poll."""
    async with upgrade_night(tmp_path, planned(at=86_400.0)) as (daemon, night):
        night.controller.faults.add(Fault("http_500"))
        await until(daemon, "dc1", lambda entry: entry.session.reason == "http_5xx")
        await clock.set_forward_between_polls(daemon, "dc1", 4 * MINUTE_S)
        night.controller.faults.clear()
        night.controller.faults.add(Fault("html_503"))
        await until(daemon, "dc1", lambda entry: entry.session.under_way)
        for _ in range(11):
            await clock.set_forward_between_polls(daemon, "dc1", 10 * MINUTE_S)
        entry = await until(daemon, "dc1", lambda entry: entry.session.reason == "upgrading")
        assert not any(each.health.stale for each in entry.collections.values())
        await clock.set_forward_between_polls(daemon, "dc1", 10 * MINUTE_S)
        await until(daemon, "dc1", is_stale)


async def test_what_was_withdrawn_stays_so_when_a_controller_says_it_too_late(
    tmp_path: Path, clock: MonotonicClock
) -> None:
    async with upgrade_night(tmp_path, planned(at=86_400.0)) as (daemon, night):
        night.controller.faults.add(Fault("http_500"))
        await until(daemon, "dc1", lambda entry: entry.session.reason == "http_5xx")
        await clock.set_forward_between_polls(daemon, "dc1", 6 * MINUTE_S)
        await until(daemon, "dc1", is_stale)
        night.controller.faults.clear()
        night.controller.faults.add(Fault("html_503"))
        assert is_stale(await until(daemon, "dc1", lambda entry: entry.session.under_way))
        night.controller.faults.clear()
        await until(daemon, "dc1", lambda entry: entry.session.up and not is_stale(entry))


async def test_an_outage_without_an_upgrade_is_one(tmp_path: Path, clock: MonotonicClock) -> None:
    """As it was before there was upgrade status."""
    with capture_logs() as logs:
        async with upgrade_night(tmp_path, planned(at=86_400.0)) as (daemon, night):
            await night.controller.stop_listening()
            await failed(daemon, "dc1", "connect", 2)
            await clock.set_forward_between_polls(daemon, "dc1", 4 * MINUTE_S)
            assert not is_stale(await failed(daemon, "dc1", "connect", 2))
            await clock.set_forward_between_polls(daemon, "dc1", 2 * MINUTE_S)
            entry = await until(daemon, "dc1", is_stale)
            assert (entry.session.up, entry.session.upgrading, entry.session.under_way) == (False, False, False)
            assert entry.collections["image"].health.failures.keys() == {"connect"}
            names = {name for name, _ in await exposition(daemon)}
            assert not [name for name in names if name.startswith(("avi_image_", "avi_upgrade_state"))]
            assert "avi_controller_upgrade_phase" not in names
            await night.controller.start_listening()
            await until(daemon, "dc1", lambda entry: entry.session.up)
    shown = [log for log in logs if log["log_level"] != "debug" and log["event"].startswith("controller_")]
    assert {log["log_level"] for log in shown} == {"warning"}
    stale = [log["resource"] for log in shown if log["event"] == "controller_stale"]
    assert sorted(stale) == ["image", "upgrade"]
    others = [(log["event"], log.get("reason")) for log in shown if log["event"] != "controller_stale"]
    assert others == [("controller_up", None), ("controller_down", "connect"), ("controller_up", None)]
