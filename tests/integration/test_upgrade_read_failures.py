"""A failed read of units harms no image and no other controller: rules 6 and 7 of docs/upgrade-watching.md."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from monitor.simulator import Account, ControllerSpec, Fault, GroupSpec, Simulator, TimelineEvent, UploadSpec
from tests.support.daemons import QUICK, exposition, image_uuids, polled, samples, scrape, until, watching
from tests.support.upgrade_reads import (
    INFO,
    SUMMARY,
    account_of_config,
    asked_for,
    labels_of,
    logged,
    logging,
    polls_of,
    read_fails,
)

READER = Account(username="reader", password="reads images", can_write=False, reads_upgrades=False)
SPEC = ControllerSpec(
    name="dc1",
    version="30.2.1",
    images=2,
    groups=(GroupSpec(ses=2),),
    uploads=(UploadSpec(started_ago=10.0),),
    accounts=(READER,),
)
FLEET = (SPEC, replace(SPEC, name="dc2"))
RARE = {**QUICK, "idle_interval": "1h", "stale_after": "2h"}
FAILURES = {
    "http_500": "http_5xx",
    "html_502": "http_5xx",
    "html_503": "upgrading",
    "redirect": "redirect",
    "too_many_requests": "throttled",
    "bad_request": "http_4xx",
    "close": "connect",
    "reset": "connect",
    "truncated_json": "decode",
    "not_a_list": "decode",
    "oversized_body": "oversize",
}


@pytest.mark.parametrize(("fault", "reason"), FAILURES.items(), ids=FAILURES)
async def test_a_read_that_fails_is_counted_and_fails_no_poll(tmp_path: Path, fault: str, reason: str) -> None:
    with logging() as logs:
        async with Simulator(FLEET, speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
            for name in ("dc1", "dc2"):
                await polled(daemon, name)
            before = await exposition(daemon)
            for path in (SUMMARY, INFO):
                simulator.controllers["dc1"].faults.add(Fault(fault, path=path))
            await read_fails(daemon, "dc1", 3)
            await polled(daemon, "dc1", 2)
            after = await exposition(daemon)
            for name in ("dc1", "dc2"):
                assert after["avi_controller_up", (("controller", name),)] == 1.0
                assert image_uuids(after, name) == image_uuids(before, name)
            units = [labels_of(each, "avi_upgrade_state") for each in (before, after)]
            assert units[0] == units[1] != [], "the last units stand"
            failures = labels_of(after, "avi_controller_poll_failures_total")
            assert failures == [{"controller": "dc1", "reason": reason, "resource": "upgrade"}]

            simulator.controllers["dc1"].faults.clear()
            await until(daemon, "dc1", lambda entry: entry.collections["upgrade"].health.reason is None)
    level = "info" if reason == "upgrading" else "warning"
    assert logged(logs, "read_failed") == [(level, "dc1", reason)]
    assert not [log for log in logs if log["event"] in {"controller_down", "poll_exception"}]


async def test_a_list_of_which_nothing_comes_is_asked_for_again_after_the_idle_interval_only(tmp_path: Path) -> None:
    with logging() as logs:
        async with (
            Simulator([SPEC], speed=0.0) as simulator,
            watching(simulator, tmp_path, poll={**RARE, "timeout": "2s"}) as daemon,
        ):
            dc1 = simulator.controllers["dc1"]
            await until(daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
            dc1.faults.add(Fault("hang", path=SUMMARY))
            await read_fails(daemon, "dc1", 2)
            asked = asked_for(dc1, SUMMARY)
            entry = await polled(daemon, "dc1", 20)
            assert asked_for(dc1, SUMMARY) == asked, "the idle interval is an hour"
            assert polls_of(dc1)[-5:] == [["image"]] * 5
            assert (entry.session.up, len(entry.objects("upgrade"))) == (True, 4)
            assert entry.collections["upgrade"].health.failures == {"timeout": 2}

            dc1.faults.clear()
            await daemon.reloader.reload()
            entry = await until(daemon, "dc1", lambda entry: entry.collections["upgrade"].health.reason is None)
    assert logged(logs, "read_failed") == [("warning", "dc1", "timeout")]


async def test_one_unit_that_cannot_be_read_is_no_failure_of_the_others(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        simulator.controllers["dc1"].faults.add(Fault("wrong_types", path=SUMMARY))
        simulator.controllers["dc1"].faults.add(Fault("wrong_types", path=INFO))
        entry = await polled(daemon, "dc1", 3)
        series = await exposition(daemon)
    assert (entry.session.up, entry.collections["upgrade"].health.failures) == (True, {})
    bad = {labels["resource"] for labels in labels_of(series, "avi_controller_bad_objects_total")}
    assert bad == {"upgrade"}
    assert len(entry.objects("upgrade")) == 3


async def test_an_account_without_the_permission_watches_images_as_ever(tmp_path: Path) -> None:
    with logging() as logs:
        async with (
            Simulator([SPEC], speed=0.0) as simulator,
            watching(simulator, tmp_path, of_each=account_of_config(tmp_path, READER)) as daemon,
        ):
            dc1 = simulator.controllers["dc1"]
            await polled(daemon, "dc1", 5)
            assert asked_for(dc1, "/api/upgradestatus") == 1, "asked again after a quarter of an hour"
            text = await scrape(daemon)
            check_unreadable(text, "forbidden")
            assert samples(text, "avi_image_info", controller="dc1") == [1.0] * 3

            await daemon.reloader.reload()
            await polled(daemon, "dc1", 3)
            assert asked_for(dc1, "/api/upgradestatus") == 2
    assert logged(logs, "objects_unreadable") == [("info", "dc1", "forbidden")]
    assert not logged(logs, "read_failed")


async def test_a_controller_that_is_too_old_to_have_units_is_watched_for_its_images(tmp_path: Path) -> None:
    with logging() as logs:
        async with (
            Simulator([replace(SPEC, version="18.2.5", uploads=())], speed=0.0) as simulator,
            watching(simulator, tmp_path) as daemon,
        ):
            dc1 = simulator.controllers["dc1"]
            await polled(daemon, "dc1", 5)
            assert polls_of(dc1)[1:4] == [["image"]] * 3
            text = await scrape(daemon)
            check_unreadable(text, "absent")
            assert samples(text, "avi_image_info", controller="dc1") == [1.0] * 2

            asked = asked_for(dc1, INFO)
            await daemon.reloader.reload()
            await polled(daemon, "dc1", 3)
            assert asked_for(dc1, INFO) == asked + 1
    assert logged(logs, "objects_unreadable") == [("info", "dc1", "absent")]
    assert not logged(logs, "upgrade_summary_unusable")


async def test_a_permission_that_is_granted_later_is_noticed(tmp_path: Path) -> None:
    with logging() as logs:
        async with (
            Simulator([SPEC], speed=0.0) as simulator,
            watching(simulator, tmp_path, of_each=account_of_config(tmp_path, READER)) as daemon,
        ):
            dc1 = simulator.controllers["dc1"]
            await until(daemon, "dc1", lambda entry: entry.collections["upgrade"].health.readable is False)
            dc1.login_state.accounts[1] = replace(READER, reads_upgrades=True)
            dc1.expire_sessions()
            await daemon.reloader.reload()
            entry = await until(daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
    assert entry.collections["upgrade"].health.readable is True
    assert logged(logs, "objects_unreadable") == [("info", "dc1", "forbidden")]


async def test_another_version_is_a_reason_to_ask_again_and_then_each_poll_reads(tmp_path: Path) -> None:
    spec = replace(SPEC, timeline=(TimelineEvent(at=100.0, kind="ready", version="31.2.2"),))
    async with (
        Simulator([spec], speed=0.0) as simulator,
        watching(simulator, tmp_path, of_each=account_of_config(tmp_path, READER)) as daemon,
    ):
        dc1 = simulator.controllers["dc1"]
        await until(daemon, "dc1", lambda entry: entry.collections["upgrade"].health.readable is False)
        dc1.login_state.accounts[1] = replace(READER, reads_upgrades=True)
        simulator.clock.advance(101.0)
        await simulator.wait_timelines()
        await until(daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
        await polled(daemon, "dc1", 4)
        assert polls_of(dc1)[-3:] == [["image", "summary"]] * 3


async def test_a_permission_that_is_withdrawn_takes_the_units_away_and_nothing_else(tmp_path: Path) -> None:
    reader = replace(READER, reads_upgrades=True)
    with logging() as logs:
        async with (
            Simulator([replace(SPEC, accounts=(reader,))], speed=0.0) as simulator,
            watching(simulator, tmp_path, of_each=account_of_config(tmp_path, reader)) as daemon,
        ):
            dc1 = simulator.controllers["dc1"]
            await until(daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
            dc1.login_state.accounts[1] = READER
            dc1.expire_sessions()
            await until(daemon, "dc1", lambda entry: entry.collections["upgrade"].health.readable is False)
            text = await scrape(daemon)
            check_unreadable(text, "forbidden")
            assert samples(text, "avi_image_info", controller="dc1") == [1.0] * 3
    assert logged(logs, "objects_unreadable") == [("info", "dc1", "forbidden")]
    assert not logged(logs, "object_vanished")


def check_unreadable(text: str, reason: str) -> None:
    """No unit, no phase, no alarm: what a daemon shows of a Controller whose upgrade status it may not read."""
    upgrade = {"controller": "dc1", "resource": "upgrade"}
    assert samples(text, "avi_controller_upgrades_readable") == [0.0]
    assert samples(text, "avi_controller_stale", **upgrade) == [0.0]
    assert samples(text, "avi_controller_up") == [1.0]
    assert samples(text, "avi_controller_poll_failures_total", reason=reason, **upgrade) == [1.0]
    names = {line.partition("{")[0] for line in text.splitlines() if not line.startswith("#")}
    of_units = {name for name in names if name.startswith(("avi_upgrade_", "avi_controller_upgrade_"))}
    assert {name for name in of_units if "monitor" not in name} == {"avi_controller_upgrade_in_progress"}
    assert not names & {"avi_image_pinned", "avi_image_users"}
