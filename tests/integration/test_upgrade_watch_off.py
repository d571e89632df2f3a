"""Without watching upgrades: no request more, and no line of the exposition more, than with images alone."""

from operator import methodcaller
from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import replace

from monitor.daemon.app import Daemon
from monitor.metrics.upgrade import UPGRADE_FAMILIES
from monitor.metrics.upgrade_overview import OVERVIEW_FAMILIES
from monitor.model.upgrade import Upgrade
from monitor.polling.fleet import Entry
from monitor.polling.resources import IMAGE
from monitor.simulator import Fault, GroupSpec, SimulatedController, Simulator
from tests.support.daemons import exposition, polled, scrape, until, watching
from tests.support.unit_client import SPEC
from tests.support.upgrade_reads import INFO, asked_for, labels_of, read_fails

FLEET = (SPEC, replace(SPEC, name="dc2"))
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
UPGRADE_NAMES = {family.name for family in (*UPGRADE_FAMILIES, *OVERVIEW_FAMILIES)}
OF_IMAGES = ("avi_image_", "avi_controller_stale", "avi_controller_up")


def all_upgrade_requests(controller: SimulatedController) -> int:
    return asked_for(controller, "/api/upgradestatus") + asked_for(controller, "/api/cluster")


async def without_what_runs(daemon: Daemon, **headers: str) -> list[str]:
    """The lines of a scrape; of those that are not about images, without value and exemplar, of this process."""
    lines = [line.partition(" # {")[0] for line in (await scrape(daemon, **headers)).splitlines()]
    return [line if line.startswith(("#", *OF_IMAGES)) else line.rpartition(" ")[0] for line in lines]


async def test_without_watching_the_exposition_is_that_of_a_daemon_that_knows_images_alone(tmp_path: Path) -> None:
    folders = tmp_path / "off", tmp_path / "images"
    async with (
        Simulator(FLEET, speed=0.0) as simulator,
        watching(simulator, folders[0], wall=simulator.clock.now, upgrades={"watch": False}) as off,
        watching(simulator, folders[1], wall=simulator.clock.now, resources=(IMAGE,)) as images,
    ):
        for daemon in (off, images):
            for name in ("dc1", "dc2"):
                await polled(daemon, name, 3)
        assert [all_upgrade_requests(each) for each in simulator.controllers.values()] == [0, 0]
        for headers in ({}, OPENMETRICS):
            ours, expected = [await without_what_runs(daemon, **headers) for daemon in (off, images)]
            assert ours == expected
            assert any(line.startswith("avi_image_info{") for line in ours)
            text = "\n".join(ours)
            assert 'resource="upgrade"' not in text
            assert not [name for name in UPGRADE_NAMES if f"{name} " in text or f"{name}{{" in text]


async def test_one_controller_is_watched_and_the_other_is_not(tmp_path: Path) -> None:
    async with Simulator(FLEET, speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        dc2 = simulator.controllers["dc2"]
        await until(daemon, "dc2", lambda entry: bool(entry.objects("upgrade")))
        configure(tmp_path, lambda config: config["controllers"][1].update(upgrades={"watch": False}))
        await daemon.reloader.reload()
        before = all_upgrade_requests(dc2)
        await until(daemon, "dc2", lambda entry: "upgrade" not in entry.collections)
        for name in ("dc1", "dc2"):
            await polled(daemon, name, 3)
        assert all_upgrade_requests(dc2) == before
        series = await exposition(daemon)
        of_upgrades = {dict(labels)["controller"] for name, labels in series if name in UPGRADE_NAMES}
        assert of_upgrades == {"dc1"}
        assert {each["controller"] for each in labels_of(series, "avi_controller_up")} == {"dc1", "dc2"}
        stale = [dict(labels) for name, labels in series if name == "avi_controller_stale"]
        resources = {(each["controller"], each["resource"]) for each in stale}
        assert resources == {("dc1", "image"), ("dc1", "upgrade"), ("dc2", "image")}

        configure(tmp_path, lambda config: config["controllers"][1].pop("upgrades"))
        await daemon.reloader.reload()
        entry = await until(daemon, "dc2", lambda entry: bool(entry.objects("upgrade")))
        assert len(entry.objects("upgrade")) == len(daemon.fleet.entries["dc1"].objects("upgrade"))


async def test_watching_is_turned_off_and_on_in_the_same_session_and_the_images_stay(tmp_path: Path) -> None:
    async with Simulator(FLEET, speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        for name in ("dc1", "dc2"):
            await until(daemon, name, lambda entry: bool(entry.objects("upgrade")))
        images: list[int] = []
        daemon.fleet.subscribe(lambda _name, entry, _: images.append(len(entry.objects("image")) if entry else 0))
        for watch in (False, True):
            configure(tmp_path, methodcaller("update", upgrades={"watch": watch}))
            assert (await daemon.reloader.reload()).changed == ("dc1", "dc2")
            for name in ("dc1", "dc2"):
                assert ("upgrade" in (await polled(daemon, name, 2)).collections) is watch
        assert daemon.fleet.entries["dc1"].objects("upgrade")
        assert [(each.logins, each.logouts) for each in simulator.controllers.values()] == [(1, 0), (1, 0)]
        assert 0 not in images


async def test_the_units_of_another_tenant_are_not_those_that_were_known(tmp_path: Path) -> None:
    groups = GroupSpec(ses=1), GroupSpec(name="blue-group", ses=1, tenant="blue")
    fleet = [replace(SPEC, tenants=("blue",), groups=groups)]

    def groups_of(entry: Entry) -> set[str]:
        units = (tracked.object for tracked in entry.objects("upgrade").values())
        return {unit.name for unit in units if isinstance(unit, Upgrade) and unit.kind == "se_group"}

    async with Simulator(fleet, speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        before = await until(daemon, "dc1", lambda entry: groups_of(entry) == {"Default-Group"})
        simulator.controllers["dc1"].faults.add(Fault("http_500", path=INFO))
        configure(tmp_path, lambda config: config["controllers"][0].update(upgrades={"tenant": "blue"}))
        await daemon.reloader.reload()
        await read_fails(daemon, "dc1")
        assert groups_of(daemon.fleet.entries["dc1"]) == set(), "what is known is of the other tenant"
        simulator.controllers["dc1"].faults.clear()
        after = await until(daemon, "dc1", lambda entry: groups_of(entry) == {"blue-group"})
        assert after.objects("image").keys() == before.objects("image").keys()


async def test_watching_can_be_turned_on_for_one_controller_alone(tmp_path: Path) -> None:
    async with (
        Simulator(FLEET, speed=0.0) as simulator,
        watching(simulator, tmp_path, upgrades={"watch": False}) as daemon,
    ):
        await polled(daemon, "dc1")
        configure(tmp_path, lambda config: config["controllers"][0].update(upgrades={"watch": True}))
        await daemon.reloader.reload()
        await until(daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
        await polled(daemon, "dc2", 2)
        assert all_upgrade_requests(simulator.controllers["dc2"]) == 0
        series = await exposition(daemon)
    assert [each["controller"] for each in labels_of(series, "avi_controller_upgrades_readable")] == ["dc1"]
    assert {each["controller"] for each in labels_of(series, "avi_upgrade_info")} == {"dc1"}


def configure(folder: Path, change: Any) -> None:  # noqa: ANN401  what a lambda returns
    path = folder / "config.yml"
    config = yaml.safe_load(path.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config))
