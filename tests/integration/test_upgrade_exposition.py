"""What a scrape says of units: errors of long ago, very many units, a budget that is too small."""

from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from monitor.metrics.family import CORE
from monitor.metrics.upgrade import UPGRADE_FAMILIES
from monitor.simulator import ControllerSpec, GroupSpec, Simulator, UnitOptions, UpgradeSpec
from tests.support.daemons import Series, exposition, polled, watching
from tests.support.nights import upgrade_night
from tests.support.upgrade_reads import labels_of

YEARS_S = 2 * 365 * 86_400.0
NAMES = {family.name for family in UPGRADE_FAMILIES}
CORE_NAMES = {family.name for family in UPGRADE_FAMILIES if family.tier == CORE}
SPEC = ControllerSpec(name="dc1", version="30.2.1", images=1, groups=(GroupSpec(ses=2),))
BUDGET = 10_000
LARGE = replace(
    SPEC,
    groups=tuple(GroupSpec(name=f"group-{number}", cloud=f"cloud-{number % 7}", ses=6) for number in range(100)),
    upgrade=UpgradeSpec(at=1.0, version="31.2.2"),
)
UPGRADE = (("controller", "dc1"), ("resource", "upgrade"))


def of_units(series: Series) -> Counter[str]:
    """How many series of its own each unit has, by its uuid."""
    return Counter(dict(labels)["unit_uuid"] for name, labels in series if name in NAMES)


def phase(series: Series) -> str:
    (labels,) = labels_of(series, "avi_controller_upgrade_phase", controller="dc1")
    return labels["phase"]


async def test_an_error_of_years_ago_is_shown_and_nothing_follows_from_it(tmp_path: Path) -> None:
    spec = replace(SPEC, units=UnitOptions(old_error_s=YEARS_S))
    async with Simulator([spec], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        entry = await polled(daemon, "dc1", 3)
        series = await exposition(daemon)
        now = simulator.clock.now()
    (cluster,) = labels_of(series, "avi_upgrade_state", kind="controller")
    assert cluster["state"] == "failed"
    assert (phase(series), labels_of(series, "avi_controller_upgrade_in_progress")) == ("none", [])
    assert entry.session.interval_s == 0.1, "the pace of what is idle"
    assert not entry.collections["upgrade"].snapshot.active
    ((name, end_at),) = [
        (dict(labels)["unit_uuid"], value)
        for (name, labels), value in series.items()
        if name == "avi_upgrade_end_timestamp_seconds"
    ]
    assert name == cluster["unit_uuid"]
    assert now - end_at > YEARS_S - 86_400.0


async def test_a_hundred_groups_and_six_hundred_service_engines_fit_the_budget(tmp_path: Path) -> None:
    async with upgrade_night(tmp_path, [LARGE], step_s=300.0) as (daemon, night):
        at_rest = await exposition(daemon)
        await night.go_to("groups", after_s=90.0)
        during = await exposition(daemon)
        await night.go_to("done")
        after = await exposition(daemon)
    for series in (at_rest, during, after):
        assert series["avi_controller_series_dropped_total", UPGRADE] == 0.0
        assert sum(of_units(series).values()) <= BUDGET
        assert sum(labels["kind"] != "se" for labels in labels_of(series, "avi_upgrade_state")) == 101
    assert len(labels_of(during, "avi_upgrade_service_engine_state")) == 100, "one of each group"
    assert labels_of(after, "avi_controller_upgrade_done") == [{"controller": "dc1"}]
    engines = ("controller", "dc1"), ("kind", "se"), ("patch", ""), ("version", "31.2.2")
    assert after["avi_controller_upgrade_units", engines] == 600.0


@pytest.mark.parametrize("most", [1, 3_000])
async def test_what_needs_an_operator_keeps_its_core_series_whatever_the_budget(tmp_path: Path, most: int) -> None:
    groups = (
        GroupSpec(name="suspended", ses=3, outcome="suspended"),
        GroupSpec(name="failed", ses=3, outcome="failed_ses_continue"),
        GroupSpec(name="stuck", ses=3, outcome="stuck_se"),
        *(GroupSpec(name=f"idle-{number}", ses=1, outcome="left_behind") for number in range(40)),
    )
    spec = replace(SPEC, groups=groups, upgrade=UpgradeSpec(at=1.0, version="31.2.2"))
    upgrades = {"max_series_per_controller": most}
    async with upgrade_night(tmp_path, [spec], upgrades=upgrades, step_s=120.0) as (daemon, night):
        await night.go_to("groups", after_s=1_000.0)
        series = await exposition(daemon)
        units = {each.object.uuid: each.object for each in daemon.fleet.entries["dc1"].objects("upgrade").values()}
    shown = of_units(series)
    kept = {uuid for uuid, unit in units.items() if unit.never_dropped}
    assert {units[uuid].state for uuid in kept} >= {"suspended", "running"}
    assert {name for uuid in kept for name in [units[uuid].name]} >= {"suspended", "stuck"}
    for uuid in kept:
        core = [name for name, labels in series if dict(labels).get("unit_uuid") == uuid and name in CORE_NAMES]
        assert core.count("avi_upgrade_state") == 11
        assert "avi_upgrade_info" in core
    if most == 1:
        assert set(shown) == kept
        assert series["avi_controller_series_dropped_total", UPGRADE] > 0.0
    else:
        assert set(shown) >= kept
        assert sum(shown.values()) <= most


@pytest.mark.parametrize("most", [0, 1, 200])
async def test_the_worst_service_engines_have_series(tmp_path: Path, most: int) -> None:
    groups = (
        GroupSpec(name="stuck", ses=3, outcome="stuck_se"),
        GroupSpec(name="failed", ses=3, outcome="suspended"),
        GroupSpec(name="parallel", ses=9, at_once=9, se_s=1e6),
    )
    spec = replace(SPEC, groups=groups, upgrade=UpgradeSpec(at=1.0, version="31.2.2"))
    upgrades = {"se_series": most}
    async with upgrade_night(tmp_path, [spec], upgrades=upgrades, step_s=120.0) as (daemon, night):
        await night.go_to("groups", after_s=1_000.0)
        series = await exposition(daemon)
    states = [each["state"] for each in labels_of(series, "avi_upgrade_service_engine_state")]
    assert sorted(states) == sorted({0: [], 1: ["failed"], 200: ["failed", *["running"] * 10]}[most])
    assert (series["avi_controller_series_dropped_total", UPGRADE] > 0.0) == (most < 200)
