"""Controllers that cannot be polled: upgrading, suspended, throttled, stale; and that they do not affect others."""

import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Fault, SimulatedController, Simulator, UploadSpec
from tests.support.daemons import (
    QUICK,
    Series,
    exposition,
    failed,
    good_polls,
    image_uuids,
    polled,
    rewrite,
    scrape,
    until,
    watching,
)

SPEC = ControllerSpec(name="dc1", images=2, uploads=(UploadSpec(duration=600.0, started_ago=300.0),))
SHORT_LIVED = {**QUICK, "timeout": "2s", "stale_after": "3s"}


def of_dc1(series: Series, *names: str) -> list[float]:
    """``stale`` is of the read of images, all others of the session."""
    read = {"stale": (("resource", "image"),)}
    return [series[f"avi_controller_{name}", (("controller", "dc1"), *read.get(name, ()))] for name in names]


# -- an upgrade night


@pytest.mark.parametrize("sign", ["html_503", "forbidden_upgrade"])
async def test_the_upgrade_state_lasts_until_a_good_poll(tmp_path: Path, sign: str) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        dc1 = simulator.controllers["dc1"]
        await polled(daemon, "dc1")
        images = image_uuids(await exposition(daemon), "dc1")
        dc1.faults.add(Fault(sign))
        await failed(daemon, "dc1", "upgrading")
        assert of_dc1(await exposition(daemon), "upgrade_in_progress", "up") == [1.0, 0.0]
        await dc1.stop_listening()
        await failed(daemon, "dc1", "upgrading", 3)
        assert of_dc1(await exposition(daemon), "upgrade_in_progress", "up") == [1.0, 0.0]
        dc1.faults.clear()
        dc1.faults.add(Fault("html_502"))
        await dc1.start_listening()
        await failed(daemon, "dc1", "upgrading", 3)
        assert of_dc1(await exposition(daemon), "upgrade_in_progress", "up") == [1.0, 0.0]
        dc1.version = "31.2.2"
        dc1.expire_sessions()
        dc1.faults.clear()
        await polled(daemon, "dc1")
        series = await exposition(daemon)
    assert of_dc1(series, "upgrade_in_progress", "up") == [0.0, 1.0]
    assert image_uuids(series, "dc1") == images
    version = (("api_version", "31.2.2"), ("controller", "dc1"), ("version", "31.2.2"))
    assert series["avi_controller_info", version] == 1.0


