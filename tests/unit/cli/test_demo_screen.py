"""The screen of ``demo``: bars on a terminal, plain lines elsewhere."""

import io

import click
import pytest
from msgspec.structs import replace
from rich.console import Console

from monitor.cli.output.demo_screen import fleet_rows, show_fleet
from monitor.cli.output.tables import image_table
from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.image import Image, TrackedImage
from monitor.model.snapshot import Altered, Appeared, Snapshot, Vanished
from monitor.model.tracked import ProgressMark, Standing, TrackedObject
from monitor.model.upgrade import Engines, Overview, Upgrade, UpgradePhase
from monitor.polling.fleet import Collection, Entry, Fleet
from monitor.polling.standing import standing_of
from tests.support.polling import entry_of

STALLED_AFTER_S = 30.0

ACTIVE = Image(uuid="image-1", name="31.1.1", state="in_progress", progress_ratio=0.42, tasks=6, tasks_completed=2)
FAILED = Image(uuid="image-2", name="31.1.2", state="failed", progress_ratio=0.7)
DONE = Image(uuid="image-3", name="30.2.1", state="completed", progress_ratio=1.0, tasks=6, tasks_completed=6)


def standing(image: Image) -> Standing:
    return standing_of(image, ProgressMark(b"", 100.0, 100.0), {}, at=130.0, stalled_after_s=STALLED_AFTER_S)


def fleet_of(*images: Image, changed_at: float = 100.0) -> Fleet:
    fleet = Fleet()
    mark = ProgressMark(b"", changed_at, changed_at)
    tracked = {image.uuid: TrackedImage(image, mark, 0.0, standing=standing(image)) for image in images}
    fleet.publish(entry_of("dc1", tracked, session=SessionHealth(up=True)))
    return fleet


def render(fleet: Fleet, *, now: float) -> list[str]:
    console = Console(file=io.StringIO(), width=120)
    with console.capture() as capture:
        console.print(image_table(fleet_rows(fleet, now=now)))
    return [" ".join(line.replace("━", "").split()) for line in capture.get().splitlines()]


def test_failed_images_come_first_and_completed_ones_last() -> None:
    head, *lines = render(fleet_of(DONE, ACTIVE, FAILED), now=100.0)
    assert head == "Controller Image State Progress Tasks"
    assert [line.split()[1] for line in lines] == ["31.1.2", "31.1.1", "30.2.1"]


def test_an_active_image_shows_its_progress_and_its_tasks() -> None:
    (line,) = render(fleet_of(ACTIVE), now=130.0)[1:]
    assert line.startswith("dc1 31.1.1 in_progress")
    assert "42% 2 of 6" in line


@pytest.mark.parametrize(
    ("image", "end"),
    [
        pytest.param(ACTIVE, "2 of 6 no move for 30 s", id="active"),
        pytest.param(DONE, "6 of 6", id="completed"),
    ],
)
def test_a_stalled_image_is_marked(image: Image, end: str) -> None:
    (line,) = render(fleet_of(image), now=130.0)[1:]
    assert line.endswith(end)


async def test_without_a_terminal_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    fleet = fleet_of()
    entry = fleet.entries["dc1"]
    async with show_fleet(fleet, now=lambda: 0.0):
        fleet.publish(entry, (Appeared(FAILED), Altered(ACTIVE, ACTIVE, moved=True), Vanished(DONE)))
    fleet.publish(entry, (Appeared(DONE),))
    assert capsys.readouterr().out.splitlines() == [
        "dc1  31.1.2  failed   70%",
        "dc1  31.1.1  in_progress   42%  2 of 6",
        "dc1  30.2.1  gone",
    ]


def upgraded(phase: UpgradePhase, *units: Upgrade, done: bool | None = None) -> Entry:
    """The entry of a controller with these units."""
    entry = entry_of("dc1", session=SessionHealth(up=True))
    tracked = {unit.uuid: TrackedObject(unit, ProgressMark(b"", 0.0, 0.0), 0.0) for unit in units}
    collections = {**entry.collections, "upgrade": Collection(Snapshot(objects=tracked), ReadHealth(), (), ())}
    return replace(entry, collections=collections, overview=Overview(phase=phase, done=done))


CLUSTER = Upgrade(uuid="cluster-1", name="cluster-0-1", kind="controller", state="running", progress_ratio=0.5)
GROUP = Upgrade(
    uuid="serviceenginegroup-1",
    name="Default-Group",
    cloud="aws",
    kind="se_group",
    state="queued",
    engines=Engines(completed=("se-1",), expected=4, listed=True),
)
IDLE = Upgrade(uuid="serviceenginegroup-2", name="test", kind="se_group", state="idle")
ENGINE = Upgrade(uuid="se-1", name="se-1", kind="se", state="running")


async def test_an_upgrade_is_a_line_for_each_phase_and_each_change_of_a_cluster_or_group(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fleet = fleet_of()
    async with show_fleet(fleet, now=lambda: 0.0):
        fleet.publish(upgraded("none", IDLE), (Appeared(IDLE), Appeared(ENGINE)))
        fleet.publish(upgraded("controllers", CLUSTER, IDLE), (Altered(CLUSTER, CLUSTER, moved=True),))
        fleet.publish(upgraded("controllers", CLUSTER, IDLE))
        fleet.publish(upgraded("away", CLUSTER, IDLE))
        fleet.publish(upgraded("none", CLUSTER, IDLE, done=True))
    assert capsys.readouterr().out.splitlines() == [
        "dc1  cluster-0-1  running   50%",
        "dc1  upgrade: controllers",
        "dc1  upgrade: away",
        "dc1  upgrade: done",
    ]


async def test_on_a_terminal_an_upgrade_has_a_table_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    fleet = fleet_of(ACTIVE)
    fleet.publish(upgraded("service_engines", CLUSTER, GROUP, IDLE, ENGINE))
    async with show_fleet(fleet, now=lambda: 100.0):
        pass
    lines = [" ".join(line.split()) for line in click.unstyle(capsys.readouterr().out).splitlines()]
    last = len(lines) - lines[::-1].index("Controller Phase Unit State Progress Service Engines") - 1
    assert lines[last : last + 3] == [
        "Controller Phase Unit State Progress Service Engines",
        "dc1 service_engines cluster-0-1 running 50%",
        "dc1 service_engines Default-Group (aws) queued 1 of 4",
    ]


async def test_on_a_terminal_the_table_is_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    async with show_fleet(fleet_of(ACTIVE), now=lambda: 100.0):
        pass
    assert "31.1.1" in capsys.readouterr().out
