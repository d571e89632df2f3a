"""What the reader of units does with replies that a Controller gives rarely."""

import msgspec
import pytest

from monitor.avi.unit_reader import UnitReader
from monitor.config.settings import Upgrades
from monitor.model.errors import BadStatus
from monitor.model.snapshot import ObjectList


def unit(uuid: str, state: str = "UPGRADE_FSM_IN_PROGRESS", **more: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"uuid": uuid, "state": {"state": state}, **more}))


class Replies:
    """The replies of a Controller: two lists, and units by uuid, or none for one that is gone."""

    def __init__(self, *summaries: msgspec.Raw) -> None:
        self.lists = {"upgradestatussummary": summaries, "upgradestatusinfo": summaries}
        self.gone: set[str] = set()
        self.asked: list[str] = []
        self.now = 0.0

    def reader(self, *, max_reads: int = 24) -> UnitReader:
        settings = Upgrades(max_reads_per_poll=max_reads)
        return UnitReader(self.list, self.one, self.cluster_uuid, monotonic=lambda: self.now, settings=settings)

    async def list(self, name: str, _before: ObjectList) -> ObjectList:
        self.asked.append(name)
        return ObjectList(raws={msgspec.json.decode(raw)["uuid"]: raw for raw in self.lists[name]})

    async def one(self, _name: str, uuid: str) -> bytes:
        self.asked.append(uuid)
        if uuid in self.gone:
            raise BadStatus("http_4xx", "404", phase="upgrade", status=404)
        return bytes(unit(uuid, progress=50))

    async def cluster_uuid(self) -> str:
        self.asked.append("cluster")
        return "cluster-1"

    async def read(self, reader: UnitReader, before: ObjectList | None = None) -> ObjectList:
        self.asked.clear()
        self.now += 5.0
        return await reader.read(before or ObjectList(), version="30.2.1")


async def test_a_unit_that_has_gone_since_the_summary_is_left_as_it_was() -> None:
    replies = Replies(unit("cluster-1"))
    reader = replies.reader()
    await replies.read(reader)
    replies.gone.add("cluster-1")
    assert (await replies.read(reader)).raws == {"cluster-1": unit("cluster-1")}
    assert replies.asked == ["upgradestatussummary", "cluster-1"]


async def test_a_unit_that_cannot_be_decoded_costs_only_itself() -> None:
    bad = unit("cluster-2", progress=[])
    replies = Replies(unit("cluster-1"), bad)
    reader = replies.reader()
    await replies.read(reader)
    assert (await replies.read(reader)).raws == {"cluster-1": unit("cluster-1", progress=50), "cluster-2": bad}
    assert replies.asked == ["upgradestatussummary", "cluster-1"]


async def test_clusters_come_first_then_what_changed_then_what_was_not_read_for_the_longest() -> None:
    groups = [unit(f"serviceenginegroup-{number}") for number in range(4)]
    replies = Replies(*groups, unit("cluster-1"))
    reader = replies.reader(max_reads=3)
    await replies.read(reader)
    await replies.read(reader)
    assert replies.asked[1:] == ["cluster-1", "serviceenginegroup-0", "serviceenginegroup-1"]
    await replies.read(reader)
    assert replies.asked[1:] == ["cluster-1", "serviceenginegroup-2", "serviceenginegroup-3"]
    replies.lists["upgradestatussummary"] = (
        *groups[:3],
        unit("serviceenginegroup-3", tasks_completed=1),
        unit("cluster-1"),
    )
    await replies.read(reader)
    assert replies.asked[1:] == ["cluster-1", "serviceenginegroup-3", "serviceenginegroup-0"]


async def test_a_unit_that_came_between_the_two_lists_is_shown_as_the_summary_has_it() -> None:
    replies = Replies(unit("cluster-1"))
    reader = replies.reader()
    await replies.read(reader)
    replies.lists["upgradestatussummary"] = (unit("cluster-1"), unit("serviceenginegroup-1"))
    listed = await replies.read(reader)
    assert listed.raws.keys() == {"cluster-1", "serviceenginegroup-1"}
    assert listed.summaries == {"serviceenginegroup-1"}


