"""Whether an upgrade may begin, as the API and the command say, from the upload of the image to the upgrade."""

import json
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Fault, GroupSpec, Simulator, UploadSpec
from tests.support.command_line import run
from tests.support.daemons import polled, watching
from tests.support.nights import upgrade_night
from tests.support.operators import EVE, ROOT, Got, ask, token
from tests.support.unit_client import UnitClient
from tests.support.upgrade_reads import asked_for, logging

SPEC = ControllerSpec(
    name="dc1",
    version="30.2.1",
    images=2,
    groups=(GroupSpec(ses=1), GroupSpec(cloud="aws", ses=1)),
    uploads=(UploadSpec(version="31.2.2", duration=600.0, started_ago=60.0),),
)
ROOTS = [token("root", ROOT, "admin")]


async def ready(daemon: Daemon, image: str, *arguments: str) -> tuple[int, str]:
    """The exit code of the command, and what it prints."""
    result = await run(daemon.url, "readiness", "dc1", "--image", image, *arguments, token=ROOT)
    return result.exit_code, result.stdout


async def verdicts(daemon: Daemon, image: str) -> tuple[int, str, dict[str, str]]:
    """The exit code of the command, its verdict, and that of each line that is not go."""
    code, printed = await ready(daemon, image, "--output", "json")
    report: dict[str, Any] = json.loads(printed)
    return (
        code,
        report["verdict"],
        {each["name"]: each["verdict"] for each in report["lines"] if each["verdict"] != "go"},
    )


async def test_a_report_follows_an_image_from_its_upload_over_its_prechecks_to_the_upgrade(tmp_path: Path) -> None:
    with logging():  # else the log is in the output of the command
        async with upgrade_night(tmp_path, [SPEC], tokens=ROOTS) as (daemon, night):
            (image,) = [each for each in daemon.fleet.entries["dc1"].objects("image").values() if each.object.active]
            name = image.object.name
            # no TLS, groups that were never upgraded, and a clock that stands
            usual = dict.fromkeys(("certificate", "service_engines", "clock"), "warn")
            lines = usual | {"image_state": "no_go", "image_nodes": "no_go", "prechecks": "warn"}
            assert await verdicts(daemon, name) == (1, "no_go", lines)

            await night.advance(600.0)
            assert await verdicts(daemon, name) == (0, "warn", usual | {"prechecks": "warn"})
            code, printed = await ready(daemon, image.object.uuid)
            *rows, asking, request = printed.splitlines()
            assert (code, rows[0]) == (0, f"dc1  {name}: warn")
            assert "go       migration        one can upgrade from 30.2.1 to 31.2.2" in rows
            assert asking.startswith("To let the Controller run its own pre-checks")

            method, path, body = request.split(maxsplit=2)
            client = UnitClient(night.controller)
            assert (await client.ask(method, path, json=json.loads(body)))[0] == 202, "a Controller takes it as it is"
            await night.advance(5.0)
            assert (await verdicts(daemon, name))[2] == usual | {"prechecks": "warn", "units": "no_go"}
            await night.advance(60.0)
            assert await verdicts(daemon, name) == (0, "warn", usual)

            upgrade = {"image_ref": json.loads(body)["image_ref"], "system": True}
            assert (await client.ask(method, path, json=upgrade))[0] == 202
            await night.go_to("controllers")
            assert await verdicts(daemon, name) == (1, "no_go", usual | {"units": "no_go"})


async def cluster_line(daemon: Daemon) -> tuple[str, str]:
    """The verdict and the reason of the line on the nodes."""
    image = next(iter(daemon.fleet.entries["dc1"].objects("image")))
    got = await ask(daemon, "GET", "/api/readiness", token=ROOT, query={"controller": "dc1", "image": image})
    (line,) = [each for each in got.json["lines"] if each["name"] == "cluster"]
    return line["verdict"], line["reason"]


