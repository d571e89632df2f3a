"""A second kind of object is a row: defined here alone, it is polled, tracked, rendered, budgeted and published."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from monitor.metrics.family import DETAIL, Family, Row, Subject, escape, format_number, line_of
from monitor.model.tracked import Tracked, TrackedObject
from monitor.polling.resources import IMAGE, Budget, Resource
from monitor.simulator import ControllerSpec, Simulator
from monitor.store import Store
from tests.support.daemons import QUICK, exposition, polled, until, watching
from tests.support.events import reading

IDENTITY: Final = ("controller", "toy_uuid")


class Toy(Tracked, frozen=True, kw_only=True):
    """Three fields: ``uuid``, ``state`` and ``colour``."""

    colour: str


def decode_toy(raw: msgspec.Raw) -> tuple[Toy, tuple[str, ...]]:
    fields: dict[str, Any] = msgspec.json.decode(raw)
    return Toy(uuid=fields["uuid"], state="started", colour=fields["name"]), ("colour",)


def info(subject: Subject[Toy]) -> Iterable[Row]:
    return ((escape(subject.object.colour), "1.0"),)


def size(subject: Subject[Toy]) -> Iterable[Row]:
    return [("inside", format_number(len(subject.object.colour))), ("outside", format_number(7.0))]


FAMILIES: Final = (
    Family(
        name="avi_toy_info",
        kind="gauge",
        help="What the toy is; the value is always 1.",
        identity=IDENTITY,
        labels=("colour",),
        rows=info,
        line=line_of("avi_toy_info", (*IDENTITY, "colour")),
    ),
    Family(
        name="avi_toy_size",
        kind="gauge",
        help="How large the toy is.",
        identity=IDENTITY,
        labels=("side",),
        tier=DETAIL,
        rows=size,
        line=line_of("avi_toy_size", (*IDENTITY, "side")),
    ),
)

TOY: Final = Resource(
    name="toy",
    read=lambda source, before: source.list_images(before),
    decode=decode_toy,
    families=FAMILIES,
    budget=lambda _events: Budget(per_object=10, per_controller=5),
    describe=lambda toy: {"uuid": toy.object.uuid, "colour": toy.object.colour, "standing": toy.standing},
    history_kind=lambda _toy: "toy",
)


def toys(daemon_toys: Iterable[tuple[object, TrackedObject[Tracked]]]) -> set[str]:
    return {tracked.object.uuid for _, tracked in daemon_toys}


async def test_a_kind_of_object_is_a_row(tmp_path: Path) -> None:
    specs = [ControllerSpec(name="dc1", images=2)]
    async with (
        Simulator(specs, speed=0.0) as simulator,
        watching(simulator, tmp_path, resources=(IMAGE, TOY), poll=QUICK) as daemon,
        reading(daemon) as reader,
    ):
        await polled(daemon, "dc1")
        first, second = sorted(daemon.fleet.entries["dc1"].objects("toy"))
        assert toys(daemon.fleet.shown_objects("toy")) == {first, second}

        series = await exposition(daemon)
        mine = ("controller", "dc1"), ("resource", "toy")
        infos = [dict(labels) for name, labels in series if name == "avi_toy_info"]
        assert {labels["toy_uuid"] for labels in infos} == {first, second}
        assert all(labels["controller"] == "dc1" and labels["colour"] for labels in infos)
        assert sum(name == "avi_toy_size" for name, _ in series) == 2, "the budget of five leaves the detail of one"
        assert series["avi_controller_series_dropped_total", mine] >= 2.0
        assert series["avi_controller_unknown_values_total", (mine[0], ("field", "colour"), mine[1])] == 2.0
        assert series["avi_controller_stale", mine] == 0.0
        assert series["avi_controller_stale", (mine[0], ("resource", "image"))] == 0.0

        await reader.until(lambda reader: ("dc1", "toy", second) in reader.objects)
        assert reader.objects["dc1", "toy", first]["standing"] == "active"
        assert ("dc1", "image", first) in reader.objects

        simulator.controllers["dc1"].remove(first)
        await reader.until(lambda reader: ("dc1", "toy", first) not in reader.objects)
        await until(daemon, "dc1", lambda entry: first not in entry.objects("toy"))
        assert all(first not in dict(labels).values() for _, labels in await exposition(daemon))

    store = Store(f"sqlite:///{tmp_path}/state.db")
    await store.open()
    assert set(store.marks.of("dc1", "toy")) == set(store.marks.of("dc1", "image")) == {second}
    await store.close()
