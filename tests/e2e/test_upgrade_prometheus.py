"""What a Prometheus has of a whole upgrade: promtool finds nothing wrong at any moment, and the joins are answered."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from monitor.daemon.app import Daemon
from monitor.simulator import SCENARIOS, ControllerSpec, GroupSpec, UpgradeSpec
from tests.support.daemons import polled, scrape
from tests.support.documentation import page
from tests.support.nights import Moment, upgrade_night
from tests.support.programs import eventually, output_of, program
from tests.support.prometheus import Prometheus, Sample, prometheus_on, scraped

NIGHT: Sequence[Moment] = ("checks", "controllers", "away", "unready", "back", "groups", "first_group", "done")
SUSPENDED: Sequence[Moment] = ("controllers", "away", "groups", "suspended", "all_groups", "done")
SEEN: Sequence[tuple[Moment, str, str]] = (
    ("checks", "checking", "checking"),
    ("controllers", "running", "controllers"),
    ("away", "running", "away"),
    ("groups", "running", "service_engines"),
)
"""The state of the cluster, and the phase of the controller."""
SPEC = replace(
    SCENARIOS["upgrade-night"].controllers[0],
    groups=(GroupSpec(ses=3), GroupSpec(name="internet", ses=2, outcome="failed_ses_continue", disrupted=2)),
)


async def check_metrics(daemon: Daemon, moment: str) -> None:
    text = await scrape(daemon)
    assert await output_of(program("promtool"), "check", "metrics", stdin=text.encode()) == (0, "", ""), moment


@pytest.mark.parametrize(
    ("scenario", "moments"), [("upgrade-night", NIGHT), ("upgrade-suspended", SUSPENDED)], ids=["night", "suspended"]
)
async def test_promtool_finds_nothing_wrong_at_any_moment(
    tmp_path: Path, scenario: str, moments: Sequence[Moment]
) -> None:
    async with upgrade_night(tmp_path, scenario) as (daemon, night):
        await check_metrics(daemon, "at rest")
        for moment in moments:
            await night.go_to(moment)
            await check_metrics(daemon, moment)


@pytest.mark.parametrize(
    ("scenario", "seconds"),
    [("upgrade-rollback", 600.0), ("upgrade-left-behind", 2_000.0), ("upgrade-failed-engines", 2_000.0),
     ("upgrade-never-back", 2_000.0), ("upgrade-checks", 100.0)],
)  # fmt: skip
async def test_promtool_finds_nothing_wrong_where_an_upgrade_goes_wrong(
    tmp_path: Path, scenario: str, seconds: float
) -> None:
    async with upgrade_night(tmp_path, scenario, step_s=seconds / 10) as (daemon, night):
        for number in range(10):
            await night.advance(seconds / 10)
            await check_metrics(daemon, f"after step {number}")


def values(samples: list[Sample], label: str) -> dict[str, float]:
    return {labels[label]: value for labels, value in samples}


async def answered(prometheus: Prometheus, expression: str, expected: dict[str, float], label: str) -> None:
    """Wait until Prometheus has scraped what it is expected to answer."""
    await eventually(lambda: prometheus.query(expression), lambda found: values(found, label) == expected)


async def test_prometheus_answers_state_phase_service_engines_and_done(tmp_path: Path) -> None:
    async with upgrade_night(tmp_path, [SPEC]) as (daemon, night), prometheus_on(daemon, tmp_path) as prometheus:
        of_the_cluster = 'avi_upgrade_state{kind="controller"} == 1'
        phase = "avi_controller_upgrade_phase == 1"
        await answered(prometheus, of_the_cluster, {"idle": 1.0}, "state")
        await answered(prometheus, phase, {"none": 1.0}, "phase")
        for moment, state, where in SEEN:
            await night.go_to(moment, after_s=5.0)
            await answered(prometheus, phase, {where: 1.0}, "phase")
            await answered(prometheus, of_the_cluster, {state: 1.0}, "state")
            await answered(prometheus, "avi_controller_upgrade_done", {"dc1": 0.0}, "controller")
        engines = 'avi_upgrade_service_engines{state=~"in_progress|not_started"}'
        by_unit = f"sum by (unit) ({engines} * on (controller, unit_uuid) group_left (unit) avi_upgrade_info)"
        await answered(prometheus, by_unit, {"Default-Group": 3.0, "internet": 2.0}, "unit")
        await night.go_to("done", after_s=5.0)
        await answered(prometheus, of_the_cluster, {"completed": 1.0}, "state")
        await answered(prometheus, phase, {"none": 1.0}, "phase")
        await answered(prometheus, "avi_controller_upgrade_done", {"dc1": 0.0}, "controller")  # one has failed
        await answered(prometheus, 'avi_upgrade_service_engines{state="failed"} > 0', {"failed": 1.0}, "state")
        behind = 'avi_controller_upgrade_left_behind{kind="se_group"}'
        await answered(prometheus, behind, {"se_group": 1.0}, "kind")


async def test_an_image_and_its_upgrade_are_found_from_each_other(tmp_path: Path) -> None:
    spec: ControllerSpec = replace(SPEC, groups=(GroupSpec(ses=2),), upgrade=UpgradeSpec(at=120.0, version="31.2.2"))
    async with upgrade_night(tmp_path, [spec]) as (daemon, night), prometheus_on(daemon, tmp_path) as prometheus:
        await night.go_to("controllers", after_s=5.0)
        await polled(daemon, "dc1")
        entry = daemon.fleet.entries["dc1"]
        names = {uuid: each.object.name for uuid, each in entry.objects("image").items()}
        (target,) = [uuid for uuid, name in names.items() if name.startswith("31.2.2")]
        assert entry.overview
        pinned = {uuid for uuid, is_pinned in entry.overview.images_pinned.items() if is_pinned}
        assert (target in pinned, len(pinned), len(names)) == (True, 2, 3), "the current image and the target"
        await scraped(daemon, 2)

        to_its_upgrade = (
            'avi_upgrade_state{state="running"} == 1 and on (controller, unit_uuid) '
            f'avi_upgrade_image_info{{role="target", image_uuid="{target}"}}'
        )
        assert values(await prometheus.query(to_its_upgrade), "kind") == {"controller": 1.0}
        back = (
            "avi_image_info * on (controller, image_uuid) group_right (image) "
            'avi_upgrade_image_info{role="target", kind="controller"}'
        )
        ((labels, _),) = await prometheus.query(back)
        assert (labels["image"], labels["image_uuid"]) == (names[target], target)

        assert values(await prometheus.query("avi_image_pinned == 1"), "image_uuid") == dict.fromkeys(pinned, 1.0)
        users = f'avi_image_users{{image_uuid="{target}"}}'
        assert values(await prometheus.query(users), "role")["target"] >= 1.0
        names_of_units = 'avi_upgrade_state == 1 and on (controller, unit_uuid) avi_upgrade_info{unit=~"cluster.*"}'
        assert values(await prometheus.query(names_of_units), "state") == {"running": 1.0}

        await night.go_to("done", after_s=5.0)
        now_current = f'avi_upgrade_image_info{{role="current", image_uuid="{target}"}}'
        await eventually(lambda: prometheus.query(now_current), lambda found: len(found) == 2)
        assert {each["kind"] for each, _ in await prometheus.query(now_current)} == {"controller", "se_group"}


async def test_the_documented_annotation_queries_show_an_upgrade(tmp_path: Path) -> None:
    shown, changed = re.findall(r"```promql\n(.*?)```", page("how-to/dashboards.md"), re.DOTALL)[0].split("\n\n")
    async with upgrade_night(tmp_path) as (daemon, night), prometheus_on(daemon, tmp_path) as prometheus:
        await scraped(daemon, 2)
        assert await prometheus.query(shown) == await prometheus.query(changed) == []
        await night.go_to("controllers", after_s=5.0)
        await answered(prometheus, shown, {"controllers": 1.0}, "phase")
        assert values(await prometheus.query(changed), "phase")["controllers"] == 1.0
