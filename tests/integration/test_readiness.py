"""Whether an upgrade may begin, as the API and the command say, from the upload of the image to the upgrade."""

import json
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, GroupSpec, Simulator, UploadSpec
from tests.support.command_line import run
from tests.support.daemons import polled, watching
from tests.support.nights import upgrade_night
from tests.support.operators import EVE, ROOT, Got, ask, token
from tests.support.unit_client import UnitClient
from tests.support.upgrade_reads import logging

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
            usual = dict.fromkeys(("cluster", "certificate", "service_engines", "clock"), "warn")
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
