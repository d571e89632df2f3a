"""A summary of no use (rule 4 of docs/upgrade-watching.md), and very large units: what is shown and kept."""

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from msgspec.structs import replace

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, GroupSpec, Simulator, UnitOptions, UpgradeSpec
from tests.support.daemons import UNHURRIED, exposition, failed, image_uuids, polled, until, watching
from tests.support.nights import upgrade_night
from tests.support.programs import eventually
from tests.support.upgrade_reads import labels_of, logged, logging, polls_of

Kind = Literal["absent", "lying", "stateless"]
SPEC = ControllerSpec(
    name="dc1",
    version="30.2.1",
    images=2,
    groups=(GroupSpec(ses=2),),
    upgrade=UpgradeSpec(version="31.2.2"),
)
HISTORY_BYTES = 10_000_000
KEPT_BYTES = 256 * 1024  # far more than seven units need


async def states(daemon: Daemon) -> dict[str, str]:
    """The state of the cluster and of the SE groups of dc1, which are all in the same one."""
    found = labels_of(await exposition(daemon), "avi_upgrade_state", controller="dc1")
    return {labels["kind"]: labels["state"] for labels in found}


@pytest.mark.parametrize("kind", ["absent", "lying", "stateless"])
async def test_the_list_of_all_units_takes_the_place_of_a_summary_of_no_use(tmp_path: Path, kind: Kind) -> None:
    with logging() as logs:
        fleet = [replace(SPEC, units=UnitOptions(summary=kind)), ControllerSpec(name="dc2", images=1)]
        async with upgrade_night(tmp_path, fleet) as (daemon, night):
            await night.go_to("controllers", after_s=10.0)
            entry = await polled(daemon, "dc1", 5)
            assert polls_of(night.controller)[-4:] == [["image", "info"]] * 4
            assert await states(daemon) == {"controller": "running", "se_group": "idle"}
            assert image_uuids(await exposition(daemon), "dc1") == set(entry.objects("image"))
            assert entry.collections["upgrade"].health.failures == {}
            assert logged(logs, "upgrade_summary_unusable") == [("warning", "dc1", "")]

            night.controller.upgrades.options = UnitOptions()
            await night.go_to("groups", after_s=2.0)
            await polled(daemon, "dc1", 3)
            assert polls_of(night.controller)[-1][:2] == ["image", "summary"], "another version may have a good one"
            assert await states(daemon) == {"controller": "running", "se_group": "running"}
    assert logged(logs, "upgrade_summary_unusable") == [("warning", "dc1", "")]
    assert not logged(logs, "read_failed")


async def test_a_summary_that_is_of_no_use_in_the_next_version_either_is_logged_again(tmp_path: Path) -> None:
    with logging() as logs:
        async with upgrade_night(tmp_path, [replace(SPEC, units=UnitOptions(summary="stateless"))]) as (daemon, night):
            await night.go_to("back")
            await polled(daemon, "dc1", 3)
    found = [log["version"] for log in logs if log["event"] == "upgrade_summary_unusable"]
    assert found == ["30.2.1", "31.2.2"]


@pytest.mark.parametrize("kind", ["good", "absent"])
async def test_a_history_of_ten_megabytes_is_not_kept(tmp_path: Path, kind: Literal["good", "absent"]) -> None:
    options = UnitOptions(summary=kind, history_bytes=HISTORY_BYTES)
    fleet = [replace(SPEC, upgrade=None, units=options), ControllerSpec(name="dc2", images=1)]
    with tracing_memory():
        async with (
            Simulator(fleet, speed=0.0) as simulator,
            watching(simulator, tmp_path, poll=UNHURRIED) as daemon,
        ):
            for name in ("dc1", "dc2"):
                entry = await polled(daemon, name, 2)
                assert (entry.session.up, entry.collections["image"].health.failures) == (True, {})
            entry = await until(daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
            assert {each.object.state for each in entry.objects("upgrade").values()} == {"idle"}
            await simulator.controllers["dc1"].stop_listening()  # so that no reply is held because it just came
            await failed(daemon, "dc1", "connect")
            assert await eventually(large_blocks, lambda sizes: not sizes) == []
            raws = entry.collections["upgrade"].snapshot.object_list.raws
            assert sum(memoryview(raw).nbytes for raw in raws.values()) < KEPT_BYTES


async def large_blocks() -> list[int]:
    """
    The sizes of the blocks that hold a history.

    Until a thread gets its turn again, it holds what it decoded last; a transfer that was cut off is in a traceback.
    """
    gc.collect()
    return [each.size for each in tracemalloc.take_snapshot().traces if each.size > HISTORY_BYTES]


@contextmanager
def tracing_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


async def test_the_history_that_is_kept_is_short(tmp_path: Path) -> None:
    options = UnitOptions(history=50)
    async with (
        Simulator([replace(SPEC, upgrade=None, units=options)], speed=0.0) as simulator,
        watching(simulator, tmp_path) as daemon,
    ):
        entry = await until(daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
    raws = entry.collections["upgrade"].snapshot.object_list.raws
    histories = [msgspec.json.decode(raw)["history"] for raw in raws.values()]
    assert {len(history) for history in histories} == {10}
    assert not [each for history in histories for each in history if "upgrade_events" in each]
