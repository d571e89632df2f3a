"""
``kill -9`` in the middle of a PATCH, on both databases. What was acknowledged is there after the restart, nothing is
done twice, and every intent has exactly one outcome.

Each run kills the daemon at the first wait in every place of the code, when the wait begins and when it ends; with
PostgreSQL only when it ends: its server does what it was asked, whether the daemon lives or not. With
``--all-kill-points`` (``make torture``) it kills at every point of the PATCH.
"""

from collections.abc import Iterable
from itertools import count
from pathlib import Path

import pytest

from monitor.cli.commands.audit import verify
from monitor.cli.commands.simulate import write_config
from monitor.config.load import load
from monitor.simulator import ControllerSpec, SimulatedController, Simulator
from tests.support.daemon_processes import RARE, DaemonProcess, started
from tests.support.operators import TOKENS

pytestmark = pytest.mark.unmeasured


async def require_consistent(
    daemon: DaemonProcess, controller: SimulatedController, uuid: str, number: int, status: int
) -> None:
    """After the restart: what must hold of the attempt with this number."""
    (image, listing) = await daemon.get(f"/api/image/{uuid}"), await daemon.get(f"/api/audit?image={uuid}&page_size=1")
    (entry,) = listing["results"] or [None]
    key = f"attempt-{number}"
    mine = entry if entry and key in entry["asked"]["annotations"] else None
    sent = [request for request in controller.requests if request.method == "PATCH" and key in request.body.decode()]
    assert len(sent) <= 1, "nothing is done twice"
    assert mine is None or mine["outcome"] in {"done", "unknown"}, "every intent has an outcome"
    assert (key in image["annotations"]) is (mine is not None and mine["outcome"] == "done"), "all or nothing"
    assert not sent or mine is not None, "nothing leaves without an intent"
    assert status in {0, 200}
    if status == 200:
        assert mine is not None, "what was acknowledged is recorded"
        assert mine["outcome"] == "done", "what was acknowledged is there"
        adjusted = mine["asked"].get("fields", {})
        assert {field: controller.image(uuid)[field] for field in adjusted} == adjusted, "and on the Controller"


def sample(places: list[str], *, begins: bool) -> list[int]:
    """The numbers of the points at which the first wait in each place ends (``begins``: or begins), and of the last."""
    before = [None, None, *places]
    first = [number for number, place in enumerate(places, 1) if place != before[number - 1]]
    return sorted({*(number for number in first if begins or number % 2 == 0), len(places)})


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["annotation", "adjustment"])
async def test_a_kill_at_any_point_loses_nothing_acknowledged_and_does_nothing_twice(
    database_url: str, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    def body(number: int) -> dict[str, object]:
        more = {"name": f"attempt-{number}"} if kind == "adjustment" else {}
        return {"annotations": {f"attempt-{number}": "x"}, **more}

    begins, everywhere = database_url.startswith("sqlite"), request.config.getoption("--all-kill-points")
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        controller = simulator.controllers["dc1"]
        (uuid,) = controller.images.names(controller.clock.now())
        settings = {"listen": "127.0.0.1:0", "database": database_url, "poll": RARE, "tokens": TOKENS}
        config = write_config(simulator, tmp_path, settings)
        number = 0
        async with started(config, uuid) as daemon:
            status = await daemon.patch(body(number))
            points: Iterable[int] = sample(await daemon.places(), begins=begins)
        if everywhere:
            points = count(1)
        kills = 0
        for point in points:
            async with started(config, uuid, kill_at=point) as daemon:
                await require_consistent(daemon, controller, uuid, number, status)
                number += 1
                status = await daemon.patch(body(number))
                kills += status == 0
            if status == 200:  # there are no more points
                break
        async with started(config, uuid) as daemon:
            await require_consistent(daemon, controller, uuid, number, status)
            entries = (await daemon.get("/api/audit?page_size=500"))["results"]
        assert all(entry["outcome"] for entry in entries)
        await verify(load(config), "text", {})  # raises when the chain is not whole
    least = {"annotation": 7, "adjustment": 15}[kind]
    assert kills >= least * (4 if everywhere else 2 if begins else 1), "a PATCH has that many points"