async def test_what_a_summary_changed_is_known_to_be_so_until_it_was_read_whole() -> None:
    idle = [unit(uuid, "UPGRADE_FSM_INIT") for uuid in ("cluster-1", "se-1")]
    replies = Replies(*idle)
    reader = replies.reader()
    listed = await replies.read(reader)
    assert listed.summaries == frozenset()
    moved = [unit(uuid, "UPGRADE_FSM_COMPLETED") for uuid in ("cluster-1", "se-1")]
    replies.lists["upgradestatussummary"] = tuple(moved)
    listed = await replies.read(reader, listed)
    assert replies.asked == ["upgradestatussummary", "cluster-1"], "a Service Engine is not read alone"
    assert listed.summaries == {"se-1"}
    replies.lists["upgradestatusinfo"] = tuple(moved)
    reader.read_all_next()
    listed = await replies.read(reader, listed)
    assert listed.summaries == frozenset()
    assert listed.raws["se-1"] == moved[1]
    assert replies.asked == ["upgradestatussummary", "upgradestatusinfo"]


async def test_all_units_are_read_again_after_a_quarter_of_an_hour() -> None:
    replies = Replies(unit("cluster-1", "UPGRADE_FSM_INIT"))
    reader = replies.reader()
    await replies.read(reader)
    replies.now += 890.0
    await replies.read(reader)
    assert replies.asked == ["upgradestatussummary"]
    await replies.read(reader)
    assert replies.asked == ["upgradestatussummary", "upgradestatusinfo"]


@pytest.mark.parametrize("status", [None, 403, 503])
async def test_a_summary_that_cannot_be_read_at_present_is_asked_for_again(status: int | None) -> None:
    replies = Replies(unit("cluster-1"))

    async def fails(_name: str, _before: ObjectList) -> ObjectList:
        raise BadStatus("http_4xx", "no", phase="upgrade", status=status)

    reader = UnitReader(fails, replies.one, replies.cluster_uuid, monotonic=lambda: 0.0)
    for _ in range(3):
        with pytest.raises(BadStatus):
            await reader.read(ObjectList(), version="30.2.1")
    assert reader.reads_summary


async def test_units_that_are_too_large_together_are_kept_without_the_events_of_their_service_engines() -> None:
    events = [{"se_ref": "x" * 200} for _ in range(1000)]
    groups = [
        unit(f"serviceenginegroup-{number}", "UPGRADE_FSM_INIT", se_upgrade_events=events) for number in range(50)
    ]
    replies = Replies(unit("cluster-1", "UPGRADE_FSM_INIT"), *groups)
    reader = replies.reader()
    first = await replies.read(reader)
    assert sum(memoryview(raw).nbytes for raw in first.raws.values()) <= 8 * 1024 * 1024
    assert unit("serviceenginegroup-10", "UPGRADE_FSM_INIT") in first.raws.values()
    assert any(raw in first.raws.values() for raw in groups), "no more is left out than has to be"
    short = {uuid for uuid, raw in first.raws.items() if raw not in groups and uuid != "cluster-1"}
    assert first.too_large == dict.fromkeys(short, ("se_upgrade_events",))
    reader.read_all_next()
    assert await replies.read(reader, first) is first, "what is left out again is no change"


async def test_what_a_unit_was_kept_without_is_told_until_it_is_small_again() -> None:
    events = [{"se_ref": "x" * 200} for _ in range(2000)]
    large = unit("serviceenginegroup-1", se_upgrade_events=events)
    replies = Replies(unit("serviceenginegroup-1", progress=10))
    replies.lists["upgradestatusinfo"] = (large,)
    reader = replies.reader()
    first = await replies.read(reader)
    assert first.too_large == {"serviceenginegroup-1": ("se_upgrade_events",)}
    second = await replies.read(reader, first)
    assert replies.asked == ["upgradestatussummary", "serviceenginegroup-1"]
    assert second.too_large == {}


async def test_the_cluster_is_asked_for_its_uuid_where_several_are_listed() -> None:
    replies = Replies(unit("cluster-1"), unit("cluster-2"))
    reader = replies.reader()
    await replies.read(reader)
    assert replies.asked == ["upgradestatussummary", "upgradestatusinfo", "cluster"]
    assert reader.cluster_uuid == "cluster-1"


async def test_without_any_unit_yet_the_whole_list_is_read_if_the_summary_fails_once() -> None:
    replies = Replies(unit("cluster-1", "UPGRADE_FSM_INIT"))
    fails = True

    async def read_list(name: str, before: ObjectList) -> ObjectList:
        if fails and name == "upgradestatussummary":
            raise BadStatus("http_4xx", "404", phase="upgrade", status=404)
        return await replies.list(name, before)

    reader = UnitReader(read_list, replies.one, replies.cluster_uuid, monotonic=lambda: 0.0)
    assert (await reader.read(ObjectList(), version="30.2.1")).raws.keys() == {"cluster-1"}
    assert reader.reads_summary
    fails = False
    await reader.read(ObjectList(), version="30.2.1")
    assert replies.asked == ["upgradestatusinfo", "upgradestatussummary", "upgradestatusinfo"]
