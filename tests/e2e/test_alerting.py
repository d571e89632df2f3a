"""
A real Prometheus and a real Alertmanager run with our scrape config, rules and routes against the demo fleet.

Their files are those that we ship, sixty times as fast (``support.rules.hurried``), and with the test's addresses.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import RawTestServer

from monitor.daemon.app import Daemon
from monitor.polling.fleet import Entry
from monitor.simulator import Simulator
from tests.support.alertmanager import Alertmanager, alertmanager_running
from tests.support.daemons import until, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.operators import ALICE, TOKENS, patch
from tests.support.programs import eventually, free_address
from tests.support.prometheus import Prometheus, any_image, prometheus_running, shipped, write_rules

FAILED = ("AviImageUploadFailed", "fra")
STALLED = ("AviImageStalled", "sin")
IMAGES = "AviImage.*"

Json = dict[str, Any]
AlertKey = tuple[str, str]  # the alert, and the controller


class Receiver:
    """The webhook that Alertmanager calls. ``notified``: of which alerts, firing or resolved."""

    def __init__(self) -> None:
        self.notified: set[tuple[str, *AlertKey]] = set()
        self._changed = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Take one call of a webhook."""
        for alert in (await request.json())["alerts"]:
            self.notified.add((alert["status"], alert["labels"]["alertname"], alert["labels"].get("controller", "")))
        self._changed.set()
        return web.Response()

    async def wait(self, status: str, *alerts: AlertKey) -> None:
        """Wait until it was notified of all of these."""
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            while not {(status, *alert) for alert in alerts} <= self.notified:
                self._changed.clear()
                await self._changed.wait()


def names(alerts: list[Json], state: str) -> list[AlertKey]:
    """The alerts in this state, sorted."""
    found = [alert["labels"] for alert in alerts if alert["status"]["state"] == state]
    return sorted((labels["alertname"], labels["controller"]) for labels in found)


@asynccontextmanager
async def alerting(daemon: Daemon, folder: Path) -> AsyncIterator[tuple[Alertmanager, Receiver, Prometheus]]:
    """Prometheus and Alertmanager on the daemon, and the receiver that Alertmanager notifies."""
    address, receiver = free_address(), Receiver()
    async with RawTestServer(receiver.answer) as server:
        webhook = str(server.make_url("/"))
        webhooks = {f"https://{name}.example.net/alertmanager": webhook for name in ("pager", "tickets")}
        addresses = {"127.0.0.1:9972": daemon.url.removeprefix("http://"), "127.0.0.1:9093": address}
        write_rules(folder)
        async with (
            alertmanager_running(shipped("alertmanager.yml", webhooks), folder, address) as alertmanager,
            prometheus_running(shipped("prometheus.yml", addresses), folder) as prometheus,
        ):
            yield alertmanager, receiver, prometheus


async def test_the_failed_and_the_stalled_upload_raise_their_alerts_until_they_are_acknowledged(tmp_path: Path) -> None:
    async with (
        Simulator.of("fleet", speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS) as daemon,
    ):
        simulator.clock.advance(900.0)  # all others have ended by then
        for name in simulator.controllers:
            await until(daemon, name, has_ended if name != "sin" else any_image("in_progress"))
        async with alerting(daemon, tmp_path) as (alertmanager, receiver, prometheus):
            raised = await eventually(partial(alertmanager.alerts, IMAGES), are_the_expected_ones)
            for alert in raised:
                assert alert["labels"]["image"] == name_of(daemon, **alert["labels"])
            await receiver.wait("firing", FAILED, STALLED)
            for alert in raised:
                if names([alert], "active"):
                    body = {"annotations": {"acknowledged": "true"}}
                    assert (await patch(daemon, alert["labels"]["image_uuid"], body, token=ALICE)).status == 200
            await eventually(partial(alertmanager.alerts, IMAGES), lambda now: now == [])
            await receiver.wait("resolved", FAILED, STALLED)
            health = await eventually(prometheus.health_of_rules, lambda health: "unknown" not in health.values())
    assert {name: state for name, state in health.items() if state != "ok"} == {}  # not so where a join does not fit


def has_ended(entry: Entry) -> bool:
    """Every upload that was planned is there and has ended."""
    return (
        entry.session.up
        and not any(track.object.active for track in entry.objects("image").values())
        and any_image("completed")(entry)
    )


def are_the_expected_ones(alerts: list[Json]) -> bool:
    """Two alerts, and those that follow from them are inhibited."""
    inhibited = {("AviImageNodeEventFailed", "fra"), ("AviImageSlow", "sin")}
    return names(alerts, "active") == [STALLED, FAILED] and inhibited <= set(names(alerts, "suppressed"))


def name_of(daemon: Daemon, controller: str, image_uuid: str, **_: str) -> str:
    return daemon.fleet.entries[controller].objects("image")[image_uuid].object.name