async def test_a_report_says_which_node_is_down_and_that_none_is_known_where_they_cannot_be_read(
    tmp_path: Path,
) -> None:
    runtime, upgrades = "/api/cluster/runtime", {"full_interval": "1ms"}
    with logging() as logs:
        async with (
            Simulator([SPEC], speed=0.0) as simulator,
            watching(simulator, tmp_path, tokens=ROOTS, upgrades=upgrades) as daemon,
        ):
            dc1 = simulator.controllers["dc1"]
            await polled(daemon, "dc1", 2)
            whole = ("go", "the Controllers' cluster is CLUSTER_UP_HA_ACTIVE, nodes: 3")
            assert await cluster_line(daemon) == whole
            dc1.nodes_down.add(dc1.nodes[2])
            await polled(daemon, "dc1", 2)
            verdict, reason = await cluster_line(daemon)
            assert (verdict, f"not active: {dc1.nodes[2]} (CLUSTER_INACTIVE)" in reason) == ("no_go", True)
            denied = Fault("forbidden_upgrade", path=runtime, value="Account does not have permission")
            for fault in (Fault("http_500", path=runtime), denied):
                dc1.faults.add(fault)
                await polled(daemon, "dc1", 3)
                assert await cluster_line(daemon) == ("warn", "not known: the state of the nodes was not read")
                dc1.faults.clear()
            dc1.nodes_down.clear()
            await polled(daemon, "dc1", 3)
            assert await cluster_line(daemon) == whole
            assert daemon.fleet.entries["dc1"].session.up
    told = [(log["event"], log["log_level"], log["reason"]) for log in logs if log.get("resource") == "cluster_runtime"]
    assert told == [("read_failed", "warning", "http_5xx"), ("objects_unreadable", "info", "forbidden")]


async def test_the_nodes_are_read_again_when_the_controllers_are_back(tmp_path: Path) -> None:
    async with upgrade_night(tmp_path, tokens=ROOTS) as (daemon, night):
        await polled(daemon, "dc1", 3)
        assert asked_for(night.controller, "/api/cluster/runtime") == 1
        await night.go_to("back")
        await polled(daemon, "dc1", 2)
        assert asked_for(night.controller, "/api/cluster/runtime") == 2


async def test_a_report_is_of_a_controller_and_an_image_that_the_caller_may_see(tmp_path: Path) -> None:
    fleet = [replace(SPEC, name=name) for name in ("dc1", "dc2")]
    tokens = [*ROOTS, token("eve", EVE, "read", controllers=["dc2"])]
    async with Simulator(fleet, speed=0.0) as simulator, watching(simulator, tmp_path, tokens=tokens) as daemon:
        for uuid in ("image-a", "image-b"):
            simulator.controllers["dc2"].put({"uuid": uuid, "name": "twice"})
        for name in simulator.controllers:
            await polled(daemon, name, 2)
        uuids = {name: next(iter(entry.objects("image"))) for name, entry in daemon.fleet.entries.items()}

        async def asked(who: str, **query: str) -> Got:
            return await ask(daemon, "GET", "/api/readiness", token=who, query=query)

        assert (await asked(EVE, controller="dc2", image=uuids["dc2"])).status == 200
        hidden, absent = (
            await asked(EVE, controller="dc1", image=uuids["dc1"]),
            await asked(ROOT, controller="dc9", image="i"),
        )
        assert [(got.status, got.kind) for got in (hidden, absent)] == [(404, "no-such-controller")] * 2
        assert (await asked(ROOT, controller="dc1", image=uuids["dc1"])).status == 200
        assert (await asked(ROOT, controller="dc2", image=uuids["dc1"])).kind == "no-such-image"
        twice = await asked(ROOT, controller="dc2", image="twice")
        assert (twice.status, twice.kind, "image-a, image-b" in twice.json["detail"]) == (409, "ambiguous-image", True)
        for query in ({"controller": "dc1"}, {"image": uuids["dc1"]}, {"controller": "", "image": "i"}):
            assert (await asked(ROOT, **query)).kind == "bad-query"
