"""Which requests a poll makes for units: as few as it can. Rules 1, 2, 3 and 5 of docs/upgrade-watching.md."""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from monitor.simulator import ControllerSpec, Fault, GroupSpec, Simulator, UnitOptions, UpgradeSpec
from tests.support.daemons import QUICK, exposition, polled, until, watching
from tests.support.nights import upgrade_night
from tests.support.upgrade_reads import INFO, SUMMARY, asked_for, labels_of, polls_of

SPEC = ControllerSpec(name="dc1", version="30.2.1", images=1, groups=(GroupSpec(ses=2), GroupSpec(cloud="aws", ses=1)))
SLOW_S = 0.02


async def test_an_idle_poll_makes_two_requests_and_the_first_two_more(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        await polled(daemon, "dc1", 5)
        polls = polls_of(simulator.controllers["dc1"])
        assert simulator.controllers["dc1"].logins == 1
    assert polls[0] == ["image", "summary", "info", "cluster/runtime"]
    assert len(polls) >= 4
    assert all(poll == ["image", "summary"] for poll in polls[1:])


async def test_lists_are_asked_for_in_large_pages_with_the_names_of_what_they_refer_to(tmp_path: Path) -> None:
    spec = replace(SPEC, groups=(GroupSpec(ses=250),))
    async with Simulator([spec], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        entry = await until(daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
        requests = [each for each in simulator.controllers["dc1"].requests if each.path in {SUMMARY, INFO}]
    assert len(entry.objects("upgrade")) == 252
    assert [(each.path, each.query.get("page", "1")) for each in requests[:4]] == [
        (SUMMARY, "1"), (SUMMARY, "2"), (INFO, "1"), (INFO, "2"),
    ]  # fmt: skip
    assert {(each.query["page_size"], each.query["include_name"]) for each in requests} == {("200", "true")}


async def test_no_poll_makes_more_than_26_requests_and_none_while_another_is_in_flight(tmp_path: Path) -> None:
    groups = tuple(GroupSpec(name=f"group-{number}", ses=1) for number in range(40))
    async with upgrade_night(tmp_path, [replace(SPEC, groups=groups, upgrade=UpgradeSpec(at=1.0))]) as (daemon, night):
        await night.go_to("groups", after_s=5.0)
        dc1 = night.controller
        before = len(polls_of(dc1))
        dc1.faults.add(Fault("slow_reply", path="/", seconds=SLOW_S))
        await polled(daemon, "dc1", 5)
        polls = polls_of(dc1)[before + 1 :]
        received = [request.at for request in dc1.requests[-sum(map(len, polls)) :]]
    assert {len(poll) for poll in polls} == {2 + 24}
    for poll in polls:
        assert (poll[:2], poll[2].startswith("info/cluster-")) == (["image", "summary"], True)
        assert not [path for path in poll if path.startswith("info/se-")]
    assert len({path for poll in polls for path in poll}) == 2 + 1 + 40, "those not read for the longest come next"
    gaps = [later - earlier for earlier, later in pairwise(received)]
    assert min(gaps) > 0.9 * SLOW_S, "a request was received before the reply to the one before was sent"


async def test_all_units_are_read_again_in_another_version(tmp_path: Path) -> None:
    async with upgrade_night(tmp_path) as (daemon, night):
        await polled(daemon, "dc1", 2)
        assert asked_for(night.controller, INFO) == 1
        await night.go_to("back", after_s=-1.0)
        before = len([poll for poll in polls_of(night.controller) if "info" in poll])
        await night.advance(2.0)
        await polled(daemon, "dc1", 2)
        full = [poll for poll in polls_of(night.controller) if "info" in poll]
        series = await exposition(daemon)
    assert (before, len(full)) == (1, 2), "a version is a reason to read all once"
    assert labels_of(series, "avi_controller_upgrade_units", kind="controller")[0]["version"] == "31.2.2"


async def test_all_units_are_read_again_after_a_log_in(tmp_path: Path) -> None:
    """The Controllers may have another leader."""
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        dc1 = simulator.controllers["dc1"]
        await polled(daemon, "dc1", 2)
        assert asked_for(dc1, INFO) == 1
        dc1.expire_sessions()
        await polled(daemon, "dc1", 3)
        assert asked_for(dc1, INFO) == 2


async def test_all_units_are_read_again_when_one_has_gone(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        dc1 = simulator.controllers["dc1"]
        entry = await until(daemon, "dc1", lambda entry: len(entry.objects("upgrade")) == 6)
        dc1.upgrades.options = UnitOptions(vanishing=True)
        dc1.upgrades.start(UpgradeSpec(dry_run=True), at=simulator.clock.now())
        entry = await until(daemon, "dc1", lambda entry: len(entry.objects("upgrade")) == 3)
        await polled(daemon, "dc1", 3)
        assert asked_for(dc1, INFO) - asked_for(dc1, f"{INFO}/") == 2
        series = await exposition(daemon)
    assert not entry.collections["upgrade"].health.failures
    assert {labels["kind"] for labels in labels_of(series, "avi_controller_upgrade_units")} == {
        "controller",
        "se_group",
    }, "what has gone is not shown as failed"


async def test_all_units_are_read_again_after_the_full_interval(tmp_path: Path) -> None:
    upgrades = {"full_interval": "10ms"}
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path, upgrades=upgrades) as daemon:
        await polled(daemon, "dc1", 4)
        polls = polls_of(simulator.controllers["dc1"])
        assert {tuple(poll) for poll in polls} == {("image", "summary", "info", "cluster/runtime")}

        path = tmp_path / "config.yml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "upgrades": {"full_interval": "1h"}}))
        await daemon.reloader.reload()
        await polled(daemon, "dc1", 1)  # one may have been under way
        before = asked_for(simulator.controllers["dc1"], INFO)
        await polled(daemon, "dc1", 4)
        assert asked_for(simulator.controllers["dc1"], INFO) == before


@pytest.mark.parametrize("most", [1, 3])
async def test_the_most_units_that_a_poll_reads_are_configured(tmp_path: Path, most: int) -> None:
    groups = tuple(GroupSpec(name=f"group-{number}", ses=1) for number in range(5))
    spec = replace(SPEC, groups=groups, upgrade=UpgradeSpec(at=1.0))
    async with upgrade_night(tmp_path, [spec], upgrades={"max_reads_per_poll": most}) as (daemon, night):
        await night.go_to("groups", after_s=5.0)
        before = len(polls_of(night.controller))
        await polled(daemon, "dc1", 5)
        polls = polls_of(night.controller)[before + 1 :]
    assert {len(poll) for poll in polls} == {2 + most}


async def test_polls_are_as_frequent_as_a_unit_needs(tmp_path: Path) -> None:
    """The idle interval is an hour: without the unit that is active, there would be no second poll."""
    poll = {**QUICK, "idle_interval": "1h", "stale_after": "2h"}
    spec = replace(SPEC, upgrade=UpgradeSpec(controllers_s=1e6))
    async with Simulator([spec], speed=0.0) as simulator, watching(simulator, tmp_path, poll=poll) as daemon:
        entry = await polled(daemon, "dc1", 5)
        assert not entry.collections["image"].snapshot.active
        assert entry.collections["upgrade"].snapshot.active
        assert entry.session.interval_s == 0.05


async def test_what_has_waited_for_an_operator_for_an_hour_is_polled_less_often(tmp_path: Path) -> None:
    poll = {**QUICK, "idle_interval": "1m", "stale_after": "1h"}
    spec = replace(SPEC, groups=(GroupSpec(ses=2, outcome="suspended"),), upgrade=UpgradeSpec(at=1.0))
    async with upgrade_night(tmp_path, [spec], poll={**QUICK, "stale_after": "1h"}) as (daemon, night):
        await night.go_to("suspended")
        path = tmp_path / "config.yml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "poll": poll}))
        await daemon.reloader.reload()
        entry = await polled(daemon, "dc1", 2)
        assert entry.session.interval_s == 0.05
        night.simulator.clock.advance(3_700.0)
        entry = await until(daemon, "dc1", lambda entry: entry.session.interval_s != 0.05)
    assert entry.session.interval_s == 30.0