async def test_a_restart_during_an_upgrade_does_not_take_it_for_a_failure(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        dc1 = simulator.controllers["dc1"]
        async with watching(simulator, tmp_path) as daemon:
            await polled(daemon, "dc1")
            dc1.faults.add(Fault("html_503"))
            await failed(daemon, "dc1", "upgrading")
        await dc1.stop_listening()
        async with watching(simulator, tmp_path) as daemon:
            await failed(daemon, "dc1", "upgrading", 3)
            assert of_dc1(await exposition(daemon), "upgrade_in_progress", "up") == [1.0, 0.0]
            dc1.faults.clear()
            await dc1.start_listening()
            await polled(daemon, "dc1")
            assert of_dc1(await exposition(daemon), "upgrade_in_progress", "up") == [0.0, 1.0]
        await dc1.stop_listening()
        async with watching(simulator, tmp_path) as daemon:
            await failed(daemon, "dc1", "connect", 3)
            assert of_dc1(await exposition(daemon), "upgrade_in_progress", "up") == [0.0, 0.0]


async def test_refused_connections_alone_are_no_upgrade(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        await polled(daemon, "dc1")
        await simulator.controllers["dc1"].stop_listening()
        await failed(daemon, "dc1", "connect", 3)
        assert of_dc1(await exposition(daemon), "upgrade_in_progress", "up") == [0.0, 0.0]


async def test_a_failure_of_another_kind_ends_the_upgrade_state(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        dc1 = simulator.controllers["dc1"]
        dc1.faults.add(Fault("html_503"))
        await until(daemon, "dc1", lambda entry: entry.session.upgrading)
        dc1.faults.clear()
        dc1.faults.add(Fault("redirect"))
        await failed(daemon, "dc1", "redirect")
        assert of_dc1(await exposition(daemon), "upgrade_in_progress") == [0.0]


async def test_a_whole_upgrade_night(tmp_path: Path) -> None:
    """The scenario of that name, moment by moment: refused writes, refused connections, 503, another version."""
    async with Simulator.of("upgrade-night", speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        await until(daemon, "dc1", lambda entry: entry.session.up and entry.session.version == "30.2.1")
        simulator.clock.advance(160.0)
        await polled(daemon, "dc1", 2)  # only writes are refused
        simulator.clock.advance(240.0)
        await failed(daemon, "dc1", "upgrading", 2)
        simulator.clock.advance(210.0)
        await failed(daemon, "dc1", "upgrading", 2)
        simulator.clock.advance(30.0)
        entry = await until(daemon, "dc1", lambda entry: entry.session.up and entry.session.version == "31.2.2")
        assert entry.session.api_version == "31.2.2"
        assert {track.object.state for track in entry.objects("image").values()} == {"completed"}
        assert not daemon.fleet.entries["dc2"].collections["image"].health.failures


# -- a refused password


async def test_a_wrong_password_is_tried_once_by_many_polls_and_again_when_the_file_changed(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        dc1 = simulator.controllers["dc1"]
        await polled(daemon, "dc1")
        images = image_uuids(await exposition(daemon), "dc1")
        dc1.password = "changed"
        dc1.expire_sessions()
        await failed(daemon, "dc1", "auth", 10)
        assert dc1.failed_logins == 1
        series = await exposition(daemon)
        assert of_dc1(series, "auth_suspended", "up", "logins_total") == [1.0, 0.0, 2.0]
        assert image_uuids(series, "dc1") == images
        rewrite(tmp_path / "dc1.password", "")
        await failed(daemon, "dc1", "auth", 3)
        assert dc1.failed_logins == 1
        rewrite(tmp_path / "dc1.password", "changed\n")
        await polled(daemon, "dc1", 2)
        assert of_dc1(await exposition(daemon), "auth_suspended", "up", "logins_total") == [0.0, 1.0, 3.0]
        assert dc1.failed_logins == 1


async def test_a_wrong_password_from_the_start_does_not_lock_the_account(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        simulator.controllers["dc1"].password = "changed"
        async with watching(simulator, tmp_path) as daemon:
            simulator.controllers["dc1"].password = "changed again"
            await failed(daemon, "dc1", "auth", 10)
            assert of_dc1(await exposition(daemon), "auth_suspended") == [1.0]
        assert simulator.controllers["dc1"].failed_logins == 1


async def test_a_new_password_is_noticed_in_the_active_interval_however_long_the_account_was_suspended(
    tmp_path: Path,
) -> None:
    patient = {**QUICK, "max_backoff": "1h", "stale_after": "1h"}
    async with Simulator([SPEC], speed=0.0) as simulator:
        dc1 = simulator.controllers["dc1"]
        async with watching(simulator, tmp_path, poll=patient) as daemon:
            right, dc1.password = dc1.password, "changed"
            entry = await failed(daemon, "dc1", "auth", 20)  # with a back-off it would take hours
            assert entry.session.interval_s == 0.05
            rewrite(tmp_path / "dc1.password", "")  # it is being written
            await failed(daemon, "dc1", "auth", 3)
            assert dc1.failed_logins == 1
            dc1.password = right
            rewrite(tmp_path / "dc1.password", "wrong again")
            await until(daemon, "dc1", lambda entry: entry.session.logins == 2)
            await failed(daemon, "dc1", "auth", 3)
            assert dc1.failed_logins == 2, "one log-in for each secret"
            rewrite(tmp_path / "dc1.password", right)
            await polled(daemon, "dc1")
            assert dc1.failed_logins == 2


# -- black holes


async def test_eight_black_holes_delay_no_poll_of_a_healthy_controller_at_the_start(tmp_path: Path) -> None:
    dead = [f"dead{number}" for number in range(8)]
    specs = [ControllerSpec(name=name, images=1) for name in (*dead, "dc1")]
    patient = {**QUICK, "concurrency": 4, "timeout": "1h", "stale_after": "2h"}
    async with Simulator(specs, speed=0.0) as simulator:
        for name in dead:
            simulator.controllers[name].faults.add(Fault("hang", path="/"))
        async with watching(simulator, tmp_path, poll=patient) as daemon:
            await polled(daemon, "dc1", 20)
            assert {daemon.fleet.entries[name].session.polls for name in dead} == {0}


# -- 429 and Retry-After


@pytest.mark.parametrize("said", ["seconds", "date"])
async def test_a_retry_after_delays_the_next_poll(tmp_path: Path, said: str) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        await polled(daemon, "dc1")
        began = time.time()
        simulator.controllers["dc1"].faults.add(Fault("too_many_requests", seconds=1800.0, value=said))
        await failed(daemon, "dc1", "throttled")
        (interval_s,) = of_dc1(await exposition(daemon), "poll_interval_seconds")
        spent_s = time.time() - began + 1.0  # a date has whole seconds
        assert 1800.0 - spent_s <= interval_s <= 1800.0


async def test_after_the_wait_the_controller_is_polled_again(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        await polled(daemon, "dc1")
        simulator.controllers["dc1"].faults.add(Fault("too_many_requests", seconds=1.0, times=1))
        entry = await failed(daemon, "dc1", "throttled")
        assert entry.session.interval_s >= 1.0
        await polled(daemon, "dc1")
        assert of_dc1(await exposition(daemon), "up") == [1.0]


async def test_without_a_retry_after_failures_back_off_by_themselves(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        simulator.controllers["dc1"].faults.add(Fault("http_500"))
        intervals: list[float] = []
        unsubscribe = daemon.fleet.subscribe(
            lambda _name, entry, _: intervals.append(entry.session.interval_s) if entry else None
        )
        await failed(daemon, "dc1", "http_5xx", 10)
        unsubscribe()
        assert all(0.0 <= interval_s <= 0.1 for interval_s in intervals)  # max_backoff
        assert len(set(intervals)) == len(intervals)  # jitter


# -- stale images


async def test_stale_images_are_withdrawn_and_return_with_unchanged_bytes(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path, poll=SHORT_LIVED) as daemon:
        await polled(daemon, "dc1")
        known = await exposition(daemon)
        simulator.controllers["dc1"].faults.add(Fault("http_500"))
        before = await until(daemon, "dc1", lambda entry: all(each.health.stale for each in entry.collections.values()))
        series = await exposition(daemon)
        assert not _of_images(series)
        assert not [name for name, _ in series if name.startswith("avi_upgrade_") and "monitor" not in name]
        assert of_dc1(series, "stale", "up") == [1.0, 0.0]
        assert '"results":[]' in await scrape(daemon, "/api/image")
        withdrawn = {name for name, _ in known if name.startswith("avi_controller_")} - {name for name, _ in series}
        assert withdrawn == {"avi_controller_upgrade_phase", "avi_controller_upgrade_units"}, "they are of the units"
        simulator.controllers["dc1"].faults.clear()
        entry = await polled(daemon, "dc1")
        assert entry.collections["image"].snapshot.object_list is before.collections["image"].snapshot.object_list
        series = await exposition(daemon)
        assert _of_images(series) == _of_images(known)
        assert of_dc1(series, "stale", "up") == [0.0, 1.0]


async def test_a_controller_that_hangs_becomes_stale(tmp_path: Path) -> None:
    """No poll ends meanwhile: images expire after the last good poll, whether or not another one ends."""
    poll = {**QUICK, "timeout": "2s", "stale_after": "3s"}
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path, poll=poll) as daemon:
        await polled(daemon, "dc1")
        simulator.controllers["dc1"].faults.add(Fault("hang", path="/"))
        await until(daemon, "dc1", lambda entry: all(each.health.stale for each in entry.collections.values()))
        assert not _of_images(await exposition(daemon))
        simulator.controllers["dc1"].faults.clear()
        await polled(daemon, "dc1")
        assert len(image_uuids(await exposition(daemon), "dc1")) == 3


async def test_a_controller_that_was_never_polled_becomes_stale(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        simulator.controllers["dc1"].faults.add(Fault("http_500", path="/"))
        async with watching(simulator, tmp_path, poll=SHORT_LIVED) as daemon:
            await until(daemon, "dc1", lambda entry: entry.collections["image"].health.stale)
            simulator.controllers["dc1"].faults.clear()
            await polled(daemon, "dc1")
            assert of_dc1(await exposition(daemon), "stale", "up") == [0.0, 1.0]


async def test_an_image_that_changed_while_stale_returns_changed(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path, poll=SHORT_LIVED) as daemon:
        dc1 = simulator.controllers["dc1"]
        entry = await polled(daemon, "dc1")
        kept, renamed, gone = entry.objects("image")  # the Controllers run the first
        dc1.faults.add(Fault("http_500"))
        await until(daemon, "dc1", lambda entry: entry.collections["image"].health.stale)
        dc1.remove(gone)
        dc1.touch(renamed, name="renamed")
        dc1.faults.clear()
        await polled(daemon, "dc1")
        series = await exposition(daemon)
        assert image_uuids(series, "dc1") == {renamed, kept}
        assert "renamed" in {dict(labels).get("image") for _, labels in series}


def _of_images(series: Series) -> Series:
    return {key: value for key, value in series.items() if key[0].startswith("avi_image_")}


# -- what the others notice


async def test_dead_controllers_do_not_delay_others_even_with_one_poll_at_a_time(tmp_path: Path) -> None:
    specs = [ControllerSpec(name=f"dead{number}") for number in range(6)] + [ControllerSpec(name="alive", images=1)]
    poll = {**QUICK, "timeout": "300ms", "concurrency": 1}
    async with Simulator(specs, speed=0.0) as simulator:
        for controller in _dead(simulator):
            controller.faults.add(Fault("hang", path="/"))
        async with watching(simulator, tmp_path, poll=poll) as daemon:
            for controller in _dead(simulator):
                await until(daemon, controller.name, lambda entry: entry.session.reason == "timeout")
            before = _polls_of_the_dead(daemon)
            alive = await polled(daemon, "alive", 8)
            assert good_polls(alive) >= 8
            assert _polls_of_the_dead(daemon) - before < 8 * 3  # were all in one queue, it would be 8 * 6


def _polls_of_the_dead(daemon: Daemon) -> int:
    return sum(entry.session.polls for entry in daemon.fleet.entries.values() if entry.name != "alive")


def _dead(simulator: Simulator) -> Iterable[SimulatedController]:
    return (controller for name, controller in simulator.controllers.items() if name != "alive")


async def test_no_more_polls_run_at_once_than_configured(tmp_path: Path) -> None:
    specs = [ControllerSpec(name=f"dc{number}") for number in range(6)]
    async with Simulator(specs, speed=0.0) as simulator:
        for controller in simulator.controllers.values():
            controller.faults.add(Fault("hang", path="/login"))
        async with watching(simulator, tmp_path, poll={**QUICK, "concurrency": 2}) as daemon:
            held = list(simulator.controllers.values())
            await held[0].wait_for_requests(1)
            await held[1].wait_for_requests(1)
            assert [len(controller.requests) for controller in held] == [1, 1, 0, 0, 0, 0]
            held[0].faults.clear()
            await polled(daemon, "dc0")
            await held[2].wait_for_requests(1)  # the place that became free
            assert sum(controller.requests[-1].status is None for controller in held if controller.requests) == 2
            for controller in held:
                controller.faults.clear()
            for controller in held:
                await until(daemon, controller.name, lambda entry: entry.session.up)
