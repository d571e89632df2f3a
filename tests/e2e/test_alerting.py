"""
A real Prometheus and a real Alertmanager run with our scrape config, rules and routes against the demo fleet.

Their files are those that we ship, sixty times as fast (``support.rules.hurried``), and with the addresses of the test.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from monitor.daemon.app import Daemon
from monitor.polling.fleet import Entry
from monitor.simulator import Simulator
from tests.e2e.test_prometheus import any_image
from tests.support.daemons import until, watching
from tests.support.operators import ALICE, TOKENS, patch
from tests.support.programs import PATIENCE_S, eventually, program, started
from tests.support.rules import PROMETHEUS, RULES, hurried

FAILED = ("AviImageUploadFailed", "fra")
STALLED = ("AviImageStalled", "sin")

Json = dict[str, Any]
Raised = tuple[str, str]  # the alert, and the controller
RulesHealth = Callable[[], Awaitable[dict[str, str]]]


class Pager:
    """Whom Alertmanager calls. ``told``: what was said, firing or resolved."""

    def __init__(self) -> None:
        self.told: set[tuple[str, *Raised]] = set()
        self._news = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Take one call of a webhook."""
        for alert in (await request.json())["alerts"]:
            self.told.add((alert["status"], alert["labels"]["alertname"], alert["labels"].get("controller", "")))
        self._news.set()
        return web.Response()

    async def hears(self, status: str, *alerts: Raised) -> None:
        """Wait until it was told of all of these."""
        async with asyncio.timeout(PATIENCE_S):
            while not {(status, *alert) for alert in alerts} <= self.told:
                self._news.clear()
                await self._news.wait()


class Alertmanager:
    """The API of a running Alertmanager."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ready(self) -> bool:
        try:
            async with self._session.get(f"{self._url}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def alerts(self) -> list[Json]:
        """Those on images that fire, inhibited or not."""
        query = {"filter": 'alertname=~"AviImage.*"'}
        async with self._session.get(f"{self._url}/api/v2/alerts", params=query) as response:
            answer: list[Json] = await response.json()
        return answer


def names(alerts: list[Json], state: str) -> list[Raised]:
    """The alerts in this state, sorted."""
    found = [alert["labels"] for alert in alerts if alert["status"]["state"] == state]
    return sorted((labels["alertname"], labels["controller"]) for labels in found)


def ship(name: str, folder: Path, addresses: Mapping[str, str]) -> Path:
    """One of our files as the test runs it: hurried, and with its addresses."""
    text = yaml.safe_dump(hurried(yaml.safe_load((PROMETHEUS / name).read_text())), sort_keys=False)
    for ours, theirs in addresses.items():
        assert ours in text
        text = text.replace(ours, theirs)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@asynccontextmanager
async def alerting(daemon: Daemon, folder: Path) -> AsyncIterator[tuple[Alertmanager, Pager, RulesHealth]]:
    """Prometheus and Alertmanager on the daemon, whom they call, and how the evaluation of each rule goes."""
    prometheus, alertmanager, pager = free_address(), free_address(), Pager()
    async with RawTestServer(pager.answer) as phone, aiohttp.ClientSession() as session:
        told_at = str(phone.make_url("/"))
        example = {f"https://{name}.example.net/alertmanager": told_at for name in ("pager", "tickets")}
        routes = ship("alertmanager.yml", folder, example)
        example = {"127.0.0.1:9972": daemon.url.removeprefix("http://"), "127.0.0.1:9093": alertmanager}
        scrapes = ship("prometheus.yml", folder, example)
        for path in RULES.glob("*.yml"):
            ship(f"rules/{path.name}", folder, {})
        first = (program("prometheus-alertmanager"), f"--config.file={routes}", f"--storage.path={folder}/alertmanager",
                 f"--web.listen-address={alertmanager}", "--cluster.listen-address=")  # fmt: skip
        second = (program("prometheus"), f"--config.file={scrapes}", f"--storage.tsdb.path={folder}/tsdb",
                  f"--web.listen-address={prometheus}")  # fmt: skip
        async with started(*first, log=folder / "alertmanager.log"):
            api = Alertmanager(f"http://{alertmanager}", session)
            await eventually(api.ready, bool)
            async with started(*second, log=folder / "prometheus.log"):
                yield api, pager, partial(health_of_rules, f"http://{prometheus}", session)


async def health_of_rules(url: str, session: aiohttp.ClientSession) -> dict[str, str]:
    """By name: ok, the error of the last evaluation, or unknown."""
    async with session.get(f"{url}/api/v1/rules") as response:
        groups = (await response.json())["data"]["groups"]
    return {rule["name"]: rule.get("lastError") or rule["health"] for group in groups for rule in group["rules"]}


async def test_the_failed_and_the_stalled_upload_raise_their_alerts_until_they_are_acknowledged(tmp_path: Path) -> None:
    async with (
        Simulator.of("fleet", speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS) as daemon,
    ):
        simulator.clock.advance(900.0)  # all others have ended by then
        for name in simulator.controllers:
            await until(daemon, name, has_ended if name != "sin" else any_image("in_progress"))
        async with alerting(daemon, tmp_path) as (alertmanager, pager, rules_health):
            raised = await eventually(alertmanager.alerts, is_as_it_should_be)
            for alert in raised:
                assert alert["labels"]["image"] == name_of(daemon, **alert["labels"])
            await pager.hears("firing", FAILED, STALLED)
            for alert in raised:
                if names([alert], "active"):
                    body = {"annotations": {"acknowledged": "true"}}
                    assert (await patch(daemon, alert["labels"]["image_uuid"], body, token=ALICE)).status == 200
            await eventually(alertmanager.alerts, lambda now: now == [])
            await pager.hears("resolved", FAILED, STALLED)
            health = await eventually(rules_health, lambda health: "unknown" not in health.values())
    assert {name: said for name, said in health.items() if said != "ok"} == {}  # not so where a join does not fit


def has_ended(entry: Entry) -> bool:
    """Every upload that was planned is there and has ended."""
    return (
        entry.session.up
        and not any(track.object.active for track in entry.objects("image").values())
        and any_image("completed")(entry)
    )


def is_as_it_should_be(alerts: list[Json]) -> bool:
    """Two alerts, and those that follow from them are inhibited."""
    inhibited = {("AviImageNodeEventFailed", "fra"), ("AviImageSlow", "sin")}
    return names(alerts, "active") == [STALLED, FAILED] and inhibited <= set(names(alerts, "suppressed"))


def name_of(daemon: Daemon, controller: str, image_uuid: str, **_: str) -> str:
    return daemon.fleet.entries[controller].objects("image")[image_uuid].object.name
