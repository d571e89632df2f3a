"""``/api/upgradestatusinfo`` on a real daemon and simulated Controllers: what it says of the units, and to whom."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from monitor.daemon.app import Daemon
from monitor.simulator import CheckSpec, Fault, GroupSpec, Simulator, UnitOptions
from tests.support.conformance import require_conformance
from tests.support.daemons import QUICK, polled, until, watching
from tests.support.nights import planned, upgrade_night
from tests.support.operators import EVE, TOKENS, Got, ask, token
from tests.support.unit_client import READER, SPEC, UnitClient
from tests.support.upgrade_reads import INFO, account_of_config

FLEET = (SPEC, replace(SPEC, name="dc2"))
RARE = {**QUICK, "active_interval": "1h", "idle_interval": "1h", "stale_after": "2h"}
NARROW = "aum_narrow"
OURS = {
    "annotations", "controller", "observed_at", "detail", "left_out", "upgrade_state", "standing", "standing_rank",
    "eta_seconds", "eta_seconds_min", "eta_seconds_max", "stalled_seconds",
}  # fmt: skip


class Site:
    """A daemon that has polled the Controllers of the fleet."""

    def __init__(self, daemon: Daemon, simulator: Simulator) -> None:
        self.daemon = daemon
        self.simulator = simulator
        self.cluster = simulator.controllers["dc1"].upgrades.cluster_uuid

    async def get(self, path: str = "", **how: Any) -> Got:  # noqa: ANN401
        return await ask(self.daemon, "GET", f"/api/upgradestatusinfo{path}", token=how.pop("token", EVE), **how)

    async def units(self, **query: str) -> list[dict[str, Any]]:
        got = await self.get(query=query)
        assert got.status == 200, got.body
        found: list[dict[str, Any]] = got.json["results"]
        assert got.json["count"] == len(found)
        return found


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    narrow = token("narrow", NARROW, "read", controllers=["dc2"])
    async with (
        Simulator(FLEET, speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=[*TOKENS, narrow]) as daemon,
    ):
        for name in simulator.controllers:
            await polled(daemon, name)
        yield Site(daemon, simulator)


async def test_units_come_in_the_controllers_own_shape_with_what_the_daemon_says_of_them(site: Site) -> None:
    theirs = {unit["uuid"]: unit for unit in await UnitClient(site.simulator.controllers["dc1"]).units()}
    ours = await site.units(controller="dc1")
    assert {unit["uuid"] for unit in ours} == theirs.keys()
    for unit in ours:
        shown = {key: value for key, value in unit.items() if key not in OURS}
        assert shown.keys() == theirs[unit["uuid"]].keys()
        assert shown["state"] == theirs[unit["uuid"]]["state"]
        assert unit.keys() >= OURS
        assert (unit["controller"], unit["detail"], unit["left_out"], unit["annotations"]) == ("dc1", "full", [], {})
        assert (unit["upgrade_state"], unit["standing"], unit["eta_seconds"]) == ("idle", "completed", None)
        assert unit["observed_at"] > 0


async def test_units_are_filtered_by_all_that_the_query_names(site: Site) -> None:
    (cluster,) = await site.units(uuid=site.cluster)
    assert (cluster["node_type"], cluster["controller"]) == ("NODE_CONTROLLER_CLUSTER", "dc1")
    groups = await site.units(node_type="NODE_SE_GROUP", name="Default-Group")
    assert {unit["controller"] for unit in groups} == {"dc1", "dc2"}
    assert {unit["obj_cloud_ref"].rpartition("#")[2] for unit in groups} == {"Default-Cloud", "aws"}, "twice one name"
    assert await site.units(state="failed") == []
    assert len(await site.units(state="idle", node_type="NODE_SE_TYPE", controller="dc2")) == 3


@pytest.mark.parametrize("query", ["node_type=cluster", "state=COMPLETED", "page=0", "page_size=201"])
async def test_a_filter_that_no_unit_could_match_is_refused(site: Site, query: str) -> None:
    got = await site.get(f"?{query}")
    assert (got.status, got.kind) == (400, "bad-query")


async def test_pages_hold_each_unit_once_and_the_clusters_come_first(site: Site) -> None:
    path, seen = "?page_size=5", list[dict[str, Any]]()
    while path:
        page = (await site.get(path)).json
        assert page["count"] == 12
        seen += page["results"]
        path = page.get("next", "")
    assert len({unit["uuid"] for unit in seen}) == len(seen) == 12
    assert [unit["node_type"] for unit in seen[:2]] == ["NODE_CONTROLLER_CLUSTER"] * 2


async def test_a_unit_has_an_etag_that_changes_when_it_does(site: Site) -> None:
    first = await site.get(f"/{site.cluster}")
    assert (first.status, first.json["uuid"]) == (200, site.cluster)
    same = await site.get(f"/{site.cluster}", If_None_Match=first.tag)
    assert (same.status, same.tag, same.body) == (304, first.tag, b"")
    site.simulator.controllers["dc1"].upgrades.options = UnitOptions(old_error_s=63e6)
    await until(site.daemon, "dc1", lambda entry: entry.objects("upgrade")[site.cluster].object.state == "failed")
    assert (await site.get(f"/{site.cluster}", If_None_Match=first.tag)).status == 200


async def test_a_unit_on_two_controllers_needs_one_to_be_named(site: Site, tmp_path: Path) -> None:
    configure(tmp_path, lambda controllers: controllers.append({**controllers[0], "name": "dc3"}))
    await site.daemon.reloader.reload()
    await until(site.daemon, "dc3", lambda entry: bool(entry.objects("upgrade")))
    for path in (f"/{site.cluster}", f"/{site.cluster}/tasks"):
        got = await site.get(path)
        assert (got.status, got.kind) == (409, "ambiguous-unit")
        assert "dc1, dc3" in got.json["detail"]
        assert (await site.get(path, query={"controller": "dc3"})).status == 200


async def test_a_token_of_one_controller_sees_no_unit_of_another(site: Site) -> None:
    got = await site.get(token=NARROW)
    assert {unit["controller"] for unit in got.json["results"]} == {"dc2"}
    assert (await site.get(token=NARROW, query={"controller": "dc1"})).json == {"count": 0, "results": []}
    for path in (f"/{site.cluster}", f"/{site.cluster}/tasks", f"/{site.cluster}?controller=dc1"):
        got = await site.get(path, token=NARROW)
        assert (got.status, got.kind, "dc1" in got.json["detail"].replace(site.cluster, "")) == (
            404,
            "no-such-unit",
            False,
        )
    theirs = site.simulator.controllers["dc2"].upgrades.cluster_uuid
    assert (await site.get(f"/{theirs}", token=NARROW)).json["controller"] == "dc2"


async def test_the_route_of_the_summary_names_the_one_that_there_is(site: Site) -> None:
    for path in ("/api/upgradestatussummary", f"/api/upgradestatussummary/{site.cluster}"):
        got = await ask(site.daemon, "GET", path, token=EVE)
        assert (got.status, got.kind) == (404, "no-such-route")
        assert "GET /api/upgradestatusinfo" in got.json["detail"]


async def test_a_unit_that_is_nowhere_is_a_problem_that_says_what_cannot_be_read(tmp_path: Path) -> None:
    """Four controllers: one read, one not watched, one that the account may not read, and one that has become stale."""
    fleet = [replace(SPEC, name=f"dc{number}") for number in range(1, 5)]
    async with Simulator(fleet, speed=0.0) as simulator, watching(simulator, tmp_path, poll=RARE) as daemon:
        for name in ("dc1", "dc4"):
            await until(daemon, name, lambda entry: bool(entry.objects("upgrade")))

        def change(controllers: list[dict[str, Any]]) -> None:
            controllers[1]["upgrades"] = {"watch": False}
            controllers[2].update(account_of_config(tmp_path, READER))

        configure(tmp_path, change)
        await daemon.reloader.reload()
        await until(daemon, "dc2", lambda entry: entry.collections.keys() == {"image"})
        await until(daemon, "dc3", lambda entry: entry.collections["upgrade"].health.readable is False)
        got = await ask(daemon, "GET", "/api/upgradestatusinfo/cluster-none", token="")
        assert (got.status, got.kind) == (404, "no-such-unit")
        assert got.json["detail"] == (
            "no controller that you may see has the unit cluster-none at present; not watched are those of dc2; "
            "the monitor may not read those of dc3 (forbidden)"
        )

        entry = daemon.fleet.entries["dc4"]
        units = entry.collections["upgrade"]
        late = replace(units, health=replace(units.health, stale=True))
        session = replace(entry.session, up=False, reason="timeout")
        late_entry = replace(entry, session=session, collections={**entry.collections, "upgrade": late})
        daemon.fleet.publish(late_entry)
        cluster = simulator.controllers["dc4"].upgrades.cluster_uuid
        got = await ask(daemon, "GET", f"/api/upgradestatusinfo/{cluster}", token="")
        assert (got.status, got.kind) == (404, "no-such-unit")
        assert "dc4 (timeout) had the unit" in got.json["detail"]
        page = await ask(daemon, "GET", "/api/upgradestatusinfo", token="")
        assert {unit["controller"] for unit in page.json["results"]} == {"dc1"}


async def test_a_unit_that_is_too_large_says_what_was_left_out(tmp_path: Path) -> None:
    async with upgrade_night(tmp_path, planned(groups=[GroupSpec(ses=1)]), step_s=300.0) as (daemon, night):
        night.controller.faults.add(Fault("unknown_fields", path=INFO, value="x" * 300_000, all=True))
        await night.go_to("done")
        got = await ask(daemon, "GET", "/api/upgradestatusinfo?node_type=NODE_SE_GROUP", token="")
        (group,) = got.json["results"]
        assert (group["left_out"], "se_upgrade_events" in group) == (["se_upgrade_events"], False)


async def test_during_a_night_the_worst_come_after_the_cluster_and_before_the_rest(tmp_path: Path) -> None:
    groups = [GroupSpec(name="quick", ses=1), GroupSpec(name="stopped", ses=3, outcome="suspended")]
    async with upgrade_night(tmp_path, planned(groups=groups), step_s=20.0) as (daemon, night):
        await night.go_to("suspended", after_s=10.0)
        got = await ask(daemon, "GET", "/api/upgradestatusinfo", token="")
        first, second, *rest = got.json["results"]
        assert (first["node_type"], first["standing"]) == ("NODE_CONTROLLER_CLUSTER", "active")
        assert (second["name"], second["upgrade_state"], second["standing"]) == ("stopped", "suspended", "failed")
        ranks = [unit["standing_rank"] for unit in rest]
        assert ranks == sorted(ranks)

        tasks = (await ask(daemon, "GET", f"/api/upgradestatusinfo/{second['uuid']}/tasks", token="")).json
        assert [engine["state"] for engine in tasks["engines"]] == ["suspended", "not_started", "completed"]
        assert {engine["uuid"] for engine in tasks["engines"]} == engines_of(second)
        assert all(engine["name"] for engine in tasks["engines"])
        assert tasks["notes"] == second["seg_status"]["notes"]


def engines_of(group: dict[str, Any]) -> set[str]:
    """The uuids in the lists of a group."""
    states = ("completed", "failed", "in_progress", "not_started", "suspended")
    refs = [ref for state in states for ref in group["seg_status"].get(f"se_upgrade_{state}", ())]
    return {ref.rpartition("/")[2].partition("#")[0] for ref in refs}


async def test_the_tasks_of_a_night_are_those_of_nodes_and_of_service_engines(tmp_path: Path) -> None:
    checks = CheckSpec(total=5, warnings=1)
    groups = [GroupSpec(name="blue", ses=3, se_s=60.0)]
    async with upgrade_night(tmp_path, planned(groups=groups, checks=checks), step_s=20.0) as (daemon, night):

        async def tasks(kind: str) -> dict[str, Any]:
            units = (await ask(daemon, "GET", f"/api/upgradestatusinfo?node_type={kind}", token="")).json["results"]
            got = await ask(daemon, "GET", f"/api/upgradestatusinfo/{units[0]['uuid']}/tasks", token="")
            require_conformance("GET", "/api/upgradestatusinfo/x/tasks", got.status, got.headers, got.body)
            found: dict[str, Any] = got.json
            return found

        await night.go_to("controllers", after_s=60.0)
        cluster = await tasks("NODE_CONTROLLER_CLUSTER")
        assert cluster.keys() == {"tasks", "nodes", "events", "checks"}
        assert len(cluster["nodes"]) == 3
        assert {event["state"] for event in cluster["events"]} >= {"succeeded", "running"}
        assert [check["result"] for check in cluster["checks"]] == ["warning"]

        await night.go_to("first_group", after_s=-30.0)
        first, second, third = sorted((await tasks("NODE_SE_GROUP"))["engines"], key=lambda engine: engine["name"])
        assert [each["state"] for each in (first, second, third)] == ["completed", "completed", "in_progress"]
        now = night.simulator.clock.now()
        assert now - 60.0 <= third["since"] <= now
        assert third["took_seconds"] is None
        assert second["since"] is None
        assert 40.0 <= second["took_seconds"] <= 80.0, "of 60 s, seen every 20 s"


def configure(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the controllers in the config."""
    path = folder / "config.yml"
    config = yaml.safe_load(path.read_text())
    change(config["controllers"])
    path.write_text(yaml.safe_dump(config))
